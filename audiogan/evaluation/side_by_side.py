"""Pictures of generated samples next to real examples, and of the best and the worst outputs next to their targets."""

from __future__ import annotations

import os

import numpy as np

from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.evaluation.translations import Translated, translate
from audiogan.modalities.references import BETTER
from audiogan.model.generator import Generator
from audiogan.utils.text import printable

PER_CLASS = 2
"""Number of real examples per class. The number of generated samples per class is the same."""
UNLABELLED_EXAMPLES = 16
"""Number of real examples in a picture without classes. The number of generated samples is the same."""


RANKED_COUNT = 8
"""Number of best outputs in the picture of `draw_best_and_worst`. The number of worst outputs is the same."""
DEFAULT_METRICS = ("ssim", "si_sdr", "l1")
"""Names of metrics for ranking outputs, in order of preference. The first one that the modality supports is the
default."""


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
        groups = {"": order[:UNLABELLED_EXAMPLES]}
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
    """Write a PNG with one row per example. If the model translates in two directions, the rows of the
    second direction come last."""
    columns: dict[str, list[np.ndarray]] = {}
    titles: list[str] = []
    for route, words in generator.routes.descriptions.items():
        made = translate(generator, data, route, UNLABELLED_EXAMPLES // len(generator.routes), seed)
        for name, part in _columns(made).items():
            columns.setdefault(name, []).append(part)
        titles += [words or route] * len(made.outputs)
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    generator.modality.draw_columns(path, whole, titles=titles if len(generator.routes) > 1 else None)


def _columns(made: Translated) -> dict[str, np.ndarray]:
    """Return the columns of a comparison: sources, outputs and, for paired data, targets."""
    return {**made.shown, "output": made.outputs, **({"target": made.targets} if made.paired else {})}


def check_ranking(generator: Generator, metric: str | None) -> str:
    """Return the name of the metric by which outputs are ranked.

    Args:
        generator: the model.
        metric: name of a full-reference metric of its modality. ``None`` selects the first one of `DEFAULT_METRICS`.

    Raises:
        UserError: outputs have no targets of their own, or the metric does not exist.
    """
    if not _paired(generator):
        reason = f"the outputs of {generator.name} have no targets of their own"
        raise UserError(f"--best-worst: {reason}; use it for models of pairs, and --sheet for others")
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 1, *generator.shape)).astype(np.float32)
    known = generator.modality.reference_metrics(x, y)
    if metric is None:
        return next(name for name in DEFAULT_METRICS if name in known)
    if metric not in known:
        raise UserError(f"--rank-by {printable(metric)}: no such metric; choose one of {', '.join(known)}")
    return metric


def check_speech(generator: Generator) -> None:
    """Raise `UserError` unless the model was trained on pairs of sounds, which the speech metrics need."""
    if not _paired(generator):
        raise UserError(f"--speech: the outputs of {generator.name} have no targets of their own; omit --speech")
    x = np.zeros((1, *generator.shape), np.float32)
    try:
        generator.modality.speech_metrics(x, x)
    except UserError as error:
        raise UserError(f"--speech: {error}") from error


def _paired(generator: Generator) -> bool:
    """Return whether each output of a model has a target of its own."""
    paired = all(route.source is None and route.target is None for route in generator.routes.values())
    return bool(generator.game.required_inputs) and paired


def draw_best_and_worst(
    path: str | os.PathLike[str], generator: Generator, translated: Translated, metric: str, count: int = RANKED_COUNT
) -> None:
    """Write a PNG with the outputs that are nearest to their targets, and the outputs that are farthest from their
    targets.

    Each row shows a source, the output and the target. The best output comes first, the worst output last.

    Args:
        path: PNG file to write. Missing folders are created.
        generator: the model.
        translated: outputs for paired data, see `translate`.
        metric: name of the metric by which outputs are ranked, see `check_ranking`.
        count: number of best outputs, and of worst outputs.
    """
    pairs = zip(translated.outputs, translated.targets, strict=True)
    found = [generator.modality.reference_metrics(x[None], y[None]).get(metric, np.nan) for x, y in pairs]
    scores = np.array(found, np.float64)
    order = np.argsort(-scores if BETTER[metric] == "higher" else scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    count = min(count, len(order) // 2)
    rows = np.concatenate([order[:count], order[len(order) - count :]])
    words = ["best"] * count + ["worst"] * count
    titles = [f"{word}: {metric} {scores[row]:.3g}" for word, row in zip(words, rows, strict=True)]
    columns = {name: x[rows] for name, x in _columns(translated).items()}
    title = f"best and worst {count} of {len(scores)} by {metric}"
    generator.modality.draw_columns(path, columns, title=title, titles=titles)
