"""Decode images: every file becomes 8-bit pixels, or gets the reason why it cannot be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiogan.data.walk import Entry
from audiogan.reading.pixels import flat, to_8_bits, to_array, why

BITS = (8, 10, 12, 14, 16)  # widths of values in files of 16 bits
DARK = 16  # of 255
FLAGS = {
    "enlarged": "used; smaller than data.size",
    "animated": "used; only its first picture",
    "few bits": "used; 16-bit files of this folder need fewer bits, which were taken as full scale",
    "deep": "used; more than 16 bits, scaled from its lowest to its highest value",
    "dark": "used; no pixel is brighter than 16 of 255",
}


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
    except Exception as e:  # Pillow's decoders raise many kinds of errors on damaged files, SyntaxError among them
        return Found("unreadable", why(e, entry.path))
    held = {"enlarged": min(width, height) < size, "animated": animated, scaled: bool(scaled), "dark": dark}
    flags = "+".join(flag for flag in FLAGS if held.get(flag))
    return Found("usable", "", flags, pixels, digest, width, height)


def square(picture: Any, size: int) -> Any:
    """The middle square of a Pillow image, scaled to ``size`` (Lanczos: averages over areas where it gets smaller)."""
    from PIL import Image

    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    middle = picture.crop((left, top, left + side, top + side))
    return middle if side == size else middle.resize((size, size), Image.Resampling.LANCZOS)


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
