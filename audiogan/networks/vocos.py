"""Vocos (Siuzdak, ICLR 2024): a vocoder with ConvNeXt blocks at frame rate and an inverse STFT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.representations.mel_spectrogram import MelSpectrogram
from audiogan.representations.stft import MOMENTUM, Frames


class VocosBlock(nn.Module):
    """ConvNeXt block on frames ``[B, frames, width]`` (Liu et al., CVPR 2022), with a residual connection.

    Args:
        width: number of channels.
        inner: number of channels between the two linear layers.
        scale: initial value of the layer scale, the factor of each channel on the residual branch.
    """

    def __init__(self, width: int, inner: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand, self.reduce = nn.Linear(width, inner), nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.reduce(F.gelu(self.expand(y)))


class Vocos(nn.Module):
    """Vocoder: log-mel spectrograms ``[B, n_mels, frames]`` to sounds ``[B, 1, frames * hop_length]``.

    ConvNeXt blocks at frame rate predict the logarithm of the magnitude and the phase of each bin of the STFT. The
    inverse STFT makes the sound. With the default values of ``prior`` and ``iterations``, and with ``width=512`` and
    ``layers=8``, the network is that of the paper.

    Two options go beyond the paper. They give better sounds after short training.

    * ``prior``: the network predicts the logarithm of the ratio between each magnitude and an estimate from the mel
      spectrogram (interpolated between bands), instead of the magnitude itself.
    * ``iterations``: number of iterations of fast Griffin-Lim (Perraudin et al., WASPAA 2013) from the predicted
      phases. In training, gradients reach the predicted phases as if there were no iterations.

    Args:
        shape: shape ``(1, length)`` of the sounds in training. The length must be a multiple of the hop.
        mel: input with the spectrogram, its settings by name, see `MelSpectrogram`.
        width: number of channels, 1 or more.
        layers: number of ConvNeXt blocks, 1 or more.
        inner: number of channels inside a block. Default: three times ``width``.
        largest: upper bound of predicted magnitudes, more than 0; 100 in the paper. A full-scale sine has the magnitude
            ``n_fft / 4``.
        prior: whether to predict ratios to magnitudes estimated from the mel spectrogram.
        iterations: number of Griffin-Lim iterations, 0 or more.

    Attributes:
        multiple: sounds must be divisible into frames of this number of samples.
        receptive_field: largest distance, in samples, between an output sample and an input sample that it depends on.

    Source:
        Siuzdak, "Vocos: closing the gap between time-domain and Fourier-based neural vocoders for high-quality audio
        synthesis", ICLR 2024.

    Examples:
        >>> import torch
        >>> from audiogan.networks.vocos import Vocos
        >>> Vocos((1, 8192), {"sample_rate": 16000}, width=32, layers=2)(mel=torch.zeros(1, 80, 10)).shape
        torch.Size([1, 1, 2560])
    """

    takes = frozenset({"mel"})

    def __init__(
        self,
        shape: Sequence[int],
        mel: Any,
        width: int = 512,
        layers: int = 8,
        inner: int | None = None,
        largest: float = 100.0,
        prior: bool = False,
        iterations: int = 0,
    ) -> None:
        super().__init__()
        inner = 3 * width if inner is None else inner
        check_sizes(self, width=width, layers=layers, inner=inner)
        if not largest > 0 or iterations < 0:
            raise ValueError(f"Vocos: largest={largest} must be above 0, and iterations={iterations} 0 or more")
        spectrogram = MelSpectrogram(**mel)
        check_vocoder_shape(self, shape, spectrogram.hop_length)
        self.shape, self.n_mels, self.n_fft = tuple(shape), spectrogram.n_mels, spectrogram.n_fft
        self.hop_length, self.largest, self.iterations = spectrogram.hop_length, float(largest), iterations
        self.embed, self.norm = nn.Conv1d(self.n_mels, width, 7, padding=3), nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(VocosBlock(width, inner, 1 / layers) for _ in range(layers))
        self.last_norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, self.n_fft + 2)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.register_buffer("spread", band_interpolation(spectrogram) if prior else None, persistent=False)
        self.multiple = self.hop_length
        around = -(-self.n_fft // self.hop_length) - 1  # Each frame overlaps with so many frames on each side.
        frames = 3 * (layers + 1) + around * (iterations + 2)
        self.receptive_field = frames * self.hop_length

    def forward(self, mel: Tensor) -> Tensor:
        """Return sounds ``[B, 1, frames * hop_length]`` for log-mel spectrograms ``[B, n_mels, frames]``."""
        magnitude, phase = self.spectrum(mel)
        frames = _frames(mel.shape[-1], self.n_fft, self.hop_length, mel.device)
        if self.iterations:
            with torch.no_grad():
                unit = _griffin_lim(
                    magnitude.detach(), torch.polar(torch.ones_like(phase), phase), frames, self.iterations
                )
            if not torch.is_grad_enabled():
                return frames.synthesise(magnitude * unit)[:, None]
            change = phase - phase.detach()  # The value is 0, the gradient is that of the phase.
            spectrum = magnitude * unit * torch.complex(change.cos(), change.sin())
        else:
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        return frames.synthesise(spectrum)[:, None]

    def spectrum(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predicted magnitudes and phases, in radians, each ``[B, frames, n_fft / 2 + 1]``."""
        if mel.dim() != 3 or mel.shape[1] != self.n_mels:
            raise ValueError(f"Vocos: mel: expected [B, {self.n_mels}, frames], got {list(mel.shape)}")
        x = self.norm(self.embed(mel).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        log_magnitude, phase = self.head(self.last_norm(x)).chunk(2, dim=-1)
        if self.spread is not None:
            log_magnitude = (
                log_magnitude
                + torch.cat([mel.transpose(1, 2), torch.ones_like(mel[:, :1]).transpose(1, 2)], -1) @ self.spread
            )
        return log_magnitude.exp().clamp_max(self.largest), phase


def check_vocoder_shape(network: nn.Module, shape: Sequence[int], hop_length: int) -> None:
    """Raise ``ValueError`` unless sounds of a shape are mono and can be divided into frames.

    Args:
        network: the network. Error messages contain the name of its class.
        shape: shape ``(1, length)`` of the sounds.
        hop_length: number of samples per frame.
    """
    if len(shape) != 2 or shape[0] != 1 or shape[1] % hop_length:
        name = type(network).__name__
        raise ValueError(f"{name}: shape={tuple(shape)} must be (1, length), with a multiple of {hop_length} samples")


def band_interpolation(mel: MelSpectrogram) -> Tensor:
    """Return a matrix ``[n_mels + 1, bins]`` that estimates log magnitudes of STFT bins from log-mel values.

    The last row is added to each estimate. It divides by the area of the filters. Between the centres of the bands,
    estimates are interpolated linearly.
    """
    filters = mel.filters.double()
    area = filters.sum(0)
    bins = torch.arange(len(filters), dtype=torch.float64)
    centre = (filters * bins[:, None]).sum(0) / area
    right = torch.searchsorted(centre, bins).clamp(1, mel.n_mels - 1)
    share = ((bins - centre[right - 1]) / (centre[right] - centre[right - 1])).clamp(0, 1)
    matrix = torch.zeros(mel.n_mels + 1, len(bins), dtype=torch.float64)
    places = torch.arange(len(bins))
    matrix[right - 1, places], matrix[right, places] = 1 - share, share
    matrix[-1] = -(area.log() @ matrix[:-1])
    return matrix.float()


@lru_cache(maxsize=16)
def _frames(count: int, n_fft: int, hop_length: int, device: torch.device) -> Frames:
    """Return the STFT of sounds of ``count`` frames. Frame i is centred on the samples of the i-th hop."""
    return Frames(count * hop_length, n_fft, hop_length, pad=(n_fft - hop_length) // 2).to(device)


def _griffin_lim(magnitude: Tensor, unit: Tensor, frames: Frames, iterations: int) -> Tensor:
    """Return complex numbers of absolute value 1 with the phases after fast Griffin-Lim from the phases of ``unit``."""
    before = None
    for _ in range(iterations):
        spectrum = frames.analyse(frames.synthesise(magnitude * unit))
        unit = spectrum if before is None else spectrum - MOMENTUM * before
        unit = unit / unit.abs().clamp_min(1e-12)
        before = spectrum
    return unit
