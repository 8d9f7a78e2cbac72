"""Images: pixels ``[C, H, W]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.features.embedding import Embedding
from audiogan.features.patches import Patches
from audiogan.features.pixels import Pixels
from audiogan.files import check_file
from audiogan.modalities.base import Modality, PathLike, Signals, Titles, as_array, check_columns, in_range
from audiogan.modalities.drawing.png import open_png, save_png
from audiogan.modalities.drawing.spectrograms import ALERT, BACKGROUND, FAINT, TEXT
from audiogan.modalities.drawing.typeface import font, short
from audiogan.modalities.reading.pictures import Picture, from_image, read_picture, to_float, with_channels
from audiogan.modalities.reading.reader import Unreadable
from audiogan.utils.text import printable

CELL = 80
"""Images smaller than this are shown enlarged by a whole factor, pixel by pixel."""
_WIDE = 1600  # largest width of a sheet in pixels
LARGEST_COMMENTED = 1 << 24
"""Largest number of pixels of an image that is opened for its comment."""
KINDS = "an array of uint8, uint16 or floating-point numbers [C, H, W], pixels [H, W, C] or [H, W], or a Pillow image"


@dataclass(frozen=True)
class Image(Modality):
    """Pixels in -1 (black) ... 1 (white), grey ``[1, H, W]`` or RGB ``[3, H, W]``."""

    noun: ClassVar[str] = "image"
    suffix: ClassVar[str] = ".png"
    edge: ClassVar[float | None] = 1.0
    output_name: ClassVar[str | None] = "image"

    def check_shape(self, shape: Sequence[int]) -> None:
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise UserError(f"an image cannot have the shape {list(shape)}")

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read a picture of any size and any common format.

        The picture is turned as its EXIF data says. Transparent pixels are composited on white. Of an animation the
        first picture is read.
        """
        channels = _channels(shape)
        check_file(path)
        try:
            return to_float(read_picture(path).flat(channels))
        except (OSError, Unreadable) as error:
            raise UserError(f"{printable(path)}: cannot be read ({error})") from error

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert a Pillow image, an array or a tensor.

        * Pillow images are treated like files; see `load`.
        * uint8 and uint16: ``[H, W]``, ``[H, W, C]`` or ``[C, H, W]`` with C = 1 (grey), 2 (grey and alpha), 3 (RGB) or
          4 (RGB and alpha). 0 becomes -1; the largest value of the type becomes 1.
        * floating point: ``[C, H, W]`` in -1 ... 1, or ``[H, W]`` for grey.
        """
        from PIL import Image as Pillow

        channels = _channels(shape)
        if isinstance(value, Pillow.Image):
            try:
                return to_float(from_image(value).flat(channels))
            except Unreadable as error:
                raise UserError(f"the image has {error}") from error
        planar = isinstance(value, Tensor)
        x = as_array(value, self.noun, KINDS)
        if x.dtype.kind == "f":
            x = x[None] if x.ndim == 2 else x
            if x.ndim != 3 or len(x) not in (1, 3):
                raise UserError(f"floating-point pixels must be [1 or 3, H, W], got {list(x.shape)}")
            return with_channels(in_range(x, self.noun), channels)
        if x.dtype not in (np.uint8, np.uint16):
            raise UserError(f"an array of {x.dtype} is not an image; give {KINDS}")
        x = _planes(x, planar)
        colours = 1 if len(x) < 3 else 3
        return to_float(Picture(x[:colours], x[colours] if len(x) > colours else None).flat(channels))

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write one image ``[C, H, W]`` as an 8-bit PNG, with a comment in it.

        Raises:
            ValueError: another shape or suffix, or pixels that are NaN or infinite.
        """
        from PIL import Image as Pillow
        from PIL.PngImagePlugin import PngInfo

        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"{path}: images are saved as PNG, so the name has to end in .png")
        pixels, broken = _bytes(np.asarray(x)[None])
        if broken.any():
            raise ValueError(f"{path}: pixels are NaN or infinite; nothing was written")
        picture = Pillow.fromarray(pixels[0] if len(x) == 3 else pixels[0, ..., 0])
        info = PngInfo()
        if comment is not None:
            info.add_itxt("Comment", comment)
        save_png(path, picture, pnginfo=info)

    @staticmethod
    def read_comment(path: PathLike) -> str:
        with open_png(path, LARGEST_COMMENTED) as picture:
            # audiogan writes the text before the pixels; other programs may write it behind them.
            return str(picture.info.get("Comment") or getattr(picture, "text", {}).get("Comment", ""))

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Return images clamped to -1 ... 1."""
        return np.clip(x, -1.0, 1.0).astype(np.float32, copy=False)

    def finish_tensor(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1)

    def sheet(
        self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None, columns: int | None = None
    ) -> None:
        """Write all images ``[N, C, H, W]`` in a grid as one PNG; small ones are enlarged by a whole factor.

        Args:
            path: the PNG file. Missing folders are created.
            x: pixels; values beyond -1 ... 1 are clamped. An image that is not finite is labelled.
            titles: one title per image, written below it.
            title: headline.
            columns: number of columns; by default about as many as rows.

        Raises:
            ValueError: another shape, no images, or another number of titles.
        """
        if titles is not None and len(titles) != len(x):
            raise ValueError(f"{len(titles)} titles for {len(x)} images")
        if columns is not None and columns < 1:
            raise ValueError(f"columns={columns} has to be at least 1")
        save_png(path, _draw(list(zip(*_bytes(np.asarray(x)), strict=True)), columns, title, titles), compress_level=4)

    def compare(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """See `Modality.compare`. Smaller images are enlarged to the largest; grey images may stand beside RGB."""
        check_columns(columns, titles)
        drawn = [zip(*_bytes(np.asarray(x)), strict=True) for x in columns.values()]
        cells = [cell for row in zip(*drawn, strict=True) for cell in row]
        save_png(path, _draw(cells, len(columns), title, titles, list(columns)), compress_level=4)

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write a bare grid of the images to TensorBoard."""
        writer.add_image(tag, grid(x), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> Pixels:
        """Return the training-free extractor of images of ``shape`` ``(C, H, W)``."""
        return Pixels(shape)

    def embeddings(self, shape: Sequence[int]) -> list[Embedding]:
        """Return `embedding`, and `Patches` for images that are large enough."""
        return [self.embedding(shape), *([Patches(shape)] if Patches.supports(shape) else [])]

    def references(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return ``l1``, ``psnr`` (dB) and ``ssim``; see `Modality.references`."""
        from audiogan.modalities.references import psnr, ssim

        return {**super().references(output, target), "psnr": psnr(output, target), "ssim": ssim(output, target)}


def _channels(shape: Sequence[int | None]) -> int:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(f"an image has the shape [1 or 3, H, W], not {list(shape)}")
    return shape[0]


def _planes(x: np.ndarray, planar: bool) -> np.ndarray:
    """Return integer pixels as ``[C, H, W]``; ``planar`` decides where both layouts are possible."""
    if x.ndim == 2:
        return x[None]
    if x.ndim == 3:
        first, last = len(x) in (1, 2, 3, 4), x.shape[2] in (1, 2, 3, 4)
        if first and (planar or not last):
            return x
        if last:
            return x.transpose(2, 0, 1)
    raise UserError(f"pixels must be [H, W], [H, W, C] or [C, H, W] of 1 to 4 channels, got {list(x.shape)}")


def grid(x: np.ndarray) -> np.ndarray:
    """Return a bare, near-square grid of images ``[N, C, H, W]`` as uint8 ``[height, width, 3]``.

    Images that are not finite are grey.
    """
    border = 2
    pixels, broken = _bytes(np.asarray(x))
    pixels[broken] = 128
    count, height, width, _ = pixels.shape
    across = int(np.ceil(np.sqrt(count)))
    down = -(-count // across)
    cells = np.full((down * across, height + border, width + border, 3), 26, np.uint8)
    cells[:count, border:, border:] = pixels
    rows = cells.reshape(down, across, height + border, width + border, 3).transpose(0, 2, 1, 3, 4)
    whole = rows.reshape(down * (height + border), across * (width + border), 3)
    return np.pad(whole, ((0, border), (0, border), (0, 0)), constant_values=26)


def _bytes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return images ``[N, C, H, W]`` as uint8 ``[N, H, W, 3]``, and which of them are not finite ``[N]``."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"expected images [N, C, H, W] of 1 or 3 channels that are not empty, got {list(x.shape)}")
    broken = ~np.isfinite(x).all(axis=(1, 2, 3))
    level = np.rint(np.clip(np.nan_to_num(x, nan=0.0), -1, 1) * 127.5 + 127.5).astype(np.uint8)
    return np.broadcast_to(level.transpose(0, 2, 3, 1), (*level.shape[:1], *level.shape[2:], 3)).copy(), broken


def _draw(
    cells: Sequence[tuple[np.ndarray, bool]],
    across: int | None,
    title: str | None,
    titles: Titles,
    heads: Sequence[str] = (),
) -> Any:
    """Draw images in rows, small ones enlarged by a whole factor.

    Args:
        cells: pixels ``[H, W, 3]`` of each image, and whether it is not finite.
        across: number of columns; by default about as many as rows.
        title: headline.
        titles: a title below each image; with ``heads`` below each row.
        heads: header of each column.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    tallest, widest = (max(pixels.shape[axis] for pixels, _ in cells) for axis in (0, 1))
    factor = max(1, -(-CELL // max(tallest, widest)))
    height, width = factor * tallest, factor * widest
    gap, edge, label = 6, 14, 16 if titles is not None else 0
    if across is None:
        across = min(int(np.ceil(np.sqrt(len(cells)))), max(1, (_WIDE - 2 * edge) // (width + gap)))
    across = min(across, len(cells))
    top, rows = edge + (26 if title else 0) + (18 if heads else 0), -(-len(cells) // across)
    size = (2 * edge + across * (width + gap) - gap, top + rows * (height + label + gap) - gap + edge)
    sheet = Pillow.new("RGB", size, BACKGROUND)
    pen = ImageDraw.Draw(sheet)

    def write(x: int, y: int, text: str, room: int, points: int, colour: str) -> None:
        pen.text((x, y), short(text, room, font(points)), fill=colour, font=font(points))

    if title:
        write(edge, edge - 3, title, size[0] - 2 * edge, 15, TEXT)
    for column, name in enumerate(heads):
        write(edge + column * (width + gap), top - 17, name, width, 12, TEXT)
    for i, (pixels, broken) in enumerate(cells):
        left, upper = edge + i % across * (width + gap), top + i // across * (height + label + gap)
        if broken:
            pen.rectangle((left, upper, left + width - 1, upper + height - 1), outline=ALERT)
            middle = (left + width / 2, upper + height / 2)
            pen.text(middle, "not finite", fill=ALERT, font=font(11), anchor="mm")
        else:
            scale = max(1, min(height // pixels.shape[0], width // pixels.shape[1]))
            sheet.paste(Pillow.fromarray(pixels.repeat(scale, 0).repeat(scale, 1)), (left, upper))
    step, room = (across, size[0] - 2 * edge) if heads else (1, width)
    for i, text in enumerate(titles or ()):
        row, column = divmod(i * step, across)
        write(edge + column * (width + gap), top + row * (height + label + gap) + height + 1, text, room, 11, FAINT)
    return sheet
