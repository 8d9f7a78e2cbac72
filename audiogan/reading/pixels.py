"""Read pictures of any kind as 8-bit grey or RGB pixels."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import check_file
from audiogan.text import printable

PHOTO = "{} cannot be read: convert it to JPEG or PNG"
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands in the header of HEIF files. Telephones and websites also name such files ``.jpg``."""
JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")


def read_pixels(path: str | os.PathLike[str], channels: int) -> NDArray[np.uint8]:
    """Read a picture: turned as its EXIF data says, of an animation the first picture, transparency on white.

    Args:
        path: the file.
        channels: 1 for grey, 3 for RGB.

    Returns:
        uint8 array ``[channels, H, W]``.

    Raises:
        UserError: the file cannot be read, or has more pixels than Pillow allows.
    """
    from PIL import Image

    check_file(path)
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.init()
            formats = [kind for kind in Image.ID if kind != "EPS"]  # Pillow starts Ghostscript to decode EPS
            with Image.open(file, formats=formats) as picture:
                return picture_pixels(picture, channels)
    except UserError as error:
        raise UserError(f"{printable(path)}: {error}") from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors, SyntaxError among them
        raise UserError(f"{printable(path)}: cannot be read ({why(error, path)})") from error


def picture_pixels(picture: Any, channels: int) -> NDArray[np.uint8]:
    """Return a Pillow image as uint8 ``[channels, H, W]``, with the same steps as `read_pixels`.

    Raises:
        UserError: floating-point pixels.
    """
    from PIL import ImageOps

    if picture.mode == "F":
        raise UserError("floating-point pixels; convert it to 8 bits")
    return to_array(flat(to_8_bits(ImageOps.exif_transpose(picture))[0], channels))


def why(error: Exception, path: str | os.PathLike[str]) -> str:
    """Return the reason why Pillow could not decode a file, without the file's name."""
    from PIL import Image

    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000} million pixels; scale it down"
    text = " ".join(str(error).split()).replace(os.fspath(path), "it")[:200] or type(error).__name__
    if text.startswith("cannot identify"):
        return other_kind(path) or "not a known image format"
    return text


def other_kind(path: str | os.PathLike[str]) -> str:
    """Return advice for a photograph that Pillow cannot decode, such as HEIC; "" for other files."""
    try:
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        return ""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF:
        return PHOTO.format("HEIC")
    return PHOTO.format("JXL") if start.startswith(JXL) else ""


def to_8_bits(picture: Any, bits: int = 16) -> tuple[Any, str]:
    """Scale a Pillow image of 16 or 32 bits to 8-bit grey. Other images are returned unchanged.

    Args:
        picture: of any mode.
        bits: number of bits used in files of 16 bits. Cameras and scanners store 10, 12 or 14 bits in them.

    Returns:
        The image, and the flag that says how it was scaled: ``deep``, ``few bits`` or nothing.
    """
    from PIL import Image

    if not picture.mode.startswith("I"):
        return picture, ""
    deep = np.asarray(picture).astype(np.float64)  # Pillow's own conversion clips instead of scaling
    low, high = float(deep.min()), float(deep.max())
    if low < 0 or high > 65535:
        grey = (deep - low) * (255 / max(high - low, 1.0))
        return Image.fromarray(np.rint(grey).astype(np.uint8)), "deep"
    grey = np.minimum(deep * (255 / (2**bits - 1)), 255)
    return Image.fromarray(np.rint(grey).astype(np.uint8)), "few bits" if bits < 16 else ""


def flat(picture: Any, channels: int) -> Any:
    """Return a Pillow image as 8-bit grey or RGB. Transparent pixels are composited on white."""
    from PIL import Image

    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    return picture.convert("L" if channels == 1 else "RGB")


def to_array(picture: Any) -> NDArray[np.uint8]:
    """Return a grey or RGB Pillow image as uint8 ``[C, H, W]``."""
    pixels = np.asarray(picture)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))
