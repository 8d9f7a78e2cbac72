"""A data stream: endless shuffled batches as a pure function of (seed, position)."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from audiogan.core.checking import check_count

Batch = dict[str, Tensor]


class Dataset(Protocol):
    """Anything with a length that yields batches. ``batch`` is a pure function of its arguments and thread-safe."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> Batch: ...


class Stream:
    """Endless batches of a dataset, each epoch in a new order.

    Batch ``k`` depends on the seed and on ``k`` alone, so the position is all the state there is. One batch is read
    ahead in a thread.

    Args:
        dataset: see `Dataset`.
        batch_size: examples of one forward pass of one process.
        seed: of the order and of random crops.
        shuffle: ``False`` walks through the data in order.
    """

    def __init__(self, dataset: Dataset, batch_size: int, *, seed: int = 0, shuffle: bool = True) -> None:
        if len(dataset) == 0:
            raise ValueError("a stream needs a dataset that is not empty")
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        self.position = 0
        self.pin_memory = False
        self._orders: dict[int, np.ndarray] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: tuple[Any, Future[list[Batch]]] | None = None

    def next(self, micro_batch_indices: Iterable[int] = (0,), micro_batches: int = 1) -> list[Batch]:
        """The shares ``parts`` (of ``of``) of the next batch of ``of * batch_size`` examples; moves on by one."""
        key = (self.position, tuple(micro_batch_indices), micro_batches)
        if self._ahead is not None and self._ahead[0] == key:
            batches = self._ahead[1].result()
        else:
            batches = self._read(*key)
        self.position += 1
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="stream")
        key = (self.position, key[1], micro_batches)
        self._ahead = (key, self._pool.submit(self._read, *key))
        return batches

    def _read(self, position: int, micro_batch_indices: tuple[int, ...], micro_batches: int) -> list[Batch]:
        batches = []
        for index in micro_batch_indices:
            first = (position * micro_batches + index) * self.batch_size
            indices = self._indices(np.arange(first, first + self.batch_size))
            rng = np.random.default_rng([self.seed, 1, position * micro_batches + index])
            batch = self.dataset.batch(indices, rng)
            batches.append({k: v.pin_memory() for k, v in batch.items()} if self.pin_memory else batch)
        return batches

    def _indices(self, places: np.ndarray) -> np.ndarray:
        """Examples at ``places`` of the endless sequence of epochs."""
        n = len(self.dataset)
        if not self.shuffle:
            return places % n
        return np.array([self._order(int(p) // n)[int(p) % n] for p in places])

    def _order(self, epoch: int) -> np.ndarray:
        order = self._orders.get(epoch)
        if order is None:
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.dataset))
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1} | {epoch: order}
        return order

    def state_dict(self) -> dict[str, int]:
        """The position, and the length of the data it counts in."""
        return {"position": self.position, "length": len(self.dataset)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to a saved position. Other data than then is fine, but the order is then a new one."""
        self.position = check_count(state["position"], "the position of a stream")
        self._ahead = None
