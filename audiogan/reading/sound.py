"""Read a whole sound file at another sample rate and with another number of channels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soxr
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import check_file
from audiogan.reading.levels import cancelled, full_scale, mix, ranges
from audiogan.reading.reader import BLOCK, SoundReader, Unreadable
from audiogan.text import printable


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[SoundReader]:
    """Open a sound file.

    Raises:
        UserError: no such file, or not a sound that can be read; also if that shows in the block only.
    """
    what = printable(path)
    try:
        with SoundReader(path) as reader:
            yield reader
    except FileNotFoundError as error:
        raise UserError(f"{what}: no such file") from error
    except OSError as error:
        raise UserError(f"{what}: cannot be read ({error.strerror or error})") from error
    except Unreadable as error:
        raise UserError(f"{what}: not a sound file that can be read ({error})") from error


def read_sound(path: str | os.PathLike[str], sample_rate: int, channels: int) -> NDArray[np.float32]:
    """Read a sound file as the data set of a training does, but whole, at its own level and with its silence.

    Files with more channels are mixed down: channel i is the mean of the file's channels i, i + channels, ... A mean
    in which channels cancel out is replaced by the loudest of them. Files with fewer channels repeat them.

    Args:
        path: the file.
        sample_rate: of the result, in Hz (soxr, quality HQ).
        channels: of the result.

    Returns:
        float32 array ``[channels, T]``. Integers have a full scale of ±1; floating-point samples may exceed it.

    Raises:
        UserError: the file cannot be read, or holds no samples, or NaN or infinite ones.
    """
    check_file(path)
    with opened(path) as reader:
        blocks = list(_blocks(reader))
        if not blocks:
            raise UserError(f"{printable(path)}: {reader.why_broken if reader.damaged else 'no samples in it'}")
        rate = reader.sample_rate
    extremes = _extremes(blocks)
    peak = float(np.abs(extremes).max())  # NaN if there is any
    scale = full_scale(peak) if np.isfinite(peak) else None
    if scale is None:
        what = f"samples up to {peak:.3g}, beyond the scale of any format" if np.isfinite(peak) else "NaN or infinity"
        raise UserError(f"{printable(path)}: holds {what}")
    mixed = [mix(block, channels) for block in blocks]
    if instead := cancelled(ranges(extremes) / scale, ranges(_extremes(mixed)) / scale):
        mixed = [mix(block, channels, instead=instead) for block in blocks]
    del blocks
    if rate != sample_rate:
        stream = soxr.ResampleStream(rate, sample_rate, channels, dtype="float32", quality="HQ")
        last = len(mixed) - 1
        mixed = [
            stream.resample_chunk(np.ascontiguousarray(block, np.float32), last=i == last).reshape(-1, channels)
            for i, block in enumerate(mixed)
        ]
    whole = np.concatenate(mixed).T
    if not whole.size:
        raise UserError(f"{printable(path)}: too short to be resampled to {sample_rate:,} Hz")
    return np.ascontiguousarray(whole if scale == 1 else whole / np.float32(scale), np.float32)


def _blocks(reader: SoundReader) -> Iterator[NDArray[np.float32]]:
    while len(block := reader.read(BLOCK)):
        yield block


def _extremes(blocks: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the smallest and largest samples of each channel in each block, ``[2 * blocks, C]``."""
    return np.stack([f(block, axis=0) for block in blocks for f in (np.min, np.max)])
