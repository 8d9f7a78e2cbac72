"""API routes that describe the model, draw recipes, vary and morph them, and render their sounds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from audiogan.modalities.wav import encode_wav
from audiogan.studio.instrument import RATES, Instrument, Name, Seed, Share, Truncation, Weight, WireRecipe, kit_formats
from audiogan.studio.limits import MAX_SOUNDS, Limits, Refused, Slots, StrictModel, read_body

if TYPE_CHECKING:
    from audiogan.model.recipe import Recipe

M = TypeVar("M", bound=BaseModel)
router = APIRouter(prefix="/api")
Count = Annotated[int, Field(ge=1, le=MAX_SOUNDS)]


@dataclass(frozen=True)
class Studio:
    """State that all requests to the application share.

    Attributes:
        instrument: the model that is played.
        limits: limits for requests.
        renders: task slots for rendering sounds.
        imitations: task slots for ``/api/imitate``.
    """

    instrument: Instrument
    limits: Limits
    renders: Slots
    imitations: Slots

    @classmethod
    def from_request(cls, request: Request) -> Studio:
        return request.app.state.studio

    async def parse_body(self, request: Request, model_class: type[M]) -> M:
        """Read the JSON body of a request and validate it as an instance of the pydantic class ``model_class``.

        Raises:
            Refused: the body is not valid JSON (status 400), or a value is invalid (status 422).
        """
        body = await read_body(request, self.limits.json_bytes, self.limits.body_seconds)
        try:
            return model_class.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            key = ".".join(str(part)[:40] for part in first["loc"][:4])
            line = " ".join(f"{key}: {first['msg']}".split()) if key else first["msg"]
            raise Refused(400 if first["type"] == "json_invalid" else 422, line[:300]) from None


class NewSounds(StrictModel):
    n: Count = 1
    label: Name | Annotated[dict[Name, Weight], Field(max_length=1000)] | None = None
    knobs: Annotated[dict[Name, Share], Field(max_length=100)] = Field(default_factory=dict)
    seed: Seed | None = None
    truncation: Truncation | None = None


class OneSound(StrictModel):
    recipe: WireRecipe


class Variation(OneSound):
    amount: Share = 0.3
    n: Count = 1
    seed: Seed | None = None


class Morph(StrictModel):
    a: WireRecipe
    b: WireRecipe
    steps: Annotated[int, Field(ge=2, le=MAX_SOUNDS)] = 9


@router.get("/model")
async def describe_model(request: Request) -> dict[str, Any]:
    """Return the properties of the model, the export formats and sample rates, and the limits for requests."""
    studio = Studio.from_request(request)
    given = studio.limits
    limits = {"sounds": MAX_SOUNDS, "upload_bytes": given.upload_bytes, "seconds": given.imitate_seconds}
    limits["opened_bytes"] = given.opened_bytes
    return {**studio.instrument.describe(), "formats": kit_formats(), "rates": RATES, "limits": limits}


@router.post("/sounds")
async def new_sounds(request: Request) -> dict[str, Any]:
    """Draw recipes of new sounds and return them."""
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, NewSounds)
    made = await studio.renders.run(
        studio.instrument.generator.recipes,
        want.n,
        seed=want.seed,
        label=want.label,
        knobs=want.knobs,
        truncation=want.truncation,
    )
    return _listed(studio, made)


@router.post("/render")
async def render(request: Request) -> Response:
    """Render the sound of a recipe and return a WAV file with 32-bit floating-point samples.

    The samples are those of `Generator.render`. The comment of the file is the recipe as JSON.
    """
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, OneSound)
    recipe = studio.instrument.from_wire(want.recipe)

    def work() -> bytes:
        wave = studio.instrument.generator.render(recipe)[0]
        comment = json.dumps(studio.instrument.to_wire(recipe))
        return encode_wav(wave, studio.instrument.generator.sample_rate, "FLOAT", comment)

    return Response(await studio.renders.run(work), media_type="audio/wav")


@router.post("/vary")
async def vary(request: Request) -> dict[str, Any]:
    """Return variations of a recipe. The field ``amount`` of the request, 0 ... 1, is the size of the variation."""
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, Variation)
    generator, recipe = studio.instrument.generator, studio.instrument.from_wire(want.recipe)
    return _listed(studio, await studio.renders.run(generator.vary, recipe, want.amount, want.n, seed=want.seed))


@router.post("/morph")
async def morph(request: Request) -> dict[str, Any]:
    """Return recipes of a morph from one sound to another, including both ends."""
    studio = Studio.from_request(request)
    want = await studio.parse_body(request, Morph)
    a, b = studio.instrument.from_wire(want.a), studio.instrument.from_wire(want.b)
    return _listed(studio, await studio.renders.run(studio.instrument.generator.morph, a, b, want.steps))


def _listed(studio: Studio, recipes: list[Recipe]) -> dict[str, Any]:
    return {"recipes": [studio.instrument.to_wire(recipe) for recipe in recipes]}
