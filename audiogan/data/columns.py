"""Columns of a table: signals, labels, numbers, texts, and what is computed from other columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.modalities import Modality

Rows = NDArray[np.int64]
Shape = tuple[int, ...]
View = Callable[[np.ndarray], np.ndarray]
"""A random augmentation that is already drawn: stored signals ``[n, ...]`` to as many augmented ones."""
Shared = View | None
Rng = np.random.Generator | None
Beside = Mapping[str, Tensor] | None


class ViewAugment(Protocol):
    """A random augmentation that the columns of one group share, such as `Mirror`."""

    def draw(self, n: int, rng: np.random.Generator) -> View:
        """Draw the augmentation of ``n`` examples."""
        ...


class Mirror:
    """Flip each example left to right with probability 1/2."""

    def draw(self, n: int, rng: np.random.Generator) -> View:
        flipped = rng.random(n) < 0.5

        def view(x: np.ndarray) -> np.ndarray:
            x[flipped] = x[flipped][..., ::-1]
            return x

        return view


class Column:
    """Base class of columns. A column is immutable and may be read from several threads.

    Attributes:
        shape: shape of one value; ``None`` stands for any length.
        modality: the kind of signal; ``None`` for other values.
        group: columns of one group share their augmentation. ``None``: the column is never augmented.
        of: names of the columns from which this one is computed.
        random: whether `read` draws random numbers. Other columns are given none.
        count: number of rows; ``None`` where it is not known before the values are.
    """

    shape: tuple[int | None, ...] = ()
    modality: Modality | None = None
    group: str | None = None
    inputs: tuple[str, ...] = ()
    random: bool = False
    count: int | None = None

    def read(self, rows: Rows, view: Shared = None, rng: Rng = None, input_values: Beside = None) -> Tensor:
        """Return the values ``[n, *shape]`` of some rows, as a new tensor.

        Args:
            rows: rows of the column, int64 ``[n]``.
            view: the augmentation that the group shares; ``None``: no augmentation.
            rng: source of random numbers; ``None``: none are drawn.
            beside: values of the columns `of` in the same batch.
        """
        raise NotImplementedError

    def __call__(self, table: Any) -> Column:
        """Return this column as part of ``table``. `Table.with_column` calls it."""
        return self


class Signals(Column):
    """Signals from an array, a memory map, or any storage that is indexed like an array.

    Args:
        storage: ``[M, *shape]``. Bytes are decoded: 0 to -1, 255 to 1.
        modality: the kind of signal.
        places: index in ``storage`` of each row, int64 ``[N]``; ``None``: the row itself.
        group: see `Column`.
    """

    def __init__(
        self, storage: Any, modality: Modality | None = None, *, indices: Rows | None = None, group: str | None = None
    ) -> None:
        # Indexing a plain array is faster than indexing np.memmap.
        self.storage = np.asarray(storage) if isinstance(storage, np.memmap) else storage
        self.shape, self.modality = tuple(storage.shape[1:]), modality
        self.indices, self.group = indices, group
        self.count = int(storage.shape[0]) if indices is None else len(indices)

    def read(self, rows: Rows, view: Shared = None, rng: Rng = None, input_values: Beside = None) -> Tensor:
        x = np.asarray(self.storage[rows if self.indices is None else self.indices[rows]])
        x = x if view is None else view(x)
        if x.dtype == np.uint8:
            return torch.from_numpy(x).float().sub_(127.5).div_(127.5)  # exactly -1 at 0 and 1 at 255
        return torch.from_numpy(x)


class Rendered:
    """Storage of signals that a function makes, indexed like an array ``[count, *shape]``.

    A signal is made at its first use and kept while there is room; others are made at each use. So memory is bounded.

    Args:
        make: the signal of a row, ``[*shape]``; depends on the row only.
        count: number of signals. shape, dtype: of a signal.
        memory: bytes for the signals that are kept.
    """

    def __init__(self, render: Callable[[int], np.ndarray], count: int, shape: Shape, dtype: Any, memory: int) -> None:
        self._make, self.shape, self.dtype = render, (count, *shape), np.dtype(dtype)
        room = max(0, min(count, memory // (math.prod(shape) * self.dtype.itemsize)))
        self._kept, self._done = np.empty((room, *shape), dtype), np.zeros(room, bool)  # unused pages take no memory

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Rows) -> np.ndarray:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for signal, row in zip(out, np.asarray(rows).tolist(), strict=True):
            signal[:] = self._one(row)
        return out

    def _one(self, row: int) -> np.ndarray:
        if row >= len(self._done):
            return self._make(row)
        if not self._done[row]:  # two threads at once write the same bytes; the flag follows the data
            self._kept[row] = self._make(row)
            self._done[row] = True
        return self._kept[row]


class Labels(Column):
    """The class of each example, int64.

    Args:
        codes: integers ``[N]`` from 0.
        labels: names of the classes.
    """

    def __init__(self, codes: np.ndarray, labels: Sequence[str]) -> None:
        self.codes, self.labels, self.count = codes, list(labels), len(codes)

    def read(self, rows: Rows, view: Shared = None, rng: Rng = None, input_values: Beside = None) -> Tensor:
        return torch.from_numpy(self.codes[rows].astype(np.int64))


class Values(Column):
    """Numbers of each example, float32.

    Args:
        array: ``[N, K]``, or ``[N, *shape]``; an array or a memory map.
        names: names of the K numbers; empty where they have none.
    """

    def __init__(self, array: np.ndarray, names: Sequence[str] = ()) -> None:
        self.array, self.names, self.shape = array, tuple(names), tuple(array.shape[1:])
        self.count = len(array)

    def values(self, rows: Rows) -> NDArray[np.float32]:
        """Return the numbers ``[n, *shape]`` of some rows."""
        return np.asarray(self.array[rows], np.float32)

    def read(self, rows: Rows, view: Shared = None, rng: Rng = None, input_values: Beside = None) -> Tensor:
        return torch.from_numpy(self.values(rows))


class Texts(Column):
    """Texts as numbers of characters, int64 ``[length]``; 0 fills the end.

    Args:
        data: all texts in UTF-8, uint8; an array or a memory map.
        offsets: where each text begins in ``data``, and the end of the last, int64 ``[N + 1]``.
        alphabet: the characters; the first has the number 1.
        length: largest number of characters.
    """

    def __init__(self, data: np.ndarray, offsets: np.ndarray, alphabet: str, length: int) -> None:
        self.data, self.offsets, self.alphabet, self.length = data, offsets, alphabet, length
        self.shape, self.count = (length,), len(offsets) - 1
        self._numbers = {character: i for i, character in enumerate(alphabet, start=1)}

    @classmethod
    def from_strings(cls, texts: Sequence[str], alphabet: str | None = None, length: int | None = None) -> Texts:
        """Return a column of ``texts``. Alphabet and length are those of the texts if they are not given.

        Raises:
            UserError: a text has other characters or is longer.
        """
        encoded = [text.encode() for text in texts]
        used = "".join(sorted(set().union(*texts)))
        longest = max(map(len, texts), default=0)
        if alphabet is not None and (unknown := set(used) - set(alphabet)):
            raise UserError(f"texts: unknown characters {''.join(sorted(unknown))!r}; known are {alphabet!r}")
        if length is not None and longest > length:
            raise UserError(f"texts: one has {longest:,} characters; at most {length:,} are allowed")
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        data = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(data, offsets, used if alphabet is None else alphabet, length or max(longest, 1))

    def texts(self, rows: Rows) -> list[str]:
        """Return the texts of some rows."""
        indices = zip(self.offsets[rows].tolist(), self.offsets[np.asarray(rows) + 1].tolist(), strict=True)
        return [self.data[start:end].tobytes().decode() for start, end in indices]

    def read(self, rows: Rows, view: Shared = None, rng: Rng = None, input_values: Beside = None) -> Tensor:
        out = torch.zeros(len(rows), self.length, dtype=torch.int64)
        for i, text in enumerate(self.texts(rows)):
            out[i, : len(text)] = torch.tensor([self._numbers[character] for character in text], dtype=torch.int64)
        return out


class Derived(Column):
    """Values that a function computes from other columns of the same example, after their augmentation.

    Args:
        of: names of one or several columns.
        function: ``function(value, rng)``, with one value of shape ``[*shape]`` for each of the columns and a
            ``numpy.random.Generator``; returns a tensor.
        modality: the kind of signal; ``None``: that of the first column.
        fresh: draw new random numbers for each training batch. If not, and always outside training, an example has
            the same random numbers every time.
        seed: of these numbers.
    """

    random = True

    def __init__(
        self,
        inputs: str | Sequence[str],
        function: Callable[..., Tensor],
        *,
        modality: Modality | None = None,
        redraw: bool = True,
        seed: int = 0,
    ) -> None:
        self.inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        self.function, self.modality, self.redraw, self.seed = function, modality, redraw, seed

    def __call__(self, table: Any) -> Derived:
        """Return this column with the shape that the function gives for the first example of ``table``."""
        sources = [table.require_column(name) for name in self.inputs]
        column = Derived(
            self.inputs,
            self.function,
            modality=self.modality or sources[0].modality,
            redraw=self.redraw,
            seed=self.seed,
        )
        first = {name: table.column(name, np.arange(min(1, len(table)))) for name in self.inputs}
        if not len(table):
            first = {
                name: torch.zeros(1, *(size or 1 for size in source.shape))
                for name, source in zip(self.inputs, sources, strict=True)
            }
        sizes = column.read(np.zeros(1, np.int64), input_values=first).shape[1:]
        column.shape = tuple(sizes)
        if len(sizes) == len(sources[0].shape):
            open_ends = [size is None for size in sources[0].shape]
            column.shape = tuple(None if end else size for size, end in zip(sizes, open_ends, strict=True))
        return column

    def read(self, rows: Rows, view: Shared = None, rng: Rng = None, input_values: Beside = None) -> Tensor:
        if input_values is None:
            raise ValueError(f"a column that is computed from {', '.join(self.inputs)} needs their values")
        if not len(rows):
            return torch.zeros(0, *(size or 0 for size in self.shape))
        out = []
        for i, row in enumerate(rows.tolist()):
            own = rng if rng is not None and self.redraw else np.random.default_rng([self.seed, row])
            out.append(self.function(*(input_values[name][i] for name in self.inputs), own))
        return torch.stack(out)
