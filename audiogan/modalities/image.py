"""The modality of images: arrays of pixels ``[C, H, W]``."""

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
from audiogan.files import check_readable_file
from audiogan.modalities.base import Modality, PathLike, Signals, Titles, as_array, check_columns, check_range
from audiogan.modalities.drawing.grid import LAYOUT, MIN_CELL, draw_grid, image_grid, to_rgb_pixels
from audiogan.modalities.drawing.png import open_png, save_png
from audiogan.modalities.reading.pictures import Picture, convert_channels, from_image, read_picture, to_float
from audiogan.modalities.reading.reader import Unreadable
from audiogan.utils.text import printable

MAX_COMMENT_PIXELS = 1 << 24
"""Largest number of pixels of a PNG file that `Image.read_comment` opens."""
ACCEPTED_TYPES = (
    "an array of uint8, uint16 or floating-point numbers [C, H, W], pixels [H, W, C] or [H, W], or a Pillow image"
)


@dataclass(frozen=True)
class Image(Modality):
    """Modality of images: grey ``[1, H, W]`` or RGB ``[3, H, W]``, with pixels in -1 (black) ... 1 (white).

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities import Image
        >>> white = Image().convert(np.full((8, 8), 255, np.uint8), (1, 8, 8))
        >>> white.shape, float(white.max())
        ((1, 8, 8), 1.0)
    """

    noun: ClassVar[str] = "image"
    suffix: ClassVar[str] = ".png"
    edge: ClassVar[float | None] = 1.0
    output_name: ClassVar[str | None] = "image"

    def check_shape(self, shape: Sequence[int]) -> None:
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise UserError(f"an image cannot have the shape {list(shape)}")

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read an image file of any size in a common format.

        The EXIF orientation is applied. Transparent pixels are composited on white. Only the first frame of an
        animation is read.

        Args:
            path: the file.
            shape: shape of the model's signals. Only ``shape[0]`` is used: 1 selects grey, 3 RGB. The other
                sizes are those of the file.

        Returns:
            float32 array ``[C, H, W]`` in -1 ... 1.

        Raises:
            UserError: the file cannot be read.
        """
        channels = _channels(shape)
        check_readable_file(path)
        try:
            return to_float(read_picture(path).flatten_alpha(channels))
        except (OSError, Unreadable) as error:
            raise UserError(f"{printable(path)}: cannot be read ({error})") from error

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert a Pillow image, an array or a tensor to float32 pixels ``[C, H, W]``.

        * Pillow images: the EXIF orientation is applied, and transparent pixels are composited on white.
        * uint8 and uint16 arrays: ``[H, W]``, ``[H, W, C]`` or ``[C, H, W]`` with C = 1 (grey), 2 (grey and alpha), 3
          (RGB) or 4 (RGB and alpha). 0 becomes -1, and the largest value of the type becomes 1.
        * Floating-point arrays: ``[C, H, W]`` in -1 ... 1, or ``[H, W]`` for grey images.

        Raises:
            UserError: another type or shape, or values out of range.
        """
        from PIL import Image as Pillow

        channels = _channels(shape)
        if isinstance(value, Pillow.Image):
            try:
                return to_float(from_image(value).flatten_alpha(channels))
            except Unreadable as error:
                raise UserError(f"the image has {error}") from error
        planar = isinstance(value, Tensor)
        x = as_array(value, self.noun, ACCEPTED_TYPES)
        if x.dtype.kind == "f":
            x = x[None] if x.ndim == 2 else x
            if x.ndim != 3 or len(x) not in (1, 3):
                raise UserError(f"floating-point pixels must be [1 or 3, H, W], got {list(x.shape)}")
            return convert_channels(check_range(x, self.noun), channels)
        if x.dtype not in (np.uint8, np.uint16):
            raise UserError(f"an array of {x.dtype} is not an image; give {ACCEPTED_TYPES}")
        x = _planes(x, planar)
        colours = 1 if len(x) < 3 else 3
        return to_float(Picture(x[:colours], x[colours] if len(x) > colours else None).flatten_alpha(channels))

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write one image ``[C, H, W]`` as an 8-bit PNG file, with an optional comment.

        Raises:
            ValueError: the shape or the suffix is wrong, or pixels are NaN or infinite.
        """
        from PIL import Image as Pillow
        from PIL.PngImagePlugin import PngInfo

        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(f"{path}: images are saved as PNG, so the name has to end in .png")
        pixels, broken = to_rgb_pixels(np.asarray(x)[None])
        if broken.any():
            raise ValueError(f"{path}: pixels are NaN or infinite; nothing was written")
        picture = Pillow.fromarray(pixels[0] if len(x) == 3 else pixels[0, ..., 0])
        info = PngInfo()
        if comment is not None:
            info.add_itxt("Comment", comment)
        save_png(path, picture, pnginfo=info)

    @staticmethod
    def read_comment(path: PathLike) -> str:
        with open_png(path, MAX_COMMENT_PIXELS) as picture:
            # Pillow returns comments that precede the pixels in ``info``, and comments that follow them in ``text``.
            return str(picture.info.get("Comment") or getattr(picture, "text", {}).get("Comment", ""))

    def postprocess(self, x: np.ndarray) -> np.ndarray:
        """Return images as float32, clamped to -1 ... 1."""
        return np.clip(x, -1.0, 1.0).astype(np.float32, copy=False)

    def postprocess_tensor(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1)

    def sheet(
        self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None, columns: int | None = None
    ) -> None:
        """Draw a grid of images in one PNG file. Images smaller than 80 pixels are enlarged by an integer factor.

        Args:
            path: the PNG file. Missing folders are created.
            x: images ``[N, C, H, W]``. Values outside -1 ... 1 are clamped. Images with NaN or infinity are labelled.
            titles: one title per image, drawn below the image. By default images have no titles.
            title: headline of the picture.
            columns: number of columns. By default the grid is near-square.

        Raises:
            ValueError: ``x`` is empty or has another shape, or the number of titles differs from the number of images.
        """
        if titles is not None and len(titles) != len(x):
            raise ValueError(f"{len(titles)} titles for {len(x)} images")
        if columns is not None and columns < 1:
            raise ValueError(f"columns={columns} has to be at least 1")
        sheet, _ = draw_grid(list(zip(*to_rgb_pixels(np.asarray(x)), strict=True)), columns, title, titles)
        save_png(path, sheet, compress_level=4)

    def draw_columns(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """Draw one PNG file with a column of images per key of ``columns``.

        `Modality.draw_columns` describes the arguments. Image sizes may differ between columns, and grey and RGB
        columns can be combined. Smaller images are enlarged by an integer factor up to the size of the largest. If
        there are many rows, they are drawn in several blocks side by side, from top to bottom and then from left to
        right. The file also contains the positions of the images, see `audiogan.modalities.drawing.grid.read_layout`.
        """
        from PIL.PngImagePlugin import PngInfo

        check_columns(columns, titles)
        drawn = [zip(*to_rgb_pixels(np.asarray(x)), strict=True) for x in columns.values()]
        cells = [cell for row in zip(*drawn, strict=True) for cell in row]
        sheet, places = draw_grid(cells, len(columns), title, titles, list(columns))
        info = PngInfo()
        info.add_text(LAYOUT, places.to_json(list(columns), titles))
        save_png(path, sheet, pnginfo=info, compress_level=4)

    def draw_frame(self, x: np.ndarray, columns: int | None = None) -> np.ndarray:
        """Return a grid of the images without titles. Images smaller than 80 pixels are enlarged by an integer factor.

        A single image is enlarged to at least 240 pixels.
        """
        wanted = MIN_CELL if len(x) > 1 else 3 * MIN_CELL
        return image_grid(x, columns, max(1, -(-wanted // max(x.shape[2:]))))

    def log_tensorboard(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write a grid of the images, without titles, to TensorBoard."""
        writer.add_image(tag, image_grid(x), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> Pixels:
        """Return the `Pixels` feature extractor for images of the given shape ``(C, H, W)``."""
        return Pixels(shape)

    def embeddings(self, shape: Sequence[int]) -> list[Embedding]:
        """Return the `Pixels` feature extractor and, if the images are large enough, `Patches`."""
        return [self.embedding(shape), *([Patches(shape)] if Patches.supports(shape) else [])]

    def reference_metrics(self, output: np.ndarray, target: np.ndarray) -> dict[str, float]:
        """Return the mean ``l1`` distance, ``psnr`` (in dB), ``ssim`` and ``gmsd`` of outputs and targets.

        Images have the shape ``[N, C, H, W]``. Images with fewer than 6 pixels on a side have no ``gmsd``.
        """
        from audiogan.modalities.references import SMALLEST_GMSD_SIDE, gmsd, psnr, ssim

        found = {**super().reference_metrics(output, target), "psnr": psnr(output, target)}
        found["ssim"] = ssim(output, target)
        if min(output.shape[2:]) >= SMALLEST_GMSD_SIDE:
            found["gmsd"] = gmsd(output, target)
        return found

    def sample_metrics(self, x: np.ndarray, real: np.ndarray | None = None) -> dict[str, float]:
        """Return the mean ``colourfulness`` of colour images and, with ``real``, their ``sharpness``.

        `audiogan.modalities.appearance` defines both metrics.
        """
        from audiogan.modalities.appearance import colourfulness, sharpness

        found = {"colourfulness": colourfulness(x)} if x.shape[1] == 3 else {}
        return found if real is None else found | {"sharpness": sharpness(x, real)}


def _channels(shape: Sequence[int | None]) -> int:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(f"an image has the shape [1 or 3, H, W], not {list(shape)}")
    return shape[0]


def _planes(x: np.ndarray, planar: bool) -> np.ndarray:
    """Return integer pixels as ``[C, H, W]``.

    Args:
        x: pixels ``[H, W]``, ``[H, W, C]`` or ``[C, H, W]``.
        planar: whether a shape that fits both layouts with channels is read as ``[C, H, W]``.
    """
    if x.ndim == 2:
        return x[None]
    if x.ndim == 3:
        first, last = len(x) in (1, 2, 3, 4), x.shape[2] in (1, 2, 3, 4)
        if first and (planar or not last):
            return x
        if last:
            return x.transpose(2, 0, 1)
    raise UserError(f"pixels must be [H, W], [H, W, C] or [C, H, W] of 1 to 4 channels, got {list(x.shape)}")
