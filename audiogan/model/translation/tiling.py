"""Tiled processing of signals of any size in limited memory.

A signal is an array ``[C, T]`` (sound) or ``[C, H, W]`` (image). A function maps a tile to a result with any number of
channels. Each other dimension of the result is ``k`` times that of the tile. The integer ``k`` is 1 unless the function
changes the resolution.
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
"""Type of functions that map a list of tiles to the list of their results. Each result must depend on its own tile
only."""
MAX_TILES = 16
"""Maximum number of tiles in memory."""
WINDOW = {1: 1 << 16, 2: 512}
"""Window size for dimensions without a fixed training size: in samples for sounds (1 dimension), in pixels for images
(2 dimensions)."""


class SignalStream:
    """A signal that is read in order along its first dimension, so that the whole signal need not fit in memory.

    Args:
        blocks: consecutive parts ``[C, n, ...]`` of the signal, or the whole signal as one array.

    Attributes:
        length: size of the first dimension. None until the end has been read.
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

    def read_until(self, stop: int) -> int | None:
        """Read up to position `stop` or the end of the signal. Return the length of the signal, or None if unknown."""
        while self.length is None and self._start + self._held.shape[1] <= stop:
            block = next(self._blocks, None)
            if block is None:
                self.length = self._start + self._held.shape[1]
            else:
                self._held = np.concatenate([self._held, block], axis=1)
        return self.length

    def discard_before(self, start: int) -> None:
        """Discard the values before position `start`. They cannot be read again."""
        if start > self._start:
            self._held, self._start = self._held[:, start - self._start :], start

    def get(self, start: int, stop: int) -> Array:
        """Return the values from `start` to `stop`. Positions beyond the ends are reflected, see `reflect_indices`."""
        places = np.arange(start, stop)
        return self._held[
            :, (np.abs(places) if self.length is None else reflect_indices(places, self.length)) - self._start
        ]


class TilePlan(NamedTuple):
    """Division of one dimension into overlapping tiles.

    Attributes:
        step: distance between the starts of neighbouring tiles, in samples.
        fade: overlap of neighbouring tiles, in samples. Tiles are cross-faded where they overlap.
        margin: additional samples on both sides that are cropped after processing.
        size_multiple: each tile size without margins is a multiple of this number of samples.
    """

    step: int
    fade: int
    margin: int
    size_multiple: int

    def tiles(self, read_until: Callable[[int], int | None]) -> Iterator[Tile]:
        """Yield the tiles of a dimension.

        Args:
            read_until: function that reads up to a position and returns the length of the signal if it is known.
        """
        start, last = 0, False
        while not last:
            stop = start + self.step + self.fade
            length = read_until(stop + self.margin)
            if last := length is not None and length <= stop:
                stop = length or 0
            rounded = -(-(stop - start) // self.size_multiple) * self.size_multiple
            yield Tile(start, stop, start - self.margin, start + rounded + self.margin, last)
            start += self.step


class Tile(NamedTuple):
    """Position of a tile along one dimension, in samples.

    Attributes:
        start: first sample that the tile contributes to the result.
        stop: end of the samples that the tile contributes to the result, exclusive.
        low: first sample of the input of the tile, including the margin.
        high: end of the input of the tile, including the margin, exclusive.
        last: whether this is the last tile.
    """

    start: int
    stop: int
    low: int
    high: int
    last: bool

    def crop_and_fade(self, output: Array, axis: int, scale: int, fade: int) -> Array:
        """Crop the result of a tile to `start` ... `stop`, and fade it in and out except at the ends of the signal.

        Args:
            output: result of the tile.
            axis: axis of the dimension.
            scale: integer factor between the sizes of input and result.
            fade: overlap with the neighbouring tiles, in input samples. The fade is a raised cosine.
        """
        output = np.moveaxis(output, axis, -1)[..., scale * (self.start - self.low) : scale * (self.stop - self.low)]
        if n := scale * fade:
            output, ramp = output.copy(), np.square(np.sin(np.pi / 2 * (np.arange(n) + 0.5) / n)).astype(output.dtype)
            output[..., :n] *= ramp if self.start else 1
            output[..., -n:] *= 1 if self.last else 1 - ramp
        return np.moveaxis(output, -1, axis)


def reflect_indices(indices: Array, length: int) -> Array:
    """Map positions beyond the ends of a signal to positions inside it, by reflection without repeating the end values.

    Args:
        indices: positions, int array.
        length: length of the signal.
    """
    if length == 1:
        return np.zeros_like(indices)
    folded = np.abs(indices) % (2 * (length - 1))
    return np.minimum(folded, 2 * (length - 1) - folded)


def apply_tiled(
    source: Array | Iterable[Array],
    process: Process,
    trained_sizes: Sequence[int | None],
    receptive_field: int | None = None,
    size_multiple: int = 1,
    tile_size: int | Sequence[int] | None = None,
) -> Iterator[Array]:
    """Apply a function to a signal in tiles. The signal is reflected beyond its ends.

    * A signal of the training sizes is processed in one piece.
    * If the receptive field is finite, each tile has a margin of at least that size, which is cropped afterwards. The
      result does not depend on the tile size.
    * If it is unbounded or unknown, tiles of the training sizes overlap by half and are cross-faded with a raised
      cosine.

    Args:
        source: the signal, or an iterable of consecutive parts.
        process: function that maps tiles to results.
        trained_sizes: sizes used in training. None stands for any size.
        receptive_field: number of samples on each side of an output value that can affect it. None if unbounded or
            unknown.
        size_multiple: for each dimension, the tile size is a multiple of this number, because strided layers require
            divisible sizes.
        tile_size: tile sizes without margins for a finite receptive field, rounded up to multiples of
            ``size_multiple``.

    Yields:
        Consecutive parts ``[C', n, ...]`` of the result.
    """
    stream = SignalStream(source)
    dimensions = 1 + len(stream.sizes)
    if receptive_field is not None:
        margin = -(-receptive_field // size_multiple) * size_multiple
        tile_size = max(256 if stream.sizes else 1 << 16, 2 * margin) if tile_size is None else tile_size
        wanted = [tile_size] * dimensions if isinstance(tile_size, int) else tile_size
        steps = [-(-max(1, size) // size_multiple) * size_multiple for size in wanted]
        plans = [TilePlan(step, 0, margin, size_multiple) for step in steps]
    else:
        window = [size or -(-WINDOW[dimensions] // size_multiple) * size_multiple for size in trained_sizes]
        if len(window) != dimensions or min(window) < 2:
            raise ValueError(f"tiles {window}; expected {dimensions} dimensions of at least 2")
        plans = [TilePlan(size - size // 2, size // 2, 0, size) for size in window]
    return _tiled(stream, process, plans, trained_sizes)


def _tiled(
    stream: SignalStream, process: Process, plans: Sequence[TilePlan], trained: Sequence[int | None]
) -> Iterator[Array]:
    first = trained[0] if trained else None
    if first and stream.sizes == tuple(trained[1:]) and stream.read_until(first) == first:
        yield process([stream.get(0, first)])[0]
        return
    width = stream.sizes[0] if stream.sizes else None
    columns = list(plans[1].tiles(lambda stop: width)) if width else [None]

    def cut() -> Iterator[tuple[Tile, Tile | None, Array]]:
        for line in plans[0].tiles(stream.read_until):
            stream.discard_before(line.low - plans[0].size_multiple)
            rows = stream.get(line.low, line.high)
            for column in columns:
                across = None if column is None else reflect_indices(np.arange(column.low, column.high), width or 0)
                yield line, column, rows if across is None else np.ascontiguousarray(rows[..., across])

    def made() -> Iterator[tuple[Tile, Tile | None, Array, Array]]:
        tiles = cut()
        while batch := list(islice(tiles, MAX_TILES)):
            yield from ((*part, y) for part, y in zip(batch, process([part[2] for part in batch]), strict=True))

    strip: Array = np.zeros(0)  # holds the results of one row of tiles
    kept: Array | None = None  # holds the overlap with the next row of tiles
    for line, column, tile, y in made():
        k = _factors(tile, y)
        y = line.crop_and_fade(y, 1, k[0], plans[0].fade)
        if column is None:
            strip = y
        else:
            y = column.crop_and_fade(y, 2, k[1], plans[1].fade)
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
    """Return the size of a result divided by the size of its tile, for each dimension."""
    if y.ndim != tile.ndim or any(b < a or b % a for a, b in zip(tile.shape[1:], y.shape[1:], strict=True)):
        made = f"the network makes {list(y.shape)} of {list(tile.shape)}"
        raise UserError(f"{made}; only whole factors of the sizes are supported")
    return tuple(b // a for a, b in zip(tile.shape[1:], y.shape[1:], strict=True))
