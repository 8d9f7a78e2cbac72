"""Views of the training data for streams that see only part of it. A view is a function from table to table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.data.table import Table


class PerClass:
    """The same number of examples of each class, such as the labelled part of a semi-supervised training.

    Args:
        count: examples of each class.
        seed: seed of the choice.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        if count < 1:
            raise ValueError(f"PerClass count={count} must be at least 1")
        self.count, self.seed = count, seed

    def __call__(self, data: Table) -> Table:
        """Return the view.

        Raises:
            UserError: data without labels, or with too few examples of a class.
        """
        targets = _targets(data, "PerClass")
        chosen = []
        for k, label in enumerate(data.labels):
            members = np.flatnonzero(targets == k)
            if len(members) < self.count:
                have = f"class {label!r} has {len(members)} training examples"
                raise UserError(f"PerClass count={self.count}, but {have}; use a smaller count")
            chosen.append(np.random.default_rng([self.seed, k]).choice(members, self.count, replace=False))
        return data.take(np.sort(np.concatenate(chosen)))


class Balanced:
    """All of the data, with the examples of rare classes repeated.

    Each example of a class of ``n`` examples occurs ``(N / n)**(1 - power)`` times, rounded, where ``N`` is the size of
    the largest class. So a class has about ``N**(1 - power) * n**power`` examples. Data without labels stay unchanged.

    Args:
        power: 0 to 1. 1 keeps the proportions of the data; 0 makes all classes equally frequent.
    """

    def __init__(self, power: float = 0.5) -> None:
        if not 0 <= power <= 1:
            raise ValueError(f"Balanced power={power} must be from 0 to 1")
        self.power = power

    def __call__(self, data: Table) -> Table:
        if not data.labels:
            return data
        targets = np.asarray(data.targets)
        counts = np.bincount(targets, minlength=len(data.labels))
        times = np.round((counts.max() / np.maximum(counts, 1)) ** (1 - self.power)).astype(int)
        return data.take(np.repeat(np.arange(len(targets)), times[targets]))


class Shard:
    """One of several disjoint shares that together are all of the data.

    Args:
        index: which share, from 0.
        of: number of shares.
        by: ``label``: each share has whole classes, in the order of the labels; ``random``: random examples, in shares
            whose sizes differ by at most one.
        seed: seed of the random choice.
    """

    def __init__(self, index: int, of: int, by: str = "random", seed: int = 0) -> None:
        if by not in ("label", "random"):
            raise ValueError(f"Shard by={by!r} must be label or random")
        if not 0 <= index < of:
            raise ValueError(f"Shard index={index} must be from 0 to below of={of}")
        self.index, self.of, self.by, self.seed = index, of, by, seed

    def __call__(self, data: Table) -> Table:
        """Return the view.

        Raises:
            UserError: fewer classes, or fewer examples, than shares; or ``by=label`` for data without labels.
        """
        if self.by == "random":
            if len(data) < self.of:
                raise UserError(f"{len(data)} training examples cannot be shared by {self.of}")
            order = np.random.default_rng(self.seed).permutation(len(data))
            return data.take(np.sort(np.array_split(order, self.of)[self.index]))
        targets = _targets(data, "Shard by=label")
        if len(data.labels) < self.of:
            raise UserError(f"{len(data.labels)} classes cannot be shared by {self.of}; use by=random or fewer workers")
        mine = np.array_split(np.arange(len(data.labels)), self.of)[self.index]
        return data.take(np.flatnonzero(np.isin(targets, mine)))


def _targets(data: Table, view: str) -> np.ndarray:
    """Classes ``[N]`` of labelled data."""
    if not data.labels:
        raise UserError(f"{view} needs data with labels, but this has none: {data.source}")
    return np.asarray(data.targets)
