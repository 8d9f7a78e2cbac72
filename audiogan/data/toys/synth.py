"""Damped partials, gliding sines and shaped noise: all that the drum machine's sounds are built of.

Metallic spectra (struck plates, banks of square waves, FM) are written as lists of partials, and those above the
Nyquist frequency are left out: nothing aliases at any sample rate, and a sound at 44.1 kHz is the same sound as at
16 kHz with its top restored.

Sources: modes of membranes and plates: Fletcher & Rossing, "The Physics of Musical Instruments" (2nd ed., ch. 3);
FM spectra: Chowning, "The Synthesis of Complex Audio Spectra by Means of Frequency Modulation" (1973);
banks of square waves for cymbals and cowbells: Reid, "Synth Secrets" (Sound on Sound, 2002).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import scipy.special
from numpy.typing import NDArray

Array = NDArray[np.floating]
Num = float | Array  # broadcast against each other

_DECAY = np.log(1000.0)  # a fall of 60 dB
TOP = 20_000.0  # Hz: the noise's level is set for this bandwidth at every sample rate
_GRID = np.linspace(0.0, TOP, 200)
MEMBRANE = np.array([1.0, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501])  # ideal circular membrane, F&R table 3.1
SQUARES = np.array([205.3, 304.4, 369.6, 522.7, 540.0, 800.0])  # Hz, the oscillators of a classic analogue cymbal


class Dice:
    """Draws parameters; separate from the noise, so that a sound keeps its parameters at every rate and length.

    Each draw is a float, or an array of ``size`` floats.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        """Even between `low` and `high`."""
        return self.rng.uniform(low, high, size)

    def loguniform(self, low: float, high: float, size: int | None = None) -> Any:
        """Even between their logarithms, as ears count frequencies, times and gains."""
        return np.exp(self.rng.uniform(np.log(low), np.log(high), size))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)


def bandpass(freq: Num, low: float, high: float, steep: bool = True, tilt: float = 0.0) -> Array:
    """Magnitude at `f` [Hz] of a band-pass from `low` to `high` [Hz] (second-order edges if `steep`, else first).

    It leans by `tilt` [dB per octave]. Squares, not powers: this is the drum machine's busiest line.
    """
    freq = np.maximum(freq, 1.0)
    under, over = np.square(low / freq), np.square(freq / high)
    if steep:
        under, over = np.square(under), np.square(over)
    magnitude = 1.0 / np.sqrt((1 + under) * (1 + over))
    return magnitude * np.exp((tilt / 6.02) * np.log(freq / 1000.0)) if tilt else magnitude


def drive(x: Array, gain: Num) -> Array:
    """Soft saturation. Only for low sources: their overtones have died away well below the Nyquist frequency."""
    return np.tanh(gain * x) / np.tanh(gain)


class Synth:
    """The time axis of one sound, its noise, and the three things it is built of. Times are in seconds.

    Each returns a wave [T]. What has fallen by 120 dB is not computed: most strokes are far shorter than the sound.
    """

    def __init__(self, sample_rate: int, length: int, seed: int) -> None:
        self.sample_rate, self.length = sample_rate, length
        self.t = np.arange(length) / sample_rate
        self.rng = np.random.default_rng(seed)

    def _span(self, t60: Num, start: float = 0.0) -> int:
        return min(self.length, int((start + 2.0 * float(np.max(t60))) * self.sample_rate) + 16)

    def chirps(self, freq: Num, bend: float, tau: float, t60: Num, amp: Num = 1.0, phase: float = 0.0) -> Array:
        """Sum of decaying sines that fall from `f * bend` to `f` [Hz] with time constant `tau`."""
        t = self.t[: self._span(t60)]
        fall = 2 * np.pi * (t + (bend - 1.0) * tau * -np.expm1(-t / tau))
        wave = np.zeros(self.length)
        for one, gain, decay in np.broadcast(freq, amp, t60):
            n = self._span(decay)
            wave[:n] += gain * np.exp(-_DECAY / decay * t[:n]) * np.sin(one * fall[:n] + phase)
        return wave

    def partials(self, freq: Num, amp: Num, t60: Num, phase: Num = 0.0, attack: float = 0.0) -> Array:
        """Sum of damped sines `amp * sin(2 pi f t + phase)`, rising within about `attack`; those too high drop out."""
        freq, amp, t60, phase = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(v, float)) for v in (freq, amp, t60, phase))
        )
        keep = (freq < 0.47 * self.sample_rate) & (np.abs(amp) > 1e-4 * np.abs(amp).max())
        freq, start, rate = freq[keep], (amp * np.exp(1j * (phase - np.pi / 2)))[keep], _DECAY / t60[keep]
        if attack:  # a rise = a slow decay minus a fast one of the same phase
            freq, start, rate = (
                np.tile(freq, 2),
                np.concatenate([start, -start]),
                np.concatenate([rate, rate + 2.0 / attack]),
            )
        step = np.exp((-rate + 2j * np.pi * freq) / self.sample_rate)
        # z^(block*a + b) = z^(block*a) * z^b turns a million exponentials into one small matrix product.
        n = self._span(t60)
        block = int(np.ceil(np.sqrt(n)))
        inner = np.multiply.accumulate(np.vstack([np.ones_like(step), np.tile(step, (block, 1))]), axis=0)
        outer = np.multiply.accumulate(np.vstack([start, np.tile(inner[-1], (block - 1, 1))]), axis=0)
        product = np.hstack([outer.real, -outer.imag]) @ np.hstack([inner[:-1].real, inner[:-1].imag]).T
        wave = np.zeros(self.length)
        wave[:n] = product.reshape(-1)[:n]
        return wave

    def noise(
        self,
        low: float,
        high: float,
        t60: float,
        *,
        attack: float = 0.0,
        start: float = 0.0,
        steep: bool = True,
        tilt: float = 0.0,
    ) -> Array:
        """Noise through `band` from `start` on; of the same density (RMS 1 over 20 kHz) whatever the sample rate."""
        first, end = round(start * self.sample_rate), self._span(t60, start)
        wave = np.zeros(self.length)
        if first >= end:
            return wave
        n = scipy.fft.next_fast_len(end - first, real=True)
        spectrum = self.rng.standard_normal((n // 2 + 1, 2), np.float32).view(np.complex64)[:, 0]
        spectrum *= bandpass(np.arange(n // 2 + 1) * (self.sample_rate / n), low, high, steep, tilt)
        power = np.mean(bandpass(_GRID, low, high, steep, tilt) ** 2) * TOP
        t = self.t[: end - first]
        hiss = scipy.fft.irfft(spectrum, n)[: len(t)] * np.exp(-_DECAY / t60 * t)
        if attack:
            hiss *= -np.expm1(-2.0 / attack * t)
        wave[first:end] = np.sqrt(self.sample_rate * n / 4 / power) * hiss
        return wave


# Spectra as lists of partials: each returns (frequencies in Hz, amplitudes).


def plate_modes(d: Dice, low: float, count: int = 450) -> tuple[Array, Array]:
    """Modes of a thin plate: evenly dense in frequency (F&R ch. 3), of unequal strength."""
    freq = np.sort(d.uniform(low, TOP, count))
    return freq, np.sqrt(-np.log(d.uniform(1e-6, 1, count))) * np.exp(0.4 * d.rng.standard_normal(count))


def square_harmonics(base_freqs: Num) -> tuple[Array, Array]:
    """Odd harmonics of several square waves."""
    freq = np.multiply.outer(np.arange(1, 100, 2), np.asarray(base_freqs))
    amp = np.broadcast_to(1.0 / np.arange(1, 100, 2)[:, None], freq.shape)
    return freq[freq < TOP], amp[freq < TOP]


def fm_sidebands(carrier: Num, modulator: Num, index: Num) -> tuple[Array, Array]:
    """FM: Bessel amplitudes at carrier + k * modulator; sidebands below zero fold back with a minus."""
    k = np.arange(-14, 15)
    freq = np.add.outer(k * 0, np.atleast_1d(carrier)) + np.multiply.outer(k, np.atleast_1d(modulator))
    amp = scipy.special.jv(k, index)[:, None] * np.sign(freq)
    return np.abs(freq).ravel(), amp.ravel()


def cymbal_partials(d: Dice, low: float, high: float = TOP, tilt: float = 0.0) -> tuple[Array, Array, Array]:
    """A cymbal's partials between `low` and `high` in one of three manners: (frequencies, amplitudes, phases)."""
    manner = d.rng.random()
    if manner < 0.6:
        freq, amp = plate_modes(d, 220.0)
    elif manner < 0.8:
        freq, amp = square_harmonics(SQUARES * d.loguniform(0.7, 1.6) * d.loguniform(0.97, 1.03, 6))
    else:
        pairs = d.loguniform(700, 6000, 8)
        freq, amp = fm_sidebands(pairs, pairs * d.uniform(0.23, 1.41, 8), d.uniform(2.0, 7.0))
    amp = amp * bandpass(freq, low, high, tilt=tilt)
    return freq, amp / np.sqrt(np.sum(amp**2) / 2), d.uniform(0, 2 * np.pi, len(freq))
