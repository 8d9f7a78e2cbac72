"""Rendering of kits: resampled, trimmed sounds at a common loudness, for samplers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.kits.kit import Kit, velocity_ranges

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

LOUDNESS = -26.0
"""Default loudness of the loudest layer of a pad, in LUFS. At this loudness, the true peak of nearly every drum stays
below `CEILING_DB`."""
CEILING_DB = -1.0
"""Maximum true peak, in dBTP: the limit that EBU R 128 recommends."""
WINDOW = 0.4
"""Window of the momentary loudness, in seconds."""
ONSET_DB, SILENCE_DB = -40.0, -60.0
"""Levels at which a sound starts and ends, in dB relative to its peak."""
FADE = 0.01
"""Fade-out at the end of a sound, in seconds."""
RATES = (8000, 192_000)
"""Minimum and maximum sample rate of a rendered kit, in Hz."""


@dataclass(frozen=True)
class Hit:
    """One rendered velocity layer of a pad.

    Attributes:
        wave: samples, float32 ``[C, T]``.
        loudness: momentary loudness in LUFS, see `momentary_loudness`. Minus infinity for silence.
        peak: true peak in dBTP.
        attenuation: reduction of the level in LU, which keeps the true peaks of the pad at or below `CEILING_DB`. 0 for
            most pads.
    """

    wave: NDArray[np.float32]
    loudness: float
    peak: float
    attenuation: float


def render_pads(
    generator: Generator, kit: Kit, *, sample_rate: int = 44100, loudness: float = LOUDNESS
) -> list[list[NDArray[np.float32]]]:
    """Return the rendered sounds ``[C, T]`` of each pad of a kit, from soft to loud, see `render_hits`.

    Examples:
        >>> import audiogan
        >>> from audiogan.kits import make_kit, render_pads
        >>> generator = audiogan.load("drums")
        >>> pads = render_pads(generator, make_kit(generator, seed=5))
        >>> len(pads), pads[0][0].ndim
        (16, 2)
    """
    return [[hit.wave for hit in hits] for hits in render_hits(generator, kit, sample_rate, loudness)]


def render_hits(
    generator: Generator, kit: Kit, sample_rate: int = 44100, loudness: float = LOUDNESS
) -> list[list[Hit]]:
    """Render the velocity layers of each pad of a kit.

    Sounds are resampled by soxr (VHQ), trimmed to the part between the onset (-40 dB of the peak) and the end (-60 dB),
    and faded out over 10 ms. The momentary loudness of a layer for velocities up to v differs from that of the loudest
    layer by 20 log10(v / 127) dB. If the true peak of a layer exceeds -1 dBTP, all layers of the pad are attenuated
    equally, see `Hit.attenuation`. Silence stays silent.

    Args:
        generator: model of the kit.
        kit: the kit.
        sample_rate: sample rate of the result, in Hz, 8,000 ... 192,000.
        loudness: momentary loudness of the loudest layer, in LUFS, -70 ... 0.

    Returns:
        Layers of each pad, from soft to loud.

    Raises:
        UserError: an argument is out of range, or a recipe does not fit the model.
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
    """Return a wave ``[C, T]`` resampled, trimmed from onset to end, and faded out."""
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
    """Return the layers of one pad at their final levels."""
    levels = [momentary_loudness(wave, sample_rate) for wave in layers]
    peaks = [true_peak(wave, sample_rate) for wave in layers]
    wanted = [loudness + 20 * math.log10(high / 127) for _, high in velocity_ranges(len(layers))]
    gains = [want - level if math.isfinite(level) else 0.0 for want, level in zip(wanted, levels, strict=True)]
    short = max(0.0, *(peak + gain - CEILING_DB for peak, gain in zip(peaks, gains, strict=True)))
    return [
        Hit((wave * 10 ** ((gain - short) / 20)).astype(np.float32), level + gain - short, peak + gain - short, short)
        for wave, level, peak, gain in zip(layers, levels, peaks, gains, strict=True)
    ]


def momentary_loudness(wave: NDArray[np.floating], sample_rate: int) -> float:
    """Return the maximum momentary loudness of a sound ``[C, T]`` in LUFS, or minus infinity for silence.

    The window is 400 ms. Shorter sounds are padded with silence. Integrated loudness is not used, because it averages
    over the tail and would give a long crash a higher level than a kick.

    Source:
        ITU-R BS.1770-4. EBU Tech 3341, maximum momentary loudness.
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
    """Return the true peak of a sound ``[C, T]`` in dBTP, measured at four times the sample rate.

    Source:
        ITU-R BS.1770-4, annex 2.
    """
    import soxr

    over = soxr.resample(wave.T.astype(np.float64), sample_rate, 4 * sample_rate, quality="VHQ")
    peak = max(np.abs(over).max(initial=0.0), np.abs(wave).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf
