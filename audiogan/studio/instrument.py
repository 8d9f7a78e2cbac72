"""`Instrument`, the model that the studio plays, and the JSON format of its recipes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from audiogan.errors import UserError
from audiogan.games.generative import OLD_BUFFER_NAMES
from audiogan.model.recipe import MAX_LATENT_VALUES, Recipe
from audiogan.run.model_files import shipped_models
from audiogan.studio.limits import StrictModel
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

Name = Annotated[str, Field(max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Seed = Annotated[int, Field(ge=0, lt=2**62)]
Truncation = Annotated[float, Field(gt=0, le=100)]


class WireRecipe(StrictModel):
    """Recipe of a sound as a JSON object, in the format of `Recipe.to_json`."""

    model: Annotated[str, Field(max_length=200)]
    latent: Annotated[str, Field(max_length=MAX_LATENT_VALUES * 16 // 3 + 8)]
    classes: Annotated[dict[Name, Weight], Field(max_length=1000)] = Field(default_factory=dict)
    knobs: Annotated[dict[Name, Share], Field(max_length=100)] = Field(default_factory=dict)
    seed: Seed | None = None
    truncation: Truncation | None = None


RATES = [44_100, 48_000]
TITLES = {"sfz": "SFZ (most samplers)", "hydrogen": "Hydrogen drum kit", "decent": "Decent Sampler", "wav": "WAV files"}
NEW_NAMES = {new: old for old, new in OLD_BUFFER_NAMES.items()}


class Instrument:
    """Generator of sounds with the information that the page may show. The path of the model file is kept secret.

    Args:
        generator: model that generates sounds.

    Attributes:
        name: name of the shipped model, of the run folder or of the model file, without folders.
        fingerprint: first eight hexadecimal digits of the SHA-256 of the weights. It distinguishes models of the same
            name.

    Raises:
        UserError: the model does not generate sounds, or needs inputs that cannot be drawn at random.
    """

    def __init__(self, generator: Generator) -> None:
        if generator.modality.sample_rate is None:
            raise UserError(f"{generator.name}: generates {generator.modality.noun}s; the studio plays sounds only")
        generator.require_random_inputs("the pads of the studio")
        self.generator = generator
        path = generator.checkpoint
        run = path.parent.parent.name if path.parent.name == "checkpoints" else ""
        self.name = generator.name if generator.name in shipped_models() else printable(run or path.stem)[:200]
        digest = hashlib.sha256()
        # Buffers are hashed under the names they had in version 0.1, because old links contain the fingerprint.
        named = {NEW_NAMES.get(key, key): value for key, value in generator.game.state_dict().items()}
        for key, value in sorted(named.items()):
            digest.update(key.encode() + np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
        self.fingerprint = digest.hexdigest()[:8]

    def describe(self) -> dict[str, Any]:
        """Return the properties of the model that the page needs when it loads, as a JSON object."""
        g = self.generator
        channels, samples = g.shape
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "labels": g.labels,
            "knobs": list(g.knobs),
            "knob_scales": {name: knob_scale(name, values) for name, values in g.knobs.items()},
            "sample_rate": g.sample_rate,
            "channels": channels,
            "samples": samples,
            "step": g.step,
            "card": g.card,
        }

    def to_wire(self, recipe: Recipe) -> dict[str, Any]:
        """Convert a recipe to the JSON object that is sent to the page."""
        return {**json.loads(recipe.to_json()), "model": self.name}

    def from_wire(self, wire_recipe: WireRecipe) -> Recipe:
        """Convert a recipe that the page sent to a `Recipe`.

        Raises:
            UserError: the recipe is invalid or of another model.
        """
        if wire_recipe.model not in (self.name, self.generator.name):
            raise UserError(f"the recipe is of the model {wire_recipe.model[:60]!r}; this studio plays {self.name!r}")
        return Recipe.from_json(json.dumps({**wire_recipe.model_dump(), "model": self.generator.name}))

    def error_message(self, error: Exception) -> str:
        """Return the message of an error on one printable line, with the path of the model replaced by its name."""
        return public_message(error, self.generator, self.name)


def public_message(error: Exception, generator: Generator, name: str) -> str:
    """Return the message of an error on one printable line.

    Args:
        error: the error.
        generator: model that raised it.
        name: name that replaces the path of the model.
    """
    text = " ".join(str(error).split())
    for path in {generator.name, str(generator.checkpoint), str(generator.checkpoint.resolve())}:
        text = text.replace(path, name)
    return printable(text)[:300]


def knob_scale(name: str, values: list[float]) -> dict[str, Any]:
    """Return the ``values`` of a knob at evenly spaced settings from 0 to 1, their ``unit`` and the ``meaning`` of the
    knob. Unit and meaning of knobs from outside the package are empty."""
    from audiogan.data.sounds.knobs import KNOBS

    known = KNOBS.get(name)
    about = {"unit": known.unit, "meaning": known.meaning} if known else {"unit": "", "meaning": ""}
    return {"values": [round(float(value), 5) for value in values], **about}


def kit_formats() -> list[dict[str, str]]:
    """Return the file formats of kits, each with its ``name`` and its ``title`` on the page."""
    from audiogan.kits import FORMATS

    return [{"name": name, "title": TITLES.get(name, name)} for name in FORMATS]
