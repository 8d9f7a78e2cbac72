"""The model that is played, as the page knows it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from audiogan.errors import UserError
from audiogan.games.generative import OLD_NAMES
from audiogan.model.bundle import shipped_models
from audiogan.model.recipe import LONGEST, Recipe
from audiogan.studio.limits import Strict
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

Name = Annotated[str, Field(max_length=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1e6)]
Seed = Annotated[int, Field(ge=0, lt=2**62)]
Truncation = Annotated[float, Field(gt=0, le=100)]


class WireRecipe(Strict):
    """A recipe as JSON, see `Recipe.to_json`."""

    model: Annotated[str, Field(max_length=200)]
    latent: Annotated[str, Field(max_length=LONGEST * 16 // 3 + 8)]
    classes: Annotated[dict[Name, Weight], Field(max_length=1000)] = Field(default_factory=dict)
    knobs: Annotated[dict[Name, Share], Field(max_length=100)] = Field(default_factory=dict)
    seed: Seed | None = None
    truncation: Truncation | None = None


RATES = [44_100, 48_000]
TITLES = {"sfz": "SFZ (most samplers)", "hydrogen": "Hydrogen drum kit", "decent": "Decent Sampler", "wav": "WAV files"}
NEW_NAMES = {new: old for old, new in OLD_NAMES.items()}


class Instrument:
    """A generator of sounds, and what the page may know of it: not where its file lies.

    Attributes:
        name: of a shipped model its own, of a run or a file what it is called, without folders.
        fingerprint: eight hexadecimal digits of the weights. Two models of the same name have different ones.
    """

    def __init__(self, generator: Generator) -> None:
        if generator.modality.sample_rate is None:
            raise UserError(f"{generator.name}: it makes {generator.modality.noun}s; the studio plays sounds")
        generator.require_random_inputs("the pads of the studio")
        self.generator = generator
        path = generator.checkpoint
        run = path.parent.parent.name if path.parent.name == "checkpoints" else ""
        self.name = generator.name if generator.name in shipped_models() else printable(run or path.stem)[:200]
        digest = hashlib.sha256()
        # Links name the fingerprint: it is computed with the names that buffers had in version 0.1.
        named = {NEW_NAMES.get(key, key): value for key, value in generator.game.state_dict().items()}
        for key, value in sorted(named.items()):
            digest.update(key.encode() + np.ascontiguousarray(value.detach().cpu().numpy()).tobytes())
        self.fingerprint = digest.hexdigest()[:8]

    def about(self) -> dict[str, Any]:
        """What the page is told at its start."""
        g = self.generator
        channels, samples = g.shape
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "labels": g.labels,
            "knobs": list(g.knobs),
            "sample_rate": g.sample_rate,
            "channels": channels,
            "samples": samples,
            "step": g.step,
            "card": g.card,
        }

    def outside(self, recipe: Recipe) -> dict[str, Any]:
        """A recipe as the page gets it."""
        return {**json.loads(recipe.to_json()), "model": self.name}

    def inside(self, wire: WireRecipe) -> Recipe:
        """A recipe that the page sent, or one that Python made; ``UserError`` where it is none, or of another model."""
        if wire.model not in (self.name, self.generator.name):
            raise UserError(f"the recipe is of the model {wire.model[:60]!r}; this studio plays {self.name!r}")
        return Recipe.from_json(json.dumps({**wire.model_dump(), "model": self.generator.name}))

    def said(self, error: Exception) -> str:
        """An error in one printable line, without the places of files."""
        text = " ".join(str(error).split())
        for path in {self.generator.name, str(self.generator.checkpoint), str(self.generator.checkpoint.resolve())}:
            text = text.replace(path, self.name)
        return printable(text)[:300]


def formats() -> list[dict[str, str]]:
    """Return the file formats of kits."""
    from audiogan.kits import FORMATS

    return [{"name": name, "title": TITLES.get(name, name)} for name in FORMATS]
