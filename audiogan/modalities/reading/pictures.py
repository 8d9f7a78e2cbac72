"""Read pictures: upright, with their transparency, with 8 or 16 bits."""

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
"""Pillow's names of the formats that are read. Others, such as EPS, would start programs."""
PHOTO = "{} cannot be read: convert it to JPEG or PNG"
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands in the header of HEIF files. Telephones and websites also name such files ``.jpg``."""
JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")
ORIENTATION = 0x0112
OPPOSITE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
"""Byte orders of Pillow's raw modes, and the one with the bytes of each number exchanged."""

Pixels = NDArray[Any]
"""uint8 or uint16; 0 is black, the largest value of the type is white."""


@dataclass(frozen=True)
class Picture:
    """The content of a picture file.

    Attributes:
        pixels: grey ``[1, H, W]`` or RGB ``[3, H, W]``, uint8 or uint16; turned as EXIF says.
        alpha: opacity ``[H, W]`` of the same type; ``None`` for an opaque picture.
        format: Pillow's name of the file format.
        animated: whether the file holds more pictures; this is the first.
        scaled: whether values beyond 16 bits were scaled from their lowest to their highest.
        size: width and height in the file.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: str = "PNG"
    animated: bool = False
    scaled: bool = False
    size: tuple[int, int] = (0, 0)

    def flat(self, channels: int) -> Pixels:
        """Return the pixels on a white background, as grey (1 channel) or RGB (3)."""
        if self.alpha is None:
            return with_channels(self.pixels, channels)
        white, alpha = np.iinfo(self.pixels.dtype).max, self.alpha.astype(np.uint64)  # in whole numbers, as in Pillow
        mixed = (self.pixels * alpha + white * (white - alpha) + white // 2) // white
        return with_channels(mixed.astype(self.pixels.dtype), channels)


def read_picture(source: str | os.PathLike[str] | bytes, *, deep: bool = True, least: int | None = None) -> Picture:
    """Read a picture: a path, or the content of a file.

    Palettes, CMYK and other colour spaces become 8-bit RGB. Transparent pixels keep their colours.

    Args:
        source: the file.
        deep: keep 16 bits of colours. Grey pictures always keep them.
        least: large JPEG files are reduced while they are decoded, to no less than this number of pixels a side.

    Raises:
        OSError: the file cannot be opened.
        Unreadable: it is no picture that can be read; the message says why, without the file's name.
    """
    with opened(source) as image:
        size = image.size
        if least is not None:
            image.draft(None, (least, least))
        return replace(from_image(image, source if deep else None), size=size)


def from_image(image: Any, source: Any = None) -> Picture:
    """Return the content of a Pillow image; ``source``: its file, from which 16 bits of colours are read.

    Raises:
        Unreadable: floating-point pixels.
    """
    kind = image.format or "PNG"
    layers = None if source is None else _deep(source, image)
    scaled = False
    if layers is None and image.mode.startswith("I"):
        grey = np.asarray(image)[..., None]
        low, high = int(grey.min()), int(grey.max())
        if scaled := low < 0 or high > 65535:
            grey = np.rint((grey.astype(np.float64) - low) * (65535 / max(high - low, 1)))
        layers = grey.astype(np.uint16)
    if layers is None:
        layers = _array(image)
    elif (key := image.info.get("transparency")) is not None and layers.shape[2] in (1, 3):  # a transparent colour
        opaque = (layers != np.atleast_1d(key)).any(axis=2, keepdims=True)
        layers = np.concatenate([layers, np.where(opaque, 65535, 0).astype(np.uint16)], axis=2)
    # Pillow turns TIFF files itself when it decodes them, and removes the tag.
    upright = np.ascontiguousarray(turned(layers.transpose(2, 0, 1), int(image.getexif().get(ORIENTATION, 1))))
    colours = 3 if len(upright) > 2 else 1
    animated = kind != "MPO" and getattr(image, "n_frames", 1) > 1  # telephones append previews to JPEG files: MPO
    alpha = upright[colours] if len(upright) > colours else None
    return Picture(upright[:colours], alpha, "JPEG" if kind == "MPO" else kind, animated, scaled, image.size)


@contextmanager
def opened(source: str | os.PathLike[str] | bytes) -> Iterator[Any]:
    """Open a picture with Pillow; errors of the block become `Unreadable`."""
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
        kind = "HEIC" if start[4:8] == b"ftyp" and start[8:] in HEIF else "JXL" if start.startswith(JXL) else ""
        raise Unreadable(PHOTO.format(kind) if kind else "not a known image format") from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors on damaged files, SyntaxError among them
        raise Unreadable(" ".join(str(error).split())[:200] or f"damaged ({type(error).__name__})") from error


def _deep(source: Any, image: Any) -> Pixels | None:
    """Return uint16 ``[H, W, C]`` of 16-bit colours, which Pillow reduces to 8 bits; ``None`` for other pictures.

    The high bytes and the low bytes are decoded as two pictures of 8 bits.
    """
    raw = _raw(image.tile[0][3]) if image.tile else ""
    base, order = raw.partition(";")[0], raw[-1:]
    if image.mode not in ("RGB", "RGBA") or raw[:-1] != f"{base};16" or order not in OPPOSITE:
        return None
    if base == "LA":  # its four bytes are read as four channels
        four = _decoded(source, "RGBA").astype(np.uint16)
        return four[..., 0::2] << 8 | four[..., 1::2]
    return np.asarray(image).astype(np.uint16) << 8 | _decoded(source, f"{base};16{OPPOSITE[order]}")


def _raw(args: Any) -> str:
    return args if isinstance(args, str) else str(args[0]) if args else ""


def _decoded(source: Any, raw: str) -> Pixels:
    """Decode a picture with another layout of its bytes."""
    with opened(source) as image:
        image.tile = [t._replace(args=raw if isinstance(t[3], str) else (raw, *t[3][1:])) for t in image.tile]
        return np.asarray(image)


def _array(image: Any) -> Pixels:
    """Return a Pillow image of 8 bits as ``[H, W, C]``: grey, grey and alpha, RGB or RGBA."""
    if image.mode == "F":
        raise Unreadable("floating-point pixels; convert it to 8 or 16 bits")
    wanted = ("L" if image.mode in ("1", "L", "LA", "La") else "RGB") + "A" * image.has_transparency_data
    pixels = np.asarray(image if image.mode == wanted else image.convert(wanted))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Turn ``[C, H, W]`` as the EXIF orientation 1 ... 8 says; other values change nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return pixels


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """Return pixels ``[C, ...]`` as grey (``channels`` 1, ITU-R 601 luma) or RGB (3); the type stays."""
    if len(pixels) == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=0)
    if pixels.dtype.kind == "f":
        return np.tensordot(np.array([[0.299, 0.587, 0.114]], np.float32), pixels, 1)
    weights = np.array([19595, 38470, 7471], np.uint64).reshape(3, *[1] * (pixels.ndim - 1))  # as in Pillow
    return ((pixels * weights).sum(axis=0, keepdims=True) + 0x8000 >> 16).astype(pixels.dtype)


def to_float(pixels: Pixels) -> NDArray[np.float32]:
    """Return uint8 or uint16 pixels as float32: 0 is exactly -1, the largest value exactly 1."""
    middle = np.float32(np.iinfo(pixels.dtype).max / 2)
    return (pixels.astype(np.float32) - middle) / middle


def to_pixels(values: NDArray[np.floating], dtype: Any) -> Pixels:
    """Return float values as uint8 or uint16 pixels; values beyond -1 ... 1 are clamped."""
    middle = np.iinfo(dtype).max / 2
    return np.rint(np.clip(values, -1, 1) * middle + middle).astype(dtype)


def to_image(pixels: Pixels) -> Any:
    """Return uint8 ``[C, H, W]`` as a Pillow image: grey, grey and alpha, RGB or RGBA."""
    from PIL import Image

    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
