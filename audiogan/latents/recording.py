"""Preparation of a recording for comparison with the sounds of a model."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import numpy as np
import soxr
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.modalities.reading import RATES
from audiogan.modalities.reading.levels import (
    SILENCE,
    Windows,
    find_cancelled_channels,
    half_peak_to_peak,
    infer_full_scale,
    is_only_clicks,
    mix_channels,
)
from audiogan.modalities.reading.sound import open_sound
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

ONSET, LEAD_SECONDS = 0.02, 0.0005
"""Settings of the onset detection. ``ONSET``: amplitude at which a sound begins, as a fraction of its peak.
``LEAD_SECONDS``: time that is kept before the onset, in seconds."""
SHORTEST_SECONDS = 0.005
"""Minimum duration of a recording, in seconds."""
PEAK = 0.95
"""Peak amplitude to which a recording is scaled, before the output level of the model is applied."""
LONGEST_SECONDS = 600.0
"""Maximum duration read from a file, in seconds."""


def prepare_recording(
    generator: Generator, wave: str | os.PathLike[str] | NDArray[np.floating], sample_rate: int | None = None
) -> NDArray[np.float32]:
    """Return a recording with the sample rate, channels, length and level of a model's sounds, starting at the onset.

    Args:
        generator: model of sounds.
        wave: path of a sound file, or samples ``[T]`` or ``[C, T]``.
        sample_rate: sample rate in Hz, if ``wave`` is an array. Sound files state their own sample rate.

    Returns:
        Recording, float32 ``[C, T]``.

    Raises:
        UserError: the recording is missing, unreadable, too short, silent or not finite.
    """
    what, part = "the recording", ""
    if isinstance(wave, str | os.PathLike):
        what = printable(os.fspath(wave))
        with open_sound(wave) as file:
            samples, rate = file.read_seconds(LONGEST_SECONDS).T, file.sample_rate
            part = f"in its first {LONGEST_SECONDS:g} seconds" if samples.shape[1] < file.frames else ""
    else:
        samples, rate = np.atleast_2d(np.asarray(wave, np.float32)), sample_rate or 0
        if samples.ndim != 2:
            raise ValueError(f"a recording must be [T] or [C, T], got {list(samples.shape)}")
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(f"sample_rate={sample_rate}: give the recording's rate, {RATES[0]:,} to {RATES[1]:,} Hz")
    samples = check_recording(samples, rate, what, part)
    channels, length = generator.shape
    x = samples.T
    mixed = mix_channels(x, channels)
    mixed = mix_channels(
        x, channels, substitute_channels=find_cancelled_channels(half_peak_to_peak(x), half_peak_to_peak(mixed))
    )
    windows = Windows(rate)
    windows.add(mixed)
    rest = windows.estimate_offset(ONSET)
    mixed = mixed if rest is None else rest.remove(mixed)
    above = float(np.abs(mixed).max())
    onset = int(np.argmax((np.abs(mixed) > ONSET * above).any(1)))
    begin = max(0, onset - round(LEAD_SECONDS * rate))
    ratio = rate / generator.sample_rate
    # The excerpt is 50 ms longer than a sound of the model, because the resampler uses up to 50 ms of the samples that
    # follow.
    mixed = mixed[begin : begin + math.ceil(length * ratio) + rate // 20]
    made = mixed if ratio == 1 else soxr.resample(mixed, rate, generator.sample_rate, quality="HQ")
    out = np.zeros((channels, length), np.float32)
    out[:, : len(made)] = made[:length].T
    peak = float(np.abs(out).max())
    used = mixed[: math.ceil(length * ratio)]
    energy = float(np.square(used - used.mean(axis=0), dtype=np.float64).sum()) / ratio
    if peak < max(SILENCE, ONSET * above) or (ratio > 1 and is_only_clicks(made[:length], energy)):
        raise UserError(
            f"{what}: silent at {generator.sample_rate:,} Hz, because its frequencies are all above half of that"
        )
    return generator.modality.postprocess((out * np.float32(PEAK / peak))[None])[0]


def check_recording(
    samples: NDArray[np.float32], sample_rate: int, recording_name: str, excerpt: str = ""
) -> NDArray[np.float32]:
    """Return the samples ``[C, T]`` of a recording. Samples in the range of an integer format are scaled to -1 ... 1.

    Args:
        samples: samples ``[C, T]``.
        sample_rate: sample rate in Hz.
        recording_name: name of the recording for error messages.
        excerpt: description of the part that was read, such as "in its first 10 seconds". Empty if all was read.

    Raises:
        UserError: the recording is shorter than 5 ms, silent, or contains NaN or infinite samples.
    """
    if samples.shape[-1] < SHORTEST_SECONDS * sample_rate or not len(samples):
        raise UserError(f"{recording_name}: too short, {1000 * samples.shape[-1] / sample_rate:.1f} ms; 5 ms at least")
    if not np.isfinite(samples).all():
        raise UserError(f"{recording_name}: contains NaN or infinite samples")
    peak = float(np.abs(samples).max())
    scale = infer_full_scale(peak)
    if scale is None:
        raise UserError(f"{recording_name}: its samples reach {peak:.3g}, above the full scale of any format")
    samples = samples if scale == 1 else samples / np.float32(scale)
    if half_peak_to_peak(samples.T).max() < SILENCE:
        if excerpt:
            raise UserError(
                f"{recording_name}: silent {excerpt}, and no more is read; cut the silence before the sound"
            )
        raise UserError(f"{recording_name}: silent; nothing in it exceeds -60 dB of full scale")
    return samples
