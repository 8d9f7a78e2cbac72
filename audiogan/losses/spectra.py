"""Spectral distances between sounds that ignore phases: a measure in dB, and a loss for finding latents."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiogan.representations.stft import Frames
from audiogan.representations.views import triangular_filters

LONG_SECONDS, SHORT_SECONDS = 0.064, 0.016
"""Two window lengths in seconds: long windows resolve partials, and short windows resolve attacks."""
BANDS = 64
"""Number of mel bands in `log_spectral_distance` and `RecordingLoss`."""
FLOOR_DB = -80.0
"""Lowest level in `log_spectral_distance`, in dB relative to a sine of full scale. Lower levels are raised to
this level."""
LOSS_FLOOR_DB = -90.0
"""Constant that `RecordingLoss` adds to the power of each bin and band, in dB relative to a sine of full scale.

The constant is small, so that the loss also compares quiet decays.
"""
AMPLITUDE_WEIGHT = 0.5
"""Weight of the linear amplitude term in `RecordingLoss`. Loud parts of a sound dominate this term."""


class PowerSpectrum(nn.Module):
    """Power spectrogram with Hann windows: sounds `[B, C, length]` to power `[B, C, frames, bins]`.

    A sine of full scale has a power of 1.

    Args:
        length: length of the sounds, in samples.
        sample_rate: sample rate in Hz.
        window_seconds: window length in seconds, rounded to a power of two in samples.
        overlap: ratio of window length to hop.

    Examples:
        >>> import torch
        >>> from audiogan.losses.spectra import PowerSpectrum
        >>> PowerSpectrum(4096, sample_rate=16000)(torch.zeros(1, 1, 4096)).shape
        torch.Size([1, 1, 17, 513])
    """

    def __init__(self, length: int, sample_rate: int, window_seconds: float = LONG_SECONDS, overlap: int = 4) -> None:
        super().__init__()
        n_fft = max(16, 2 ** round(math.log2(window_seconds * sample_rate)))
        self.frames = Frames(length, n_fft, min(n_fft // overlap, length), pad=n_fft // 2)
        self.unit = (2.0 / float(self.frames.window.sum())) ** 2

    def forward(self, sound: Tensor) -> Tensor:
        return torch.view_as_real(self.frames.analyse(sound)).square().sum(-1) * self.unit


def log_spectral_distance(sounds: Tensor, references: Tensor, sample_rate: int, *, bands: int | None = BANDS) -> Tensor:
    """Return the log-spectral distance `[B]` in dB between sounds and references `[B, C, T]`.

    The distance is the root mean square difference of log power over frequency, averaged over frames and channels.
    Windows are about 64 ms long (1,024 samples at 16 kHz), with a hop of a quarter window. Levels below -80 dB relative
    to a sine of full scale are raised to -80 dB. Silent frames have the same weight as others.

    Args:
        sounds: sounds to compare with the references, `[B, C, T]`.
        references: reference sounds `[B, C, T]`, or one reference `[1, C, T]` for all sounds.
        sample_rate: sample rate in Hz.
        bands: number of mel bands in which power is summed. ``None`` compares single STFT bins. The distance of two
            noisy sounds is then rarely below 8 dB, because the power of single bins of noise is random.

    Source:
        Gray & Markel, "Distance measures for speech processing", IEEE TASSP 1976.

    Examples:
        >>> import torch
        >>> from audiogan.latents import log_spectral_distance
        >>> sound = torch.randn(1, 1, 4096, generator=torch.Generator().manual_seed(0))
        >>> float(log_spectral_distance(sound, sound, 16000))
        0.0
        >>> round(float(log_spectral_distance(sound, sound / 10, 16000)), 2)
        20.0
    """
    spectrum = PowerSpectrum(sounds.shape[-1], sample_rate)
    levels = []
    for sound in (sounds, references):
        power = spectrum(sound.float())
        if bands is not None:
            power = power @ triangular_filters(power.shape[-1], bands, sample_rate)
        levels.append(10 * torch.log10(power.clamp_min(10 ** (FLOOR_DB / 10))))
    return (levels[0] - levels[1]).square().mean(-1).sqrt().mean((1, 2))


class RecordingLoss:
    """Spectral distance `[B]` of sounds `[B, C, T]` from one recording `[C, T]`. It ignores phases.

    It sums three terms at each of two window lengths: 0.5 times the relative L1 distance of amplitudes, the
    log-spectral distance of STFT bins, and the log-spectral distance of mel bands. The last two are in units of 10 dB.

    Args:
        recording: the recording, `[C, T]`.
        sample_rate: sample rate in Hz.

    Source:
        Engel et al., "DDSP: Differentiable digital signal processing", ICLR 2020: the multi-scale spectral loss.

    Examples:
        >>> import torch
        >>> from audiogan.losses.spectra import RecordingLoss
        >>> recording = torch.rand(1, 4096) - 0.5
        >>> first, second = RecordingLoss(recording, 16000)(torch.stack([recording, -recording]))
        >>> bool(first == second)  # Phases are ignored.
        True
    """

    def __init__(self, recording: Tensor, sample_rate: int) -> None:
        length = recording.shape[-1]
        self.spectra = [PowerSpectrum(length, sample_rate, s, overlap=2) for s in (LONG_SECONDS, SHORT_SECONDS)]
        self.filters, self.targets = [], []
        for spectrum in self.spectra:
            bins = spectrum.frames.bins
            filters = triangular_filters(bins, max(4, min(BANDS, bins // 4)), sample_rate)
            self.filters.append(filters.to(recording.device))
            spectrum.to(recording.device)
            self.targets.append(self._features(spectrum, self.filters[-1], recording[None]))

    def __call__(self, sounds: Tensor) -> Tensor:
        total = torch.zeros(len(sounds), device=sounds.device)
        for spectrum, filters, target in zip(self.spectra, self.filters, self.targets, strict=True):
            amplitude, *levels = self._features(spectrum, filters, sounds)
            total = total + AMPLITUDE_WEIGHT * (amplitude - target[0]).abs().sum((1, 2, 3)) / target[0].sum()
            for level, target_level in zip(levels, target[1:], strict=True):
                # The constant keeps the square root differentiable where both levels are equal.
                total = total + ((level - target_level).square().mean(-1) + 1e-4).sqrt().mean((1, 2))
        return total

    @staticmethod
    def _features(spectrum: PowerSpectrum, filters: Tensor, sound: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the amplitudes of STFT bins, and the log power of bins and of mel bands."""
        power = spectrum(sound)
        floor = 10 ** (LOSS_FLOOR_DB / 10)
        return (power + 1e-10).sqrt(), (power + floor).log10(), (power @ filters + floor).log10()
