"""Views of the training data, for streams that are to see only part of it. A view is called with the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.data.table import Table


class PerClass:
    """The same number of examples of each class: what a semi-supervised game is told the labels of.

    Args:
        count: examples of each class.
        seed: which ones are drawn.
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        if count < 1:
            raise ValueError(f"PerClass count={count} must be at least 1")
        self.count, self.seed = count, seed

    def __call__(self, data: Table) -> Table:
        """``UserError`` for data without labels, or with too few examples of a class."""
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
    """All of the data, examples of rare classes several times, so that a class is met about ``n**power`` times.

    A class of ``n`` examples comes ``(N / n)**(1 - power)`` times, rounded, where ``N`` is the size of the largest.
    Data without labels are left as they are.

    Args:
        power: 1: as often as the data has them; 0: all classes alike; 0.5 lies between.
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
    """One of several shares of the data that together are all of it and have no example in common.

    Args:
        index: which share, from 0.
        of: how many there are.
        by: ``label``: whole classes, neighbours in the data's order, so that no two shares know a class in common;
            ``random``: examples drawn at random, shares of equal size up to one.
        seed: of the random draw.
    """

    def __init__(self, index: int, of: int, by: str = "random", seed: int = 0) -> None:
        if by not in ("label", "random"):
            raise ValueError(f"Shard by={by!r} must be label or random")
        if not 0 <= index < of:
            raise ValueError(f"Shard index={index} must be from 0 to below of={of}")
        self.index, self.of, self.by, self.seed = index, of, by, seed

    def __call__(self, data: Table) -> Table:
        """``UserError`` where there are fewer classes, or fewer examples, than shares."""
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
