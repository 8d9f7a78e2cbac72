"""Comparison of an exported file with its model before the file is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from audiogan.errors import UserError
from audiogan.model.export.graph import Arrays, ExportedGenerator, example_recipes, input_arrays

if TYPE_CHECKING:
    from audiogan.model.generator import Generator
    from audiogan.model.recipe import Recipe

MAX_DIFFERENCE = 1e-2
"""Maximum absolute difference between the signals of an exported file and of the model. No file is written
if the difference is larger.
"""


class CheckResult(NamedTuple):
    """Result of the check of an exported file.

    Attributes:
        max_difference: largest absolute difference from `Generator.render`, or None if no runtime is installed.
        summary: description of the check in one line.
        rounding: largest change of the signals caused by rounding the weights, or None for float32 weights.
    """

    max_difference: float | None
    summary: str
    rounding: float | None = None


def compare_with_generator(
    path: Path,
    generator: Generator,
    run_exported: Callable[[Arrays], np.ndarray],
    runtime: str,
    route: str | None = None,
    *,
    half: bool = False,
) -> CheckResult:
    """Compare the output of an exported file with `Generator.render`, in a batch of one sample and in a batch of
    several. For a file in half precision, the weights of the model are rounded first.

    Args:
        path: file name for error messages.
        generator: the model.
        run_exported: function that runs the exported file on named input arrays and returns signals.
        runtime: name and version of the runtime.
        route: name of the generator network, for models with several. None selects the first.
        half: whether the weights of the file are in half precision.

    Raises:
        UserError: ``run_exported`` fails, or the signals differ by more than `MAX_DIFFERENCE`.
    """
    recipes = comparison_recipes(generator)
    inputs, rendered = input_arrays(generator, recipes, route), generator.render(recipes, generator=route)
    wanted = _render_rounded(generator, inputs, route) if half else rendered
    try:
        parts = [run_exported({name: x[rows] for name, x in inputs.items()}) for rows in (slice(0, 1), slice(1, None))]
    except Exception as error:  # runtimes share no error class
        raise UserError(f"{path}: {runtime} cannot run it ({first_line(error)}); nothing was written") from error
    largest = float(np.abs(np.concatenate(parts) - wanted).max())
    if not largest <= MAX_DIFFERENCE:
        raise UserError(
            f"{path}: {runtime} gives other signals than the model (difference {largest:.2g}); nothing was written"
        )
    return CheckResult(
        largest,
        f"{runtime}, {len(recipes)} {generator.modality.noun}s: largest difference {largest:.1e}",
        float(np.abs(wanted - rendered).max()) if half else None,
    )


def _render_rounded(generator: Generator, inputs: Arrays, route: str | None) -> np.ndarray:
    """Return the signals of a model with weights that are rounded to half precision."""
    module = ExportedGenerator(generator, route)
    module.round_to_half()
    with torch.no_grad():
        return module(**{name: torch.from_numpy(x) for name, x in inputs.items()}).numpy()


def comparison_recipes(generator: Generator) -> list[Recipe]:
    """Return recipes that cover classes, mixtures of classes, and knobs at both ends and in the middle."""
    recipes = example_recipes(generator, 8)
    mixture = dict.fromkeys(generator.labels[:3], 1.0) if generator.labels else None
    for seed, share in enumerate((0.0, 0.5, 1.0), start=8):
        if generator.game.required_inputs:
            recipes += example_recipes(generator, 1, seed)
        else:
            recipes += generator.recipes(1, seed=seed, label=mixture, knobs=dict.fromkeys(generator.knobs, share))
    return recipes


def first_line(error: BaseException | None) -> str:
    """Return the first line of an error message, at most 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
