"""Views: callables from `Table` to `Table`. They select the training examples from which batches are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.data.table import Table


class PerClass:
    """View with the same number of random examples of each class, for example the labelled data for semi-supervised
    training.

    Args:
        count: number of examples per class, 1 or more.
        seed: seed of the random selection.

    Examples:
        >>> from audiogan.data import open_images
        >>> from audiogan.data.views import PerClass
        >>> len(PerClass(count=5)(open_images("digits")))
        50
    """

    def __init__(self, count: int, seed: int = 0) -> None:
        if count < 1:
            raise ValueError(f"PerClass count={count} must be at least 1")
        self.count, self.seed = count, seed

    def __call__(self, data: Table) -> Table:
        """Return the view of ``data``.

        Raises:
            UserError: the data has no labels, or a class has fewer than ``count`` examples.
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
    """View that balances the classes by repeating the examples of rare classes.

    An example of a class with ``n`` examples is repeated ``(N / n)**(1 - power)`` times, rounded, where ``N`` is the
    size of the largest class. Data without labels is unchanged.

    Args:
        power: exponent from 0 (all classes equally frequent) to 1 (frequencies of the data).

    Examples:
        >>> from audiogan.data import open_images
        >>> from audiogan.data.views import Balanced
        >>> digits = open_images("digits")
        >>> len(Balanced()(digits)) >= len(digits)  # Examples of rare classes are repeated.
        True
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
    """View of one of several disjoint shards that partition the data.

    Args:
        index: index of the shard, from 0 to ``count - 1``.
        count: number of shards.
        by: ``label``: each shard contains whole classes, in the order of the labels. ``random``: random shards with
            sizes that differ by at most one.
        seed: seed of the random partition.

    Examples:
        >>> from audiogan.data import open_images
        >>> from audiogan.data.views import Shard
        >>> digits = open_images("digits")
        >>> [len(Shard(index, count=3)(digits)) for index in range(3)]
        [599, 599, 599]
    """

    def __init__(self, index: int, count: int, by: str = "random", seed: int = 0) -> None:
        if by not in ("label", "random"):
            raise ValueError(f"Shard by={by!r} must be label or random")
        if not 0 <= index < count:
            raise ValueError(f"Shard index={index} must be from 0 to below count={count}")
        self.index, self.count, self.by, self.seed = index, count, by, seed

    def __call__(self, data: Table) -> Table:
        """Return the view of ``data``.

        Raises:
            UserError: there are fewer examples or classes than shards, or ``by=label`` is used without labels.
        """
        if self.by == "random":
            if len(data) < self.count:
                raise UserError(f"{len(data)} training examples cannot form {self.count} shards; use fewer shards")
            order = np.random.default_rng(self.seed).permutation(len(data))
            return data.take(np.sort(np.array_split(order, self.count)[self.index]))
        targets = _targets(data, "Shard by=label")
        if len(data.labels) < self.count:
            raise UserError(
                f"{len(data.labels)} classes cannot form {self.count} shards; use fewer shards or by=random"
            )
        mine = np.array_split(np.arange(len(data.labels)), self.count)[self.index]
        return data.take(np.flatnonzero(np.isin(targets, mine)))


def _targets(data: Table, view: str) -> np.ndarray:
    """Return the class indices ``[N]`` of ``data``. Raise `UserError` for data without labels."""
    if not data.labels:
        raise UserError(f"{view} needs data with labels, but this data has none: {data.source}")
    return np.asarray(data.targets)
