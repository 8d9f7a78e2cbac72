"""Modes: damped sinusoids over the whole range of hearing, their synthesis as STFT frames, and their measurement.

A struck body rings in modes, each with its own frequency and decay. `window_transform` and `ModeBands` let a network
add modes to an STFT as a matrix product, as in Rodet & Depalle, "Spectral envelopes and inverse FFT synthesis", AES
1992. The phases continue from frame to frame, so that a mode is a sharp spectral line for its whole duration.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.sound_format import SoundFormat

LOWEST_HZ, MIDDLE_HZ, HIGHEST_HZ = 40.0, 1000.0, 16000.0
"""Frequencies in Hz: lower edge of the lowest band, border between wide and narrow bands, and upper edge of the highest
band."""
LOW_PER_OCTAVE, HIGH_PER_OCTAVE = 3, 8
"""Number of bands per octave below and above `MIDDLE_HZ`. Each band contains one mode."""
ANALYSIS_SECONDS = 0.37
"""Length of the beginning of a sound that `ModeMeter` and `GlideMeter` analyse, in seconds."""
GLIDE_SECONDS = (0.01, 0.014, 0.018, 0.023, 0.03, 0.04, 0.055, 0.075, 0.1)
"""Times at which `GlideMeter` measures the frequency, in seconds from the beginning of a sound."""


class ModeBands:
    """Frequency bands with one mode each.

    Args:
        sample_rate: sample rate in Hz. Bands above 0.45 times this rate are left out.

    Raises:
        ValueError: the sample rate is below 16 kHz.

    Attributes:
        edges: lower and upper edges of the bands, ``[K, 2]``, in octaves above 1 Hz.
        low: number of bands below 1 kHz.

    Examples:
        >>> from audiogan.representations.modes import ModeBands
        >>> ModeBands(44100).edges.shape
        torch.Size([46, 2])
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate < 16000:
            raise ValueError(f"modes need a sample rate of at least 16000 Hz, got {sample_rate}; use network=tonenoise")
        low = math.log2(LOWEST_HZ) + torch.arange(math.ceil(math.log2(MIDDLE_HZ / LOWEST_HZ) * LOW_PER_OCTAVE) + 1) / 3
        low[-1] = math.log2(MIDDLE_HZ)
        top = math.log2(min(HIGHEST_HZ, 0.45 * sample_rate) / MIDDLE_HZ)
        high = math.log2(MIDDLE_HZ) + torch.arange(math.floor(top * HIGH_PER_OCTAVE) + 1) / HIGH_PER_OCTAVE
        edges = torch.cat([low, high[1:]])
        self.edges = torch.stack([edges[:-1], edges[1:]], dim=1)
        self.low = len(low) - 1

    def __len__(self) -> int:
        return len(self.edges)


def window_transform(places: Tensor, bins: int) -> Tensor:
    """Return the spectra ``[..., bins]`` of Hann-windowed cosines of amplitude 1, one for each frequency.

    Frames have ``2 * (bins - 1)`` samples, and time 0 is their centre. The mirror images at negative frequencies are
    left out.

    Args:
        places: frequencies in bins, ``[...]``.
        bins: number of bins from 0 to half the sample rate.

    Examples:
        >>> import torch
        >>> from audiogan.representations.modes import window_transform
        >>> frame = torch.hann_window(64) * torch.cos(2 * torch.pi * 10.3 / 64 * (torch.arange(64) - 32))
        >>> bool((window_transform(torch.tensor(10.3), 33) - torch.fft.rfft(frame).real).abs().max() < 0.02)
        True
    """
    k = torch.arange(bins, device=places.device)
    # Frequencies at the centre of a bin are moved by a thousandth of a bin, so that no denominator is 0.
    near = (places - places.round()).abs() < 1e-3
    x = k - torch.where(near, places.round() + 1e-3, places)[..., None]
    signs = 1 - 2 * (k % 2)
    return (bins - 1) / 2 * signs / math.pi * (math.pi * x).sin() / (x * (1 - x * x))


class _BeginningSpectrum(nn.Module):
    """Spectrum of the beginning of sounds ``[B, C, T]``, averaged over channels: ``[B, F]``, complex."""

    window: Tensor

    def __init__(self, format: SoundFormat) -> None:
        super().__init__()
        self.sample_rate = format.sample_rate
        self.size = 2 ** round(math.log2(ANALYSIS_SECONDS * format.sample_rate))
        self.resolution = format.sample_rate / self.size
        rise = min(round(0.01 * format.sample_rate), self.size // 2)
        time = torch.cat([torch.linspace(-1, 0, rise), torch.linspace(0, 1, self.size - rise)])
        self.register_buffer("window", (0.5 + 0.5 * (math.pi * time).cos()).float(), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        x = signal[..., : self.size].float().mean(1)
        return torch.fft.rfft(F.pad(x, (0, self.size - x.shape[1])) * self.window)


class ModeMeter(nn.Module):
    """Measure the frequency of the sharpest spectral line in each band of `ModeBands`.

    Args:
        format: format of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.representations import SoundFormat
        >>> from audiogan.representations.modes import ModeMeter
        >>> octaves, weights = ModeMeter(SoundFormat(44100, sample_rate=44100))(torch.rand(2, 1, 44100))
        >>> octaves.shape, weights.shape
        (torch.Size([2, 46]), torch.Size([2, 46]))
    """

    context_bins = 96
    """Smallest number of bins around a spectral line over which the power is averaged, for comparison with the line."""
    floor_db, range_db = 8.0, 12.0
    """Weighting of peaks by their level over the mean power around them. The weight is 0 up to ``floor_db``, and rises
    to 1 over the next ``range_db``. In noise, peaks are about 7 dB above the mean power."""

    def __init__(self, format: SoundFormat) -> None:
        super().__init__()
        self.spectrum, bands = _BeginningSpectrum(format), ModeBands(format.sample_rate)
        self.count, self.edges = len(bands), bands.edges
        bins = (bands.edges.exp2() / self.spectrum.resolution).round().long().tolist()
        last = self.spectrum.size // 2 - 1
        self.slices = [(max(1, a), min(max(b, a + 2), last)) for a, b in bins]

    @torch.no_grad()
    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return frequencies in octaves above 1 Hz and weights from 0 to 1 of the lines, both ``[B, K]``.

        Weights are square roots of amplitudes relative to the strongest line. The weight of a band without a line is 0.
        """
        power = self.spectrum(signal).abs().square() + 1e-9
        total, octaves, peaks, sharp = F.pad(power.cumsum(1), (1, 0)), [], [], []
        for a, b in self.slices:
            peak, place = power[:, a:b].max(dim=1)
            place = place + a
            left, middle, right = (power.gather(1, (place + d)[:, None]).log()[:, 0] for d in (-1, 0, 1))
            offset = 0.5 * (left - right) / (left - 2 * middle + right).clamp_max(-1e-6)
            octaves.append(((place + offset.clamp(-0.5, 0.5)) * self.spectrum.resolution).log2())
            spread = max(0, self.context_bins - (b - a)) // 2
            low, high = max(0, a - spread), min(power.shape[1], b + spread)
            mean = (total[:, high] - total[:, low]) / (high - low)
            over = 10 * torch.log10(peak / mean)
            inside = (middle >= left) & (middle >= right)
            sharp.append(((over - self.floor_db) / self.range_db).clamp(0, 1) * inside)
            peaks.append(peak)
        amplitude = torch.stack(peaks, dim=1).sqrt()
        amplitude = amplitude / amplitude.amax(1, keepdim=True)
        return torch.stack(octaves, dim=1), (amplitude.sqrt() * torch.stack(sharp, dim=1)) * (amplitude > 1e-3)


class GlideMeter(nn.Module):
    """Measure how the frequency of the low tone of a drum falls after the stroke.

    The instantaneous frequency is the phase advance of the analytic signal between 25 and 450 Hz.

    Args:
        format: format of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.representations import SoundFormat
        >>> from audiogan.representations.modes import GlideMeter
        >>> time = torch.arange(44100) / 44100
        >>> tone = torch.sin(2 * torch.pi * 60 * (time - 0.06 * (-time / 0.03).exp())) * (-5 * time).exp()
        >>> ratios, weights = GlideMeter(SoundFormat(44100, sample_rate=44100))(tone[None, None])
        >>> bool(ratios[0, 0] > 0.5)  # The frequency is more than half an octave higher after 10 ms.
        True
    """

    low_hz, high_hz, smoothing_samples = 25.0, 450.0, 9
    """Frequency range of the low tone in Hz (``low_hz``, ``high_hz``), and number of samples over which its phase
    advance is averaged (``smoothing_samples``)."""

    def __init__(self, format: SoundFormat) -> None:
        super().__init__()
        self.spectrum = _BeginningSpectrum(format)
        self.first, self.last = (round(hz / self.spectrum.resolution) for hz in (self.low_hz, self.high_hz))
        self.size = 2 ** math.ceil(math.log2(3 * self.last))
        self.rate = self.size * self.spectrum.resolution
        self.places = [min(round(t * self.rate), self.size // 2) for t in GLIDE_SECONDS]

    @torch.no_grad()
    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frequency at the times `GLIDE_SECONDS`, and weights, both ``[B, 9]``.

        Frequencies are in octaves above the mean frequency from 0.07 to 0.25 s. The weight is 1 if the low tone has its
        maximum level and the sound contains nothing else.
        """
        full = self.spectrum(signal)
        band = full[:, self.first : self.last]
        low = torch.fft.ifft(F.pad(band, (self.first, self.size - self.last)))
        turn = low[:, 1:] * low[:, :-1].conj()
        size = self.smoothing_samples
        turn = F.pad(turn, (size // 2, size - size // 2)).unfold(1, size, 1).sum(2)
        later = turn[:, round(0.07 * self.rate) : round(0.25 * self.rate)].sum(1, keepdim=True).angle()
        level = low.abs()
        share = band.abs().square().sum(1, keepdim=True) / (full.abs().square().sum(1, keepdim=True) + 1e-12)
        places = self.places
        ratio = turn[:, places].angle().clamp_min(1e-3) / later.clamp_min(1e-3)
        weight = (level[:, places] / (level.amax(1, keepdim=True) + 1e-9)) * share * (later > 1e-3)
        return ratio.log2().clamp(-0.5, 3.0), weight
