"""Read picture files at their full depth, upright, with their transparency."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.reading.reader import Unreadable

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000", "AVIF")
"""Pillow's names of the formats that are read. Others, such as EPS, would start programs."""
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
        profile: the ICC profile of the pixels.
        format: Pillow's name of the file format.
        animated: whether the file holds more pictures; this is the first.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None
    format: str = "PNG"
    animated: bool = False

    def values(self, channels: int) -> NDArray[np.float32]:
        """Return float32 ``[channels, H, W]`` in -1 ... 1; see `to_float` and `with_channels`."""
        return to_float(with_channels(self.pixels, channels))


def read_picture(source: str | os.PathLike[str] | bytes) -> Picture:
    """Read a picture: a path, or the content of a file.

    Pixels of 16 bits stay as they are. Palettes, CMYK and other colour spaces become 8-bit RGB. Transparent pixels keep
    their colours.

    Raises:
        OSError: the file cannot be opened.
        Unreadable: it is no picture that can be read; the message says why, without the file's name.
    """
    with opened(source) as picture:
        kind = picture.format or ""
        # Telephones append previews to JPEG files: MPO.
        about: Any = {"format": "JPEG" if kind == "MPO" else kind}
        about["animated"] = kind != "MPO" and getattr(picture, "n_frames", 1) > 1
        profile = picture.info.get("icc_profile")
        raw = _raw_mode(picture)
        deep = _deep(source, picture, raw) if raw else None
        key = picture.info.get("transparency")
        if deep is None:
            deep = _array(picture)
        elif key is not None and isinstance(key, tuple) and deep.shape[2] == 3:
            alpha = np.where((deep == np.array(key, np.uint16)).all(2, keepdims=True), 0, 65535).astype(np.uint16)
            deep = np.concatenate([deep, alpha], axis=2)
        # Pillow turns TIFF files itself when it decodes them, and removes the tag.
        upright = turned(deep.transpose(2, 0, 1), int(picture.getexif().get(ORIENTATION, 1)))
    colours = 3 if len(upright) > 2 else 1
    alpha_plane = np.ascontiguousarray(upright[colours]) if len(upright) > colours else None
    profile = profile if isinstance(profile, bytes) and _space(profile) == colours else None
    return Picture(np.ascontiguousarray(upright[:colours]), alpha_plane, profile, **about)


@contextmanager
def opened(source: str | os.PathLike[str] | bytes) -> Iterator[Any]:
    """Open a picture; errors of the block become `Unreadable`."""
    from PIL import Image, UnidentifiedImageError

    file = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
    try:
        with file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=FORMATS) as picture:
                yield picture
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise Unreadable(f"more than {most} million pixels; scale it down") from error
    except UnidentifiedImageError as error:
        raise Unreadable("not a known picture format") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds of errors on damaged files, SyntaxError among them
        why = " ".join(str(error).split())[:200]
        raise Unreadable(why or f"damaged ({type(error).__name__})") from error


def _raw_mode(picture: Any) -> str:
    """Return Pillow's name of the layout of 16-bit pixels that it would reduce to 8 bits; "" for other pictures."""
    found = {tile[3] if isinstance(tile[3], str) else str((tile[3] or ("",))[0]) for tile in picture.tile}
    raw = found.pop() if len(found) == 1 else ""
    known = picture.mode in ("RGB", "RGBA") and raw[:-1] in ("RGB;16", "RGBA;16", "LA;16")
    return raw if known and raw[-1] in OPPOSITE else ""


def _deep(source: Any, picture: Any, raw: str) -> Pixels | None:
    """Return uint16 ``[H, W, C]``: decode the high bytes, then the low bytes, as two pictures of 8 bits."""
    base = raw.partition(";")[0]
    if base == "LA":  # its four bytes are read as four channels
        four = _decoded(source, "RGBA").astype(np.uint16)
        return four[..., 0::2] << 8 | four[..., 1::2] if raw[-1] == "B" else None
    high = np.asarray(picture)
    if high.dtype != np.uint8:  # a version of Pillow that keeps 16 bits
        return None
    low = _decoded(source, f"{base};16{OPPOSITE[raw[-1]]}")
    return high.astype(np.uint16) << 8 | low


def _decoded(source: Any, raw: str) -> Pixels:
    """Decode a picture with another layout of its bytes."""
    with opened(source) as picture:
        picture.tile = [
            tile._replace(args=raw if isinstance(tile[3], str) else (raw, *tile[3][1:])) for tile in picture.tile
        ]
        return np.asarray(picture)


def _array(picture: Any) -> Pixels:
    """Return a Pillow image of any mode as ``[H, W, C]``: grey, grey and alpha, RGB or RGBA."""
    mode = picture.mode
    if mode == "F":
        raise Unreadable("floating-point pixels; convert it to 16 bits")
    if mode.startswith("I"):
        grey = np.asarray(picture)
        if grey.min() < 0 or grey.max() > 65535:
            raise Unreadable("more than 16 bits; convert it to 16 bits")
        deep = grey.astype(np.uint16)[..., None]
        key = picture.info.get("transparency")
        alpha = np.where(deep == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
        return deep if alpha is None else np.concatenate([deep, alpha], axis=2)
    grey_mode = mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        wanted = "LA" if grey_mode else "RGBA"
    else:
        wanted = "L" if grey_mode else "RGB"
    pixels = np.asarray(picture if mode == wanted else picture.convert(wanted))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _space(profile: bytes) -> int:
    """Return the number of channels that an ICC profile is for: 1 or 3; 0 for others."""
    return {b"RGB ": 3, b"GRAY": 1}.get(profile[16:20], 0)


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
    if channels != 1:
        raise Unreadable(f"a picture has 1 or 3 channels, and the model takes {channels}")
    # In whole numbers, as Pillow does it.
    weights = np.array([19595, 38470, 7471], np.uint64).reshape(3, *[1] * (pixels.ndim - 1))
    return ((pixels.astype(np.uint64) * weights).sum(axis=0, keepdims=True) + 0x8000 >> 16).astype(pixels.dtype)


def to_float(pixels: Pixels) -> NDArray[np.float32]:
    """Return uint8 or uint16 pixels as float32: 0 is exactly -1, the largest value exactly 1."""
    middle = np.float32(np.iinfo(pixels.dtype).max / 2)
    return (pixels.astype(np.float32) - middle) / middle


def to_pixels(values: NDArray[np.floating], dtype: Any) -> Pixels:
    """Return float values as uint8 or uint16 pixels; values beyond -1 ... 1 are clamped."""
    middle = np.iinfo(dtype).max / 2
    return np.rint(np.clip(values, -1, 1) * middle + middle).astype(dtype)
