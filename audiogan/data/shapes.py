"""Drawn figures as a data set: pictures without files, for image translation and for first trials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audiogan.data.columns import Augment, Column, Labels, Mirror, Signals
from audiogan.data.drawing import COLD, KINDS, WARM, Array, Figure, any_colour, figures, outline, patterned, shaded
from audiogan.data.image_scan import LIMITS
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities.image import Image

CHOICES = {"pairs": (3, False), "domains": (2, False), "plain": (1, True)}
"""For each kind of data set: most figures in a picture, and whether they are nearly upright."""
DOMAINS = (COLD, WARM)
MOST = 100_000_000  # pictures


def open_shapes(
    count: int = 2000,
    size: int | None = 64,
    kind: str = "pairs",
    seed: int = 0,
    channels: int | None = 3,
    source_channels: int | None = 1,
    mirror: bool = False,
    memory: int = 256 << 20,
) -> Table:
    """Return a table of drawn figures: discs, triangles, squares, stars and crosses.

    A picture depends only on ``seed``, on its row and on the settings. It is drawn when it is first read. The first
    pictures are kept, as many as fit into ``memory``, and the others are drawn again each time. So any ``count`` runs
    in bounded memory.

    Args:
        count: pictures, or pairs.
        size: pixels a side, from 16 to 4096; ``None``: 64.
        kind: ``pairs``: ``source`` is a line drawing, ``x`` the same figures in colour, with light and shadow. The
            colour follows from the figure: red discs, green triangles, blue squares, yellow stars, violet crosses.
            ``domains``: figures in warm stripes or with cold dots, in equal numbers, as two classes; each picture of
            one class has a counterpart in the other, but the table holds only one of the two.
            ``plain``: one figure of any colour; its kind is the class.
        seed: seed of the pictures, at least 0.
        channels: of ``x``: 3 (RGB) or 1 (grey); ``None``: 3.
        source_channels: of ``source``: 1 or 3; ``None``: 1. Only pairs have a source.
        mirror: flip half of the examples of each batch left to right, source and ``x`` alike.
        memory: bytes in which drawn pictures are kept.

    Raises:
        UserError: a setting out of range.
    """
    if kind not in CHOICES:
        raise UserError(f"data.kind={kind!r}: choose one of {', '.join(CHOICES)}")
    size, channels, source_channels = size or 64, channels or 3, source_channels or 1
    for key, value, low, high in (("count", count, 2, MOST), ("size", size, 16, LIMITS[1]), ("seed", seed, 0, 2**63)):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise UserError(f"data.{key}={value!r}: must be a whole number from {low} to {high:,}")
    for key, value in (("channels", channels), ("source_channels", source_channels)):
        if value not in (1, 3) or isinstance(value, bool):
            raise UserError(f"data.{key}={value!r}: choose 1 (grey) or 3 (RGB)")
    drawings = Drawings(count, size, kind, seed, channels, source_channels if kind == "pairs" else 0, memory)
    columns: dict[str, Column] = {}
    if kind == "pairs":
        columns["source"] = Signals(Part(drawings, 0, source_channels), Image(), group="x")
    columns["x"] = Signals(Part(drawings, drawings.source_channels, channels), Image(), group="x")
    if kind == "domains":
        columns["label"] = Labels(np.arange(count, dtype=np.int32) % 2, DOMAINS)
    if kind == "plain":
        columns["label"] = Labels((np.arange(count) % len(KINDS)).astype(np.int32), KINDS)
    noun = {"pairs": "pairs of drawings", "domains": "striped or dotted figures", "plain": "figures"}[kind]
    augment: dict[str, Augment] = {"x": Mirror()} if mirror else {}
    return Table(
        columns, count, source=lambda table: f"built-in shapes: {len(table):,} {noun}, seed {seed}", augment=augment
    )


class Drawings:
    """Drawn pictures as bytes, source and target channels together: drawn when first read, kept as far as they fit.

    Args:
        count, size, kind, seed, memory: see `open_shapes`.
        channels: of the targets. source_channels: of the sources; 0: there are none.
    """

    def __init__(
        self, count: int, size: int, kind: str, seed: int, channels: int, source_channels: int, memory: int
    ) -> None:
        self.count, self.size, self.kind, self.seed = count, size, kind, seed
        self.channels, self.source_channels = channels, source_channels
        shape = (source_channels + channels, size, size)
        kept = max(0, min(count, memory // int(np.prod(shape))))
        self._kept = np.empty((kept, *shape), np.uint8)  # pages that are never written take no memory
        self._done = np.zeros(kept, bool)

    def read(self, row: int) -> NDArray[np.uint8]:
        """Return the picture of a row, uint8 `[source_channels + channels, size, size]`. Do not write to it."""
        if row < len(self._done) and self._done[row]:
            return self._kept[row]
        picture = np.rint(255 * self._draw(row)).astype(np.uint8)
        if row < len(self._done):  # two threads at once write the same bytes; the flag follows the data
            self._kept[row] = picture
            self._done[row] = True
        return picture

    def _draw(self, row: int) -> Array:
        rng = np.random.default_rng((self.seed, row))
        most, upright = CHOICES[self.kind]
        parts = figures(rng, most, upright=upright)
        if self.kind == "domains":
            return _channels(patterned(parts, self.size, DOMAINS[row % 2]), self.channels)
        if self.kind == "plain":
            one = parts[0]
            part = Figure(KINDS[row % len(KINDS)], one.x, one.y, one.radius, one.angle, one.hue)
            return _channels(shaded([part], self.size, any_colour), self.channels)
        source = _channels(outline(parts, self.size), self.source_channels)
        return np.concatenate([source, _channels(shaded(parts, self.size), self.channels)])


class Part:
    """Some channels of `Drawings`, indexed like an array uint8 `[count, channels, size, size]`."""

    dtype = np.dtype(np.uint8)

    def __init__(self, drawings: Drawings, first: int, channels: int) -> None:
        self.drawings, self.first = drawings, first
        self.shape = (drawings.count, channels, drawings.size, drawings.size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for i, row in enumerate(np.asarray(rows).tolist()):
            out[i] = self.drawings.read(row)[self.first : self.first + self.shape[1]]
        return out


def _channels(x: Array, channels: int) -> Array:
    """A picture `[C, H, W]` in grey (the luma of ITU-R BT.601) or RGB."""
    if len(x) == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=0)
    return np.einsum("c,chw->hw", np.array([0.299, 0.587, 0.114], np.float32), x)[None]
