"""Evaluation of models that translate a source: outputs and, as a baseline, sources are compared with targets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from audiogan.data.table import Table
from audiogan.inputs import Seeded
from audiogan.metrics import Report, evaluate
from audiogan.modalities.references import BETTER
from audiogan.model.generator import Generator


class Translated(NamedTuple):
    """Outputs of one generator for held-out sources.

    Attributes:
        outputs: outputs ``[n, *shape]``.
        targets: real signals of the target domain ``[m, *shape]``.
        sources: source signals, converted to the shape of the outputs ``[n, *shape]``. ``None`` if they cannot be
            converted.
        paired: whether target ``i`` belongs to source ``i``.
        shown: input name -> source signals that can be displayed next to the outputs.
    """

    outputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    sources: NDArray[np.float32] | None
    paired: bool
    shown: dict[str, NDArray[np.float32]]


def translate(generator: Generator, table: Table, route: str, max_examples: int, seed: int) -> Translated:
    """Translate the sources in a table with one generator.

    Args:
        generator: a model with an input that cannot be drawn at random.
        table: held-out data.
        route: name of a generator of the model, such as one direction of a CycleGAN.
        max_examples: largest number of examples.
        seed: seed for the random inputs of the first example. It is increased by 1 for each further example.
    """
    game = generator.game
    sources, targets = game.source_and_target_rows(table, route)
    rng = np.random.default_rng(0)
    paired = game.generators[route].source is None and game.generators[route].target is None
    sources = rng.permutation(sources)[:max_examples]
    targets = sources if paired else rng.permutation(targets)[:max_examples]
    columns = {name: table.column(given.column, sources) for name, given in game.required_inputs.items()}
    recipes = []
    for i in range(len(sources)):
        mine = {
            name: game.inputs[name].from_batch({game.inputs[name].column: value[i : i + 1]}, Seeded(0))[0]
            for name, value in columns.items()
        }
        recipes.append(generator.recipe_from_values(game.draw(1, Seeded(seed + i), **mine), seed + i))
    outputs = generator.render(recipes, generator=route)
    kind = generator.modality
    shown = {name: x.numpy() for name, x in columns.items() if kind.same_kind(generator.inputs[name].modality)}
    return Translated(outputs, table.signals(targets).numpy(), _as_outputs(generator, columns), paired, shown)


def _as_outputs(generator: Generator, columns: dict[str, torch.Tensor]) -> NDArray[np.float32] | None:
    """Return the first source of the output's modality in the output's shape.

    Grey images are converted to colour. Smaller images are enlarged by bicubic interpolation.
    """
    for name, value in columns.items():
        given: Any = generator.inputs[name]
        if not generator.modality.same_kind(given.modality):
            continue
        if value.shape[1] != generator.shape[0] and value.shape[1] == 1:
            value = value.expand(-1, generator.shape[0], *value.shape[2:])
        if value.dim() == 4 and all(a < b for a, b in zip(value.shape[2:], generator.shape[1:], strict=True)):
            value = functional.interpolate(value, generator.shape[1:], mode="bicubic", align_corners=False)
        if tuple(value.shape[1:]) == tuple(generator.shape):
            return generator.modality.postprocess(value.numpy())
    return None


def measure_distribution(translated: Translated, generator: Generator, embedding: Any, train: Any, seed: int) -> Report:
    """Compare the distribution of outputs with the distribution of targets.

    Args:
        translated: the outputs, see `translate`.
        generator: the model.
        embedding: embedding of the outputs.
        train: training targets. ``None`` leaves out the metrics that need them.
        seed: seed for the choice of examples.

    Returns:
        A report. `Report.nothing` has the values of the metrics for the unchanged sources.
    """
    outputs, targets, sources, *_ = translated
    options: dict[str, Any] = {"train": train, "embedding": embedding, "seed": seed}
    report = evaluate(outputs, targets, **options)
    nothing = {} if sources is None else evaluate(sources, targets, **options).values
    return Report(report.values, report.floor, report.better, report.counts, {}, nothing)


def measure_reference_metrics(translated: Translated, generator: Generator) -> Report:
    """Measure the error of each output against its own target, e.g. SSIM. The report is empty for unpaired data."""
    outputs, targets, sources, paired, _ = translated
    if not paired:
        return Report({}, {}, {}, {})

    def by_name(x: NDArray[np.float32]) -> dict[str, float]:
        found = generator.modality.reference_metrics(x, targets)
        return {f"{name}/target@{len(targets)}": value for name, value in found.items() if np.isfinite(value)}

    values = by_name(outputs)
    better = {name: BETTER[name.partition("/")[0]] for name in values}
    return Report(values, {}, better, {}, {}, {} if sources is None else by_name(sources))
