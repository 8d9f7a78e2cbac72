"""Reading of image files with 8 or 16 bits per channel and transparency, and conversion of pixels."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.modalities.reading.reader import Unreadable

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000", "AVIF")
"""Readable image formats, by Pillow's names. Others are excluded, because decoding EPS, for example, runs a program."""
CONVERSION_ADVICE = "{} cannot be read: convert it to JPEG or PNG"
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands in the header of HEIF files. They are recognised because such files are often named ``.jpg``."""
JXL_SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
ORIENTATION_TAG = 0x0112
OPPOSITE_BYTE_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Suffix of Pillow's raw modes that states the byte order -> suffix for the opposite byte order."""

Pixels = NDArray[Any]
"""Array of uint8 or uint16 pixels. 0 is black, and the largest value of the type is white."""


@dataclass(frozen=True)
class Picture:
    """Decoded image file.

    Attributes:
        pixels: grey ``[1, H, W]`` or RGB ``[3, H, W]``, uint8 or uint16, after the EXIF orientation was applied.
        alpha: opacity ``[H, W]`` of the same type. None for an opaque image.
        format: file format, as a name of Pillow, for example ``PNG``.
        animated: whether the file has several frames. Only the first is decoded.
        scaled: whether grey values with more than 16 bits were scaled from their range to 0 ... 65,535.
        size: width and height in the file, in pixels.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: str = "PNG"
    animated: bool = False
    scaled: bool = False
    size: tuple[int, int] = (0, 0)

    def flatten_alpha(self, channels: int) -> Pixels:
        """Composite the image on a white background and return it as grey (1 channel) or RGB (3 channels)."""
        if self.alpha is None:
            return convert_channels(self.pixels, channels)
        # Integer arithmetic gives the same pixels as Pillow.
        white, alpha = np.iinfo(self.pixels.dtype).max, self.alpha.astype(np.uint64)
        mixed = (self.pixels * alpha + white * (white - alpha) + white // 2) // white
        return convert_channels(mixed.astype(self.pixels.dtype), channels)


def read_picture(
    source: str | os.PathLike[str] | bytes, *, keep_16_bits: bool = True, min_side: int | None = None
) -> Picture:
    """Read an image file.

    Palettes, CMYK and other colour spaces are converted to 8-bit RGB. Transparent pixels keep their colours.

    Args:
        source: path, or content of a file.
        keep_16_bits: keep 16 bits of colour images. If False, they are reduced to 8 bits. Grey images keep 16 bits.
        min_side: reduce large JPEG images while decoding, to save time, but to no less than this width and height in
            pixels. By default images are not reduced.

    Raises:
        OSError: the file cannot be opened.
        Unreadable: the file cannot be decoded. The message states the reason without the name of the file.
    """
    with open_picture(source) as image:
        size = image.size
        if min_side is not None:
            image.draft(None, (min_side, min_side))
        return replace(from_image(image, source if keep_16_bits else None), size=size)


def from_image(image: Any, source: Any = None) -> Picture:
    """Convert a Pillow image to a `Picture`.

    Args:
        image: ``PIL.Image.Image``.
        source: path or content of the file, to read 16-bit colours, which Pillow reduces to 8 bits. By default the
            pixels of ``image`` are used.

    Raises:
        Unreadable: the pixels are floating-point numbers.
    """
    kind = image.format or "PNG"
    layers = None if source is None else _read_16_bit_colours(source, image)
    scaled = False
    if layers is None and image.mode.startswith("I"):
        grey = np.asarray(image)[..., None]
        low, high = int(grey.min()), int(grey.max())
        if scaled := low < 0 or high > 65535:
            grey = np.rint((grey.astype(np.float64) - low) * (65535 / max(high - low, 1)))
        layers = grey.astype(np.uint16)
    if layers is None:
        layers = _to_array(image)
    elif (key := image.info.get("transparency")) is not None and layers.shape[2] in (1, 3):
        # If the file declares a colour as transparent, pixels of this colour get an opacity of 0.
        opaque = (layers != np.atleast_1d(key)).any(axis=2, keepdims=True)
        layers = np.concatenate([layers, np.where(opaque, 65535, 0).astype(np.uint16)], axis=2)
    # For TIFF files Pillow applies the orientation while decoding and removes the tag, so it is not applied again here.
    upright = np.ascontiguousarray(
        apply_orientation(layers.transpose(2, 0, 1), int(image.getexif().get(ORIENTATION_TAG, 1)))
    )
    colours = 3 if len(upright) > 2 else 1
    # MPO files are JPEG files with appended previews, written by phones. The previews do not count as frames.
    animated = kind != "MPO" and getattr(image, "n_frames", 1) > 1
    alpha = upright[colours] if len(upright) > colours else None
    return Picture(upright[:colours], alpha, "JPEG" if kind == "MPO" else kind, animated, scaled, image.size)


@contextmanager
def open_picture(source: str | os.PathLike[str] | bytes) -> Iterator[Any]:
    """Open an image file with Pillow as a context manager. Errors inside the ``with`` block become `Unreadable`."""
    from PIL import Image, UnidentifiedImageError

    file = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
    start = b""
    try:
        with file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = file.read(12)
            Image.init()
            with Image.open(file, formats=[kind for kind in FORMATS if kind in Image.OPEN]) as image:
                yield image
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise Unreadable(f"more than {most} million pixels; scale it down") from error
    except UnidentifiedImageError as error:
        kind = (
            "HEIC"
            if start[4:8] == b"ftyp" and start[8:] in HEIF_BRANDS
            else "JXL"
            if start.startswith(JXL_SIGNATURES)
            else ""
        )
        raise Unreadable(CONVERSION_ADVICE.format(kind) if kind else "not a known image format") from error
    except Exception as error:  # Pillow raises many kinds of errors for damaged files, even SyntaxError.
        raise Unreadable(" ".join(str(error).split())[:200] or f"damaged ({type(error).__name__})") from error


def _read_16_bit_colours(source: Any, image: Any) -> Pixels | None:
    """Return the pixels of an image with 16-bit colours as uint16 ``[H, W, C]``. None for other images.

    Pillow reduces such images to 8 bits. Therefore the high bytes and the low bytes are decoded as two 8-bit images.
    """
    raw = _raw_mode(image.tile[0][3]) if image.tile else ""
    base, order = raw.partition(";")[0], raw[-1:]
    if image.mode not in ("RGB", "RGBA") or raw[:-1] != f"{base};16" or order not in OPPOSITE_BYTE_ORDER:
        return None
    if base == "LA":  # Two bytes of grey and two bytes of alpha are decoded as four channels.
        four = _decode_raw(source, "RGBA").astype(np.uint16)
        return four[..., 0::2] << 8 | four[..., 1::2]
    return np.asarray(image).astype(np.uint16) << 8 | _decode_raw(source, f"{base};16{OPPOSITE_BYTE_ORDER[order]}")


def _raw_mode(args: Any) -> str:
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _decode_raw(source: Any, raw: str) -> Pixels:
    """Decode an image file with the raw mode ``raw`` of Pillow instead of its own."""
    with open_picture(source) as image:
        image.tile = [t._replace(args=raw if isinstance(t[3], str) else (raw, *t[3][1:])) for t in image.tile]
        return np.asarray(image)


def _to_array(image: Any) -> Pixels:
    """Return a Pillow image as uint8 pixels ``[H, W, C]``: grey, grey and alpha, RGB or RGBA."""
    if image.mode == "F":
        raise Unreadable("floating-point pixels; convert it to 8 or 16 bits")
    wanted = ("L" if image.mode in ("1", "L", "LA", "La") else "RGB") + "A" * image.has_transparency_data
    pixels = np.asarray(image if image.mode == wanted else image.convert(wanted))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def apply_orientation(pixels: Pixels, orientation: int) -> Pixels:
    """Rotate and flip pixels ``[C, H, W]`` according to an EXIF orientation, 1 ... 8. Other values have no effect."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return pixels


def convert_channels(pixels: Pixels, channels: int) -> Pixels:
    """Convert pixels ``[C, ...]`` to grey (1 channel, ITU-R BT.601 luma) or RGB (3 channels). The type is kept."""
    if len(pixels) == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=0)
    if pixels.dtype.kind == "f":
        return np.tensordot(np.array([[0.299, 0.587, 0.114]], np.float32), pixels, 1)
    # Luma weights in units of 1/65,536, as in Pillow.
    weights = np.array([19595, 38470, 7471], np.uint64).reshape(3, *[1] * (pixels.ndim - 1))
    return ((pixels * weights).sum(axis=0, keepdims=True) + 0x8000 >> 16).astype(pixels.dtype)


def to_float(pixels: Pixels) -> NDArray[np.float32]:
    """Convert uint8 or uint16 pixels to float32. 0 becomes exactly -1, and the largest value becomes exactly 1."""
    middle = np.float32(np.iinfo(pixels.dtype).max / 2)
    return (pixels.astype(np.float32) - middle) / middle


def to_pixels(values: NDArray[np.floating], dtype: Any) -> Pixels:
    """Convert floating-point values to uint8 or uint16 pixels. Values outside -1 ... 1 are clamped."""
    middle = np.iinfo(dtype).max / 2
    return np.rint(np.clip(values, -1, 1) * middle + middle).astype(dtype)


def to_image(pixels: Pixels) -> Any:
    """Convert uint8 pixels ``[C, H, W]`` to a Pillow image: grey, grey and alpha, RGB or RGBA."""
    from PIL import Image

    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
