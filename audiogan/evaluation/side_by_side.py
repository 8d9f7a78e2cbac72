"""Real examples and samples of the same class beside each other, for the eye."""

from __future__ import annotations

import os

import numpy as np

from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.evaluation.translations import translate
from audiogan.model.generator import Generator

EACH = 2
"""Real examples of a class, and as many samples."""
UNLABELLED = 16
"""Of each kind where there are no classes."""


def side_by_side(path: str | os.PathLike[str], generator: Generator, data: Table, *, seed: int = 0) -> None:
    """Write a PNG: of each class first examples out of ``data``, then as many samples, each under its name.

    For a model with a source: a row for each example, with source, output and, if the data has pairs, target.

    Args:
        path: the PNG to write; missing folders are made.
        generator: of what is in ``data``.
        data: real examples. Classes do not count unless both the model and the data have them.
        seed: of the samples, and of the choice of examples.

    Raises:
        UserError: the data has none of the model's classes.
    """
    if generator.game.required_inputs:
        _translations(path, generator, data, seed)
        return
    order = np.random.default_rng(seed).permutation(len(data))
    if generator.labels and len(data.targets):
        names = np.array(data.labels)[data.targets[order]]
        groups = {label: order[names == label][:EACH] for label in generator.labels}
    else:
        groups = {"": order[:UNLABELLED]}
    shown: list[np.ndarray] = []
    titles: list[str] = []
    for label, rows in groups.items():
        if len(rows):
            shown += [data.signals(rows).numpy(), generator.sample(len(rows), seed=seed, label=label or None)]
            titles += [f"{label} real".strip()] * len(rows) + [label or "generated"] * len(rows)
    if not shown:
        raise UserError(f"{generator.name}: it knows {', '.join(generator.labels)}, but {data.source} has none of them")
    generator.modality.sheet(path, np.concatenate(shown), titles)


def _translations(path: str | os.PathLike[str], generator: Generator, data: Table, seed: int) -> None:
    """Write a PNG with a row for each example; the rows of one direction follow those of the other."""
    columns: dict[str, list[np.ndarray]] = {}
    titles: list[str] = []
    for route, words in generator.route_descriptions.items():
        made = translate(generator, data, route, UNLABELLED // len(generator.routes), seed)
        parts = {**made.shown, "output": made.outputs, **({"target": made.targets} if made.paired else {})}
        for name, part in parts.items():
            columns.setdefault(name, []).append(part)
        titles += [words or route] * len(made.outputs)
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    generator.modality.compare(path, whole, titles=titles if len(generator.routes) > 1 else None)
