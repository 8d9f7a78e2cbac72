"""Contact sheets of images: grids, and comparisons with one column per kind of image."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from audiogan.errors import UserError
from audiogan.modalities.drawing.png import open_png
from audiogan.modalities.drawing.spectrograms import ALERT, BACKGROUND, FAINT, TEXT
from audiogan.modalities.drawing.typeface import load_font, truncate_text
from audiogan.utils.text import parse_json_object, printable

MIN_CELL = 80
"""Smallest height and width at which an image is drawn, in pixels. Smaller images are enlarged by an integer factor."""
MAX_SHEET_WIDTH = 1600
"""Largest width in pixels of a sheet without a fixed number of columns."""
MAX_COMPARISON_WIDTH = 2400
"""Largest width in pixels of a comparison of several blocks."""
GAP, BLOCK_GAP, EDGE = 6, 24, 14
"""Distances on a sheet in pixels: between two images (``GAP``), between two blocks of rows (``BLOCK_GAP``), and between
images and the edge of the sheet (``EDGE``)."""
MIN_BLOCK_ROWS = 6
"""Smallest number of rows of a block, if there are several blocks."""
EMPTY_COST = 3.0
"""Weight of empty cells, relative to the deviation from a square shape, when `rows_per_block` chooses the shape of a
comparison."""
LAYOUT = "Layout"
"""Key of the text in a PNG file that holds the positions of the images of a comparison, as JSON."""
MAX_LAYOUT_PIXELS = 1 << 28
"""Largest number of pixels of a PNG file that `read_layout` opens."""
MAX_ROWS, MAX_COLUMNS = 4096, 16
"""Limits of the comparisons that `read_layout` accepts: number of rows and number of columns."""


class Layout(NamedTuple):
    """Positions of the images of a comparison, in pixels.

    Attributes:
        sheet: width and height of the whole picture.
        cell: width and height of an image.
        stride: distance between the left edges of two images of a row.
        columns: headers of the columns, such as source, output and target.
        rows: position (from the left, from the top) of the first image of each row.
        titles: one title per row. Empty if rows have no titles.
    """

    sheet: tuple[int, int]
    cell: tuple[int, int]
    stride: int
    columns: list[str]
    rows: list[tuple[int, int]]
    titles: list[str]


def read_layout(path: str | os.PathLike[str]) -> Layout | None:
    """Read the positions of the images of a comparison from a PNG file that `Modality.draw_columns` wrote.

    Returns:
        The positions. None if the file cannot be read, or holds no valid positions of at least two columns.
    """
    try:
        with open_png(path, MAX_LAYOUT_PIXELS) as picture:
            stored, (wide, high) = parse_json_object(str(picture.info.get(LAYOUT, ""))) or {}, picture.size
        width, height, stride = (int(value) for value in (*stored["cell"], stored["stride"]))
        columns = [printable(str(name)[:60]) for name in stored["columns"][:MAX_COLUMNS]]
        rows = [(int(left), int(upper)) for left, upper in stored["rows"][:MAX_ROWS]]
        titles = [printable(str(title)[:60]) for title in stored["titles"][:MAX_ROWS]]
    except (UserError, KeyError, TypeError, ValueError, OverflowError):
        return None
    right, lower = wide - width - (len(columns) - 1) * stride, high - height
    inside = all(0 <= left <= right and 0 <= upper <= lower for left, upper in rows)
    if len(columns) < 2 or not rows or min(width, height) < 1 or stride < width or not inside:
        return None
    titles = titles if len(titles) == len(rows) else []
    return Layout((wide, high), (width, height), stride, columns, rows, titles)


def image_grid(x: np.ndarray, columns: int | None = None, scale: int = 1) -> np.ndarray:
    """Return a grid of images ``[N, C, H, W]`` without titles, as uint8 pixels ``[height, width, 3]``.

    Images with NaN or infinity are filled with grey.

    Args:
        x: images in -1 ... 1.
        columns: number of columns. By default the grid is near-square.
        scale: factor by which images are enlarged, an integer.
    """
    border = 2
    pixels, broken = to_rgb_pixels(np.asarray(x))
    pixels[broken] = 128
    pixels = pixels.repeat(scale, 1).repeat(scale, 2)
    count, height, width, _ = pixels.shape
    columns = int(np.ceil(np.sqrt(count))) if columns is None else columns
    down = -(-count // columns)
    cells = np.full((down * columns, height + border, width + border, 3), 26, np.uint8)
    cells[:count, border:, border:] = pixels
    rows = cells.reshape(down, columns, height + border, width + border, 3).transpose(0, 2, 1, 3, 4)
    whole = rows.reshape(down * (height + border), columns * (width + border), 3)
    return np.pad(whole, ((0, border), (0, border), (0, 0)), constant_values=26)


def to_rgb_pixels(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images ``[N, C, H, W]`` as uint8 RGB ``[N, H, W, 3]``, and a mask ``[N]``, True for images with NaN or
    infinity."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"expected images [N, C, H, W] of 1 or 3 channels that are not empty, got {list(x.shape)}")
    broken = ~np.isfinite(x).all(axis=(1, 2, 3))
    level = np.rint(np.clip(np.nan_to_num(x, nan=0.0), -1, 1) * 127.5 + 127.5).astype(np.uint8)
    return np.broadcast_to(level.transpose(0, 2, 3, 1), (*level.shape[:1], *level.shape[2:], 3)).copy(), broken


@dataclass(frozen=True)
class Places:
    """Positions of the cells of a sheet.

    Attributes:
        width: width of a cell in pixels.
        height: height of a cell in pixels.
        title_height: height in pixels of the title below a row or an image. 0 without titles.
        columns: number of cells per row.
        block_rows: number of rows per block. Blocks stand side by side.
        rows: number of rows of the sheet.
        top: distance of the first row from the upper edge of the sheet, in pixels.
    """

    width: int
    height: int
    title_height: int
    columns: int
    block_rows: int
    rows: int
    top: int

    @property
    def block(self) -> int:
        """Distance between the left edges of two blocks, in pixels."""
        return self.columns * (self.width + GAP) - GAP + BLOCK_GAP

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        blocks = -(-self.rows // self.block_rows)
        height = self.top + self.block_rows * (self.height + self.title_height + GAP) - GAP + EDGE
        return 2 * EDGE + blocks * self.block - BLOCK_GAP, height

    def cell(self, i: int) -> tuple[int, int]:
        """Return the position of the top left corner of cell ``i``."""
        (block, row), column = divmod(i // self.columns, self.block_rows), i % self.columns
        left = EDGE + block * self.block + column * (self.width + GAP)
        return left, self.top + row * (self.height + self.title_height + GAP)

    def to_json(self, columns: Sequence[str], titles: Sequence[str] | None) -> str:
        """Return the positions as text, which `read_layout` reads."""
        return json.dumps(
            {
                "cell": [self.width, self.height],
                "stride": self.width + GAP,
                "columns": list(columns),
                "rows": [self.cell(i * self.columns) for i in range(self.rows)],
                "titles": list(titles or ()),
            }
        )


def rows_per_block(rows: int, width: int, height: int) -> int:
    """Return the number of rows of a block for which the sheet is near-square, not too wide, and has few empty cells.

    Args:
        rows: number of rows.
        width: width of a row in pixels.
        height: height of a row in pixels.
    """
    most = max(1, min((MAX_COMPARISON_WIDTH - 2 * EDGE) // (width + BLOCK_GAP), rows // MIN_BLOCK_ROWS))
    heights = [-(-rows // blocks) for blocks in range(1, most + 1)]

    def cost(down: int) -> float:
        blocks = -(-rows // down)
        return abs(float(np.log(blocks * width / (down * height)))) + EMPTY_COST * (1 - rows / (blocks * down))

    return min(heights, key=cost)


def draw_grid(
    cells: Sequence[tuple[np.ndarray, bool]],
    columns: int | None,
    title: str | None,
    titles: Sequence[str] | None,
    column_headers: Sequence[str] = (),
) -> tuple[Any, Places]:
    """Draw images in rows and return the picture and the positions. Small images are enlarged by an integer factor.

    Args:
        cells: for each image, its uint8 pixels ``[H, W, 3]``, and whether it contains NaN or infinity.
        columns: number of columns. By default the grid is near-square.
        title: headline of the picture.
        titles: one title per image. If ``column_headers`` is given, one title per row.
        column_headers: one header per column. Many rows are then drawn in several blocks side by side.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    tallest, widest = (max(pixels.shape[axis] for pixels, _ in cells) for axis in (0, 1))
    factor = max(1, -(-MIN_CELL // max(tallest, widest)))
    height, width = factor * tallest, factor * widest
    label = 16 if titles is not None else 0
    if columns is None:
        columns = min(int(np.ceil(np.sqrt(len(cells)))), max(1, (MAX_SHEET_WIDTH - 2 * EDGE) // (width + GAP)))
    columns = min(columns, len(cells))
    top, rows = EDGE + (26 if title else 0) + (18 if column_headers else 0), -(-len(cells) // columns)
    down = rows_per_block(rows, columns * (width + GAP), height + label + GAP) if column_headers else rows
    places = Places(width, height, label, columns, down, rows, top)
    sheet = Pillow.new("RGB", places.size, BACKGROUND)
    pen = ImageDraw.Draw(sheet)

    def write(x: int, y: int, text: str, room: int, points: int, colour: str) -> None:
        pen.text((x, y), truncate_text(text, room, load_font(points)), fill=colour, font=load_font(points))

    if title:
        write(EDGE, EDGE - 3, title, places.size[0] - 2 * EDGE, 15, TEXT)
    for first in range(0, rows if column_headers else 0, down):
        for column, name in enumerate(column_headers):
            write(places.cell(first * columns + column)[0], top - 17, name, width, 12, TEXT)
    for i, (pixels, broken) in enumerate(cells):
        left, upper = places.cell(i)
        if broken:
            pen.rectangle((left, upper, left + width - 1, upper + height - 1), outline=ALERT)
            middle = (left + width / 2, upper + height / 2)
            pen.text(middle, "not finite", fill=ALERT, font=load_font(11), anchor="mm")
        else:
            scale = max(1, min(height // pixels.shape[0], width // pixels.shape[1]))
            sheet.paste(Pillow.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)), (left, upper))
    step, room = (columns, places.block - BLOCK_GAP) if column_headers else (1, width)
    for i, text in enumerate(titles or ()):
        left, upper = places.cell(i * step)
        write(left, upper + height + 1, text, room, 11, FAINT)
    return sheet, places
