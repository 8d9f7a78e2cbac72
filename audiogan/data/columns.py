"""Columns of a `Table`: signals, labels, numbers, texts, and values computed from other columns."""

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
AugmentFunction = Callable[[np.ndarray], np.ndarray]
"""Augmentation whose random parameters are already drawn. It maps signals ``[n, ...]`` to signals of the same shape."""
MaybeAugment = AugmentFunction | None
Rng = np.random.Generator | None
Inputs = Mapping[str, Tensor] | None


class ViewAugment(Protocol):
    """Interface of random augmentations such as `Mirror`. Columns with the same `Column.group` get the same
    parameters."""

    def draw(self, n: int, rng: np.random.Generator) -> AugmentFunction:
        """Draw the random parameters for ``n`` examples and return the augmentation as a function."""
        ...


class Mirror:
    """Random horizontal flip of each example with probability 1/2.

    Examples:
        >>> import numpy as np
        >>> from audiogan.data.columns import Mirror
        >>> augment = Mirror().draw(8, np.random.default_rng(0))
        >>> augment(np.arange(2.0) * np.ones((8, 1, 1, 1)))[:, 0, 0, 0]  # 1: flipped
        array([0., 1., 1., 1., 0., 0., 0., 0.])
    """

    def draw(self, n: int, rng: np.random.Generator) -> AugmentFunction:
        flipped = rng.random(n) < 0.5

        def flip(x: np.ndarray) -> np.ndarray:
            x[flipped] = x[flipped][..., ::-1]
            return x

        return flip


class Column:
    """Base class of the columns of a `Table`. Columns are immutable and thread-safe.

    Attributes:
        shape: shape of one value. ``None`` marks a dimension of variable size.
        modality: modality of the signals. ``None`` for columns without signals.
        group: name of the augmentation group. Columns of a group share their augmentation. ``None``: no augmentation.
        inputs: names of the columns from which this column is computed.
        random: ``True`` if `read` draws random numbers.
        count: number of rows. ``None`` if it is not fixed, as for computed columns.
    """

    shape: tuple[int | None, ...] = ()
    modality: Modality | None = None
    group: str | None = None
    inputs: tuple[str, ...] = ()
    random: bool = False
    count: int | None = None

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        """Return the values ``[n, *shape]`` of the selected rows as a new tensor.

        Args:
            rows: row indices, int64 ``[n]``.
            augment: augmentation of the column's group. ``None``: no augmentation.
            rng: random generator. ``None``: no random numbers are drawn.
            input_values: values of the columns named in `inputs`, for the same rows, by column name.
        """
        raise NotImplementedError

    def __call__(self, table: Any) -> Column:
        """Return the column to add to ``table``. Called by `Table.with_column`; subclasses may adapt to the table."""
        return self


class Signals(Column):
    """Column of signals from an array, a memory map, or another object with array indexing.

    Args:
        storage: signals ``[M, *shape]``. Values of type uint8 are scaled linearly: 0 to -1, 255 to 1.
        modality: modality of the signals.
        indices: for each row, the index of its signal in ``storage``, int64 ``[N]``. Default: row ``i`` is
            ``storage[i]``.
        group: name of the augmentation group, see `Column`.

    Examples:
        >>> import numpy as np
        >>> from audiogan.data.columns import Signals
        >>> Signals(np.zeros((6, 1, 100), np.float32)).read(np.array([0, 3])).shape
        torch.Size([2, 1, 100])
    """

    def __init__(
        self, storage: Any, modality: Modality | None = None, *, indices: Rows | None = None, group: str | None = None
    ) -> None:
        # Use a plain array, because indexing it is faster than indexing np.memmap.
        self.storage = np.asarray(storage) if isinstance(storage, np.memmap) else storage
        self.shape, self.modality = tuple(storage.shape[1:]), modality
        self.indices, self.group = indices, group
        self.count = int(storage.shape[0]) if indices is None else len(indices)

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        x = np.asarray(self.storage[rows if self.indices is None else self.indices[rows]])
        x = x if augment is None else augment(x)
        if x.dtype == np.uint8:
            return torch.from_numpy(x).float().sub_(127.5).div_(127.5)
        return torch.from_numpy(x)


class Rendered:
    """Array-like storage ``[count, *shape]`` that renders its signals on demand.

    Signals of the first rows are cached in up to ``memory`` bytes. All others are rendered again at each access.

    Args:
        render: function that returns the signal ``[*shape]`` of a row. It must be deterministic.
        count: number of signals.
        shape: shape of one signal.
        dtype: data type of the signals.
        memory: size of the cache in bytes, 0 or more.

    Examples:
        >>> import numpy as np
        >>> from audiogan.data.columns import Rendered
        >>> squares = Rendered(lambda row: np.full((1, 4), row**2), 1000, (1, 4), np.float32, memory=1 << 20)
        >>> squares[np.array([3, 5])][:, 0, 0]
        array([ 9., 25.], dtype=float32)
    """

    def __init__(self, render: Callable[[int], np.ndarray], count: int, shape: Shape, dtype: Any, memory: int) -> None:
        self._make, self.shape, self.dtype = render, (count, *shape), np.dtype(dtype)
        room = max(0, min(count, memory // (math.prod(shape) * self.dtype.itemsize)))
        self._kept, self._done = np.empty((room, *shape), dtype), np.zeros(room, bool)

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
        if not self._done[row]:  # No lock is needed: threads write equal bytes, and the flag is set last.
            self._kept[row] = self._make(row)
            self._done[row] = True
        return self._kept[row]


class Labels(Column):
    """Column of class indices, int64.

    Args:
        class_indices: class index of each row, integers ``[N]``, 0 or more.
        labels: names of the classes, in the order of their indices.

    Examples:
        >>> import numpy as np
        >>> from audiogan.data.columns import Labels
        >>> Labels(np.array([0, 1, 1]), ["kick", "snare"]).read(np.array([2, 0]))
        tensor([1, 0])
    """

    def __init__(self, class_indices: np.ndarray, labels: Sequence[str]) -> None:
        self.class_indices, self.labels, self.count = class_indices, list(labels), len(class_indices)

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        return torch.from_numpy(self.class_indices[rows].astype(np.int64))


class Values(Column):
    """Column of numbers, float32.

    Args:
        array: numbers ``[N, K]`` or ``[N, *shape]``, an array or a memory map.
        names: names of the ``K`` numbers. Empty for unnamed numbers.

    Examples:
        >>> import numpy as np
        >>> from audiogan.data.columns import Values
        >>> Values(np.array([[100.0], [200.0]]), names=["pitch"]).read(np.array([1]))
        tensor([[200.]])
    """

    def __init__(self, array: np.ndarray, names: Sequence[str] = ()) -> None:
        self.array, self.names, self.shape = array, tuple(names), tuple(array.shape[1:])
        self.count = len(array)

    def values(self, rows: Rows) -> NDArray[np.float32]:
        """Return the numbers ``[n, *shape]`` of the selected rows."""
        return np.asarray(self.array[rows], np.float32)

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        return torch.from_numpy(self.values(rows))


class Texts(Column):
    """Column of texts as character IDs, int64 ``[length]``, padded with 0 at the end.

    Args:
        data: concatenated UTF-8 bytes of all texts, uint8, an array or a memory map.
        offsets: start of each text in ``data``, followed by the end of the last text, int64 ``[N + 1]``.
        alphabet: characters that may occur. Their IDs are 1, 2, ... in this order.
        length: maximum number of characters per text.

    Examples:
        >>> import numpy as np
        >>> from audiogan.data.columns import Texts
        >>> Texts.from_strings(["ab", "b"]).read(np.array([0, 1]))
        tensor([[1, 2],
                [2, 0]])
    """

    def __init__(self, data: np.ndarray, offsets: np.ndarray, alphabet: str, length: int) -> None:
        self.data, self.offsets, self.alphabet, self.length = data, offsets, alphabet, length
        self.shape, self.count = (length,), len(offsets) - 1
        self._numbers = {character: i for i, character in enumerate(alphabet, start=1)}

    @classmethod
    def from_strings(cls, texts: Sequence[str], alphabet: str | None = None, length: int | None = None) -> Texts:
        """Return a column of strings.

        Args:
            texts: one string per row.
            alphabet: characters that may occur. Default: all characters of ``texts``, sorted.
            length: maximum number of characters. Default: the length of the longest text.

        Raises:
            UserError: a text contains a character outside ``alphabet`` or exceeds ``length``.
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
        """Return the selected rows as strings."""
        indices = zip(self.offsets[rows].tolist(), self.offsets[np.asarray(rows) + 1].tolist(), strict=True)
        return [self.data[start:end].tobytes().decode() for start, end in indices]

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        out = torch.zeros(len(rows), self.length, dtype=torch.int64)
        for i, text in enumerate(self.texts(rows)):
            out[i, : len(text)] = torch.tensor([self._numbers[character] for character in text], dtype=torch.int64)
        return out


class Derived(Column):
    """Column computed from other columns of the same example after their augmentation.

    Args:
        inputs: name of the input column, or names of several.
        function: function called as ``function(value, ..., rng)`` with one value ``[*shape]`` per input column and a
            ``numpy.random.Generator``. Returns a tensor.
        modality: modality of the result. Default: the modality of the first input column.
        redraw: draw new random numbers for each training batch. If ``False``, an example has the same random numbers in
            every batch. Outside training, random numbers never change.
        seed: seed of the fixed random numbers.

    Examples:
        >>> from audiogan.data import open_points
        >>> from audiogan.data.columns import Derived
        >>> table = open_points(count=100).with_column("negative", Derived("x", lambda x, rng: -x))
        >>> batch = table.batch([0, 1])
        >>> bool((batch["negative"] == -batch["x"]).all())
        True
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
        """Return this column with its shape set, found by evaluating the function on the first example of ``table``."""
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

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        if input_values is None:
            raise ValueError(f"a column that is computed from {', '.join(self.inputs)} needs their values")
        if not len(rows):
            return torch.zeros(0, *(size or 0 for size in self.shape))
        out = []
        for i, row in enumerate(rows.tolist()):
            own = rng if rng is not None and self.redraw else np.random.default_rng([self.seed, row])
            out.append(self.function(*(input_values[name][i] for name in self.inputs), own))
        return torch.stack(out)
