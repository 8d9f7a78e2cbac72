"""Apply a function of fixed or limited size to signals of any size, tile by tile, in bounded memory.

A signal is an array ``[C, T]`` (sound) or ``[C, H, W]`` (picture). The function maps a tile ``[C, *sizes]`` to
``[C', *(k * size)]`` with a whole factor ``k`` per dimension, which is 1 unless the function changes the resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError

Array = NDArray[Any]
Process = Callable[[Sequence[Array]], Sequence[Array]]
"""Maps a list of tiles to the list of their results, each made alone."""
AT_ONCE = 16
"""Tiles that are held in memory at a time."""


class Stream:
    """A signal that is read once, from the start to the end of its first dimension. Earlier parts are forgotten.

    Args:
        blocks: consecutive parts ``[C, n, ...]`` of the signal; or the whole signal as one array.

    Attributes:
        length: size of the first dimension; ``None`` until the end was read.
    """

    def __init__(self, blocks: Array | Iterable[Array]) -> None:
        self._blocks = iter([blocks] if isinstance(blocks, np.ndarray) else blocks)
        self._parts: list[Array] = []
        self._start = self._stop = 0
        self.length: int | None = None

    def reach(self, stop: int) -> None:
        """Read until ``stop``, or until the end."""
        while self.length is None and self._stop < stop:
            block = next(self._blocks, None)
            if block is None:
                self.length = self._stop
            elif block.shape[1]:
                self._parts.append(block)
                self._stop += block.shape[1]

    def forget(self, start: int) -> None:
        """Drop what lies before ``start``; it is not read again."""
        while len(self._parts) > 1 and self._start + self._parts[0].shape[1] <= start:
            self._start += self._parts.pop(0).shape[1]

    def take(self, indices: Array) -> Array:
        """Return the values at these indices of the first dimension; they must have been reached and not forgotten."""
        low, high = int(indices.min()), int(indices.max()) + 1
        if low < self._start or high > self._stop:
            raise ValueError(f"{low} to {high} of a signal; {self._start} to {self._stop} is held")
        parts, position = [], self._start
        for part in self._parts:
            if position < high and position + part.shape[1] > low:
                parts.append(part[:, max(0, low - position) : high - position])
            position += part.shape[1]
        held = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return held if len(indices) == held.shape[1] and indices[0] == low else held[:, indices - low]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the dimensions after the first; the first block decides."""
        self.reach(1)
        if not self._parts or 0 in self._parts[0].shape:
            raise UserError("the signal is empty")
        return self._parts[0].shape[2:]


class _Span:
    """A dimension of known size, in the place of a stream."""

    def __init__(self, length: int) -> None:
        self.length: int | None = length

    def reach(self, stop: int) -> None: ...

    def forget(self, start: int) -> None: ...


class Tile(NamedTuple):
    """A part of one dimension. The tile is made from ``indices`` and its result counts from ``start`` to ``stop``.

    Attributes:
        indices: places in the signal; those before its start and behind its end are reflected.
        start, stop: the part of the tile that is used, as places in the tile.
    """

    indices: Array
    start: int
    stop: int


def reflect(indices: Array, length: int) -> Array:
    """Return places ``indices`` of a signal of ``length`` that is reflected at both ends without repeating the ends."""
    if length == 1:
        return np.zeros_like(indices)
    folded = np.abs(indices) % (2 * (length - 1))
    return np.minimum(folded, 2 * (length - 1) - folded)


def exact(
    source: Array | Stream,
    process: Process,
    field: int,
    multiple: int = 1,
    tile: int | Sequence[int] | None = None,
    trained: Sequence[int | None] = (),
) -> Iterator[Array]:
    """Apply a function with a finite receptive field. The result does not depend on the size of the tiles.

    Each tile is processed with a margin of at least ``field`` samples on all sides, and the margin is cropped. Tiles
    begin at multiples of ``multiple``. Beyond its ends the signal is reflected.

    Args:
        source: the signal.
        process: maps tiles to results.
        field: samples to either side on which a value of the result can depend.
        multiple: sizes of tiles are multiples of this, as strided layers need it.
        tile: size of tiles without the margin, rounded up to ``multiple``.
        trained: a signal of exactly these sizes is processed once, without a margin, as a sample would be.

    Yields:
        Consecutive parts ``[C', n, ...]`` of the result.
    """
    stream = source if isinstance(source, Stream) else Stream(source)
    dimensions = 1 + len(stream.sizes)
    margin = -(-field // multiple) * multiple
    default = max(1 << 16 if dimensions == 1 else 256, 2 * margin)
    wanted = (default,) * dimensions if tile is None else (tile,) * dimensions if isinstance(tile, int) else tuple(tile)
    tiles = [-(-max(1, size) // multiple) * multiple for size in wanted]
    if _fits(stream, trained):
        whole = np.ascontiguousarray(stream.take(np.arange(stream.length or 0)))
        yield process([whole])[0]
        return
    columns: list[Tile | None] = [None]
    for size in stream.sizes:
        columns = [tile for tile, _ in _cores(_Span(size), tiles[1], margin, multiple)]
    for strip in _strips(stream, process, _cores(stream, tiles[0], margin, multiple), columns):
        k, parts = strip.factors, []
        for y, column in zip(strip.results, columns, strict=True):
            y = y[:, k[0] * strip.line.start : k[0] * strip.line.stop]
            parts.append(y if column is None else y[:, :, k[1] * column.start : k[1] * column.stop])
        yield parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def windows(source: Array | Stream, process: Process, window: Sequence[int]) -> Iterator[Array]:
    """Apply a function whose receptive field is unbounded or unknown, in windows of one size.

    The windows lie on a regular grid, each half a window further than the one before, and fade into each other as a
    raised cosine. A signal that is smaller than a window is reflected at its ends; one of exactly the size of a window
    is processed once. The result is a function of the signal alone.

    Args:
        source: the signal.
        process: maps windows to results.
        window: sizes of the windows.

    Yields:
        Consecutive parts ``[C', n, ...]`` of the result.
    """
    stream = source if isinstance(source, Stream) else Stream(source)
    if len(window) != 1 + len(stream.sizes):
        raise ValueError(f"windows of {len(window)} dimensions for a signal of {1 + len(stream.sizes)}")
    if min(window) < 2:
        raise ValueError(f"windows of sizes {list(window)}; they must be at least 2")
    columns: list[Tile | None] = [None]
    for size in stream.sizes:
        columns = [tile for tile, _ in _grid(_Span(size), window[1])]
    kept: Array | None = None  # the second half of the line before
    for strip in _strips(stream, process, _grid(stream, window[0]), columns):
        k, step = strip.factors, strip.factors[0] * (window[0] // 2)
        y = strip.results[0] if columns[0] is None else _joined(strip, columns, window[1])
        if kept is not None:
            y = np.concatenate([_faded(kept, y[:, :step], 1), y[:, step:]], axis=1)
        if strip.last:
            yield y[:, k[0] * strip.line.start : k[0] * strip.line.stop]
        else:
            yield y[:, :step]
            kept = y[:, step : 2 * step]


def _fits(stream: Stream, sizes: Sequence[int | None]) -> bool:
    """Return whether a signal has exactly these sizes."""
    if not sizes or None in sizes or tuple(sizes[1:]) != stream.sizes:
        return False
    stream.reach(int(sizes[0] or 0) + 1)
    return stream.length == sizes[0]


def _cores(stream: Stream | _Span, size: int, margin: int, multiple: int) -> Iterator[tuple[Tile, bool]]:
    """Tiles of one dimension that do not overlap, apart from their margins, with whether each is the last."""
    origin = 0
    while True:
        stream.reach(origin + size + margin + 1)
        n = stream.length
        core = size if n is None or n > origin + size else n - origin
        wide = -(-core // multiple) * multiple
        places = np.arange(origin - margin, origin + wide + margin)
        last = n is not None and n <= origin + size
        stream.forget(origin - margin - multiple)
        yield Tile(np.abs(places) if n is None else reflect(places, n), margin, margin + core), last
        if last:
            return
        origin += size


def _grid(stream: Stream | _Span, window: int) -> Iterator[tuple[Tile, bool]]:
    """Windows of one dimension, each half a window further, with whether each is the last."""
    origin, step = 0, window // 2
    while True:
        stream.reach(origin + window + 1)
        n = stream.length
        last = n is not None and n <= origin + window
        lead = (window - n) // 2 if n is not None and n < window else 0  # a small signal lies in the middle
        places = np.arange(origin - lead, origin - lead + window)
        stop = window if n is None or not last else lead + n - origin
        stream.forget(origin)
        yield Tile(places if n is None else reflect(places, n), lead, stop), last
        if last:
            return
        origin += step


class _Strip(NamedTuple):
    """Results of the tiles of one line, from left to right.

    Attributes:
        line: the tile of the first dimension.
        last: whether it is the last line.
        factors: how many times larger results are than tiles, in each dimension.
    """

    results: list[Array]
    line: Tile
    last: bool
    factors: tuple[int, ...]


def _strips(
    stream: Stream, process: Process, lines: Iterator[tuple[Tile, bool]], columns: Sequence[Tile | None]
) -> Iterator[_Strip]:
    """Process the tiles of one line after another. A sound has no columns, so several lines are made at once."""
    pending: list[tuple[Tile, bool, Array]] = []
    for line, last in lines:
        pending.append((line, last, stream.take(line.indices)))
        if not last and len(pending) * len(columns) < AT_ONCE:
            continue
        places = [(rows, column) for _, _, rows in pending for column in columns]
        results: list[Array] = []
        for i in range(0, len(places), AT_ONCE):
            parts = [rows if column is None else rows[:, :, column.indices] for rows, column in places[i : i + AT_ONCE]]
            results += process([np.ascontiguousarray(part) for part in parts])
        factors = _factors(parts[-1].shape, results[-1])
        for number, (tile, final, _) in enumerate(pending):
            yield _Strip(results[number * len(columns) : (number + 1) * len(columns)], tile, final, factors)
        pending = []


def _joined(strip: _Strip, columns: Sequence[Tile | None], window: int) -> Array:
    """Blend the windows of one line from left to right."""
    k = strip.factors[1]
    step = k * (window // 2)
    parts, kept = [], None
    for y in strip.results:
        if kept is not None:
            y = np.concatenate([_faded(kept, y[:, :, :step], 2), y[:, :, step:]], axis=2)
        parts.append(y[:, :, :step])
        kept = y[:, :, step : 2 * step]
    column = columns[-1]
    assert column is not None
    parts[-1] = y[:, :, k * column.start : k * column.stop]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _faded(a: Array, b: Array, axis: int) -> Array:
    """Fade from ``a`` to ``b`` along an axis as a raised cosine. Equal values stay exactly as they are."""
    n = a.shape[axis]
    share = np.square(np.sin(np.pi / 2 * (np.arange(n) + 0.5) / n)).astype(a.dtype)
    return a + share.reshape([-1 if i == axis else 1 for i in range(a.ndim)]) * (b - a)


def _factors(shape: Sequence[int], y: Array) -> tuple[int, ...]:
    """How many times larger a result is than a tile of this shape, in each dimension."""
    if y.ndim != len(shape) or any(b < a or b % a for a, b in zip(shape[1:], y.shape[1:], strict=True)):
        made = f"the network makes {list(y.shape)} of {list(shape)}"
        raise UserError(f"{made}; only whole factors of the sizes are supported")
    return tuple(b // a for a, b in zip(shape[1:], y.shape[1:], strict=True))
