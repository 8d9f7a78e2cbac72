"""Feature extractor and signal-processing functions of the ToneNoise networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import StridedConvs, init_he
from audiogan.networks.checks import check_tensor
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.views import LogMelView


class MelTrunk(nn.Module):
    """Convolutional feature extractor on log-mel spectrograms: sounds `[B, channels, length]` to `[B, hidden]`.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length of the spectrogram, in samples.
        hop_length: hop of the spectrogram, in samples.
        widths: channels after each convolution with stride 2.
        hidden: number of output features.
        n_mels: number of mel bands.
    """

    def __init__(
        self,
        format: SoundFormat,
        n_fft: int,
        hop_length: int,
        widths: Sequence[int],
        hidden: int,
        n_mels: int = 64,
    ) -> None:
        super().__init__()
        channels, self.shape = format.channels, format.shape
        fold = 2 ** len(widths)
        self.view = LogMelView(
            format.length, channels, format.sample_rate, n_fft, hop_length, n_mels, frame_multiple=fold
        )
        _, rows, columns = self.view.shape
        self.convs = StridedConvs([channels, *widths])
        self.hidden = nn.Linear(widths[-1] * (rows // fold) * (columns // fold), hidden)
        self.apply(init_he)

    def forward(self, signal: Tensor) -> Tensor:
        check_tensor(self, "signal", signal, self.shape)
        return F.leaky_relu(self.hidden(self.convs(self.view(signal)).flatten(1)), 0.2)


def smoothstep(x: Tensor) -> Tensor:
    """Return ``3 x^2 - 2 x^3`` for ``x >= 0``. Values of ``x`` above 1 are clipped to 1."""
    x = x.clamp_max(1.0)
    return x * x * (3 - 2 * x)


def energy(wave: Tensor) -> Tensor:
    """Return the energy `[B, 1]` of sounds `[B, T]`, plus a small constant for safe division."""
    return wave.square().sum(1, keepdim=True) + 1e-8


def trailing_sum(x: Tensor, window_length: int) -> Tensor:
    """Return the moving sum `[..., T]` over each sample and the ``window_length - 1`` samples before it."""
    total = x.cumsum(-1)
    return total - F.pad(total, (window_length, 0))[..., : total.shape[-1]]


def mel_interpolation(bands: int, bins: int, sample_rate: int) -> Tensor:
    """Return weights `[bands, bins]` that interpolate levels of mel bands linearly to STFT bins.

    Args:
        bands: number of bands, equally spaced on the mel scale from 0 to half the sample rate.
        bins: number of STFT bins from 0 to half the sample rate.
        sample_rate: sample rate in Hz.
    """
    mel = 2595 * torch.log10(1 + torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64) / 700)
    place = mel / mel[-1] * (bands - 1)
    return (1 - (torch.arange(bands)[:, None] - place).abs()).clamp_min(0).float()
