"""Read sound files at another sample rate and with another number of channels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import soxr
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import check_file
from audiogan.modalities.reading.levels import cancelled, full_scale, mix, ranges
from audiogan.modalities.reading.reader import BLOCK, SoundReader, Unreadable
from audiogan.utils.text import printable

Wave = NDArray[np.float32]


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


def blocks(reader: SoundReader) -> Iterator[Wave]:
    """Yield the samples of a file block by block, ``[n, C]``.

    Raises:
        Unreadable: no samples, or NaN or infinite ones.
    """
    empty = True
    while len(block := reader.read(BLOCK)):
        if not np.isfinite(block).all():
            raise Unreadable("it holds NaN or infinite samples")
        yield block
        empty = False
    if empty:
        raise Unreadable(reader.why_broken if reader.damaged else "no samples in it")


def resampled(parts: Iterable[Wave], channels: int, rate: int, wanted: int) -> Iterator[Wave]:
    """Resample the blocks ``[n, C]`` of one sound (soxr, quality HQ)."""
    if rate == wanted:
        yield from parts
        return
    stream = soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
    for part in parts:
        yield stream.resample_chunk(np.ascontiguousarray(part, np.float32)).reshape(-1, channels)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels)


def read_sound(path: str | os.PathLike[str], sample_rate: int, channels: int) -> Wave:
    """Read a sound file as the data set of a training does, but whole, at its own level and with its silence.

    Channels are mixed as `mix` does. A mean in which channels cancel out is replaced by the loudest of them.

    Args:
        path: the file.
        sample_rate: of the result, in Hz.
        channels: of the result.

    Returns:
        float32 array ``[channels, T]``. Integers have a full scale of ±1; floating-point samples may exceed it.

    Raises:
        UserError: the file cannot be read, or holds no samples, or NaN or infinite ones.
    """
    check_file(path)
    with opened(path) as reader:
        x, rate = np.concatenate(list(blocks(reader))), reader.sample_rate
        peak = float(np.abs(x).max())
        scale = full_scale(peak)
        if scale is None:
            raise Unreadable(f"samples up to {peak:.3g}, beyond the scale of any format")
        mixed = mix(x, channels)
        mixed = mix(x, channels, instead=cancelled(ranges(x) / scale, ranges(mixed) / scale))
        whole = np.concatenate(list(resampled([mixed], channels, rate, sample_rate))).T
        if not whole.size:
            raise Unreadable(f"too short to be resampled to {sample_rate:,} Hz")
        return np.ascontiguousarray(whole if scale == 1 else whole / np.float32(scale), np.float32)
