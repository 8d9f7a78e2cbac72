"""Apply a function of fixed or limited size to signals of any size, tile by tile, in bounded memory.

A signal is an array ``[C, T]`` (sound) or ``[C, H, W]`` (picture). The function maps a tile ``[C, *sizes]`` to
``[C', *(k * size)]`` with a whole factor ``k`` per dimension, which is 1 unless the function changes the resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError

Array = NDArray[Any]
Process = Callable[[Sequence[Array]], Sequence[Array]]
"""Maps a list of tiles to the list of their results, each made alone."""
AT_ONCE = 16
"""Tiles that are held in memory at a time."""
WINDOW = {1: 1 << 16, 2: 512}
"""Sizes of windows along dimensions in which the function was trained with any size, by number of dimensions."""


class SignalStream:
    """A signal that is read once, from the start to the end of its first dimension. Earlier parts are forgotten.

    Args:
        blocks: consecutive parts ``[C, n, ...]`` of the signal; or the whole signal as one array.

    Attributes:
        length: size of the first dimension; ``None`` until the end was read.
        sizes: sizes of the other dimensions.

    Raises:
        UserError: the signal is empty.
    """

    def __init__(self, blocks: Array | Iterable[Array]) -> None:
        parts = [blocks] if isinstance(blocks, np.ndarray) else blocks
        self._blocks = (block for block in parts if block.shape[1])
        self._held, self._start, self.length = next(self._blocks, np.zeros((0, 0))), 0, None
        if not self._held.size:
            raise UserError("the signal is empty")
        self.sizes = self._held.shape[2:]

    def reach(self, stop: int) -> int | None:
        """Read beyond ``stop``, or to the end. Return the length if it is known."""
        while self.length is None and self._start + self._held.shape[1] <= stop:
            block = next(self._blocks, None)
            if block is None:
                self.length = self._start + self._held.shape[1]
            else:
                self._held = np.concatenate([self._held, block], axis=1)
        return self.length

    def forget(self, start: int) -> None:
        """Drop what lies before ``start``; it is not read again."""
        if start > self._start:
            self._held, self._start = self._held[:, start - self._start :], start

    def take(self, start: int, stop: int) -> Array:
        """Return the values from ``start`` to ``stop``, reflected beyond the ends; see `reflect`."""
        places = np.arange(start, stop)
        return self._held[:, (np.abs(places) if self.length is None else reflect(places, self.length)) - self._start]


class Plan(NamedTuple):
    """How one dimension is cut: a tile each ``step`` samples, of ``step + fade`` samples and a margin on both sides.

    Neighbours fade into each other where they overlap. Sizes without margins are multiples of ``multiple``.
    """

    step: int
    fade: int
    margin: int
    multiple: int

    def tiles(self, reach: Callable[[int], int | None]) -> Iterator[Tile]:
        """Yield the tiles of a dimension. ``reach`` reads up to a place, and returns the length if it is known."""
        start, last = 0, False
        while not last:
            stop = start + self.step + self.fade
            length = reach(stop + self.margin)
            if last := length is not None and length <= stop:
                stop = length or 0
            rounded = -(-(stop - start) // self.multiple) * self.multiple
            yield Tile(start, stop, start - self.margin, start + rounded + self.margin, last)
            start += self.step


class Tile(NamedTuple):
    """A tile in one dimension: made of the samples ``low`` to ``high``, and used from ``start`` to ``stop``."""

    start: int
    stop: int
    low: int
    high: int
    last: bool

    def used(self, y: Array, axis: int, k: int, fade: int) -> Array:
        """Cut a result to the part that is used. Fade it in and out as a raised cosine, except at the signal's ends."""
        y = np.moveaxis(y, axis, -1)[..., k * (self.start - self.low) : k * (self.stop - self.low)]
        if n := k * fade:
            y, ramp = y.copy(), np.square(np.sin(np.pi / 2 * (np.arange(n) + 0.5) / n)).astype(y.dtype)
            y[..., :n] *= ramp if self.start else 1
            y[..., -n:] *= 1 if self.last else 1 - ramp
        return np.moveaxis(y, -1, axis)


def reflect(indices: Array, length: int) -> Array:
    """Return places ``indices`` of a signal of ``length`` that is reflected at both ends without repeating the ends."""
    if length == 1:
        return np.zeros_like(indices)
    folded = np.abs(indices) % (2 * (length - 1))
    return np.minimum(folded, 2 * (length - 1) - folded)


def tiled(
    source: Array | Iterable[Array],
    process: Process,
    trained: Sequence[int | None],
    field: int | None = None,
    multiple: int = 1,
    tile: int | Sequence[int] | None = None,
) -> Iterator[Array]:
    """Apply a function to a signal, tile by tile. Beyond its ends the signal is reflected.

    * A signal of the trained sizes is processed once, as a sample is.
    * If the function has a finite receptive field, each tile has a margin of at least this size, which is cropped. The
      result does not depend on the size of the tiles, which begin at multiples of ``multiple``.
    * Otherwise tiles of the trained sizes lie on a regular grid, each half a tile further than the one before, and fade
      into each other as a raised cosine.

    Args:
        source: the signal, or consecutive parts of it.
        process: maps tiles to results.
        trained: sizes with which the function was trained; ``None`` for any size.
        field: samples to either side on which a value of the result can depend; ``None``: unbounded or unknown.
        multiple: sizes of tiles are multiples of this, as strided layers need it.
        tile: sizes of tiles without margins, rounded up to ``multiple``, where the receptive field is finite.

    Yields:
        Consecutive parts ``[C', n, ...]`` of the result.
    """
    stream = SignalStream(source)
    dimensions = 1 + len(stream.sizes)
    if field is not None:
        margin = -(-field // multiple) * multiple
        tile = max(256 if stream.sizes else 1 << 16, 2 * margin) if tile is None else tile
        wanted = [tile] * dimensions if isinstance(tile, int) else tile
        plans = [Plan(-(-max(1, size) // multiple) * multiple, 0, margin, multiple) for size in wanted]
    else:
        window = [size or -(-WINDOW[dimensions] // multiple) * multiple for size in trained]
        if len(window) != dimensions or min(window) < 2:
            raise ValueError(f"tiles {window}; expected {dimensions} dimensions of at least 2")
        plans = [Plan(size - size // 2, size // 2, 0, size) for size in window]
    return _tiled(stream, process, plans, trained)


def _tiled(
    stream: SignalStream, process: Process, plans: Sequence[Plan], trained: Sequence[int | None]
) -> Iterator[Array]:
    first = trained[0] if trained else None
    if first and stream.sizes == tuple(trained[1:]) and stream.reach(first) == first:
        yield process([stream.take(0, first)])[0]
        return
    width = stream.sizes[0] if stream.sizes else None
    columns = list(plans[1].tiles(lambda stop: width)) if width else [None]

    def cut() -> Iterator[tuple[Tile, Tile | None, Array]]:
        for line in plans[0].tiles(stream.reach):
            stream.forget(line.low - plans[0].multiple)
            rows = stream.take(line.low, line.high)
            for column in columns:
                across = None if column is None else reflect(np.arange(column.low, column.high), width or 0)
                yield line, column, rows if across is None else np.ascontiguousarray(rows[..., across])

    def made() -> Iterator[tuple[Tile, Tile | None, Array, Array]]:
        tiles = cut()
        while batch := list(islice(tiles, AT_ONCE)):
            yield from ((*part, y) for part, y in zip(batch, process([part[2] for part in batch]), strict=True))

    strip: Array = np.zeros(0)  # results of one line
    kept: Array | None = None  # the end of the line before
    for line, column, tile, y in made():
        k = _factors(tile, y)
        y = line.used(y, 1, k[0], plans[0].fade)
        if column is None:
            strip = y
        else:
            y = column.used(y, 2, k[1], plans[1].fade)
            if not column.start:
                strip = np.zeros((*y.shape[:2], k[1] * (width or 0)), y.dtype)
            strip[:, :, k[1] * column.start : k[1] * column.stop] += y
        if column is None or column.last:
            if kept is not None:
                strip[:, : kept.shape[1]] += kept
            end = strip.shape[1] if line.last else k[0] * plans[0].step
            yield strip[:, :end]
            kept = strip[:, end:]


def _factors(tile: Array, y: Array) -> tuple[int, ...]:
    """How many times larger a result is than its tile, in each dimension."""
    if y.ndim != tile.ndim or any(b < a or b % a for a, b in zip(tile.shape[1:], y.shape[1:], strict=True)):
        made = f"the network makes {list(y.shape)} of {list(tile.shape)}"
        raise UserError(f"{made}; only whole factors of the sizes are supported")
    return tuple(b // a for a, b in zip(tile.shape[1:], y.shape[1:], strict=True))
