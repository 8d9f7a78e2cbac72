"""A recording as the sounds of a model are."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.generator import Generator

ONSET, LEAD_SECONDS = 0.02, 0.0005
"""A recording begins this long before it first exceeds this share of its peak, as the sounds of a model do."""
SHORTEST_SECONDS = 0.005
SILENCE = 1e-3
"""-60 dB of full scale; a recording that never exceeds it is silence."""
PEAK = 0.95
RATES = (1_000, 400_000)
LONGEST_SECONDS = 600.0
"""Of a recording; what comes later in a file is not read."""


def prepare(
    generator: Generator, wave: str | os.PathLike[str] | NDArray[np.floating], sample_rate: int | None = None
) -> NDArray[np.float32]:
    """A recording, float32 `[C, T]`, as the model's own sounds are: its rate, channels, length and level.

    Arguments and errors as in `encode`.
    """
    what = "the recording"
    if isinstance(wave, str | os.PathLike):
        what = os.fspath(wave)
        samples, rate = _read(what)
    else:
        samples, rate = np.atleast_2d(np.asarray(wave, np.float32)), sample_rate or 0
        if samples.ndim != 2:
            raise ValueError(f"a recording must be [T] or [C, T], got {list(samples.shape)}")
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(f"sample_rate={sample_rate}: give that of the recording, {RATES[0]:,} to {RATES[1]:,} Hz")
    if samples.shape[-1] < SHORTEST_SECONDS * rate or not len(samples):
        raise UserError(f"{what}: too short, {1000 * samples.shape[-1] / rate:.1f} ms; 5 ms at least")
    if not np.isfinite(samples).all():
        raise UserError(f"{what}: holds NaN or infinite samples")
    channels, length = generator.shape
    if len(samples) < channels:
        samples = samples[np.arange(channels) % len(samples)]
    else:
        samples = np.stack([samples[i::channels].mean(0) for i in range(channels)])
    samples = samples - samples.mean(-1, keepdims=True) if np.ptp(samples) < SILENCE else samples
    peak = float(np.abs(samples).max())
    if peak < SILENCE:
        raise UserError(f"{what}: silence, nothing in it is louder than -60 dB of full scale")
    onset = int(np.argmax((np.abs(samples) > ONSET * peak).any(0)))
    begin = max(0, onset - round(LEAD_SECONDS * rate))
    # What the resampler looks ahead is less than 50 ms.
    samples = samples[:, begin : begin + math.ceil(length * rate / generator.sample_rate) + rate // 20]
    if rate != generator.sample_rate:
        samples = soxr.resample(samples.T, rate, generator.sample_rate, quality="HQ").T
    out = np.zeros((channels, length), np.float32)
    out[:, : samples.shape[1]] = samples[:, :length]
    above, peak = peak, float(np.abs(out).max())
    if peak < max(SILENCE, ONSET * above):
        raise UserError(f"{what}: silence at {generator.sample_rate:,} Hz, it is all above half of that")
    return generator.modality.finish((out * np.float32(PEAK / peak))[None])[0]


def _read(path: str) -> tuple[NDArray[np.float32], int]:
    """Samples `[C, T]` of a file, ten minutes at most, and its rate in Hz."""
    try:
        with open(path, "rb"), soundfile.SoundFile(path) as file:
            rate = file.samplerate
            if not RATES[0] <= rate <= RATES[1]:
                raise UserError(f"{path}: its header says {rate:,} Hz; {RATES[0]:,} to {RATES[1]:,} can be read")
            return file.read(int(LONGEST_SECONDS * rate), dtype="float32", always_2d=True).T, rate
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not a sound file that can be read") from error
