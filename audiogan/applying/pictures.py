"""Translate one picture file: any size, 8 or 16 bits, with its transparency."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np

from audiogan.applying.signals import Array, Translation
from audiogan.errors import UserError
from audiogan.reading.pictures import Picture, read_picture, to_float, to_pixels, with_channels
from audiogan.reading.reader import Unreadable
from audiogan.tiling import Stream

LARGEST = 1 << 29
"""Most pixels of a result."""
BAND = 256
"""Rows that become floating-point numbers at a time."""


def translate_picture(
    translation: Translation,
    source: str | os.PathLike[str] | bytes,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Picture:
    """Return the translation of a picture.

    The colours are translated. The transparency is copied, and scaled if the model changes the resolution. The result
    has as many bits as the source, and its ICC profile if it has as many channels.

    Args:
        translation: the model.
        source: a path, or the content of a file.
        progress: called with the rows that are done, and their number.

    Raises:
        OSError, Unreadable: the file cannot be read.
        UserError: the result would be too large, or is not finite.
    """
    picture = read_picture(source)
    height, width = picture.pixels.shape[1:]
    plain = not any(x.dim() == 4 for x in translation.others.values())
    whole = Stream(_bands(picture, translation.channels)) if plain else picture.values(translation.channels)
    finish = translation.generator.modality.finish
    made: Array | None = None
    row = 0
    for part in translation.run(whole):
        down, across = translation.factor(0), translation.factor(1)
        if made is None:
            if down * height * across * width > LARGEST:
                size = f"{across * width:,} x {down * height:,} pixels"
                raise UserError(f"the result would have {size}; at most {LARGEST:,} are made")
            if len(part) not in (1, 3):
                raise UserError(f"the model makes {len(part)} channels; a picture has 1 or 3")
            made = np.empty((len(part), down * height, across * width), picture.pixels.dtype)
        made[:, row : row + part.shape[1]] = to_pixels(finish(part[None])[0], made.dtype)
        row += part.shape[1]
        progress(row // down, height)
    assert made is not None
    alpha = picture.alpha
    if alpha is not None and alpha.shape != made.shape[1:]:
        alpha = _enlarged(alpha, *made.shape[1:])
    profile = picture.profile if len(made) == len(picture.pixels) else None
    return Picture(made, alpha, profile, picture.format, picture.animated)


def _bands(picture: Picture, channels: int) -> Iterator[Array]:
    for start in range(0, picture.pixels.shape[1], BAND):
        try:
            yield to_float(with_channels(picture.pixels[:, start : start + BAND], channels))
        except Unreadable as error:
            raise UserError(str(error)) from error


def _enlarged(alpha: Array, height: int, width: int) -> Array:
    """Scale opacity with bicubic interpolation."""
    from PIL import Image

    plane = Image.fromarray(alpha.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    return np.rint(np.clip(np.asarray(plane), 0, np.iinfo(alpha.dtype).max)).astype(alpha.dtype)
