"""Partials: a few sinusoids whose frequencies glide, for what rings in a struck sound.

The sinusoidal model of McAulay & Quatieri (IEEE Trans. ASSP 34, 1986), with one sinusoid in each half octave. Spectra
of single frames can hold tones too, but only with phases that go on from one frame to the next; networks make them so
on the grid of frames at best, so that all kicks and toms have pitches of that grid, and ring like noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core.engine import double

LOWEST_HZ = 35.0
"""Of the lowest band."""
BAND = 0.5
"""Octaves."""
FINE = 16
"""Samples that share a sine: sin(a + b) is made of sines and cosines of a, a few, and of b, a few."""


def band_edges(count: int, sample_rate: int) -> Tensor:
    """Lower edges `[K]` of the bands in octaves above 1 Hz: ``count``, or as many as fit below half the sample rate."""
    fit = math.floor(math.log2(sample_rate / 2 / LOWEST_HZ) / BAND)
    return math.log2(LOWEST_HZ) + BAND * torch.arange(min(count, fit), dtype=torch.float64)


class Partials(nn.Module):
    """Frequencies and amplitudes of K sinusoids, one a band, at multiples of ``hop_length`` -> waves.

    Args:
        count: how many bands; fewer where the next would not be below half the sample rate.
        length, hop_length: of sounds, and from frame to frame, in samples.
        sample_rate: in Hz.
    """

    middle: Tensor
    coarse: Tensor
    fine: Tensor
    quarter: Tensor
    fade: Tensor

    def __init__(self, count: int, length: int, hop_length: int, sample_rate: int) -> None:
        super().__init__()
        low = band_edges(count, sample_rate)
        self.count, self.length, self.hop_length, self.sample_rate = len(low), length, hop_length, sample_rate
        self.register_buffer("middle", (low + BAND / 2).float()[:, None], persistent=False)
        self.register_buffer("coarse", torch.arange(-hop_length, hop_length, FINE).float()[:, None], persistent=False)
        self.register_buffer("fine", torch.arange(FINE).float()[:, None], persistent=False)
        self.register_buffer("quarter", torch.tensor([0.0, math.pi / 2]).repeat_interleave(len(low)), persistent=False)
        rising = torch.arange(hop_length) / hop_length
        self.register_buffer("fade", torch.cat([rising, 1 - rising]), persistent=False)

    def octaves(self, place: Tensor) -> Tensor:
        """Logits `[B, K, N]` -> octaves above 1 Hz: where in its band each partial is."""
        return self.middle + 0.5 * BAND * torch.tanh(place)

    def forward(self, octaves: Tensor, amplitude: Tensor) -> Tensor:
        """`[B, K, N]` both -> waves `[B, length]`, which begin at phase 0. In a frame a partial has one frequency and
        one amplitude, and fades into the next; half way, where both are as loud, they have the same phase.

        The gradient goes to amplitudes alone: of a frequency it would be one of phases, and say nothing useful.
        """
        with torch.no_grad():
            step = double(octaves.transpose(1, 2)).exp2() / self.sample_rate  # cycles a sample, [B, N, K]
            cycles = F.pad((0.5 * self.hop_length * (step[:, 1:] + step[:, :-1])).cumsum(1), (0, 0, 1, 0))
            phase, turn = (2 * math.pi * x.float() for x in (cycles - cycles.round(), step))
            phase, turn = (torch.cat([x, x], dim=2)[:, :, None] for x in (phase, turn))
            # Sines, and cosines, which are sines a quarter of a turn on: [B, N, 2 hop / FINE, 2 K], [B, N, FINE, 2 K].
            coarse = torch.addcmul(phase + self.quarter, self.coarse, turn).sin()
            fine = torch.addcmul(math.pi / 2 - self.quarter, self.fine, turn).sin()
        amplitude = amplitude.transpose(1, 2)
        fine = torch.cat([amplitude, amplitude], dim=2)[:, :, None] * fine
        frames = (coarse @ fine.transpose(2, 3)).flatten(2)[..., : 2 * self.hop_length] * self.fade
        before, after = frames.chunk(2, dim=2)
        return (after[:, :-1] + before[:, 1:]).flatten(1)[:, : self.length]


class PartialMeter(nn.Module):
    """Where the strongest peak of each band is. The window is longer than that of most spectra, to tell low pitches.

    Arguments as in `Partials`.
    """

    window_seconds, steps = 0.128, 24
    """Of the window; and how many frequencies of a band are compared."""
    quietest = 1e-3
    """Of the loudest partial; what is quieter does not count."""
    middle: Tensor
    places: Tensor
    analysis: Tensor

    def __init__(self, count: int, length: int, hop_length: int, sample_rate: int) -> None:
        super().__init__()
        low = band_edges(count, sample_rate)
        self.count, self.hop_length = len(low), hop_length
        self.short = -length % hop_length
        places = low[:, None] + BAND * (torch.arange(self.steps) + 0.5) / self.steps
        self.size = 2 * round(self.window_seconds * sample_rate / 2)
        n = torch.arange(self.size, dtype=torch.float64)
        window = torch.hann_window(self.size, dtype=torch.float64)
        turns = 2 * math.pi * places.flatten()[:, None].exp2() * (n - self.size // 2) / sample_rate
        waves = torch.cat([turns.cos(), turns.sin()]) * window / window.sum()  # what frames are multiplied by
        # The same of their spectra, which takes little more than half the time; bins far above the bands do not count.
        highest = float(places.exp2().amax(dim=(0, 1))) if len(low) else 0.0
        self.bins = min(math.ceil(highest / sample_rate * self.size) + 24, self.size // 2 + 1)
        k = torch.arange(self.bins)[:, None]
        turns = 2 * math.pi * k * n / self.size
        twice = torch.where((k == 0) | (2 * k == self.size), 1, 2).repeat(2, 1)
        inverse = torch.cat([turns.cos(), -turns.sin()]) * twice
        self.register_buffer("middle", (low + BAND / 2).float()[:, None], persistent=False)
        self.register_buffer("places", places.float(), persistent=False)
        self.register_buffer("analysis", (inverse / self.size @ waves.t()).float(), persistent=False)

    def power(self, signal: Tensor, hops: int = 1) -> Tensor:
        """Sounds `[B, C, length]`, channels summed -> powers `[B, K, N, steps]` of sines, every so many hops. One of
        full scale has 1/4.
        """
        x = F.pad(signal.float().mean(1), (self.size // 2, self.size // 2 + self.short))
        spectrum = torch.fft.rfft(x.unfold(1, self.size, hops * self.hop_length))[..., : self.bins]
        heard = torch.cat([spectrum.real, spectrum.imag], dim=2).flatten(0, 1) @ self.analysis
        power = heard.unflatten(1, (2, self.count, self.steps)).square().sum(1)
        return power.unflatten(0, (len(x), -1)).transpose(1, 2)

    @torch.no_grad()
    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Sounds `[B, C, length]`, channels summed -> octaves above 1 Hz, and how much they count, 0 ... 1: the root of
        the amplitude, beside that of the loudest; both `[B, K, N]`.
        """
        power = self.power(signal)
        peak = power.amax(3)
        share = (power / (peak[..., None] + 1e-20)).pow(8)
        octaves = (share * self.places[:, None]).sum(3) / (share.sum(3) + 1e-20)
        amplitude = (peak / (peak.amax((1, 2), keepdim=True) + 1e-12)).sqrt()
        place = power.argmax(3)
        inside = (place > 0) & (place < self.steps - 1)  # else it is the flank of a neighbour's
        return octaves, amplitude.sqrt() * (inside & (amplitude > self.quietest))

    def summary(self, signal: Tensor) -> Tensor:
        """`[B, 2 K]`: of each band how much it counts, 0 ... 1, and where in it the partial is, -1 ... 1 times that."""
        octaves, counts = self(signal)
        there = counts.mean(2)
        place = (counts * (octaves - self.middle)).mean(2) / (there + 1e-6) / (BAND / 2)
        return torch.cat([there.sqrt(), place * there.sqrt()], dim=1)
