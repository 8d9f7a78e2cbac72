"""Images: what one does with pixels `[N, C, H, W]` once they are made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

from audiogan.metrics.pixels import Pixels
from audiogan.modalities.base import animate, preview_path
from audiogan.pictures import _ALERT, _BACKGROUND, _FAINT, _TEXT
from audiogan.png import save_png
from audiogan.typeface import font, short

if TYPE_CHECKING:
    pass

CELL = 80
"""Images smaller than this are shown enlarged by a whole factor, pixel by pixel."""
_WIDE = 1600  # pixels a sheet may be wide


@dataclass(frozen=True)
class Image:
    """Pixels in -1 (black) ... 1 (white), grey `[1, H, W]` or RGB `[3, H, W]`."""

    noun: ClassVar[str] = "image"
    suffix: ClassVar[str] = ".png"
    single: ClassVar[bool] = True

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Images `[N, C, H, W]` within -1 ... 1."""
        return np.clip(x, -1.0, 1.0).astype(np.float32, copy=False)

    def save(self, path: str | os.PathLike[str], x: np.ndarray, comment: str | None = None) -> None:
        """One image `[C, H, W]` as an 8-bit PNG, with a comment in it.

        Raises:
            ValueError: another shape or suffix, or a pixel that is not finite.
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

    def sheet(
        self,
        path: str | os.PathLike[str],
        x: np.ndarray,
        titles: Sequence[str] | None = None,
        title: str | None = None,
        columns: int | None = None,
    ) -> None:
        """All images `[N, C, H, W]` beside and below each other as one PNG; small ones are enlarged by a whole factor.

        Args:
            path: the PNG to write; missing folders are made.
            x: -1 ... 1; what lies beyond is clamped, an image that is not finite is labelled so.
            titles: one an image, written below it.
            title: a headline.
            columns: images beside each other; without it, about as many as rows.

        Raises:
            ValueError: another shape, no images, as many titles as there are not images.
        """
        if titles is not None and len(titles) != len(x):
            raise ValueError(f"{len(titles)} titles for {len(x)} images")
        if columns is not None and columns < 1:
            raise ValueError(f"columns={columns} has to be at least 1")
        picture = _draw(np.asarray(x), titles, title, columns)
        save_png(path, picture, compress_level=4)

    def preview(
        self, run_dir: str | os.PathLike[str], step: int, x: np.ndarray, titles: Sequence[str] | None = None
    ) -> None:
        """Write `previews/step-<step>.png` of a run."""
        self.sheet(preview_path(run_dir, step), x, titles, f"step {step:,}")

    def animation(self, run_dir: str | os.PathLike[str]) -> Path:
        """Join the previews of a run into `previews/animation.gif`."""
        return animate(run_dir)

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """A bare grid of the images to TensorBoard."""
        writer.add_image(tag, grid(x), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> Pixels:
        """The training-free extractor of images of ``shape`` `(C, H, W)`."""
        return Pixels(shape)

    def picture(self, x: Tensor) -> Tensor:
        """Images `[B, C, H, W]` as they are."""
        return x


def grid(x: np.ndarray, border: int = 2) -> np.ndarray:
    """A bare, near-square grid of images `[N, C, H, W]`: uint8 `[height, width, 3]`; not finite ones are grey."""
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
    """uint8 `[N, H, W, 3]` of images `[N, C, H, W]`, and which of them are not finite `[N]`."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape:
        raise ValueError(f"expected images [N, C, H, W] of 1 or 3 channels that are not empty, got {list(x.shape)}")
    broken = ~np.isfinite(x).all(axis=(1, 2, 3))
    level = np.rint(np.clip(np.nan_to_num(x, nan=0.0), -1, 1) * 127.5 + 127.5).astype(np.uint8)
    return np.broadcast_to(level.transpose(0, 2, 3, 1), (*level.shape[:1], *level.shape[2:], 3)).copy(), broken


def _draw(x: np.ndarray, titles: Sequence[str] | None, title: str | None, columns: int | None) -> Any:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    pixels, broken = _bytes(x)
    count, height, width, _ = pixels.shape
    factor = max(1, -(-CELL // max(height, width)))
    height, width = factor * height, factor * width
    gap, edge, label = 6, 14, 16 if titles is not None else 0
    if columns is None:
        columns = min(int(np.ceil(np.sqrt(count))), max(1, (_WIDE - 2 * edge) // (width + gap)))
    columns = min(columns, count)
    rows = -(-count // columns)
    top = edge + (26 if title else 0)
    size = (2 * edge + columns * (width + gap) - gap, top + rows * (height + label + gap) - gap + edge)
    sheet = Pillow.new("RGB", size, _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text((edge, edge - 3), short(title, size[0] - 2 * edge, font(15)), fill=_TEXT, font=font(15))
    for i in range(count):
        left, upper = edge + i % columns * (width + gap), top + i // columns * (height + label + gap)
        if broken[i]:
            pen.rectangle((left, upper, left + width - 1, upper + height - 1), outline=_ALERT)
            pen.text((left + width / 2, upper + height / 2), "not finite", fill=_ALERT, font=font(11), anchor="mm")
        else:
            sheet.paste(Pillow.fromarray(pixels[i].repeat(factor, 0).repeat(factor, 1)), (left, upper))
        if titles is not None:
            pen.text((left, upper + height + 1), short(titles[i], width, font(11)), fill=_FAINT, font=font(11))
    return sheet
