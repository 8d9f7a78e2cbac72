"""Degradations of sounds: added noise, low-pass filters, band limiting, and clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from audiogan.data.degrade.base import Degradation, Range, Rng, column_sample_rate
from audiogan.data.table import Table

# Exponent k of the magnitude spectrum f**k, for each colour of noise.
SPECTRAL_EXPONENTS = {"white": 0.0, "pink": -0.5, "brown": -1.0}
SILENT_POWER = 1e-10  # Mean square below which a sound counts as silent.
FILTERS = ("butterworth", "chebyshev", "sinc")
RIPPLE_DB = 0.25  # Ripple of Chebyshev filters in the passband, in dB. Both passes together have twice this ripple.


def coloured_noise(colour: str, channels: int, length: int, rng: Rng) -> Tensor:
    """Return Gaussian noise ``[channels, length]`` of a colour in `SPECTRAL_EXPONENTS`. Channels are independent."""
    white = rng.standard_normal((channels, length), np.float32)
    if colour == "white" or length < 2:
        return torch.from_numpy(white)
    spectrum = np.fft.rfft(white)
    bins = np.maximum(np.arange(spectrum.shape[-1]), 1)
    spectrum[:, 0] = 0
    return torch.from_numpy(np.fft.irfft(spectrum * bins ** SPECTRAL_EXPONENTS[colour], length).astype(np.float32))


def random_excerpt(sounds: Table, channels: int, length: int, rng: Rng) -> Tensor:
    """Return ``length`` samples ``[channels, length]`` of a random sound, beginning at a random position.

    Args:
        sounds: table of sounds. A sound that ends too early is continued from its beginning. The channels of a sound
            with another number of channels are averaged.
        channels: number of channels of the result.
        length: number of samples of the result.
        rng: random generator.
    """
    sound = sounds.signals(np.array([int(rng.integers(len(sounds)))]))[0]
    if len(sound) != channels:
        sound = sound.mean(0, keepdim=True).expand(channels, -1)
    start = int(rng.integers(sound.shape[1]))
    return sound[:, (torch.arange(length) + start) % sound.shape[1]]


@dataclass(eq=False)
class MixNoise(Degradation):
    """Add noise to a sound at a given signal-to-noise ratio. Silent sounds are returned unchanged.

    Args:
        snr: signal-to-noise ratio in dB, -30 to 100: mean square of the sound divided by that of the noise, each over
            all channels and samples.
        noise: spectrum of synthetic noise: ``white`` (flat), ``pink`` (power 1/f) or ``brown`` (1/f²). The noise
            of each channel is independent.
        sounds: table of recorded noises with the sample rate of the data, used instead of ``noise``. Example:
            ``{_target_: audiogan.data.open_sounds, root: FOLDER}``. The noise starts at a random position of a random
            recording, which is looped if it is shorter than the sound.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import MixNoise
        >>> tone = torch.ones(1, 16000)
        >>> noisy = MixNoise(snr=20.0)(tone, np.random.default_rng(0))
        >>> round((noisy - tone).std().item(), 2)  # 20 dB below the tone
        0.1
    """

    dims = 2
    snr: Annotated[Range, -30, 100] = (0.0, 20.0)
    noise: str = "white"
    sounds: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise not in SPECTRAL_EXPONENTS:
            raise self.error(f"noise={self.noise!r}: choose one of {', '.join(SPECTRAL_EXPONENTS)}")
        if self.sounds is not None and not len(self.sounds):
            raise self.error("sounds: the table of noises is empty")

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        snr = rng.uniform(*self.snr)
        added = (
            coloured_noise(self.noise, x.shape[0], x.shape[1], rng) if self.sounds is None else self._recorded(x, rng)
        )
        signal, noise = (float(v.double().square().mean()) for v in (x, added))
        return (
            x + added * (signal / noise / 10 ** (snr / 10)) ** 0.5 if min(signal, noise) >= SILENT_POWER else x.clone()
        )

    def bind(self, table: Table) -> Degradation:
        mine, theirs = self.sounds and column_sample_rate(self.sounds, "x"), column_sample_rate(table, self.input)
        if None not in (mine, theirs) and mine != theirs:
            raise self.error(f"sounds: the noises have {mine} Hz, the data {theirs} Hz; use equal sample rates")
        return self

    def _recorded(self, x: Tensor, rng: Rng) -> Tensor:
        return random_excerpt(self.sounds, x.shape[0], x.shape[1], rng)


@dataclass(eq=False)
class BandLimit(Degradation):
    """Limit the bandwidth of a sound by resampling it to a lower rate and back, for training bandwidth extension.

    Args:
        rate: lower sample rate in Hz, 100 to 384,000. At ``sample_rate`` or more, the sound does not change.
        sample_rate: sample rate of the sounds in Hz. Default: the sample rate of the table.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import BandLimit
        >>> BandLimit(rate=4000.0, sample_rate=16000)(torch.zeros(1, 800)).shape
        torch.Size([1, 800])
    """

    dims = 2
    rate: Annotated[Range, 100, 384_000] = 8000.0
    sample_rate: int | None = None

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        import soxr

        low, high, length = round(rng.uniform(*self.rate)), self.sample_rate, x.shape[-1]
        if high is None:
            raise self.error("the signals have no sample rate; give sample_rate in Hz")
        if low >= high:
            return x.clone()
        y = soxr.resample(soxr.resample(x.T.numpy(), high, low, quality="HQ"), low, high, quality="HQ")[:length]
        out = torch.zeros_like(x)
        out[:, : len(y)] = torch.from_numpy(np.ascontiguousarray(y.T))
        return out

    def bind(self, table: Table) -> Degradation:
        return replace(self, sample_rate=self.sample_rate or column_sample_rate(table, self.input))


@dataclass(eq=False)
class LowPass(Degradation):
    """Filter a sound with a low-pass filter of random kind and order. The filters have zero phase.

    A network for bandwidth extension that is trained with one low-pass filter fails for recordings that were made with
    another low-pass filter. Recursive filters run forwards and backwards over the sound, which doubles their order.

    Args:
        cutoff: cut-off frequency in Hz, 20 to 192,000. At half the sample rate or more, the sound does not change.
        order: order of the recursive filters, 1 to 16. A windowed sinc has this number of zero crossings on each side.
        filters: kinds of filters, one of which is drawn for each example: ``butterworth``, ``chebyshev`` (type 1) and
            ``sinc`` (Hann window).
        sample_rate: sample rate of the sounds in Hz. Default: the sample rate of the table.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import LowPass
        >>> alternating = torch.tensor([[1.0, -1.0] * 400])  # half the sample rate
        >>> bool(LowPass(cutoff=4000.0, sample_rate=16000)(alternating)[:, 100:-100].abs().max() < 0.01)
        True
    """

    dims = 2
    cutoff: Annotated[Range, 20, 192_000] = 4000.0
    order: Annotated[Range, 1, 16] = (3.0, 8.0)
    filters: Sequence[str] = FILTERS
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.filters or not all(kind in FILTERS for kind in self.filters):
            raise self.error(f"filters={self.filters!r}: must be a list of {', '.join(FILTERS)}")

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        from scipy import signal

        kind = self.filters[int(rng.integers(len(self.filters)))]
        cutoff, order, rate = rng.uniform(*self.cutoff), round(rng.uniform(*self.order)), self.sample_rate
        if rate is None:
            raise self.error("the signals have no sample rate; give sample_rate in Hz")
        if cutoff >= rate / 2:
            return x.clone()
        values = x.double().numpy()
        if kind == "sinc":
            taps = signal.firwin(2 * round(order * rate / (2 * cutoff)) + 1, cutoff, window="hann", fs=rate)
            y = signal.fftconvolve(values, taps[None], mode="full", axes=1)[:, len(taps) // 2 :][:, : x.shape[1]]
        else:
            args: tuple[float, ...] = (order,) if kind == "butterworth" else (order, RIPPLE_DB)
            make = signal.butter if kind == "butterworth" else signal.cheby1
            sections = make(*args, cutoff, fs=rate, output="sos")
            y = signal.sosfiltfilt(sections, values, axis=1, padlen=min(3 * (2 * len(sections) + 1), x.shape[1] - 1))
        return torch.from_numpy(np.ascontiguousarray(y)).to(x.dtype)

    def bind(self, table: Table) -> Degradation:
        return replace(self, sample_rate=self.sample_rate or column_sample_rate(table, self.input))


@dataclass(eq=False)
class Clip(Degradation):
    """Clip a sound (hard clipping).

    Args:
        level: clipping level relative to the peak of the sound, 0.001 to 1. At 1, nothing is clipped.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import Clip
        >>> Clip(level=0.5)(torch.tensor([[0.1, 0.9, -1.0]]))
        tensor([[ 0.1000,  0.5000, -0.5000]])
    """

    dims = 2
    level: Annotated[Range, 1e-3, 1] = (0.1, 0.5)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        most = float(x.abs().max()) * rng.uniform(*self.level)
        return x.clamp(-most, most)
