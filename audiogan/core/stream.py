"""A data stream: an endless sequence of batches of a dataset, in random order."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from audiogan.core.checking import check_count

Batch = dict[str, Tensor]


class Dataset(Protocol):
    """Interface of a dataset: a length and a method that returns batches.

    ``batch`` must be thread-safe, and its result may depend only on its arguments.
    """

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> Batch: ...


class Stream:
    """Endless sequence of batches of a dataset. Each epoch has a new random order.

    For a given dataset, batch ``k`` depends only on the seed and on ``k``. A checkpoint therefore stores only the
    position, and the length of the dataset to detect changes. A thread reads one batch in advance.

    Args:
        dataset: source of batches.
        batch_size: number of examples in a micro-batch, which is one forward pass of one process.
        seed: seed of the order and of random crops.
        shuffle: whether the order is random. With ``False``, each epoch has the order of the dataset.

    Raises:
        ValueError: the dataset is empty, or the batch size is below 1.

    Examples:
        >>> from audiogan.core import Stream
        >>> from audiogan.data import open_points
        >>> Stream(open_points(count=100), batch_size=8).state_dict()
        {'position': 0, 'length': 100}
    """

    def __init__(self, dataset: Dataset, batch_size: int, *, seed: int = 0, shuffle: bool = True) -> None:
        if len(dataset) == 0:
            raise ValueError("the dataset of a stream must not be empty")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        self.position = 0
        self.pin_memory = False
        self._orders: dict[int, np.ndarray] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._prefetched: tuple[Any, Future[list[Batch]]] | None = None

    def next(self, micro_batch_indices: Iterable[int] = (0,), micro_batch_count: int = 1) -> list[Batch]:
        """Return micro-batches of the next batch, and advance the position by one batch.

        Args:
            micro_batch_indices: indices of the micro-batches to return.
            micro_batch_count: number of micro-batches in a batch. Each has ``batch_size`` examples.
        """
        key = (self.position, tuple(micro_batch_indices), micro_batch_count)
        if self._prefetched is not None and self._prefetched[0] == key:
            batches = self._prefetched[1].result()
        else:
            batches = self._read(*key)
        self.position += 1
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="stream")
        key = (self.position, key[1], micro_batch_count)
        self._prefetched = (key, self._pool.submit(self._read, *key))
        return batches

    def _read(self, position: int, micro_batch_indices: tuple[int, ...], micro_batch_count: int) -> list[Batch]:
        batches = []
        for index in micro_batch_indices:
            first = (position * micro_batch_count + index) * self.batch_size
            indices = self._indices(np.arange(first, first + self.batch_size))
            rng = np.random.default_rng([self.seed, 1, position * micro_batch_count + index])
            batch = self.dataset.batch(indices, rng)
            batches.append({k: v.pin_memory() for k, v in batch.items()} if self.pin_memory else batch)
        return batches

    def _indices(self, positions: np.ndarray) -> np.ndarray:
        """Return the dataset indices for positions in the endless sequence of epochs."""
        n = len(self.dataset)
        if not self.shuffle:
            return positions % n
        return np.array([self._epoch_order(int(p) // n)[int(p) % n] for p in positions])

    def _epoch_order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.dataset))
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1} | {epoch: order}
        return order

    def state_dict(self) -> dict[str, int]:
        """Return the position in the stream, in batches, and the length of the dataset."""
        return {"position": self.position, "length": len(self.dataset)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from a saved position. If the length of the dataset has changed, the order of examples changes as
        well."""
        self.position = check_count(state["position"], "the position of a stream")
        self._prefetched = None
