"""Knobs: continuous properties of sounds, measured with librosa, that a generator can be conditioned on.

`measure` returns each knob in its own unit. Networks see normal scores of the values (`audiogan.inputs.Scale`).
`audiogan.data.measures.KnobValues` adds the values to a table.

Every knob is independent of the level and of silence before the sound. Each definition was chosen among several because
its ranking of real drums changes least with windows of half and twice the length and agrees best with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.inputs import knob_definitions as definitions

Array = NDArray[np.float64]

AT_A_TIME = 1 << 20
"""Samples analysed together; this takes about 100 MB."""


class Analysis:
    """Spectra and envelopes of sounds `[N, C, T]`, computed at the first use and shared by the knobs."""

    def __init__(self, waves: np.ndarray, sample_rate: int) -> None:
        waves = waves.astype(np.float64)  # a peak of 1 keeps the powers of very soft sounds within float32
        peak = np.abs(waves).max(axis=(1, 2), keepdims=True)
        self.waves, self.sample_rate = waves / np.where(peak > 0, peak, 1.0), sample_rate

    @cached_property
    def magnitude(self) -> NDArray[np.float32]:
        """`[N, F, frames]`; channels are summed in power."""
        import librosa
        from scipy.fft import next_fast_len  # here, as samplers need neither

        n_fft = next_fast_len(max(4, round(definitions.SPECTRUM_SECONDS * self.sample_rate)), real=True)
        n_fft += n_fft % 2  # librosa takes the length of the transform from the number of bins as even
        short = max(0, n_fft - self.waves.shape[-1])
        waves = np.pad(self.waves, ((0, 0), (0, 0), (0, short))).astype(np.float32)
        spectra = librosa.stft(waves, n_fft=n_fft, hop_length=n_fft // 4)
        return np.sqrt((spectra.real**2 + spectra.imag**2).sum(axis=1))

    def frame_mean(self, values: np.ndarray, silent_value: float) -> Array:
        """Return the mean `[N]` of values `[N, 1, frames]`, weighted by amplitude; ``silent`` for silent sounds.

        Weights by energy would let the loudest frame dominate. Without weights, the tail of the sound would.
        """
        weights = np.sqrt(np.square(self.magnitude).sum(axis=1))
        total = weights.sum(axis=1)
        mean = (values[:, 0] * weights).sum(axis=1) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, mean, silent_value).astype(np.float64)

    @cached_property
    def envelope(self) -> Array:
        """Amplitude over time `[N, T + margins]`: the root of the mean power under a triangular window.

        There is a window of silence at both ends, so that a sound cut at its onset is as one with silence before it.
        """
        from scipy.ndimage import uniform_filter1d  # here, for it takes a while and samplers need it not

        size = max(1, round(definitions.ENVELOPE_SECONDS / 2 * self.sample_rate))
        power = np.pad(np.square(self.waves).sum(axis=1), ((0, 0), (2 * size, 2 * size)))
        for _ in range(2):
            power = uniform_filter1d(power, size, axis=1, mode="constant")
        return np.sqrt(np.maximum(power, 0.0))

    @cached_property
    def peak(self) -> Array:
        """Of the envelope, `[N, 1]`."""
        return self.envelope.max(axis=1, keepdims=True)

    @cached_property
    def sample_index(self) -> NDArray[np.int64]:
        """Number of each sample of the envelope."""
        return np.arange(self.envelope.shape[1])


def _brightness(a: Analysis) -> Array:
    import librosa

    centroid = librosa.feature.spectral_centroid(S=a.magnitude, sr=a.sample_rate)
    return np.log2(np.maximum(a.frame_mean(centroid, silent_value=definitions.LOWEST_HZ), definitions.LOWEST_HZ))


def _attack(a: Analysis) -> Array:
    """Twice the area between the rising envelope (its maximum so far) and its peak: the length of a linear attack.

    Two equal peaks, or a long last step to a peak that is hardly higher, make the time of the peak itself arbitrary.
    """
    onset = (a.envelope >= definitions.ONSET * a.peak).argmax(axis=1)[:, None]
    risen = np.ones_like(a.envelope)
    np.divide(np.maximum.accumulate(a.envelope, axis=1), a.peak, out=risen, where=a.peak > 0)
    missing = np.where(a.sample_index >= onset, 1.0 - risen, 0.0).sum(axis=1)
    return np.log10(np.maximum(2 * missing / a.sample_rate, definitions.SHORTEST_SECONDS))


def _decay(a: Analysis) -> Array:
    """From the peak until the energy still to come has fallen by 15 dB (Schroeder 1965, "New Method of Measuring
    Reverberation Time"): as the envelope of an exponential decay, but beats and flutter make no jumps.
    """
    to_come = np.square(a.envelope[:, ::-1]).cumsum(axis=1)[:, ::-1]
    start = a.envelope.argmax(axis=1)[:, None]
    enough = np.take_along_axis(to_come, start, axis=1) * 10 ** (-definitions.FALL_DB / 10)
    samples = ((to_come > enough) & (a.sample_index >= start)).sum(axis=1)
    return np.log10(np.maximum(samples / a.sample_rate, definitions.SHORTEST_SECONDS))


def _noisiness(a: Analysis) -> Array:
    import librosa

    loudest = a.magnitude.max(axis=1, keepdims=True)  # relative to it, or the floor would depend on the level
    relative = a.magnitude / np.where(loudest > 0, loudest, 1.0)
    flatness = librosa.feature.spectral_flatness(S=relative, amin=10 ** (definitions.FLATNESS_FLOOR_DB / 10), power=2.0)
    return 10 * np.log10(a.frame_mean(flatness, silent_value=10 ** (definitions.FLATNESS_FLOOR_DB / 10)))


def _pitch(a: Analysis) -> Array:
    """The median over the frames that have a voice; NaN where none has."""
    from audiogan.data.sounds.pitch import measure_pitch

    hertz = measure_pitch(a.waves, a.sample_rate, max(1, round(definitions.PITCH_SECONDS * a.sample_rate)))
    return np.ma.median(np.ma.log2(np.ma.masked_invalid(hertz)), axis=1).filled(np.nan)


@dataclass(frozen=True)
class Knob:
    """A property of sounds: `measure` returns it for each of the sounds of an `Analysis`, in `unit`, float `[N]`."""

    name: str
    unit: str
    meaning: str
    measure: Callable[[Analysis], Array]


KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob("brightness", "log2 Hz", "where the middle of the spectrum lies, from dark to bright", _brightness),
        Knob("attack", "log10 s", "how long the sound takes to rise to its peak, from sharp to soft", _attack),
        Knob("decay", "log10 s", "how long it takes from the peak to fall by 15 dB, from short to long", _decay),
        Knob("noisiness", "dB", "how flat the spectrum is, from a tone to noise", _noisiness),
        Knob("pitch", "log2 Hz", "how high a voice is, from low to high; what has no voice has none", _pitch),
    )
}
"""All knobs, by name."""


def check_knob_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of knobs, all by default. UserError for an unknown or repeated name."""
    names = tuple(KNOBS) if names is None else (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if name not in KNOBS:
            raise UserError(f"knobs: there is no knob {name!r}; there are {', '.join(KNOBS)}")
        if names.count(name) > 1:
            raise UserError(f"knobs: {name!r} is there twice; name each knob once")
    return names


def chunk_size(shape: Sequence[int]) -> int:
    """Return how many sounds of ``shape`` ``(C, T)`` are measured at a time, in bounded memory."""
    return max(1, AT_A_TIME // max(int(np.prod(shape)), 1 << 14))


def chunk_slices(count: int, size: int) -> Iterator[slice]:
    """Return slices of ``range(count)`` of ``size`` each; the last may be shorter."""
    return (slice(i, min(i + size, count)) for i in range(0, count, size))


def measure(waves: np.ndarray, sample_rate: int, names: Sequence[str] | None = None) -> NDArray[np.float32]:
    """Knobs float32 `[N, K]` of sounds `[N, C, T]`, each in its own unit (`Knob.unit`), in the order of ``names``.

    Finite for any finite sound, down to a single sample, and silence has the lowest values there are, but for the
    pitch, which is NaN where there is no voice.

    Args:
        waves: of any level.
        sample_rate: in Hz.
        names: of `KNOBS`; all by default.

    Raises:
        UserError: an unknown name.
        ValueError: waves of another shape, without samples, or with NaN or infinities.
    """
    names = check_knob_names(names)
    waves = np.asarray(waves)
    if waves.ndim != 3 or 0 in waves.shape[1:]:
        raise ValueError(f"waves {waves.shape}: must be [N, C, T] with at least one channel and one sample")
    if sample_rate <= 0:
        raise ValueError(f"sample_rate={sample_rate}: must be positive")
    out = np.empty((len(waves), len(names)), np.float32)
    for part in chunk_slices(len(waves), chunk_size(waves.shape[1:])):
        if broken := np.count_nonzero(~np.isfinite(waves[part]).all(axis=(1, 2))):
            raise ValueError(f"{broken} of sounds {part.start} to {part.stop - 1} have NaN or infinities")
        analysis = Analysis(waves[part], sample_rate)
        for k, name in enumerate(names):
            out[part, k] = KNOBS[name].measure(analysis)
    return out
