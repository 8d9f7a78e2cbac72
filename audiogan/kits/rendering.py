"""Rendering of kits: resampled, trimmed and balanced sounds, for samplers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.kits.kit import Kit, Pad, velocity_ranges

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

LOUDNESS = -26.0
"""Loudness at which the pads of a kit are compared, in LUFS. At this loudness, the true peak of nearly every drum stays
below `CEILING_DB`."""
CEILING_DB = -1.0
"""Highest true peak of a kit, in dBTP: the limit that EBU R 128 recommends."""
MEASUREMENT_RATE = 44_100
"""Sample rate of the sounds whose loudness and peak are measured, in Hz. It does not depend on the sample rate of the
result, so the balance of a kit is the same at all sample rates."""
WINDOW_SECONDS = 0.4
"""Length of the window in which momentary loudness is measured, in seconds."""
ONSET_DB, SILENCE_DB = -40.0, -60.0
"""Levels at which a sound starts and ends, in dB relative to its peak."""
FADE_SECONDS = 0.01
"""Duration of the fade-out at the end of a sound, in seconds."""
RATES = (8000, 192_000)
"""Minimum and maximum sample rate of a rendered kit, in Hz."""


@dataclass(frozen=True)
class Measure:
    """Loudness and peaks of one velocity layer before it is balanced.

    Attributes:
        loudness: momentary loudness in LUFS, see `momentary_loudness`. Minus infinity for silence.
        peaks: true peak of each channel in dBTP. Minus infinity for silence.
    """

    loudness: float
    peaks: tuple[float, ...]


@dataclass(frozen=True)
class Balance:
    """Gains of a kit, see `balance_kit`. The gain of a layer is the sum of ``pads`` and ``kit``, in dB.

    Attributes:
        pads: gain of each layer of each pad in dB. It does not depend on the other pads of the kit.
        kit: gain of the whole kit in dB.
        attenuation: reduction of each pad in LU. It is above 0 for pads with peaks so high that they cannot be as
            loud as the other pads.
    """

    pads: list[list[float]]
    kit: float
    attenuation: list[float]


@dataclass(frozen=True)
class Hit:
    """One rendered velocity layer of a pad.

    Attributes:
        wave: samples, float32 ``[C, T]``.
        loudness: momentary loudness in LUFS, see `momentary_loudness`. Minus infinity for silence. Panning of a stereo
            sound is not included.
        peak: true peak in dBTP.
        attenuation: reduction of the level in LU, see `Balance`.
    """

    wave: NDArray[np.float32]
    loudness: float
    peak: float
    attenuation: float


def balance_kit(pads: Sequence[Pad], measures: Sequence[Sequence[Measure]], loudness: float | None = None) -> Balance:
    """Compute the gains of a kit. All sounds of a kit get their levels from this function, wherever they are played.

    1. The loudest layer of each pad gets the same momentary loudness. A layer for velocities up to v is softer by 20
       log10(127 / v) dB.
    2. A pad with a true peak above -1 dBTP at -26 LUFS is attenuated to -1 dBTP, so that one sharp click does not make
       all other pads soft.
    3. The level of the pad is added.
    4. The whole kit is amplified or attenuated, so that the highest true peak is -1 dBTP. Panning is included.

    Args:
        pads: pads of the kit.
        measures: loudness and peaks of the layers of each pad.
        loudness: momentary loudness of the pads in LUFS. If it is given, step 4 is left out, and pads with a true peak
            above -1 dBTP are attenuated to -1 dBTP. Levels are added afterwards.

    Examples:
        >>> from audiogan import Recipe
        >>> from audiogan.kits import Pad
        >>> from audiogan.kits.rendering import Measure, balance_kit
        >>> recipe = Recipe("drums", (0.0,))
        >>> pads = [Pad("kick", 36, (recipe,)), Pad("hat", 42, (recipe,), level=-6)]
        >>> balance = balance_kit(pads, [[Measure(-20, (-1,))], [Measure(-30, (-8,))]])
        >>> balance.pads, balance.kit
        ([[-6.0], [-2.0]], 6.0)
    """
    common = LOUDNESS if loudness is None else loudness
    gains, short, highest = [], [], -math.inf
    for pad, layers in zip(pads, measures, strict=True):
        steps = [20 * math.log10(high / 127) for _, high in velocity_ranges(len(layers))]
        equal = [
            common + step - it.loudness if math.isfinite(it.loudness) else 0.0
            for step, it in zip(steps, layers, strict=True)
        ]
        over = max(0.0, *(max(it.peaks) + gain - CEILING_DB for it, gain in zip(layers, equal, strict=True)))
        mine = [gain - over + pad.level for gain in equal]
        gains.append(mine)
        short.append(over)
        highest = max(highest, *(panned_peak(it.peaks, pad.pan) + gain for it, gain in zip(layers, mine, strict=True)))
    whole = CEILING_DB - highest if loudness is None and math.isfinite(highest) else 0.0
    return Balance(gains, whole, short)


def pan_factors(pan: float) -> tuple[float, float]:
    """Return the factors of the left and right channel for a pan from -1 to 1.

    The sum of the squares of both factors is 2 for every pan (constant-power law). Both factors are 1 in the centre. At
    a side, the factor of its channel is the square root of 2 (+3 dB), and the other factor is 0.
    """
    if pan == 0:
        return 1.0, 1.0
    angle = (1 + pan) * math.pi / 4
    return math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)


def panned_peak(peaks: Sequence[float], pan: float) -> float:
    """Return the highest true peak in dBTP of a sound after panning, given the true peak of each channel."""
    if pan == 0:
        return max(peaks)
    sides = (peaks[0], peaks[-1])
    return max(
        peak + 20 * math.log10(factor) for peak, factor in zip(sides, pan_factors(pan), strict=True) if factor > 1e-6
    )


def render_pads(
    generator: Generator, kit: Kit, *, sample_rate: int = 44100, loudness: float | None = None
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
    generator: Generator, kit: Kit, sample_rate: int = 44100, loudness: float | None = None
) -> list[list[Hit]]:
    """Render the velocity layers of each pad of a kit.

    Sounds are tuned and resampled by soxr (VHQ), trimmed to the part between the onset (-40 dB of the peak) and the end
    (-60 dB), and faded out over 10 ms. `balance_kit` sets their levels: by default, the highest true peak of the kit is
    -1 dBTP. If a pad of the kit is panned, all sounds are stereo. Silence stays silent.

    Args:
        generator: model of the kit.
        kit: the kit.
        sample_rate: sample rate of the result, in Hz, 8,000 ... 192,000.
        loudness: momentary loudness of the loudest layer of each pad, in LUFS, -70 ... 0. See `balance_kit`.

    Returns:
        Layers of each pad, from soft to loud.

    Raises:
        UserError: an argument is out of range, or a recipe does not fit the model.
    """
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise UserError(f"sample_rate={sample_rate} must be from {RATES[0]} to {RATES[1]} Hz")
    if loudness is not None and not -70 < loudness <= 0:
        raise UserError(f"loudness={loudness} must be from -70 to 0 LUFS")
    raw = generator.render([recipe for pad in kit.pads for recipe in pad.layers])
    waves = prepare_pads(raw, kit.pads, generator.sample_rate, sample_rate)
    measured = waves
    if sample_rate != MEASUREMENT_RATE:
        measured = prepare_pads(raw, kit.pads, generator.sample_rate, MEASUREMENT_RATE)
    measures = [[measure_layer(wave) for wave in layers] for layers in measured]
    balance = balance_kit(kit.pads, measures, loudness)
    stereo = any(pad.pan for pad in kit.pads)
    doubled = 10 * math.log10(2) if stereo and len(waves[0][0]) == 1 else 0.0  # Two equal channels
    return [
        [
            Hit(
                place_layer(wave, gain + balance.kit, pad.pan, stereo),
                it.loudness + gain + balance.kit + doubled,
                panned_peak(it.peaks, pad.pan) + gain + balance.kit,
                short,
            )
            for wave, it, gain in zip(layers, its, gains, strict=True)
        ]
        for pad, layers, its, gains, short in zip(
            kit.pads, waves, measures, balance.pads, balance.attenuation, strict=True
        )
    ]


def prepare_pads(
    waves: Iterable[NDArray[np.float32]], pads: Sequence[Pad], rate: int, sample_rate: int
) -> list[list[NDArray[np.float64]]]:
    """Return the sounds ``[C, T]`` of the layers of each pad, tuned, resampled and trimmed, but not balanced.

    Args:
        waves: sounds of all layers of all pads, as the model renders them.
        pads: pads of a kit.
        rate: sample rate of ``waves`` in Hz.
        sample_rate: sample rate of the result in Hz.
    """
    waves = iter(waves)
    return [[_tune_and_trim(next(waves), rate, sample_rate, pad.tune) for _ in pad.layers] for pad in pads]


def place_layer(wave: NDArray[np.float64], gain: float, pan: float, stereo: bool) -> NDArray[np.float32]:
    """Return a sound ``[C, T]`` with a gain in dB, in stereo if ``stereo`` is set.

    Raises:
        UserError: the sound has more than two channels and ``stereo`` is set.
    """
    if stereo:
        if len(wave) > 2:
            raise UserError(f"pan={pan:g}: the model makes {len(wave)} channels; only mono and stereo can be panned")
        wave = np.broadcast_to(wave, (2, wave.shape[1])) * np.array(pan_factors(pan))[:, None]
    return (wave * 10 ** (gain / 20)).astype(np.float32)


def _tune_and_trim(wave: NDArray[np.float32], rate: float, sample_rate: int, tune: float = 0.0) -> NDArray[np.float64]:
    """Return a wave ``[C, T]`` tuned, resampled, trimmed from onset to end, and faded out."""
    import soxr

    y = wave.astype(np.float64)
    rate *= 2 ** (tune / 12)
    if rate != sample_rate:
        y = soxr.resample(y.T, rate, sample_rate, quality="VHQ").T
    size = np.abs(y).max(axis=0, initial=0.0)
    if not size.any():
        return y
    first = int((size >= size.max() * 10 ** (ONSET_DB / 20)).argmax())
    last = len(size) - int((size[::-1] >= size.max() * 10 ** (SILENCE_DB / 20)).argmax())
    y = y[:, first:last].copy()
    fade = min(round(FADE_SECONDS * sample_rate), y.shape[1])
    y[:, y.shape[1] - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return y


def measure_layer(wave: NDArray[np.floating]) -> Measure:
    """Measure the loudness and the true peaks of a sound ``[C, T]`` with the sample rate `MEASUREMENT_RATE`."""
    peaks = tuple(true_peak(channel[None], MEASUREMENT_RATE) for channel in wave)
    return Measure(momentary_loudness(wave, MEASUREMENT_RATE), peaks)


def momentary_loudness(wave: NDArray[np.floating], sample_rate: int) -> float:
    """Return the maximum momentary loudness of a sound ``[C, T]`` in LUFS, or minus infinity for silence.

    The window is 400 ms and moves in steps of 100 ms. Shorter sounds are padded with silence. Integrated loudness is
    not used, because it averages over the tail and would give a long crash a higher level than a kick.

    Source:
        ITU-R BS.1770-4. EBU Tech 3341, maximum momentary loudness.
    """
    import pyloudnorm

    size = math.ceil(WINDOW_SECONDS * sample_rate)
    padded = np.pad(wave.T.astype(np.float64), ((0, max(0, size - wave.shape[1])), (0, 0)))
    if not padded.any():
        return -math.inf
    meter = pyloudnorm.Meter(sample_rate, block_size=WINDOW_SECONDS)
    meter.integrated_loudness(padded)
    return float(max(meter.blockwise_loudness))


def true_peak(wave: NDArray[np.floating], sample_rate: int) -> float:
    """Return the true peak of a sound ``[C, T]`` in dBTP, measured at four times the sample rate.

    Source:
        ITU-R BS.1770-4, annex 2.
    """
    import soxr

    over = soxr.resample(wave.T.astype(np.float64), sample_rate, 4 * sample_rate, quality="VHQ")
    peak = max(np.abs(over).max(initial=0.0), np.abs(wave).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf
