"""Knobs: continuous properties of sounds, such as brightness, on which a generator can be conditioned.

`measure_knobs` returns the value of each knob in its own unit. `audiogan.data.measures.KnobValues` adds a column of
values to a table, and `audiogan.inputs.Scale` maps the values to a standard normal distribution by their
rank in the training set. All knobs are independent of the level and of leading silence.
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

CHUNK_SAMPLES = 1 << 20
"""Maximum number of samples per analysed chunk. One chunk needs about 100 MB."""


class Analysis:
    """Spectra and envelopes of sounds ``[N, C, T]``, computed lazily and shared by all knobs.

    Args:
        waves: sounds of any level, scaled internally to a peak of 1.
        sample_rate: sample rate in Hz.
    """

    def __init__(self, waves: np.ndarray, sample_rate: int) -> None:
        waves = waves.astype(np.float64)
        peak = np.abs(waves).max(axis=(1, 2), keepdims=True)
        self.waves, self.sample_rate = waves / np.where(peak > 0, peak, 1.0), sample_rate

    @cached_property
    def magnitude(self) -> NDArray[np.float32]:
        """Magnitude spectrogram ``[N, F, frames]``: square root of the power summed over channels."""
        import librosa
        from scipy.fft import next_fast_len

        n_fft = next_fast_len(max(4, round(definitions.SPECTRUM_SECONDS * self.sample_rate)), real=True)
        n_fft += n_fft % 2  # librosa infers n_fft from the number of bins and assumes an even value.
        short = max(0, n_fft - self.waves.shape[-1])
        waves = np.pad(self.waves, ((0, 0), (0, 0), (0, short))).astype(np.float32)
        spectra = librosa.stft(waves, n_fft=n_fft, hop_length=n_fft // 4)
        return np.sqrt((spectra.real**2 + spectra.imag**2).sum(axis=1))

    def frame_mean(self, values: np.ndarray, silent_value: float) -> Array:
        """Return the amplitude-weighted mean ``[N]`` over frames of ``values`` ``[N, 1, frames]``.

        Frames are weighted by their amplitudes, as a compromise. With energies as weights, the loudest frame would
        dominate. With equal weights, the decay would dominate. The mean of a silent sound is ``silent_value``.
        """
        weights = np.sqrt(np.square(self.magnitude).sum(axis=1))
        total = weights.sum(axis=1)
        mean = (values[:, 0] * weights).sum(axis=1) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, mean, silent_value).astype(np.float64)

    @cached_property
    def envelope(self) -> Array:
        """Amplitude envelope ``[N, T + padding]``: RMS over a triangular window.

        The sounds are padded with silence at both ends, so that leading silence does not change the envelope.
        """
        from scipy.ndimage import uniform_filter1d  # Import SciPy here, because the import is slow.

        size = max(1, round(definitions.ENVELOPE_SECONDS / 2 * self.sample_rate))
        power = np.pad(np.square(self.waves).sum(axis=1), ((0, 0), (2 * size, 2 * size)))
        for _ in range(2):
            power = uniform_filter1d(power, size, axis=1, mode="constant")
        return np.sqrt(np.maximum(power, 0.0))

    @cached_property
    def peak(self) -> Array:
        """Maximum of the envelope, ``[N, 1]``."""
        return self.envelope.max(axis=1, keepdims=True)

    @cached_property
    def sample_index(self) -> NDArray[np.int64]:
        """Indices of the envelope samples, ``[T + padding]``."""
        return np.arange(self.envelope.shape[1])


def _brightness(a: Analysis) -> Array:
    import librosa

    centroid = librosa.feature.spectral_centroid(S=a.magnitude, sr=a.sample_rate)
    return np.log2(np.maximum(a.frame_mean(centroid, silent_value=definitions.LOWEST_HZ), definitions.LOWEST_HZ))


def _attack(a: Analysis) -> Array:
    """Return the attack time as log10 seconds.

    The running maximum of the envelope, divided by the peak, rises to 1. The attack time is twice the area between this
    curve and 1, from the onset on. It equals the duration of a linear attack and, unlike the time of the peak, is
    stable if several peaks are about equal.
    """
    onset = (a.envelope >= definitions.ONSET * a.peak).argmax(axis=1)[:, None]
    risen = np.ones_like(a.envelope)
    np.divide(np.maximum.accumulate(a.envelope, axis=1), a.peak, out=risen, where=a.peak > 0)
    missing = np.where(a.sample_index >= onset, 1.0 - risen, 0.0).sum(axis=1)
    return np.log10(np.maximum(2 * missing / a.sample_rate, definitions.SHORTEST_SECONDS))


def _decay(a: Analysis) -> Array:
    """Return the decay time as log10 seconds: time from the peak until the remaining energy has fallen by 15 dB.

    The energy decay curve is smooth even for sounds with beating.

    Source: Schroeder, "New Method of Measuring Reverberation Time", 1965.
    """
    to_come = np.square(a.envelope[:, ::-1]).cumsum(axis=1)[:, ::-1]
    start = a.envelope.argmax(axis=1)[:, None]
    enough = np.take_along_axis(to_come, start, axis=1) * 10 ** (-definitions.FALL_DB / 10)
    samples = ((to_come > enough) & (a.sample_index >= start)).sum(axis=1)
    return np.log10(np.maximum(samples / a.sample_rate, definitions.SHORTEST_SECONDS))


def _noisiness(a: Analysis) -> Array:
    import librosa

    loudest = a.magnitude.max(axis=1, keepdims=True)  # Normalise, because librosa's threshold `amin` is absolute.
    relative = a.magnitude / np.where(loudest > 0, loudest, 1.0)
    flatness = librosa.feature.spectral_flatness(S=relative, amin=10 ** (definitions.FLATNESS_FLOOR_DB / 10), power=2.0)
    return 10 * np.log10(a.frame_mean(flatness, silent_value=10 ** (definitions.FLATNESS_FLOOR_DB / 10)))


def _pitch(a: Analysis) -> Array:
    """Return the median pitch over voiced frames in log2 Hz, or NaN for sounds without voiced frames."""
    from audiogan.data.sounds.pitch import measure_pitch

    hertz = measure_pitch(a.waves, a.sample_rate, max(1, round(definitions.PITCH_SECONDS * a.sample_rate)))
    return np.ma.median(np.ma.log2(np.ma.masked_invalid(hertz)), axis=1).filled(np.nan)


def _unknown(a: Analysis) -> Array:
    return np.full(len(a.waves), np.nan)


@dataclass(frozen=True)
class Knob:
    """Definition of a knob, a continuous property of sounds.

    Attributes:
        name: name of the knob.
        unit: unit of the values.
        meaning: short explanation of the knob.
        measure: function from an `Analysis` of ``N`` sounds to their values, float ``[N]``.
    """

    name: str
    unit: str
    meaning: str
    measure: Callable[[Analysis], Array]


KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob("brightness", "log2 Hz", "spectral centroid, from dark to bright", _brightness),
        Knob("attack", "log10 s", "time from the onset to the peak, from sharp to soft", _attack),
        Knob("decay", "log10 s", "time from the peak until the level has fallen by 15 dB, from short to long", _decay),
        Knob("noisiness", "dB", "spectral flatness, from tonal to noisy", _noisiness),
        Knob("pitch", "log2 Hz", "median pitch of a voice, from low to high; undefined without a voice", _pitch),
    )
}
"""Definitions of all measured knobs, by name."""
LISTED_KNOBS = {"velocity": Knob("velocity", "0 to 1", "strength of the stroke, from soft to hard", _unknown)}
"""Definitions of the knobs that are read from a manifest, by name, see `audiogan.data.manifest`. `measure_knobs`
returns NaN for them, because they cannot be measured on a sound."""


def check_knob_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the knob names as a tuple (``None``: all measured knobs). Raise `UserError` for an unknown or repeated
    name."""
    names = tuple(KNOBS) if names is None else (names,) if isinstance(names, str) else tuple(names)
    known = KNOBS | LISTED_KNOBS
    for name in names:
        if name not in known:
            raise UserError(f"knobs: there is no knob {name!r}; there are {', '.join(known)}")
        if names.count(name) > 1:
            raise UserError(f"knobs: {name!r} is repeated; name each knob once")
    return names


def chunk_size(shape: Sequence[int]) -> int:
    """Return the number of sounds of shape ``(C, T)`` to measure at once within the memory limit, 1 or more."""
    return max(1, CHUNK_SAMPLES // max(int(np.prod(shape)), 1 << 14))


def chunk_slices(count: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of length ``size`` that cover ``range(count)``. The last may be shorter."""
    return (slice(i, min(i + size, count)) for i in range(0, count, size))


def measure_knobs(waves: np.ndarray, sample_rate: int, names: Sequence[str] | None = None) -> NDArray[np.float32]:
    """Measure the knobs of sounds.

    Args:
        waves: sounds ``[N, C, T]`` of any level, with at least one channel and one sample.
        sample_rate: sample rate in Hz.
        names: names of the ``K`` knobs to measure, keys of `KNOBS`. Default: all knobs.

    Returns:
        Knob values float32 ``[N, K]``, each in the unit of its knob. All values are finite except the pitch, which is
        NaN for sounds without voiced frames. Silence gets the lowest value of every other knob.

    Raises:
        UserError: a name is unknown.
        ValueError: the shape or the sample rate is invalid, or the sounds contain NaN or infinities.
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
            raise ValueError(f"{broken} of the sounds {part.start} to {part.stop - 1} contain NaN or infinities")
        analysis = Analysis(waves[part], sample_rate)
        for k, name in enumerate(names):
            out[part, k] = (KNOBS | LISTED_KNOBS)[name].measure(analysis)
    return out
