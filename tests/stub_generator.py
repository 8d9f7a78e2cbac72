"""A stub of a generator for tests of written files. It needs no network and no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiogan.modalities.sound import Sound
from audiogan.model.recipe import Recipe


class Stub:
    """Stub with the attributes that `write_samples` and `write_morph` use. Classes alternate. The level of a sound
    encodes its seed."""

    def __init__(self, labels: Sequence[str] = ("kick", "snare"), name: str = "stub", modality: Any = None) -> None:
        self.labels, self.name, self.step, self.shape = labels, name, 1, (1, 64)
        self.modality = modality or Sound(8000)
        self.before_rendering: Callable[[int], None] = lambda rendered: None
        self.rendered = 0

    def recipes(self, n: int = 1, *, seed: int | None = None, label: Any = None, **other: Any) -> list[Recipe]:
        made = []
        for i in range(seed or 0, (seed or 0) + n):
            name = label if isinstance(label, str) else self.labels[i % len(self.labels)]
            made.append(Recipe(self.name, (float(i % 1000),), {name: 1.0}, {}, i))
        return [replace(one, truncation=other.get("truncation")) for one in made]

    def render(self, recipes: Sequence[Recipe], **other: Any) -> np.ndarray:
        self.before_rendering(self.rendered)
        self.rendered += len(recipes)
        levels = np.array([recipe.latent[0] / 1000 for recipe in recipes], np.float32)
        if self.modality.noun == "point":
            return np.stack([levels, levels], axis=1)
        if self.modality.noun == "image":
            return np.broadcast_to(levels[:, None, None, None], (len(recipes), 1, 8, 8)).copy()
        return np.broadcast_to(levels[:, None, None], (len(recipes), 1, 64)).copy()

    def require_random_inputs(self, feature: str) -> None:
        pass

    def morph(self, start: Recipe, end: Recipe, steps: int) -> list[Recipe]:
        return [start.interpolate(end, i / (steps - 1)) for i in range(steps)]
