"""Partials: synthesis and measurement of a few sinusoids with gliding frequencies, for the ringing of drums.

This is the sinusoidal model of McAulay & Quatieri (IEEE Trans. ASSP 34, 1986) with one sinusoid in each half octave. An
inverse STFT produces steady tones only if phases continue from frame to frame. Networks learn this for a few fixed
frequencies at best. Explicit sinusoids, in contrast, can have any pitch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core.engine import to_float64

LOWEST_HZ = 35.0
"""Lower edge of the lowest band, in Hz."""
BAND_OCTAVES = 0.5
"""Width of a band, in octaves."""
BLOCK_SIZE = 16
"""Number of samples per block. A sine is computed from its phase at the start of the block and its phase advance within
the block, by the addition theorem."""


def lower_band_edges_in_octaves(max_bands: int, sample_rate: int) -> Tensor:
    """Return the lower edges `[K]` of at most `max_bands` bands below half the sample rate, in octaves above 1 Hz."""
    fit = math.floor(math.log2(sample_rate / 2 / LOWEST_HZ) / BAND_OCTAVES)
    return math.log2(LOWEST_HZ) + BAND_OCTAVES * torch.arange(min(max_bands, fit), dtype=torch.float64)


class Partials(nn.Module):
    """Synthesise K sinusoids, one in each half-octave band, from their frequencies and amplitudes in each frame.

    Args:
        count: number of bands K. Bands above half the sample rate are left out.
        length: length of a sound, in samples.
        hop_length: distance between frames, in samples.
        sample_rate: sample rate, in Hz.
    """

    middle: Tensor
    coarse: Tensor
    fine: Tensor
    quarter: Tensor
    fade: Tensor

    def __init__(self, count: int, length: int, hop_length: int, sample_rate: int) -> None:
        super().__init__()
        low = lower_band_edges_in_octaves(count, sample_rate)
        self.count, self.length, self.hop_length, self.sample_rate = len(low), length, hop_length, sample_rate
        self.register_buffer("middle", (low + BAND_OCTAVES / 2).float()[:, None], persistent=False)
        starts = torch.arange(-hop_length, hop_length, BLOCK_SIZE)
        self.register_buffer("coarse", starts.float()[:, None], persistent=False)
        self.register_buffer("fine", torch.arange(BLOCK_SIZE).float()[:, None], persistent=False)
        self.register_buffer("quarter", torch.tensor([0.0, math.pi / 2]).repeat_interleave(len(low)), persistent=False)
        rising = torch.arange(hop_length) / hop_length
        self.register_buffer("fade", torch.cat([rising, 1 - rising]), persistent=False)

    def frequencies_in_octaves(self, logits: Tensor) -> Tensor:
        """Map logits `[B, K, N]` to frequencies within each band, in octaves above 1 Hz."""
        return self.middle + 0.5 * BAND_OCTAVES * torch.tanh(logits)

    def forward(self, octaves: Tensor, amplitude: Tensor) -> Tensor:
        """Synthesise waves `[B, length]` from frequencies and amplitudes `[B, K, N]`. All phases begin at 0.

        Neighbouring frames are cross-faded. Their phases agree in the middle of the cross-fade. Gradients flow to the
        amplitudes only, because gradients of phases do not help to learn frequencies.
        """
        with torch.no_grad():
            step = to_float64(octaves.transpose(1, 2)).exp2() / self.sample_rate  # cycles per sample, [B, N, K]
            cycles = F.pad((0.5 * self.hop_length * (step[:, 1:] + step[:, :-1])).cumsum(1), (0, 0, 1, 0))
            phase, turn = (2 * math.pi * x.float() for x in (cycles - cycles.round(), step))
            phase, turn = (torch.cat([x, x], dim=2)[:, :, None] for x in (phase, turn))
            # Sines and cosines of the phases at the starts of blocks, [B, N, 2 hop / BLOCK_SIZE, 2 K], and of the phase
            # advances within a block, [B, N, BLOCK_SIZE, 2 K]. A cosine is a sine shifted by a quarter of a period.
            coarse = torch.addcmul(phase + self.quarter, self.coarse, turn).sin()
            fine = torch.addcmul(math.pi / 2 - self.quarter, self.fine, turn).sin()
        amplitude = amplitude.transpose(1, 2)
        fine = torch.cat([amplitude, amplitude], dim=2)[:, :, None] * fine
        frames = (coarse @ fine.transpose(2, 3)).flatten(2)[..., : 2 * self.hop_length] * self.fade
        before, after = frames.chunk(2, dim=2)
        return (after[:, :-1] + before[:, 1:]).flatten(1)[:, : self.length]


class PartialMeter(nn.Module):
    """Measure frequency and amplitude of the strongest spectral peak in each half-octave band.

    The window is long (128 ms), so that low pitches are resolved. The arguments are those of `Partials`.

    Examples:
        >>> import torch
        >>> from audiogan.representations import PartialMeter
        >>> meter = PartialMeter(4, length=4096, hop_length=256, sample_rate=16000)
        >>> [part.shape for part in meter(torch.rand(1, 1, 4096))]
        [torch.Size([1, 4, 17]), torch.Size([1, 4, 17])]
    """

    window_seconds, frequencies_per_band = 0.128, 24
    """Length of the analysis window in seconds, and number of frequencies that are compared in each band."""
    min_amplitude = 1e-3
    """Smallest amplitude of a partial, relative to the loudest partial of the sound. Weaker peaks are ignored."""
    middle: Tensor
    places: Tensor
    analysis: Tensor

    def __init__(self, count: int, length: int, hop_length: int, sample_rate: int) -> None:
        super().__init__()
        low = lower_band_edges_in_octaves(count, sample_rate)
        self.count, self.hop_length = len(low), hop_length
        self.short = -length % hop_length
        places = (
            low[:, None] + BAND_OCTAVES * (torch.arange(self.frequencies_per_band) + 0.5) / self.frequencies_per_band
        )
        self.size = 2 * round(self.window_seconds * sample_rate / 2)
        n = torch.arange(self.size, dtype=torch.float64)
        window = torch.hann_window(self.size, dtype=torch.float64)
        turns = 2 * math.pi * places.flatten()[:, None].exp2() * (n - self.size // 2) / sample_rate
        waves = torch.cat([turns.cos(), turns.sin()]) * window / window.sum()  # frames are multiplied by these
        # Correlate sinusoids with the spectrum, without bins far above the highest band. This takes half the time of a
        # correlation with the samples.
        highest = float(places.exp2().amax(dim=(0, 1))) if len(low) else 0.0
        self.bins = min(math.ceil(highest / sample_rate * self.size) + 24, self.size // 2 + 1)
        k = torch.arange(self.bins)[:, None]
        turns = 2 * math.pi * k * n / self.size
        twice = torch.where((k == 0) | (2 * k == self.size), 1, 2).repeat(2, 1)
        inverse = torch.cat([turns.cos(), -turns.sin()]) * twice
        self.register_buffer("middle", (low + BAND_OCTAVES / 2).float()[:, None], persistent=False)
        self.register_buffer("places", places.float(), persistent=False)
        self.register_buffer("analysis", (inverse / self.size @ waves.t()).float(), persistent=False)

    def power(self, signal: Tensor, frame_stride: int = 1) -> Tensor:
        """Return the power of sinusoids at `frequencies_per_band` frequencies in each band.

        Args:
            signal: sounds `[B, C, length]`. Channels are averaged.
            frame_stride: distance between measured frames: 1 for every frame, 2 for every second frame.

        Returns:
            Powers `[B, K, N, frequencies_per_band]`. A sinusoid of full scale has a power of 1/4.
        """
        x = F.pad(signal.float().mean(1), (self.size // 2, self.size // 2 + self.short))
        spectrum = torch.fft.rfft(x.unfold(1, self.size, frame_stride * self.hop_length))[..., : self.bins]
        correlations = torch.cat([spectrum.real, spectrum.imag], dim=2).flatten(0, 1) @ self.analysis
        power = correlations.unflatten(1, (2, self.count, self.frequencies_per_band)).square().sum(1)
        return power.unflatten(0, (len(x), -1)).transpose(1, 2)

    @torch.no_grad()
    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return frequency and weight of the strongest peak in each band and frame, both `[B, K, N]`.

        Frequencies are in octaves above 1 Hz. Weights are square roots of amplitudes relative to the loudest partial,
        0 ... 1. Weights of weak peaks, and of peaks at the edge of a band, are 0.
        """
        power = self.power(signal)
        peak = power.amax(3)
        share = (power / (peak[..., None] + 1e-20)).pow(8)
        octaves = (share * self.places[:, None]).sum(3) / (share.sum(3) + 1e-20)
        amplitude = (peak / (peak.amax((1, 2), keepdim=True) + 1e-12)).sqrt()
        place = power.argmax(3)
        # A maximum at the edge of a band belongs to a peak in the next band.
        inside = (place > 0) & (place < self.frequencies_per_band - 1)
        return octaves, amplitude.sqrt() * (inside & (amplitude > self.min_amplitude))

    def summary(self, signal: Tensor) -> Tensor:
        """Return two features of the peaks in each band, `[B, 2 K]`: mean weight (0 ... 1) and mean frequency, from
        -1 (lower edge of the band) to 1 (upper edge)."""
        octaves, counts = self(signal)
        there = counts.mean(2)
        place = (counts * (octaves - self.middle)).mean(2) / (there + 1e-6) / (BAND_OCTAVES / 2)
        return torch.cat([there.sqrt(), place * there.sqrt()], dim=1)
