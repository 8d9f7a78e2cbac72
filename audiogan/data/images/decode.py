"""Decoder of image files: returns 8-bit pixels of a fixed size, or the reason why a file cannot be used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audiogan.data.walk import Entry
from audiogan.modalities.reading.pictures import Pixels, open_picture, read_picture, to_image
from audiogan.modalities.reading.reader import Unreadable

BITS = (8, 10, 12, 14, 16)  # Possible numbers of bits used by the values in 16-bit files.
DARK_LEVEL = 16  # An image counts as dark if no pixel value exceeds this, on the scale from 0 to 255.
FLAGS = {
    "enlarged": "used; smaller than data.size",
    "animated": "used; first frame only",
    "few bits": "used; 16-bit files of this folder use fewer bits, and are scaled to full scale",
    "deep": "used; more than 16 bits, scaled from the minimum to the maximum of the file",
    "dark": "used; no pixel is brighter than 16 of 255",
}


@dataclass(frozen=True)
class DecodedImage:
    """Outcome of decoding an image file.

    Attributes:
        reason: ``usable``, or the reason why the file cannot be used.
        detail: details of the reason.
        flags: flags of a usable file, such as ``dark``, joined with "+".
        pixels: uint8 ``[n, C, H, W]``, one or more images of the file. Empty for an unusable file.
        digest: hash of all decoded pixels. It does not depend on the file format.
        width: width of the file's image in pixels.
        height: height of the file's image in pixels.
    """

    reason: str
    detail: str = ""
    flags: str = ""
    pixels: Sequence[Pixels] = ()
    digest: bytes = b""
    width: int = 0
    height: int = 0


def decode(
    entry: Entry, size: int, channels: int, bits: int = 16, tiles: int | None = None, half: str | None = None
) -> DecodedImage:
    """Decode an image file. An unusable file does not raise an error; the result contains the reason.

    Args:
        entry: file to decode.
        size: side length of the result in pixels.
        channels: 1 (grey) or 3 (RGB).
        bits: number of bits used by the values in 16-bit files. Cameras and scanners often use only 10, 12 or 14.
        tiles: largest number of squares to cut from the image without resizing, see `cut_squares`. Default: one image,
            the resized central square.
        half: ``left`` or ``right``: decode one half of a file with two images side by side. Default: the whole image.
    """
    try:
        picture = read_picture(entry.path, keep_16_bits=False, min_side=None if tiles else 2 * size)
    except (OSError, Unreadable) as error:
        return DecodedImage("unreadable", getattr(error, "strerror", None) or str(error))
    whole, (width, height) = picture.flatten_alpha(channels), picture.size
    few = whole.dtype == np.uint16 and not picture.scaled and bits < 16
    if whole.dtype == np.uint16:
        whole = np.rint(np.minimum(whole * (255 / (2**bits - 1 if few else 65535)), 255)).astype(np.uint8)
    if half is not None:
        width, middle = width // 2, whole.shape[2] // 2
        whole = whole[:, :, :middle] if half == "left" else whole[:, :, middle : 2 * middle]
    digest = hashlib.blake2b(f"{width}x{height}".encode() + whole.tobytes(), digest_size=16).digest()
    dark, small = int(whole.max()) <= DARK_LEVEL, min(width, height) < size
    held = {"enlarged": small, "animated": picture.animated, "few bits": few, "deep": picture.scaled, "dark": dark}
    parts = [crop_resize(whole, size, size)] if small or not tiles else cut_squares(whole, size, tiles, digest)
    return DecodedImage("usable", "", "+".join(flag for flag in FLAGS if held[flag]), parts, digest, width, height)


def cut_squares(pixels: Pixels, size: int, max_tiles: int, digest: bytes) -> list[Pixels]:
    """Return squares of an image ``[C, H, W]`` at its own resolution, from left to right and from top to bottom.

    The squares do not overlap. Together they are centred in the image.

    Args:
        pixels: image, at least ``size`` pixels high and wide.
        size: side length of a square in pixels.
        max_tiles: largest number of squares. If more squares fit, some are chosen at random.
        digest: seed of the random choice.
    """
    (height, width), rng = pixels.shape[1:], np.random.default_rng(list(digest))
    rows, columns = height // size, width // size
    chosen = np.sort(rng.permutation(rows * columns)[:max_tiles])
    tops, lefts = height % size // 2 + size * (chosen // columns), width % size // 2 + size * (chosen % columns)
    return [pixels[:, i : i + size, j : j + size] for i, j in zip(tops, lefts, strict=True)]


def crop_resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the largest central part of an image ``[C, H, W]`` with the aspect ratio of ``height`` and ``width``,
    resized to this size (Lanczos)."""
    from PIL import Image

    _, full_height, full_width = pixels.shape
    tall = max(1, min(full_height, round(full_width * height / width)))
    wide = max(1, min(full_width, round(full_height * width / height)))
    left, top = (full_width - wide) // 2, (full_height - tall) // 2
    middle = pixels[:, top : top + tall, left : left + wide]
    if (tall, wide) == (height, width):
        return middle
    scaled = np.asarray(to_image(middle).resize((width, height), Image.Resampling.LANCZOS))
    return scaled[None] if scaled.ndim == 2 else scaled.transpose(2, 0, 1)


def largest_pixel_value(entry: Entry) -> int | None:
    """Return the largest pixel value of a 16-bit image, or ``None`` if the file is not a readable 16-bit image."""
    try:
        with open_picture(entry.path) as image:
            values = np.asarray(image) if image.mode.startswith("I") else np.array([-1])
            return int(values.max()) if values.min() >= 0 and values.max() <= 65535 else None
    except (OSError, Unreadable):  # `decode` reports the error.
        return None
