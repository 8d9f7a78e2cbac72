"""Degradations of sounds `[C, T]`: added noise, limited bands, clipping."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from audiogan.data.degrade.base import Degradation, Range, Shape, drawn, limits, shown, whole
from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.data.table import Table

SLOPES = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # exponent of the frequency in the magnitude spectrum
QUIET = 1e-10  # mean square below which a sound counts as silent


class SoundDegradation(Degradation):
    """Base class for sounds `[C, T]`."""

    def shape(self, of: Shape) -> Shape:
        if len(of) != 2:
            raise UserError(f"{type(self).__name__}: needs sounds [C, T], got {shown(of)}")
        return of


class MixNoise(SoundDegradation):
    """Add noise at a signal-to-noise ratio: 10 log10 of the ratio of the mean squares over all channels and samples.

    Args:
        snr: in dB, -30 ... 100, or a range.
        noise: ``white`` (equal power at all frequencies), ``pink`` (1/f) or ``brown`` (1/f²); channels are independent.
        sounds: a table of noises in place of ``noise``, at the same sample rate, such as
            ``{_target_: audiogan.data.open_sounds, root: FOLDER}``. A random one is used from a random place, and
            repeated where it is shorter.
        of: the column that is degraded.

    A silent sound, or silent noise, leaves the sound as it is.
    """

    def __init__(self, snr: Range = (0.0, 20.0), noise: str = "white", sounds: Any = None, of: str = "x") -> None:
        super().__init__(of)
        if noise not in SLOPES:
            raise UserError(f"MixNoise: noise={noise!r}: choose one of {', '.join(SLOPES)}")
        if sounds is not None and not len(sounds):
            raise UserError("MixNoise: sounds: the table of noises is empty")
        self.snr, self.noise, self.sounds = limits(self, "snr", snr, -30, 100), noise, sounds

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        snr = drawn(self.snr, rng)
        added = self._noise(x.shape[0], x.shape[1], rng) if self.sounds is None else self._recorded(x, rng)
        signal, noise = (float(v.double().square().mean()) for v in (x, added))
        if signal < QUIET or noise < QUIET:
            return x.clone()
        return x + added * (signal / noise / 10 ** (snr / 10)) ** 0.5

    def bound(self, table: Table) -> Degradation:
        mine, theirs = (getattr(each, "modality", None) for each in (self.sounds, table.columns[self.of]))
        rates = [getattr(modality, "sample_rate", None) for modality in (mine, theirs)]
        if None not in rates and rates[0] != rates[1]:
            raise UserError(f"MixNoise: sounds: the noises have {rates[0]} Hz, the data {rates[1]} Hz; make them equal")
        return self

    def _noise(self, channels: int, length: int, rng: np.random.Generator) -> Tensor:
        white = rng.standard_normal((channels, length), np.float32)
        if self.noise == "white" or length < 2:
            return torch.from_numpy(white)
        spectrum = np.fft.rfft(white)
        bins = np.maximum(np.arange(spectrum.shape[-1]), 1)
        spectrum[:, 0] = 0
        return torch.from_numpy(np.fft.irfft(spectrum * bins ** SLOPES[self.noise], length).astype(np.float32))

    def _recorded(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        channels, length = x.shape
        sound = self.sounds.signals(np.array([int(rng.integers(len(self.sounds)))]))[0]
        if sound.shape[0] != channels:
            sound = sound.mean(0, keepdim=True).expand(channels, -1)
        start = int(rng.integers(sound.shape[1]))
        return sound[:, (torch.arange(length) + start) % sound.shape[1]]


class _Rated(SoundDegradation):
    """A sound degradation that needs the sample rate: of the table, where it is not given."""

    sample_rate: int | None

    def bound(self, table: Table) -> Degradation:
        if self.sample_rate is not None:
            return self
        rate = getattr(table.columns[self.of].modality, "sample_rate", None)
        if rate is None:
            raise UserError(f"{type(self).__name__}: the column {self.of} has no sample rate; give sample_rate in Hz")
        known = copy.copy(self)
        known.sample_rate = int(rate)
        return known

    def rate(self) -> int:
        if self.sample_rate is None:
            raise ValueError(f"{type(self).__name__}: give sample_rate, or call it with a table of sounds")
        return self.sample_rate


class LowPass(_Rated):
    """Remove high frequencies: a Butterworth filter, run forwards and backwards, so that nothing is delayed.

    Args:
        cutoff: Hz at which the level falls by 6 dB, above 0 and below half the sample rate, or a range. A value drawn
            at or above 0.49 of the sample rate changes nothing.
        order: of the filter, from 1 to 12; the slope beyond the cutoff is 12 dB per octave and order.
        sample_rate: Hz; by default that of the table.
        of: the column that is degraded.
    """

    def __init__(self, cutoff: Range = 2000.0, order: int = 4, sample_rate: int | None = None, of: str = "x") -> None:
        super().__init__(of)
        self.cutoff, self.order = limits(self, "cutoff", cutoff, 1, 192_000), whole(self, "order", order, 1, 12)
        self.sample_rate = None if sample_rate is None else whole(self, "sample_rate", sample_rate, 1, 384_000)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        from scipy.signal import butter, sosfiltfilt

        cutoff, rate = drawn(self.cutoff, rng), self.rate()
        if cutoff >= 0.49 * rate:
            return x.clone()
        filters = butter(self.order, cutoff, fs=rate, output="sos")
        pad = min(3 * (2 * len(filters) + 1), x.shape[-1] - 1)
        return torch.from_numpy(sosfiltfilt(filters, x.double().numpy(), padlen=pad).astype(np.float32))


class BandLimit(_Rated):
    """Resample to a lower rate and back: the sound as a telephone or an old recording has it, for bandwidth extension.

    Uses soxr (HQ), which passes 91 % of the band. The length stays.

    Args:
        rate: the lower sample rate, Hz, at least 100, or a range. A value at or above the sample rate changes nothing.
        sample_rate: Hz; by default that of the table.
        of: the column that is degraded.
    """

    def __init__(self, rate: Range = 8000.0, sample_rate: int | None = None, of: str = "x") -> None:
        super().__init__(of)
        self.low = limits(self, "rate", rate, 100, 384_000)
        self.sample_rate = None if sample_rate is None else whole(self, "sample_rate", sample_rate, 1, 384_000)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        import soxr

        low, rate, length = round(drawn(self.low, rng)), self.rate(), x.shape[-1]
        if low >= rate:
            return x.clone()
        y = soxr.resample(soxr.resample(x.T.numpy(), rate, low, quality="HQ"), low, rate, quality="HQ")[:length]
        out = torch.zeros_like(x)
        out[:, : len(y)] = torch.from_numpy(np.ascontiguousarray(y.T))
        return out


class Clip(SoundDegradation):
    """Cut off the peaks, as an overdriven recording has them (hard clipping).

    Args:
        level: threshold as a share of the sound's peak, above 0 and at most 1 (nothing is clipped), or a range.
        of: the column that is degraded.
    """

    def __init__(self, level: Range = (0.1, 0.5), of: str = "x") -> None:
        super().__init__(of)
        self.level = limits(self, "level", level, 1e-3, 1)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        most = float(x.abs().max()) * drawn(self.level, rng)
        return x.clamp(-most, most)
