"""A data set with something measured on every example beside it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np
import torch

from audiogan.data.sources import Data

Self = TypeVar("Self", bound="Extended")


class Extended:
    """A data set whose batches also have ``extra``, row by row. Everything else is the data set's own.

    Args:
        data: any data set.
        extra: arrays `[N, ...]` by the name that they have in batches.
    """

    def __init__(self, data: Data, extra: dict[str, np.ndarray]) -> None:
        self._data, self._extra, self.labels = data, extra, data.labels

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also keeps copies, which have no `_data` at first, from asking for ever
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return getattr(self._data, name)

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """The data set's batch, with what was measured; pure and thread-safe."""
        extra = {name: torch.from_numpy(values[indices]) for name, values in self._extra.items()}
        return {**self._data.batch(indices, rng), **extra}

    def take(self: Self, indices: np.ndarray) -> Self:
        """A view of some examples."""
        view = copy.copy(self)
        view._data = self._data.take(indices)
        view._extra = {name: values[indices] for name, values in self._extra.items()}
        return view

    def split(self: Self, fraction: float, seed: int = 0) -> tuple[Self, Self]:
        """(the rest, `fraction` of each class), the examples that the data set's own `split` chooses.

        Data sets split by `take` of the indices they have chosen; a copy that takes nothing tells which these are.
        """
        chooser: Any = copy.copy(self._data)
        chooser.take = np.asarray
        rest, held = chooser.split(fraction, seed)
        if not (isinstance(rest, np.ndarray) and isinstance(held, np.ndarray)):
            raise TypeError(f"{type(self._data).__name__}.split must return two views made by its take")
        return self.take(rest), self.take(held)
