"""Data sets for the evaluation of a run: loading, subsets and labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from omegaconf import OmegaConf

from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import Classes
from audiogan.model.generator import Generator
from audiogan.run.model_files import SUFFIX
from audiogan.run.settings import make_data_paths_absolute
from audiogan.run.training import open_data

MAX_EXAMPLES = 4000
"""Largest number of examples loaded per data set."""


class DataSets(NamedTuple):
    """Data sets for an evaluation.

    Attributes:
        train: training data of the run. ``None`` if it is not available.
        held_out: held-out data of the run. ``None`` if it is not available or empty.
        real: real data with which samples are compared.
    """

    train: Table | None
    held_out: Table | None
    real: Table


def open_evaluation_data(generator: Generator, data: str | None) -> DataSets:
    """Load the data sets for an evaluation.

    Args:
        generator: the model to evaluate.
        data: folder or file with real data. ``None``: the held-out data of the run.

    Raises:
        UserError: the data does not exist or is empty. For a model file, which contains no data, ``data`` is required.
    """
    cfg = OmegaConf.create(generator.config)
    if generator.checkpoint.suffix.lower() == SUFFIX:
        if data is None:
            advice = "give real data with --data, in one folder per class"
            raise UserError(f"{generator.name}: a model contains no data; {advice}")
        cfg.data.root, data = data, None
        make_data_paths_absolute(cfg)
    train, held_out = None, None
    try:
        train, held_out = open_data(cfg)
    except UserError:
        if data is None:
            raise
    real = held_out
    if data is not None:
        cfg.data.update({"root": data, "holdout": 0.0})
        if "labels" in cfg.data and all(route.target is None for route in generator.routes.values()):
            cfg.data.labels = "none"
        make_data_paths_absolute(cfg)
        real, _ = open_data(cfg)
    if real is None or not len(real):
        raise UserError(f"{generator.name}: no data was held out (few examples, or data.holdout=0); use --data FOLDER")
    return DataSets(train, held_out if held_out is not None and len(held_out) else None, real)


def data_change_warning(generator: Generator, data_sets: DataSets) -> str:
    """Return a warning if the class counts of the training data have changed since training, else an empty string."""
    classes = generator.inputs.get("classes")
    if generator.checkpoint.suffix.lower() == SUFFIX or data_sets.train is None or not isinstance(classes, Classes):
        return ""
    then = dict(zip(classes.labels, map(int, classes.counts.tolist()), strict=True))
    now = dict(zip(data_sets.train.labels, data_sets.train.class_counts, strict=False))
    if then == now:
        return ""
    noun = generator.modality.noun
    return (
        f"the training data changed after training, from {sum(then.values()):,} to {sum(now.values()):,} {noun}s; "
        f"the held-out data may contain training examples ({data_sets.train.source})"
    )


def load_examples(data: Table, max_examples: int, *, keep_order: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Return signals ``[N, *shape]`` of rows of the data and their classes ``[N]`` (``None`` without labels).

    The rows are drawn at random with a fixed seed. Their number is at most ``max_examples`` and at most `MAX_EXAMPLES`.
    With ``keep_order``, the rows have the order of the data.
    """
    rows = np.random.default_rng(0).permutation(len(data))[: min(MAX_EXAMPLES, max_examples)]
    rows = np.sort(rows) if keep_order else rows
    targets = np.asarray(data.targets)
    return data.signals(rows).numpy(), targets[rows] if len(targets) else None


def class_indices(data: Table, class_names: list[str]) -> np.ndarray:
    """Return the index of each class in ``data.labels``. Raise `UserError` if the data lacks a class."""
    unknown = sorted(set(class_names) - set(data.labels))
    if unknown:
        raise UserError(f"the run has the class {unknown[0]!r}, but its data no longer has it: {data.source}")
    return np.array([data.labels.index(name) for name in class_names], np.int64)


def require_labelled_data(data_sets: DataSets, option_name: str) -> tuple[Table, Table]:
    """Return the labelled training and held-out data of a run. Raise `UserError` if the run lacks them."""
    train, held_out = data_sets.train, data_sets.held_out
    if train is None or held_out is None or not len(train.targets):
        raise UserError(f"{option_name} needs the run's own labelled training data and held-out data")
    if len(np.unique(train.targets)) < 2:
        raise UserError(f"{option_name} needs training data with at least two classes: {train.source}")
    return train, held_out
