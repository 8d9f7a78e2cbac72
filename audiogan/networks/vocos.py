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
        scale: initial value of the layer scale, a learned factor for each channel of the residual branch.
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

    ConvNeXt blocks at frame rate predict the phase and the logarithm of the magnitude of each STFT bin. An inverse STFT
    computes the sound. With the default arguments, the network is that of the paper.

    Two options differ from the paper. They give better sounds after short training.

    * ``prior``: the network predicts the logarithm of the ratio between each magnitude and an estimate from the mel
      spectrogram (interpolated between bands), instead of the magnitude itself.
    * ``iterations``: the network predicts only magnitudes. The phases result from this number of iterations of fast
      Griffin-Lim (Perraudin et al., WASPAA 2013), which start from zero phases. No gradient passes through the phases.

    Args:
        shape: shape ``(1, length)`` of the sounds in training. The length must be a multiple of the hop.
        mel: dictionary with the arguments of `audiogan.representations.mel_spectrogram.MelSpectrogram`.
        width: number of channels, 1 or more.
        layers: number of ConvNeXt blocks, 1 or more.
        inner: number of channels inside a block. Default: three times ``width``.
        largest: upper bound of predicted magnitudes, more than 0; 100 in the paper. A full-scale sine has the magnitude
            ``n_fft / 4``.
        prior: whether to predict ratios to magnitudes estimated from the mel spectrogram.
        iterations: number of Griffin-Lim iterations, 0 or more; 0: the network predicts phases.

    Attributes:
        multiple: the length of sounds is rounded up to a multiple of this number of samples.
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
    band_matrix: Tensor | None

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
        bins = self.n_fft // 2 + 1
        self.last_norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, bins if iterations else 2 * bins)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.register_buffer("band_matrix", band_interpolation(spectrogram) if prior else None, persistent=False)
        self.multiple = self.hop_length
        around = -(-self.n_fft // self.hop_length) - 1  # Number of frames on each side that overlap a frame.
        frames = 3 * (layers + 1) + around * (iterations + 2)
        self.receptive_field = frames * self.hop_length

    def forward(self, mel: Tensor) -> Tensor:
        """Return sounds ``[B, 1, frames * hop_length]`` for log-mel spectrograms ``[B, n_mels, frames]``."""
        magnitude, phase = self.predict_magnitude_and_phase(mel)
        frames = cached_stft(mel.shape[-1], self.n_fft, self.hop_length, mel.device)
        if phase is None:
            with torch.no_grad():
                unit = griffin_lim_phases(magnitude.detach(), frames, self.iterations)
            spectrum = torch.view_as_complex(magnitude[..., None] * unit)
        else:
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
        return frames.synthesise(spectrum)[:, None]

    def predict_magnitude_and_phase(self, mel: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the predicted magnitudes, and phases in radians, each ``[B, frames, n_fft / 2 + 1]``.

        If ``iterations`` is not 0, the phases are ``None``.
        """
        if mel.dim() != 3 or mel.shape[1] != self.n_mels:
            raise ValueError(f"Vocos: mel: expected [B, {self.n_mels}, frames], got {list(mel.shape)}")
        x = self.norm(self.embed(mel).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        log_magnitude, *phase = self.head(self.last_norm(x)).split(self.n_fft // 2 + 1, dim=-1)
        if self.band_matrix is not None:
            log_magnitude = log_magnitude + mel.transpose(1, 2) @ self.band_matrix[:-1] + self.band_matrix[-1]
        return log_magnitude.exp().clamp_max(self.largest), phase[0] if phase else None

    def magnitudes(self, sound: Tensor) -> Tensor:
        """Return the magnitudes ``[B, frames, n_fft / 2 + 1]`` of the STFT of sounds ``[B, 1, T]``."""
        count = -(-sound.shape[-1] // self.hop_length)
        x = F.pad(sound[:, 0], (0, count * self.hop_length - sound.shape[-1]))
        frames = cached_stft(count, self.n_fft, self.hop_length, sound.device)
        return frames.analyse(x).abs()


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

    Estimates are interpolated linearly between the centres of the bands. The last row holds constants that are
    added to the estimates. They divide the magnitude of each band by the area of its mel filter.
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
def cached_stft(count: int, n_fft: int, hop_length: int, device: torch.device) -> Frames:
    """Return a cached STFT module for sounds of ``count`` hops, with one frame centred on each hop."""
    return Frames(count * hop_length, n_fft, hop_length, pad=(n_fft - hop_length) // 2).to(device)


def griffin_lim_phases(magnitude: Tensor, frames: Frames, iterations: int) -> Tensor:
    """Return the phases that fast Griffin-Lim finds, starting from zero, as unit vectors ``[..., 2]`` (cosine, sine).

    Args:
        magnitude: magnitudes ``[B, N, F]``.
        frames: STFT module, see `cached_stft`.
        iterations: number of Griffin-Lim iterations, 1 or more.
    """
    current, before = F.pad(magnitude[..., None], (0, 1)), None
    for _ in range(iterations):
        spectrum = torch.view_as_real(frames.analyse(frames.synthesise(torch.view_as_complex(current))))
        target = spectrum if before is None else torch.sub(spectrum, before, alpha=MOMENTUM)
        real, imag = target.unbind(-1)
        length = torch.addcmul(real * real, imag, imag).clamp_min_(1e-20).rsqrt_()
        before, unit = spectrum, target * length[..., None]
        current = unit * magnitude[..., None]
    return unit
