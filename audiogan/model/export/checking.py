"""A file is played before it appears: it must make what the model makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from audiogan.errors import UserError
from audiogan.model.export.graph import Arrays, arrays, examples

if TYPE_CHECKING:
    from audiogan.model.generator import Generator
    from audiogan.model.recipe import Recipe

BROKEN = 1e-2
"""A file whose signals are that far from the model's is not written."""


class Checked(NamedTuple):
    """How a file was checked: largest absolute difference to `Generator.render` (none without a runtime), in words."""

    largest: float | None
    how: str


def check(
    path: Path, generator: Generator, play: Callable[[Arrays], np.ndarray], runtime: str, route: str | None = None
) -> Checked:
    """Compare what ``play`` makes of inputs, in batches of one and of several, with `Generator.render`.

    Raises:
        UserError: ``play`` fails, or what it makes is something else.
    """
    recipes = probes(generator)
    inputs, wanted = arrays(generator, recipes, route), generator.render(recipes, generator=route)
    try:
        parts = [play({name: x[rows] for name, x in inputs.items()}) for rows in (slice(0, 1), slice(1, None))]
    except Exception as error:  # runtimes have no common class
        raise UserError(f"{path}: {runtime} cannot run it ({first_line(error)}); nothing was written") from error
    largest = float(np.abs(np.concatenate(parts) - wanted).max())
    if not largest <= BROKEN:
        raise UserError(f"{path}: {runtime} makes something else of it (off by {largest:.2g}); nothing was written")
    return Checked(largest, f"{runtime}, {len(recipes)} {generator.modality.noun}s: largest difference {largest:.1e}")


def probes(generator: Generator) -> list[Recipe]:
    """Return recipes that try what an exported model must do: any classes, mixtures, knobs at both ends and between."""
    recipes = examples(generator, 8)
    mixture = dict.fromkeys(generator.labels[:3], 1.0) if generator.labels else None
    for seed, share in enumerate((0.0, 0.5, 1.0), start=8):
        if generator.game.needed:
            recipes += examples(generator, 1, seed)
        else:
            recipes += generator.recipes(1, seed=seed, label=mixture, knobs=dict.fromkeys(generator.knobs, share))
    return recipes


def first_line(error: BaseException | None) -> str:
    """What an error says, as one short line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
