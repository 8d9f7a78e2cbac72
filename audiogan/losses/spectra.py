"""How far two sounds are apart for the ear, whatever their phases: a measure in decibels, and a loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiogan.representations.stft import Frames
from audiogan.representations.views import triangles

LONG_SECONDS, SHORT_SECONDS = 0.064, 0.016
"""Windows: the long ones tell partials apart, the short ones see attacks."""
BANDS = 64
FLOOR_DB = -80.0
"""Levels below it count as it, in the measure; 0 dB is a sine of full scale."""
LOSS_FLOOR_DB = -90.0
"""Of the loss: the end of a sound is to fall silent there, too."""
LINEAR = 0.5
"""Weight of amplitudes in the loss, beside that of their logarithms: what is loud is to be right before all."""


class Spectrum(nn.Module):
    """Sounds `[B, C, T]` -> power `[B, C, frames, bins]`: 1 for a sine of full scale. Hann windows."""

    def __init__(self, length: int, sample_rate: int, seconds: float = LONG_SECONDS, overlap: int = 4) -> None:
        super().__init__()
        n_fft = max(16, 2 ** round(math.log2(seconds * sample_rate)))
        self.frames = Frames(length, n_fft, min(n_fft // overlap, length), pad=n_fft // 2)
        self.unit = (2.0 / float(self.frames.window.sum())) ** 2

    def forward(self, sound: Tensor) -> Tensor:
        return torch.view_as_real(self.frames.analyse(sound)).square().sum(-1) * self.unit


def log_spectral_distance(a: Tensor, b: Tensor, sample_rate: int, *, bands: int | None = BANDS) -> Tensor:
    """Distance `[B]` in dB of sounds `[B, C, T]`: the root mean square difference of their log power spectra over
    frequency (Gray & Markel, "Distance measures for speech processing", IEEE TASSP 1976), averaged over frames
    and channels.

    Hann windows of 1,024 samples every 256 (at 16 kHz; 64 ms, to the nearest power of two, at other rates); levels
    below -80 dB count as -80 dB, where 0 dB is a sine of full scale; silence after a sound counts like any other frame.
    Power is summed in 64 mel bands first. ``bands=None`` compares all bins instead: that cannot fall much below 8 dB
    while two sounds are noise, not even between two strokes on one cymbal, as the bins of noise are exponentially
    distributed.
    """
    spectrum = Spectrum(a.shape[-1], sample_rate)
    levels = []
    for sound in (a, b):
        power = spectrum(sound.float())
        if bands is not None:
            power = power @ triangles(power.shape[-1], bands, sample_rate)
        levels.append(10 * torch.log10(power.clamp_min(10 ** (FLOOR_DB / 10))))
    return (levels[0] - levels[1]).square().mean(-1).sqrt().mean((1, 2))


class Likeness:
    """A loss `[B]`: how unlike a recording `[C, T]` sounds `[B, C, T]` are, phases aside.

    Spectra of two resolutions as in Engel et al. ("DDSP", ICLR 2020): half the L1 distance of amplitudes;
    and distances of logarithms, which are those of `log_spectral_distance`, of bins and of mel bands.
    """

    def __init__(self, recording: Tensor, sample_rate: int) -> None:
        length = recording.shape[-1]
        self.spectra = [Spectrum(length, sample_rate, s, overlap=2) for s in (LONG_SECONDS, SHORT_SECONDS)]
        self.filters, self.wanted = [], []
        for spectrum in self.spectra:
            filters = triangles(spectrum.frames.bins, max(4, min(BANDS, spectrum.frames.bins // 4)), sample_rate)
            self.filters.append(filters.to(recording.device))
            spectrum.to(recording.device)
            self.wanted.append(self._seen(spectrum, self.filters[-1], recording[None]))

    def __call__(self, made: Tensor) -> Tensor:
        total = torch.zeros(len(made), device=made.device)
        for spectrum, filters, wanted in zip(self.spectra, self.filters, self.wanted, strict=True):
            amplitude, *levels = self._seen(spectrum, filters, made)
            total = total + LINEAR * (amplitude - wanted[0]).abs().sum((1, 2, 3)) / wanted[0].sum()
            for here, there in zip(levels, wanted[1:], strict=True):
                # In units of 10 dB; the summand keeps the root differentiable where both are equal.
                total = total + ((here - there).square().mean(-1) + 1e-4).sqrt().mean((1, 2))
        return total

    @staticmethod
    def _seen(spectrum: Spectrum, filters: Tensor, sound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Amplitudes, and logarithms of the power in bins and in bands."""
        power = spectrum(sound)
        floor = 10 ** (LOSS_FLOOR_DB / 10)
        return (power + 1e-10).sqrt(), (power + floor).log10(), (power @ filters + floor).log10()
