"""Decode images: every file becomes 8-bit pixels, or gets the reason why it cannot be used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from audiogan.data.walk import Entry
from audiogan.modalities.reading.pictures import Pixels, open_picture, read_picture, to_image
from audiogan.modalities.reading.reader import Unreadable

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
    pixels: Pixels | None = None  # uint8 [C, H, W]
    digest: bytes = b""  # of all decoded pixels, whatever the file format
    width: int = 0
    height: int = 0


def decode(entry: Entry, size: int, channels: int, bits: int = 16, half: str | None = None) -> Found:
    """Judge and decode one file. Never raises for what the file holds: the reason is in the result.

    Args:
        entry: the file.
        size: pixels a side of the result.
        channels: 1 (grey) or 3 (RGB).
        bits: number of bits used in files of 16 bits. Cameras and scanners store 10, 12 or 14 bits in them.
        half: ``left`` or ``right``: use this half only, for two pictures side by side in one file.
    """
    try:
        picture = read_picture(entry.path, keep_16_bits=False, min_side=2 * size)
    except (OSError, Unreadable) as error:
        return Found("unreadable", getattr(error, "strerror", None) or str(error))
    whole, (width, height) = picture.flatten_alpha(channels), picture.size
    few = whole.dtype == np.uint16 and not picture.scaled and bits < 16
    if whole.dtype == np.uint16:
        whole = np.rint(np.minimum(whole * (255 / (2**bits - 1 if few else 65535)), 255)).astype(np.uint8)
    if half is not None:
        width, middle = width // 2, whole.shape[2] // 2
        whole = whole[:, :, :middle] if half == "left" else whole[:, :, middle : 2 * middle]
    digest = hashlib.blake2b(f"{width}x{height}".encode() + whole.tobytes(), digest_size=16).digest()
    dark, small = int(whole.max()) <= DARK, min(width, height) < size
    held = {"enlarged": small, "animated": picture.animated, "few bits": few, "deep": picture.scaled, "dark": dark}
    return Found(
        "usable", "", "+".join(flag for flag in FLAGS if held[flag]), crop_square(whole, size), digest, width, height
    )


def crop_square(pixels: Pixels, size: int) -> Pixels:
    """The middle square of ``[C, H, W]``, scaled to ``size`` (Lanczos: averages over areas where it gets smaller)."""
    from PIL import Image

    _, height, width = pixels.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    middle = pixels[:, top : top + side, left : left + side]
    if side == size:
        return middle
    scaled = np.asarray(to_image(middle).resize((size, size), Image.Resampling.LANCZOS))
    return scaled[None] if scaled.ndim == 2 else scaled.transpose(2, 0, 1)


def highest_value(entry: Entry) -> int | None:
    """The highest value of a 16-bit image; None for all others."""
    try:
        with open_picture(entry.path) as image:
            values = np.asarray(image) if image.mode.startswith("I") else np.array([-1])
            return int(values.max()) if values.min() >= 0 and values.max() <= 65535 else None
    except (OSError, Unreadable):  # `decode` says what is wrong
        return None
