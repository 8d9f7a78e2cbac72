"""Building blocks of the drum machine: damped sines, pitch-swept sines, and filtered noise.

Metallic spectra are lists of partials. Partials above the Nyquist frequency are omitted, so that a sound does not alias
and is the same at all sample rates except for its bandwidth.

Sources: Fletcher & Rossing, "The Physics of Musical Instruments", 2nd ed., chapter 3 (membranes and plates).
Chowning, "The Synthesis of Complex Audio Spectra by Means of Frequency Modulation", 1973.
Reid, "Synth Secrets", Sound on Sound, 2002 (square waves for cymbals and cowbells).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import scipy.special
from numpy.typing import NDArray

Array = NDArray[np.floating]
Num = float | Array

_DECAY = np.log(1000.0)  # Amplitude decay by 60 dB, in nepers.
# Highest frequency in Hz of modes and noise. Noise is scaled to RMS 1 over the band from 0 to this frequency.
MAX_HZ = 20_000.0
_GRID = np.linspace(0.0, MAX_HZ, 200)
# Frequency ratios of the modes of an ideal circular membrane (Fletcher & Rossing, table 3.1).
MEMBRANE = np.array([1.0, 1.593, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501])
CYMBAL_OSCILLATORS = np.array(
    [205.3, 304.4, 369.6, 522.7, 540.0, 800.0]
)  # Frequencies in Hz of an analogue cymbal's oscillators.


class RandomValues:
    """Random generator of synthesis parameters.

    It is separate from the generator of noise, so that the parameters of a sound do not depend on its length and
    sample rate. Draws are floats, or arrays of ``size`` floats.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        """Draw a value uniformly between ``low`` and ``high``."""
        return self.rng.uniform(low, high, size)

    def loguniform(self, low: float, high: float, size: int | None = None) -> Any:
        """Draw a value log-uniformly between ``low`` and ``high``, both positive."""
        return np.exp(self.rng.uniform(np.log(low), np.log(high), size))

    def chance(self, probability: float) -> bool:
        """Return ``True`` with the given probability."""
        return bool(self.rng.random() < probability)


def bandpass(freq: Num, low: float, high: float, steep: bool = True, tilt: float = 0.0) -> Array:
    """Return the gain of a band-pass filter at the given frequencies.

    Args:
        freq: frequencies in Hz.
        low: lower cutoff in Hz.
        high: upper cutoff in Hz.
        steep: use slopes of second order instead of first order.
        tilt: spectral tilt in dB per octave.
    """
    freq = np.maximum(freq, 1.0)
    under, over = np.square(low / freq), np.square(freq / high)
    if steep:
        under, over = np.square(under), np.square(over)
    magnitude = 1.0 / np.sqrt((1 + under) * (1 + over))
    return magnitude * np.exp((tilt / 6.02) * np.log(freq / 1000.0)) if tilt else magnitude


def saturate(x: Array, gain: Num) -> Array:
    """Return ``x`` after soft saturation (tanh). ``x`` should be low-pitched, because overtones may alias."""
    return np.tanh(gain * x) / np.tanh(gain)


class Synth:
    """Synthesiser of one sound from damped sines, chirps and noise. Times are in seconds, frequencies in Hz.

    All methods return a waveform ``[T]``. To save time, they do not compute the part below -120 dB.

    Args:
        sample_rate: sample rate in Hz.
        length: length ``T`` of the sound in samples.
        seed: seed of the noise.
    """

    def __init__(self, sample_rate: int, length: int, seed: int) -> None:
        self.sample_rate, self.length = sample_rate, length
        self.t = np.arange(length) / sample_rate
        self.rng = np.random.default_rng(seed)

    def _audible_samples(self, t60: Num, start: float = 0.0) -> int:
        return min(self.length, int((start + 2.0 * float(np.max(t60))) * self.sample_rate) + 16)

    def chirps(
        self, freq: Num, start_ratio: float, time_constant: float, t60: Num, amp: Num = 1.0, phase: float = 0.0
    ) -> Array:
        """Return a sum of decaying sines that glide from ``freq * start_ratio`` to ``freq``.

        Args:
            freq: final frequencies in Hz.
            start_ratio: ratio of the initial to the final frequency.
            time_constant: time constant of the glide in seconds.
            t60: decay times (to -60 dB) in seconds.
            amp: amplitudes.
            phase: initial phase in radians.
        """
        t = self.t[: self._audible_samples(t60)]
        fall = 2 * np.pi * (t + (start_ratio - 1.0) * time_constant * -np.expm1(-t / time_constant))
        wave = np.zeros(self.length)
        for one, gain, decay in np.broadcast(freq, amp, t60):
            n = self._audible_samples(decay)
            wave[:n] += gain * np.exp(-_DECAY / decay * t[:n]) * np.sin(one * fall[:n] + phase)
        return wave

    def partials(self, freq: Num, amp: Num, t60: Num, phase: Num = 0.0, attack: float = 0.0) -> Array:
        """Return a sum of damped sines ``amp * sin(2 pi freq t + phase)``.

        Args:
            freq: frequencies in Hz. Those close to or above the Nyquist frequency are omitted.
            amp: amplitudes.
            t60: decay times (to -60 dB) in seconds.
            phase: initial phases in radians.
            attack: approximate rise time in seconds.
        """
        freq, amp, t60, phase = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(v, float)) for v in (freq, amp, t60, phase))
        )
        keep = (freq < 0.47 * self.sample_rate) & (np.abs(amp) > 1e-4 * np.abs(amp).max())
        freq, start, rate = freq[keep], (amp * np.exp(1j * (phase - np.pi / 2)))[keep], _DECAY / t60[keep]
        if attack:  # Shape the attack as a slow decay minus a fast decay.
            freq, start, rate = (
                np.tile(freq, 2),
                np.concatenate([start, -start]),
                np.concatenate([rate, rate + 2.0 / attack]),
            )
        step = np.exp((-rate + 2j * np.pi * freq) / self.sample_rate)
        # Because z^(block*a + b) = z^(block*a) * z^b, a small matrix product gives the exponentials of all samples.
        n = self._audible_samples(t60)
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
        """Return exponentially decaying noise filtered by `bandpass`.

        The level does not depend on the sample rate: before attack and decay, the filtered noise between 0 and 20 kHz
        has RMS 1. With a lower sample rate, the part above half the sample rate is missing.

        Args:
            low: lower cutoff in Hz.
            high: upper cutoff in Hz.
            t60: decay time (to -60 dB) in seconds.
            attack: approximate rise time in seconds.
            start: start time in seconds.
            steep: use slopes of second order instead of first order.
            tilt: spectral tilt in dB per octave.
        """
        first, end = round(start * self.sample_rate), self._audible_samples(t60, start)
        wave = np.zeros(self.length)
        if first >= end:
            return wave
        n = scipy.fft.next_fast_len(end - first, real=True)
        spectrum = self.rng.standard_normal((n // 2 + 1, 2), np.float32).view(np.complex64)[:, 0]
        spectrum *= bandpass(np.arange(n // 2 + 1) * (self.sample_rate / n), low, high, steep, tilt)
        power = np.mean(bandpass(_GRID, low, high, steep, tilt) ** 2) * MAX_HZ
        t = self.t[: end - first]
        hiss = scipy.fft.irfft(spectrum, n)[: len(t)] * np.exp(-_DECAY / t60 * t)
        if attack:
            hiss *= -np.expm1(-2.0 / attack * t)
        wave[first:end] = np.sqrt(self.sample_rate * n / 4 / power) * hiss
        return wave


def plate_modes(draw: RandomValues, low: float, count: int = 450) -> tuple[Array, Array]:
    """Return frequencies in Hz and amplitudes of modes of a thin plate, uniformly dense from ``low`` to 20 kHz."""
    freq = np.sort(draw.uniform(low, MAX_HZ, count))
    return freq, np.sqrt(-np.log(draw.uniform(1e-6, 1, count))) * np.exp(0.4 * draw.rng.standard_normal(count))


def square_harmonics(fundamentals: Num) -> tuple[Array, Array]:
    """Return frequencies in Hz and amplitudes of the odd harmonics of square waves with the given fundamentals."""
    freq = np.multiply.outer(np.arange(1, 100, 2), np.asarray(fundamentals))
    amp = np.broadcast_to(1.0 / np.arange(1, 100, 2)[:, None], freq.shape)
    return freq[freq < MAX_HZ], amp[freq < MAX_HZ]


def fm_sidebands(carrier: Num, modulator: Num, modulation_index: Num) -> tuple[Array, Array]:
    """Return frequencies in Hz and amplitudes of FM spectra. Negative frequencies are reflected with inverted sign."""
    k = np.arange(-14, 15)
    freq = np.add.outer(k * 0, np.atleast_1d(carrier)) + np.multiply.outer(k, np.atleast_1d(modulator))
    amp = scipy.special.jv(k, modulation_index)[:, None] * np.sign(freq)
    return np.abs(freq).ravel(), amp.ravel()


def cymbal_partials(
    draw: RandomValues, low: float, high: float = MAX_HZ, tilt: float = 0.0
) -> tuple[Array, Array, Array]:
    """Return frequencies in Hz, amplitudes and phases of random cymbal partials from ``low`` to ``high``."""
    manner = draw.rng.random()
    if manner < 0.6:
        freq, amp = plate_modes(draw, 220.0)
    elif manner < 0.8:
        freq, amp = square_harmonics(CYMBAL_OSCILLATORS * draw.loguniform(0.7, 1.6) * draw.loguniform(0.97, 1.03, 6))
    else:
        pairs = draw.loguniform(700, 6000, 8)
        freq, amp = fm_sidebands(pairs, pairs * draw.uniform(0.23, 1.41, 8), draw.uniform(2.0, 7.0))
    amp = amp * bandpass(freq, low, high, tilt=tilt)
    return freq, amp / np.sqrt(np.sum(amp**2) / 2), draw.uniform(0, 2 * np.pi, len(freq))
