"""Rendering kits: from recipes to sounds that are ready for a sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.kits.kit import Kit, velocities

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

LOUDNESS = -26.0
"""LUFS. So much is within the reach of nearly every drum without a peak that is too high."""
CEILING_DB = -1.0
"""Highest true peak, dBTP (EBU R 128)."""
WINDOW = 0.4
"""Seconds of a window of momentary loudness."""
ONSET_DB, SILENCE_DB = -40.0, -60.0
"""Of a sound's peak: where it begins, and below what it is over."""
FADE = 0.01
"""Seconds of fade-out."""
RATES = (8000, 192_000)


@dataclass(frozen=True)
class Hit:
    """One rendered stroke.

    Attributes:
        wave: float32 `[C, T]`.
        loudness: momentary, in LUFS, see `momentary_loudness`; minus infinity for silence.
        peak: true peak in dBTP.
        short: how much softer than asked it is, in LU, because of its pad's peaks.
    """

    wave: NDArray[np.float32]
    loudness: float
    peak: float
    short: float


def render_pads(
    generator: Generator, kit: Kit, *, sample_rate: int = 44100, loudness: float = LOUDNESS
) -> list[list[NDArray[np.float32]]]:
    """The sounds `[C, T]` of each pad of a kit, soft to loud, at ``sample_rate`` Hz: see `render_hits`."""
    return [[hit.wave for hit in hits] for hits in render_hits(generator, kit, sample_rate, loudness)]


def render_hits(
    generator: Generator, kit: Kit, sample_rate: int = 44100, loudness: float = LOUDNESS
) -> list[list[Hit]]:
    """The strokes of each pad of a kit.

    Resampled by soxr (VHQ); from the onset (-40 dB of the peak) to where they fall below -60 dB; the last 10 ms faded.

    The loudest layer of every pad has the momentary loudness ``loudness`` (LUFS), and a layer for velocities up to v
    differs from it by 20 log10(v / 127). Where a true peak would pass -1 dBTP, the whole pad is softer, and `Hit.short`
    says by how much. Silence stays silence.

    Raises:
        UserError: a rate outside 8 ... 192 kHz, a loudness that is none, or recipes of another model.
    """
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise UserError(f"sample_rate={sample_rate} must be from {RATES[0]} to {RATES[1]} Hz")
    if not -70 < loudness <= 0:
        raise UserError(f"loudness={loudness} must be from -70 to 0 LUFS")
    waves = iter(generator.render([recipe for pad in kit.pads for recipe in pad.layers]))
    rate = generator.sample_rate
    return [
        _levelled([_cut(next(waves), rate, sample_rate) for _ in pad.layers], sample_rate, loudness) for pad in kit.pads
    ]


def _cut(wave: NDArray[np.float32], rate: int, sample_rate: int) -> NDArray[np.float64]:
    """A wave `[C, T]` at another rate, from onset to silence, with a fade at the end."""
    import soxr

    y = wave.astype(np.float64)
    if rate != sample_rate:
        y = soxr.resample(y.T, rate, sample_rate, quality="VHQ").T
    size = np.abs(y).max(axis=0)
    if not size.any():
        return y
    first = int((size >= size.max() * 10 ** (ONSET_DB / 20)).argmax())
    last = len(size) - int((size[::-1] >= size.max() * 10 ** (SILENCE_DB / 20)).argmax())
    y = y[:, first:last].copy()
    fade = min(round(FADE * sample_rate), y.shape[1])
    y[:, y.shape[1] - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return y


def _levelled(layers: list[NDArray[np.float64]], sample_rate: int, loudness: float) -> list[Hit]:
    """The strokes of one pad at the levels they should have."""
    levels = [momentary_loudness(wave, sample_rate) for wave in layers]
    peaks = [true_peak(wave, sample_rate) for wave in layers]
    wanted = [loudness + 20 * math.log10(high / 127) for _, high in velocities(len(layers))]
    gains = [want - level if math.isfinite(level) else 0.0 for want, level in zip(wanted, levels, strict=True)]
    short = max(0.0, *(peak + gain - CEILING_DB for peak, gain in zip(peaks, gains, strict=True)))
    return [
        Hit((wave * 10 ** ((gain - short) / 20)).astype(np.float32), level + gain - short, peak + gain - short, short)
        for wave, level, peak, gain in zip(layers, levels, peaks, gains, strict=True)
    ]


def momentary_loudness(wave: NDArray[np.floating], sample_rate: int) -> float:
    """The loudest 400 ms of a sound `[C, T]`, in LUFS (ITU-R BS.1770-4; EBU Tech 3341, maximum momentary loudness).

    What is shorter counts with the silence after it. Integrated loudness averages over the tail, so it would make a
    long crash louder than a kick. Minus infinity for silence.
    """
    import pyloudnorm

    meter = pyloudnorm.Meter(sample_rate, block_size=WINDOW)
    size = math.ceil(WINDOW * sample_rate)
    padded = np.pad(wave.T.astype(np.float64), ((0, max(0, size - wave.shape[1])), (0, 0)))
    starts = range(0, len(padded) - size + 1, size // 4)
    if not padded.any():
        return -math.inf
    return max(float(meter.integrated_loudness(padded[start : start + size])) for start in starts)


def true_peak(wave: NDArray[np.floating], sample_rate: int) -> float:
    """Of a sound `[C, T]`, in dBTP: of four times the samples (BS.1770-4, annex 2)."""
    import soxr

    over = soxr.resample(wave.T.astype(np.float64), sample_rate, 4 * sample_rate, quality="VHQ")
    peak = max(np.abs(over).max(initial=0.0), np.abs(wave).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf
