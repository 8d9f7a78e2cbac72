"""Synthetic images of figures (discs, triangles, squares), for image translation and first experiments.

Figures are drawn with signed distance functions, negative inside a figure, for antialiased edges, lines and shadows.
Coordinates range from -1 to 1 over the image, with x to the right and y down. Lengths use the same unit.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogan.data.columns import Column, Labels, Mirror, Rendered, Signals
from audiogan.data.kinds import IMAGE_SIDES
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities.image import Image
from audiogan.representations.lab import LUMA

Array = NDArray[np.floating]
COLOURS = {"disc": (0.89, 0.22, 0.20), "triangle": (0.20, 0.66, 0.33), "square": (0.20, 0.43, 0.85)}
"""Colour of discs, triangles and squares for ``kind="pairs"`` in `open_shapes`, RGB from 0 to 1."""
KINDS = tuple(COLOURS)
CORNERS = {"triangle": 3, "square": 4}
FIGURE_SETTINGS = {"pairs": (3, False), "domains": (2, False), "plain": (1, True)}
"""For each ``kind`` of `open_shapes`: largest number of figures (discs, triangles, squares) in an image, and whether
all figures are nearly upright."""
DOMAINS = ("dotted", "striped")
MAX_COUNT = 100_000_000  # Maximum number of images.
LINE = 0.05  # Width of outlines.
SHADOW = (0.07, 0.09)  # Offset of shadows (x, y).
LIGHT = (-0.55, -0.84)  # Unit vector towards the light (x, y).
PAPER = ((0.98, 0.96, 0.91), (0.86, 0.85, 0.84))  # Background colours at the top and at the bottom.


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
    """Return a table of synthetic images of discs, triangles and squares.

    Images are drawn on demand. Each image depends only on ``seed``, on its row and on the settings.

    Args:
        count: number of images or pairs, 2 or more.
        size: side length in pixels, 16 to 4096. Default for ``None``: 64.
        kind: ``pairs``: the column ``source`` is a line drawing, and ``x`` shows the same figures in colour with light
            and shadow. Discs are red, triangles green, and squares blue.
            ``domains``: unpaired figures with warm stripes or cold dots, which are the two classes.
            ``plain``: one figure of random colour. The kind of figure is the class.
        seed: seed of the images, 0 or more.
        channels: channels of ``x``: 3 (RGB) or 1 (grey). Default for ``None``: 3.
        source_channels: channels of ``source``, 1 or 3. Default for ``None``: 1. Only pairs have a source.
        mirror: flip each example of a training batch horizontally with probability 1/2.
        memory: size of the cache of drawn images in bytes.

    Raises:
        UserError: a setting is out of range.

    Examples:
        >>> batch = open_shapes(10, size=32).batch([0, 1])
        >>> {name: tuple(column.shape) for name, column in batch.items()}
        {'source': (2, 1, 32, 32), 'x': (2, 3, 32, 32)}
    """
    if kind not in FIGURE_SETTINGS:
        raise UserError(f"data.kind={kind!r}: choose one of {', '.join(FIGURE_SETTINGS)}")
    size, channels, source_channels = size or 64, channels or 3, source_channels or 1
    for key, value, low, high in (
        ("count", count, 2, MAX_COUNT),
        ("size", size, 16, IMAGE_SIDES[1]),
        ("seed", seed, 0, 2**63),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise UserError(f"data.{key}={value!r}: must be a whole number from {low} to {high:,}")
    for key, value in (("channels", channels), ("source_channels", source_channels)):
        if value not in (1, 3) or isinstance(value, bool):
            raise UserError(f"data.{key}={value!r}: choose 1 (grey) or 3 (RGB)")

    def pictures(channels: int, draw: Callable[[int], Array]) -> Signals:
        def make(row: int) -> NDArray[np.uint8]:
            x = draw(row)
            x = np.tensordot(np.asarray(LUMA, np.float32), x, 1)[None] if channels < len(x) else x
            return np.rint(255 * np.broadcast_to(x, shape)).astype(np.uint8)

        shape = (channels, size, size)
        room = memory // 2 if kind == "pairs" else memory
        return Signals(Rendered(make, count, shape, np.uint8, room), Image(), group="x")

    columns: dict[str, Column] = {}
    if kind == "pairs":
        columns["source"] = pictures(source_channels, lambda row: draw_outline(random_figures(kind, seed, row), size))
    columns["x"] = pictures(
        channels, lambda row: draw_painted(random_figures(kind, seed, row), size, _paint(kind, row))
    )
    labels = {"pairs": (), "domains": DOMAINS, "plain": KINDS}[kind]
    if labels:
        columns["label"] = Labels((np.arange(count) % len(labels)).astype(np.int32), labels)
    noun = {"pairs": "pairs of drawings", "domains": "striped or dotted figures", "plain": "figures"}[kind]
    augment = {"x": Mirror()} if mirror else {}
    return Table(
        columns, count, source=lambda table: f"built-in shapes: {len(table):,} {noun}, seed {seed}", augment=augment
    )


class Figure(NamedTuple):
    """Figure to draw.

    Attributes:
        kind: kind of figure, one of `KINDS`.
        x: horizontal position of the centre, -1 to 1.
        y: vertical position of the centre, -1 to 1.
        radius: distance from the centre to the corners. Discs are drawn with 0.85 times this radius.
        angle: rotation in radians.
        hue: hue of the colour, 0 to 1.
    """

    kind: str
    x: float
    y: float
    radius: float
    angle: float
    hue: float = 0.5

    def distance(self, x: Array, y: Array) -> Array:
        """Return the signed distance of the points ``(x, y)`` from the edge, negative inside the figure."""
        x, y = x - np.float32(self.x), y - np.float32(self.y)
        if self.kind == "disc":
            # With a factor of 0.85, discs are about as large in area as triangles and squares.
            return np.hypot(x, y) - np.float32(0.85 * self.radius)
        n = CORNERS[self.kind]
        normals = self.angle + np.pi / 2 + 2 * np.pi / n * np.arange(n)
        sides = [np.float32(np.cos(a)) * x + np.float32(np.sin(a)) * y for a in normals]
        return np.max(sides, axis=0) - np.float32(np.cos(np.pi / n) * self.radius)


def random_figures(kind: str, seed: int, row: int) -> list[Figure]:
    """Return random figures with little overlap for one image. Later figures are drawn over earlier figures.

    Args:
        kind: kind of data set, a key of `FIGURE_SETTINGS`.
        seed: seed of the data set.
        row: row of the image.
    """
    rng = np.random.default_rng((seed, row))
    most, upright = FIGURE_SETTINGS[kind]
    count, found = int(rng.integers(1, most + 1)), list[Figure]()
    for _ in range(count):
        radius = float(rng.uniform(0.45, 0.75) if count == 1 else rng.uniform(0.35, 0.7 - 0.1 * count))
        name = KINDS[row % len(KINDS) if kind == "plain" else int(rng.integers(len(KINDS)))]
        hue, angle = float(rng.random()), float(rng.uniform(-1, 1) * (0.3 if upright else np.pi))
        for x, y in rng.uniform(radius - 0.93, 0.93 - radius, (12, 2)).tolist():
            if all(np.hypot(x - f.x, y - f.y) > 0.8 * (radius + f.radius) for f in found):
                found.append(Figure(name, x, y, radius, angle, hue))
                break
    return found


def draw_outline(figures: Sequence[Figure], size: int) -> Array:
    """Return a black line drawing of the figures on white, float32 ``[1, size, size]`` from 0 (black) to 1 (white)."""
    canvas = np.ones((size, size), np.float32)
    for figure in figures:
        d = figure.distance(*_grid(size))
        canvas = np.maximum(canvas, _cover(d, size))  # Erase earlier lines inside this figure.
        canvas *= 1 - _cover(np.abs(d) - LINE / 2, size)
    return canvas[None]


Paint = Callable[[Figure, Array, Array, int], tuple[Array, Array]]
"""Function ``(figure, dx, dy, size)`` that returns the RGB colours of the area of a figure and of its outline.

``dx`` and ``dy`` are the positions of the pixels relative to the centre. The colours broadcast to ``[3, H, W]``.
"""


def draw_painted(figures: Sequence[Figure], size: int, paint: Paint) -> Array:
    """Return an image of coloured figures with light and shadow, float32 RGB ``[3, size, size]`` from 0 to 1."""
    x, y = _grid(size)
    top, bottom = (_rgb(colour) for colour in PAPER)
    canvas = top + (bottom - top) * (y + 1) / 2
    for figure in figures:
        d, dx, dy = figure.distance(x, y), x - np.float32(figure.x), y - np.float32(figure.y)
        canvas *= 1 - 0.35 * np.clip(0.5 - figure.distance(x - SHADOW[0], y - SHADOW[1]) / 0.14, 0, 1) ** 2
        area, line = paint(figure, dx, dy, size)
        light = 0.95 + 0.2 * np.clip((dx * LIGHT[0] + dy * LIGHT[1]) / figure.radius, -1, 1)
        light -= 0.16 * np.clip(1 + d / (0.3 * figure.radius), 0, 1) ** 2
        canvas += (area * light - canvas) * _cover(d, size)
        canvas += (line - canvas) * _cover(np.abs(d) - LINE / 2, size)
    return np.clip(canvas, 0, 1)


def paint_by_kind(figure: Figure, dx: Array, dy: Array, size: int) -> tuple[Array, Array]:
    """Return colours that depend on the kind of the figure. A `Paint` function."""
    return _rgb(COLOURS[figure.kind]), 0.4 * _rgb(COLOURS[figure.kind])


def paint_by_hue(figure: Figure, dx: Array, dy: Array, size: int) -> tuple[Array, Array]:
    """Return saturated colours with the hue of the figure. A `Paint` function."""
    colour = _rgb(colorsys.hsv_to_rgb(figure.hue, 0.75, 0.88))
    return colour, 0.4 * colour


def paint_pattern(figure: Figure, dx: Array, dy: Array, size: int, pattern: str) -> tuple[Array, Array]:
    """Return the colours of a figure with warm stripes (``striped``) or cold dots (``dotted``). A `Paint` function.

    The pattern moves with the figure but does not rotate with it.
    """
    if pattern == "striped":
        dark, light = (_rgb(colorsys.hsv_to_rgb(0.12 * figure.hue, *tone)) for tone in ((0.87, 0.85), (0.35, 1.0)))
        mark = _cover((np.abs((0.71 * (dx + dy) / 0.28 + 0.25) % 1 - 0.5) - 0.25) * 0.28, size)
        return light + (dark - light) * mark, 0.55 * dark
    dark, light = (_rgb(colorsys.hsv_to_rgb(0.5 + 0.15 * figure.hue, *tone)) for tone in ((0.8, 0.65), (0.2, 1.0)))
    mark = _cover(np.hypot((dx + 0.12) % 0.24 - 0.12, (dy + 0.12) % 0.24 - 0.12) - 0.072, size)
    return dark + (light - dark) * mark, 0.55 * dark


def _paint(kind: str, row: int) -> Paint:
    if kind == "domains":
        return partial(paint_pattern, pattern=DOMAINS[row % 2])
    return paint_by_kind if kind == "pairs" else paint_by_hue


def _rgb(colour: Sequence[float]) -> Array:
    return np.asarray(colour, np.float32)[:, None, None]


def _cover(distance: Array, size: int) -> Array:
    """Return the coverage of each pixel, 0 to 1, from the signed distance of its centre."""
    return np.clip(np.float32(0.5) - distance * np.float32(size / 2), 0, 1)


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Array, Array]:
    """Return the coordinates x and y of the pixel centres, ``[size, size]`` each."""
    line = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    x.flags.writeable = y.flags.writeable = False
    return x, y
