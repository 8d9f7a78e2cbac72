"""Measures of models with a source: outputs against targets, and the sources themselves against targets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from audiogan.data.table import Table
from audiogan.inputs import Seeded
from audiogan.metrics import Report, evaluate
from audiogan.modalities.references import BETTER
from audiogan.model.generator import Generator


class Translated(NamedTuple):
    """Outputs of one generator for sources of held-out data.

    Attributes:
        outputs: ``[n, *shape]``.
        targets: real signals of the target domain ``[m, *shape]``.
        sources: the sources as outputs ``[n, *shape]``; ``None`` if they have another shape than outputs.
        paired: whether target ``i`` belongs to source ``i``.
        shown: the sources as they are, by the name of the input; those that can be shown beside outputs.
    """

    outputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    sources: NDArray[np.float32] | None
    paired: bool
    shown: dict[str, NDArray[np.float32]]


def translate(generator: Generator, table: Table, route: str, most: int, seed: int) -> Translated:
    """Return the outputs of a generator for examples of a table.

    Args:
        generator: a model with an input that cannot be drawn.
        table: held-out data.
        route: name of the generator.
        most: largest number of examples.
        seed: seed of the first example's random inputs; the next examples have the next seeds.
    """
    game = generator.game
    sources, targets = game.source_and_target_rows(table, route)
    rng = np.random.default_rng(0)
    paired = game.generators[route].source is None and game.generators[route].target is None
    sources = rng.permutation(sources)[:most]
    targets = sources if paired else rng.permutation(targets)[:most]
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
    """Return the first source of the output's kind in the output's shape; grey pictures become colour pictures."""
    for name, value in columns.items():
        given: Any = generator.inputs[name]
        if not generator.modality.same_kind(given.modality):
            continue
        if value.shape[1] != generator.shape[0] and value.shape[1] == 1:
            value = value.expand(-1, generator.shape[0], *value.shape[2:])
        if tuple(value.shape[1:]) == tuple(generator.shape):
            return generator.modality.finish(value.numpy())
    return None


def measure(translated: Translated, generator: Generator, embedding: Any, train: Any, seed: int) -> Report:
    """Measure the distribution of outputs against the targets, and each output against its own target.

    ``nothing`` in the report has the same measures of the sources.
    """
    outputs, targets, sources, *_ = translated
    options: dict[str, Any] = {"train": train, "embedding": embedding, "seed": seed}
    report = evaluate(outputs, targets, **options)
    nothing = {} if sources is None else evaluate(sources, targets, **options).values
    return Report(report.values, report.floor, report.better, report.counts, {}, nothing)


def references(translated: Translated, generator: Generator) -> Report:
    """Measure each output against its own target, such as by SSIM; an empty report if data is not paired."""
    outputs, targets, sources, paired, _ = translated
    if not paired:
        return Report({}, {}, {}, {})

    def named(x: NDArray[np.float32]) -> dict[str, float]:
        found = generator.modality.references(x, targets)
        return {f"{name}/target@{len(targets)}": value for name, value in found.items() if np.isfinite(value)}

    values = named(outputs)
    better = {name: BETTER[name.partition("/")[0]] for name in values}
    return Report(values, {}, better, {}, {}, {} if sources is None else named(sources))
