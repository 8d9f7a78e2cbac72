"""Draw simple figures with signed distances: outlines, shaded figures, striped and dotted figures.

A signed distance is negative inside a figure, 0 on its edge and positive outside. It gives antialiased edges, lines,
shadows and shading without a graphics library. Lengths are in half pictures: a picture spans -1 ... 1 in x (to the
right) and in y (down).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
LINE = 0.05  # width of outlines
SHADOW = (0.07, 0.09)  # offset of shadows: the light comes from the upper left
LIGHT = (-0.55, -0.84)  # unit vector to the light
PAPER = (0.98, 0.96, 0.91)  # colour at the top of the background, 0 ... 1
SHADE = (0.86, 0.85, 0.84)  # colour at its bottom
COLOURS = {
    "disc": (0.89, 0.22, 0.20),
    "triangle": (0.20, 0.66, 0.33),
    "square": (0.20, 0.43, 0.85),
    "star": (0.98, 0.78, 0.16),
    "cross": (0.58, 0.32, 0.76),
}
"""The figures, and the colour that pairs give to each: red discs, green triangles, blue squares, yellow stars, violet
crosses."""
KINDS = tuple(COLOURS)
WARM, COLD = "striped", "dotted"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        kind: one of `KINDS`.
        x, y: centre. radius: from the centre to the farthest corner. angle: radians, counter-clockwise.
        hue: 0 ... 1, the choice within a range of colours; pairs do not use it.
    """

    kind: str
    x: float
    y: float
    radius: float
    angle: float
    hue: float = 0.5

    def distance(self, x: Array, y: Array) -> Array:
        """Signed distance of points to the edge."""
        x, y = (x - np.float32(self.x)) / np.float32(self.radius), (y - np.float32(self.y)) / np.float32(self.radius)
        if self.kind == "disc":
            unit = np.hypot(x, y) - np.float32(0.88)  # about the area of the other figures
        else:
            c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
            unit = _polygon(c * x - s * y, s * x + c * y, CORNERS[self.kind]) - np.float32(ROUND)
        return unit * np.float32(self.radius)


ROUND = 0.05  # radius of the corners, of the figure's radius


def _star() -> list[tuple[float, float]]:
    angles = np.pi / 5 * np.arange(10) - np.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, 0.97, 0.45)
    return [(float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(radii, angles, strict=True)]


def _regular(corners: int, first: float) -> list[tuple[float, float]]:
    angles = first + 2 * np.pi / corners * np.arange(corners)
    return [(0.95 * float(np.cos(a)), 0.95 * float(np.sin(a))) for a in angles]


_CROSS = [(-0.27, -0.87), (0.27, -0.87), (0.27, -0.27), (0.87, -0.27), (0.87, 0.27), (0.27, 0.27)]
CORNERS: dict[str, list[tuple[float, float]]] = {
    "triangle": _regular(3, -np.pi / 2),
    "square": _regular(4, np.pi / 4),
    "star": _star(),
    "cross": [*_CROSS, *((-x, -y) for x, y in _CROSS)],
}


def _polygon(x: Array, y: Array, corners: Sequence[tuple[float, float]]) -> Array:
    """Signed distance to a simple polygon (Quilez, "2D distance functions", sdPolygon)."""
    squared = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        ex, ey = np.float32(bx - ax), np.float32(by - ay)
        px, py = x - np.float32(ax), y - np.float32(ay)
        along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0, 1)
        np.minimum(squared, (px - along * ex) ** 2 + (py - along * ey) ** 2, out=squared)
        inside ^= ((ay > y) != (by > y)) & ((px * ey < py * ex) == (ey > 0))
    return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(squared)


def figures(
    rng: np.random.Generator, most: int = 3, radii: tuple[float, float] = (0.34, 0.7), upright: bool = False
) -> list[Figure]:
    """Draw 1 to ``most`` figures that overlap little; the last is on top.

    Args:
        rng: the source of random numbers.
        most: largest number of figures. One picture holds fewer where they find no place.
        radii: smallest and largest radius. A single figure is larger, several are smaller.
        upright: turn by at most 17 degrees.
    """
    count = int(rng.integers(1, most + 1))
    found: list[Figure] = []
    for _ in range(count):
        low, high = radii
        low, high = (1.3 * low, 1.1 * high) if count == 1 else (low, high - (high - low) * 0.35 * (count - 1))
        radius = float(rng.uniform(low, high))
        kind, hue = KINDS[int(rng.integers(len(KINDS)))], float(rng.random())
        angle = float(rng.uniform(-0.3, 0.3) if upright else rng.uniform(-np.pi, np.pi))
        for _ in range(12):
            x, y = (float(v) for v in rng.uniform(radius - 0.93, 0.93 - radius, 2))
            if all(np.hypot(x - f.x, y - f.y) > 0.8 * (radius + f.radius) for f in found):
                found.append(Figure(kind, x, y, radius, angle, hue))
                break
    return found


def outline(parts: Sequence[Figure], size: int) -> Array:
    """Return a black line drawing on white, float32 `[1, size, size]`, 0 (black) ... 1 (white)."""
    x, y = _grid(size)
    canvas = np.ones((size, size), np.float32)
    for part in parts:
        d = part.distance(x, y)
        canvas = np.maximum(canvas, _cover(d, size))  # hides lines below
        canvas *= 1 - _cover(np.abs(d) - LINE / 2, size)
    return canvas[None]


def shaded(parts: Sequence[Figure], size: int, colours: Callable[[Figure], Sequence[float]] | None = None) -> Array:
    """Return coloured, shaded figures with shadows on paper, float32 RGB `[3, size, size]`, 0 ... 1.

    Everything follows from the `outline`: the kind of a figure decides its colour, and the light is always the same.

    Args:
        parts: the figures.
        size: pixels a side.
        colours: the colour of a figure, RGB 0 ... 1; by default that of its kind.
    """
    x, y = _grid(size)
    canvas = _paper(size)
    for part in parts:
        colour = COLOURS[part.kind] if colours is None else colours(part)
        d = part.distance(x, y)
        canvas *= 1 - 0.35 * _shadow(part, x, y)
        u, v = (x - part.x) / part.radius, (y - part.y) / part.radius
        slope = np.clip(u * LIGHT[0] + v * LIGHT[1], -1, 1)  # 1: towards the light
        edge = np.clip(1 + d / (0.3 * part.radius), 0, 1) ** 2  # 1 at the edge, 0 inside
        gloss = np.exp(-((u + 0.22) ** 2 + (v + 0.3) ** 2) / 0.07)
        level = 0.92 + 0.2 * slope - 0.16 * edge
        fill = _rgb(colour) * level + 0.42 * gloss * (1 - edge)
        canvas = _over(canvas, fill, _cover(d, size))
        canvas = _over(canvas, 0.4 * _rgb(colour), _cover(np.abs(d) - LINE / 2, size))
    return np.clip(canvas, 0, 1)


def patterned(parts: Sequence[Figure], size: int, pattern: str) -> Array:
    """Return figures in warm stripes or with cold dots, float32 RGB `[3, size, size]`, 0 ... 1.

    Both patterns start at the centre of the figure and do not turn with it. So each picture of one kind has exactly one
    counterpart of the other kind.

    Args:
        parts: the figures; ``hue`` decides the colour, from red to yellow or from green-blue to violet-blue.
        size: pixels a side.
        pattern: ``striped`` or ``dotted``.
    """
    x, y = _grid(size)
    canvas = _paper(size)
    for part in parts:
        d = part.distance(x, y)
        canvas *= 1 - 0.3 * _shadow(part, x, y)
        u, v = x - np.float32(part.x), y - np.float32(part.y)
        if pattern == WARM:
            light, dark = _warm(part.hue)
            step = 0.28
            place = np.abs(((u + v) / (step * np.sqrt(2)) + 0.25) % 1 - 0.5) - 0.25  # in steps, along the diagonal
            mark = _cover(place * step, size)
        else:
            light, dark = _cold(part.hue)
            step = 0.24
            place = np.hypot((u + step / 2) % step - step / 2, (v + step / 2) % step - step / 2)
            mark = _cover(place - 0.3 * step, size)
        level = 1 + 0.12 * np.clip((u * LIGHT[0] + v * LIGHT[1]) / part.radius, -1, 1)
        fill = _over(_rgb(light) * level, _rgb(dark) * level, mark)
        canvas = _over(canvas, fill, _cover(d, size))
        canvas = _over(canvas, 0.55 * _rgb(dark), _cover(np.abs(d) - 0.7 * LINE / 2, size))
    return np.clip(canvas, 0, 1)


def any_colour(part: Figure) -> tuple[float, float, float]:
    """A saturated colour by the ``hue`` of a figure, once around the colour circle."""
    return _mixed(part.hue, _CIRCLE)


def _warm(hue: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    return _mixed(hue, ((1.0, 0.72, 0.62), (1.0, 0.93, 0.66))), _mixed(hue, ((0.80, 0.12, 0.16), (0.93, 0.58, 0.05)))


def _cold(hue: float) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    return _mixed(hue, ((0.22, 0.28, 0.70), (0.05, 0.58, 0.62))), _mixed(hue, ((0.80, 0.84, 1.0), (0.80, 1.0, 0.95)))


_CIRCLE = ((0.86, 0.2, 0.2), (0.9, 0.72, 0.1), (0.2, 0.7, 0.3), (0.1, 0.6, 0.8), (0.35, 0.3, 0.85), (0.86, 0.2, 0.2))


def _mixed(share: float, stops: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    places = np.linspace(0, 1, len(stops))
    r, g, b = (float(np.interp(share, places, [stop[i] for stop in stops])) for i in range(3))
    return r, g, b


def _rgb(colour: Sequence[float]) -> Array:
    return np.asarray(colour, np.float32)[:, None, None]


def _cover(distance: Array, size: int) -> Array:
    """Share of a pixel that lies inside, 0 ... 1, from the signed distance of its centre."""
    return np.clip(np.float32(0.5) - distance * np.float32(size / 2), 0, 1)


def _over(below: Array, above: Array, share: Array) -> Array:
    return below + (above - below) * share


def _shadow(part: Figure, x: Array, y: Array) -> Array:
    """A soft shadow, 0 (none) ... 1."""
    d = part.distance(x - np.float32(SHADOW[0]), y - np.float32(SHADOW[1]))
    return np.clip(np.float32(0.5) - d / np.float32(0.14), 0, 1) ** 2


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Array, Array]:
    """x and y of the centres of pixels; read only."""
    line = ((np.arange(size) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    x.flags.writeable = y.flags.writeable = False
    return x, y


def _paper(size: int) -> Array:
    """A bright background, a little darker towards the bottom."""
    down = ((_grid(size)[1] + 1) / 2)[None]
    return (_rgb(PAPER) * (1 - down) + _rgb(SHADE) * down).astype(np.float32)
