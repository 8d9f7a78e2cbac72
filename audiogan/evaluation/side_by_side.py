"""Pictures of generated samples next to real examples of the same class."""

from __future__ import annotations

import os

import numpy as np

from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.evaluation.translations import translate
from audiogan.model.generator import Generator

PER_CLASS = 2
"""Number of real examples per class, and also of generated samples per class."""
UNLABELLED = 16
"""Number of real examples, and also of generated samples, in a picture without classes."""


def side_by_side(path: str | os.PathLike[str], generator: Generator, data: Table, *, seed: int = 0) -> None:
    """Write a PNG with real examples and samples side by side, class by class.

    For models that translate a source, each row shows a source, the output and, for paired data, the target.

    Args:
        path: PNG file to write. Missing folders are created.
        generator: the model.
        data: real examples. Classes are used if both the model and the data have them.
        seed: seed for the samples and for the choice of examples.

    Raises:
        UserError: the data contains none of the model's classes.
    """
    if generator.game.required_inputs:
        _translations(path, generator, data, seed)
        return
    order = np.random.default_rng(seed).permutation(len(data))
    if generator.labels and len(data.targets):
        names = np.array(data.labels)[data.targets[order]]
        groups = {label: order[names == label][:PER_CLASS] for label in generator.labels}
    else:
        groups = {"": order[:UNLABELLED]}
    shown: list[np.ndarray] = []
    titles: list[str] = []
    for label, rows in groups.items():
        if len(rows):
            shown += [data.signals(rows).numpy(), generator.sample(len(rows), seed=seed, label=label or None)]
            titles += [f"{label} real".strip()] * len(rows) + [label or "generated"] * len(rows)
    if not shown:
        raise UserError(
            f"{generator.name} has the classes {', '.join(generator.labels)}, but {data.source} has none of them"
        )
    generator.modality.sheet(path, np.concatenate(shown), titles)


def _translations(path: str | os.PathLike[str], generator: Generator, data: Table, seed: int) -> None:
    """Write a PNG with one row per example. If there are two directions, their rows follow each other."""
    columns: dict[str, list[np.ndarray]] = {}
    titles: list[str] = []
    for route, words in generator.routes.descriptions.items():
        made = translate(generator, data, route, UNLABELLED // len(generator.routes), seed)
        parts = {**made.shown, "output": made.outputs, **({"target": made.targets} if made.paired else {})}
        for name, part in parts.items():
            columns.setdefault(name, []).append(part)
        titles += [words or route] * len(made.outputs)
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    generator.modality.draw_columns(path, whole, titles=titles if len(generator.routes) > 1 else None)
