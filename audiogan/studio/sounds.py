"""Sounds and their neighbours: the part of the API that every gesture on a pad ends in."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from audiogan.studio.instrument import RATES, Instrument, Name, Seed, Share, Truncation, Weight, WireRecipe, formats
from audiogan.studio.limits import SOUNDS, Limits, Refused, Slots, Strict, read

if TYPE_CHECKING:
    from audiogan.model.recipe import Recipe

M = TypeVar("M", bound=BaseModel)
router = APIRouter(prefix="/api")
Count = Annotated[int, Field(ge=1, le=SOUNDS)]


@dataclass(frozen=True)
class Studio:
    """What the requests of an application share."""

    instrument: Instrument
    limits: Limits
    renders: Slots
    imitations: Slots

    @classmethod
    def of(cls, request: Request) -> Studio:
        return request.app.state.studio

    async def asked(self, request: Request, model: type[M]) -> M:
        """The JSON body of a request as one of the models; ``Refused`` says which value is wrong."""
        body = await read(request, self.limits.json_bytes, self.limits.body_seconds)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part)[:40] for part in first["loc"][:4])
            line = " ".join(f"{where}: {first['msg']}".split()) if where else first["msg"]
            raise Refused(400 if first["type"] == "json_invalid" else 422, line[:300]) from None


class NewSounds(Strict):
    n: Count = 1
    label: Name | Annotated[dict[Name, Weight], Field(max_length=1000)] | None = None
    knobs: Annotated[dict[Name, Share], Field(max_length=100)] = Field(default_factory=dict)
    seed: Seed | None = None
    truncation: Truncation | None = None


class OneSound(Strict):
    recipe: WireRecipe


class Variation(OneSound):
    amount: Share = 0.3
    n: Count = 1
    seed: Seed | None = None


class Morph(Strict):
    a: WireRecipe
    b: WireRecipe
    steps: Annotated[int, Field(ge=2, le=SOUNDS)] = 9


@router.get("/model")
async def model(request: Request) -> dict[str, Any]:
    """What is played, and what may be asked of it."""
    studio = Studio.of(request)
    limits = {"sounds": SOUNDS, "upload_bytes": studio.limits.upload_bytes, "seconds": studio.limits.imitate_seconds}
    return {**studio.instrument.about(), "formats": formats(), "rates": RATES, "limits": limits}


@router.post("/sounds")
async def sounds(request: Request) -> dict[str, Any]:
    """Recipes of new sounds."""
    studio = Studio.of(request)
    want = await studio.asked(request, NewSounds)
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
    """The sound of a recipe: a WAV file of 32-bit floats, the samples of ``Generator.render``; its comment is the
    recipe.
    """
    studio = Studio.of(request)
    want = await studio.asked(request, OneSound)
    recipe = studio.instrument.inside(want.recipe)

    def work() -> bytes:
        wave = studio.instrument.generator.render(recipe)[0]
        comment = json.dumps(studio.instrument.outside(recipe))
        return float_wav(wave, studio.instrument.generator.sample_rate, comment)

    return Response(await studio.renders.run(work), media_type="audio/wav")


@router.post("/vary")
async def vary(request: Request) -> dict[str, Any]:
    """Recipes near one."""
    studio = Studio.of(request)
    want = await studio.asked(request, Variation)
    generator, recipe = studio.instrument.generator, studio.instrument.inside(want.recipe)
    return _listed(studio, await studio.renders.run(generator.vary, recipe, want.amount, want.n, seed=want.seed))


@router.post("/morph")
async def morph(request: Request) -> dict[str, Any]:
    """Recipes that lead from one sound to another."""
    studio = Studio.of(request)
    want = await studio.asked(request, Morph)
    a, b = studio.instrument.inside(want.a), studio.instrument.inside(want.b)
    return _listed(studio, await studio.renders.run(studio.instrument.generator.morph, a, b, want.steps))


def _listed(studio: Studio, recipes: list[Recipe]) -> dict[str, Any]:
    return {"recipes": [studio.instrument.outside(recipe) for recipe in recipes]}


def float_wav(wave: np.ndarray, sample_rate: int, comment: str = "") -> bytes:
    """A WAV file of 32-bit floats with one sound `[C, T]` and a comment.

    The same sound makes the same bytes: libsndfile would put the time of day into the file.
    """
    channels, length = wave.shape
    frame = 4 * channels
    text = comment.encode() + b"\0"
    chunks = _chunk(b"fmt ", struct.pack("<HHIIHHH", 3, channels, sample_rate, sample_rate * frame, frame, 32, 0))
    chunks += _chunk(b"fact", struct.pack("<I", length))
    if comment:
        chunks += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", text))
    chunks += _chunk(b"data", np.ascontiguousarray(wave.T, "<f4").tobytes())
    return _chunk(b"RIFF", b"WAVE" + chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
