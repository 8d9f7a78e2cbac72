"""Decode images: every file becomes 8-bit pixels, or gets the reason why it cannot be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiogan.data.walk import Entry

BITS = (8, 10, 12, 14, 16)  # widths of values in files of 16 bits
DARK = 16  # of 255
FLAGS = {
    "enlarged": "used; smaller than data.size",
    "animated": "used; only its first picture",
    "few bits": "used; 16-bit files of this folder need fewer bits, which were taken as full scale",
    "deep": "used; more than 16 bits, scaled from its lowest to its highest value",
    "dark": "used; no pixel is brighter than 16 of 255",
}


PHOTO = "{} cannot be read: convert it to JPEG or PNG"
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Kinds of HEIF files, as their first bytes name them. Telephones and websites also write them as ``.jpg``."""
JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL ")


@dataclass(frozen=True)
class Found:
    """What one file gave."""

    reason: str
    detail: str = ""
    flags: str = ""
    pixels: np.ndarray | None = None  # uint8 [C, H, W]
    digest: bytes = b""  # of all decoded pixels, whatever the file format
    width: int = 0
    height: int = 0


def decode(entry: Entry, size: int, channels: int, bits: int = 16, half: str | None = None) -> Found:
    """Judge and decode one file. Never raises for what the file holds: the reason is in the result.

    Args:
        entry: the file.
        size: pixels a side of the result.
        channels: 1 (grey) or 3 (RGB).
        bits: see `to_8_bits`.
        half: ``left`` or ``right``: use this half only, for two pictures side by side in one file.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(entry.path) as picture:
            width, height = picture.size
            if picture.mode == "F":
                return Found("unreadable", "floating-point pixels; convert it to 8 bits", width=width, height=height)
            animated = getattr(picture, "n_frames", 1) > 1
            # A large JPEG is decoded at a half, a quarter or an eighth, never below twice the size wanted.
            picture.draft(None, (2 * size, 2 * size))
            shallow, scaled = to_8_bits(ImageOps.exif_transpose(picture), bits)
            whole = flat(shallow, channels)
            if half is not None:
                width, middle = width // 2, whole.width // 2
                whole = whole.crop(
                    (0 if half == "left" else middle, 0, middle + (half == "right") * middle, whole.height)
                )
            dark = int(np.asarray(whole).max()) <= DARK
            digest = hashlib.blake2b(f"{width}x{height}".encode() + whole.tobytes(), digest_size=16).digest()
            pixels = to_array(square(whole, size))
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        return Found("unreadable", f"more than {most} million pixels; scale it down")
    except Exception as e:  # Pillow's decoders raise many kinds of errors on damaged files, SyntaxError among them
        why = " ".join(str(e).split()).replace(entry.path, "it")[:200] or type(e).__name__
        if why.startswith("cannot identify"):
            why = other_kind(entry.path) or "not a known image format"
        return Found("unreadable", why)
    held = {"enlarged": min(width, height) < size, "animated": animated, scaled: bool(scaled), "dark": dark}
    flags = "+".join(flag for flag in FLAGS if held.get(flag))
    return Found("usable", "", flags, pixels, digest, width, height)


def other_kind(path: str) -> str:
    """Return what to do with a photograph of a kind that Pillow cannot decode, whatever its name; "" for others."""
    try:
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        return ""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF:
        return PHOTO.format("HEIC")
    return PHOTO.format("JXL") if start.startswith(JXL) else ""


def to_8_bits(picture: Any, bits: int = 16) -> tuple[Any, str]:
    """A Pillow image of 16 or 32 bits as 8-bit grey, and the flag that says how; others as they are.

    Args:
        picture: of any mode.
        bits: the width of values in files of 16 bits. Cameras and scanners store 10, 12 or 14 bits in them.
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
    """A Pillow image as 8-bit grey or RGB, what is transparent on white."""
    from PIL import Image

    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    if picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    return picture.convert("L" if channels == 1 else "RGB")


def square(picture: Any, size: int) -> Any:
    """The middle square of a Pillow image, scaled to ``size`` (Lanczos: averages over areas where it gets smaller)."""
    from PIL import Image

    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    middle = picture.crop((left, top, left + side, top + side))
    return middle if side == size else middle.resize((size, size), Image.Resampling.LANCZOS)


def to_array(picture: Any) -> np.ndarray:
    """uint8 `[C, H, W]` of a grey or RGB Pillow image."""
    pixels = np.asarray(picture)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def highest(entry: Entry) -> int | None:
    """The highest value of a 16-bit image; None for all others."""
    from PIL import Image

    try:
        with Image.open(entry.path) as picture:
            if not picture.mode.startswith("I"):
                return None
            values = np.asarray(picture)
            return int(values.max()) if values.min() >= 0 and values.max() <= 65535 else None
    except Exception:  # the decoder will say what is wrong
        return None
