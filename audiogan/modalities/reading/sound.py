"""Reading of whole sound files at a given sample rate and number of channels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import soxr
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import check_readable_file
from audiogan.modalities.reading.levels import (
    find_cancelled_channels,
    half_peak_to_peak,
    infer_full_scale,
    mix_channels,
)
from audiogan.modalities.reading.reader import BLOCK, SoundReader, Unreadable
from audiogan.utils.text import printable

Wave = NDArray[np.float32]


@contextmanager
def open_sound(path: str | os.PathLike[str]) -> Iterator[SoundReader]:
    """Open a sound file as a context manager. Reading errors inside the ``with`` block become `UserError`, too.

    Raises:
        UserError: the file is missing or cannot be decoded.
    """
    name = printable(path)
    try:
        with SoundReader(path) as reader:
            yield reader
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such file") from error
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error})") from error
    except Unreadable as error:
        raise UserError(f"{name}: not a sound file that can be read ({error})") from error


def read_blocks(reader: SoundReader) -> Iterator[Wave]:
    """Yield the samples of a sound file in blocks ``[n, C]``.

    Raises:
        Unreadable: the file has no samples, or samples that are NaN or infinite.
    """
    empty = True
    while len(block := reader.read(BLOCK)):
        if not np.isfinite(block).all():
            raise Unreadable("it holds NaN or infinite samples")
        yield block
        empty = False
    if empty:
        raise Unreadable(reader.damage_message if reader.damaged else "no samples in it")


def resample_blocks(blocks: Iterable[Wave], channels: int, source_rate: int, target_rate: int) -> Iterator[Wave]:
    """Resample one sound that is given in blocks, with soxr in quality HQ.

    Args:
        blocks: consecutive samples ``[n, channels]``.
        channels: number of channels.
        source_rate: sample rate of ``blocks`` in Hz.
        target_rate: sample rate of the result in Hz.

    Yields:
        Blocks ``[n, channels]`` of the resampled sound.
    """
    if source_rate == target_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block, np.float32)).reshape(-1, channels)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels)


def read_sound(path: str | os.PathLike[str], sample_rate: int, channels: int) -> Wave:
    """Read a whole sound file, mix its channels and resample it. The level and silence of the file are kept.

    `mix_channels` mixes the channels. If channels cancel out in a mean, the loudest of them is used instead.

    Args:
        path: the file.
        sample_rate: sample rate of the result in Hz.
        channels: number of channels of the result.

    Returns:
        float32 array ``[channels, T]``. Integer samples are scaled to -1 ... 1. Floating-point samples may exceed this
        range.

    Raises:
        UserError: the file cannot be read, has no samples, or has samples that are NaN or infinite.
    """
    check_readable_file(path)
    with open_sound(path) as reader:
        x, rate = np.concatenate(list(read_blocks(reader))), reader.sample_rate
        peak = float(np.abs(x).max())
        scale = infer_full_scale(peak)
        if scale is None:
            raise Unreadable(f"samples up to {peak:.3g}, beyond the scale of any format")
        mixed = mix_channels(x, channels)
        substitute_channels = find_cancelled_channels(half_peak_to_peak(x) / scale, half_peak_to_peak(mixed) / scale)
        mixed = mix_channels(x, channels, substitute_channels=substitute_channels)
        whole = np.concatenate(list(resample_blocks([mixed], channels, rate, sample_rate))).T
        if not whole.size:
            raise Unreadable(f"too short to be resampled to {sample_rate:,} Hz")
        return np.ascontiguousarray(whole if scale == 1 else whole / np.float32(scale), np.float32)
