"""HiFi-GAN (Kong, Kim & Bae, NeurIPS 2020): a vocoder, and its multi-period and multi-scale critics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from audiogan.networks.base import CriticOutput
from audiogan.networks.checks import check_sizes
from audiogan.networks.vocos import check_vocoder_shape
from audiogan.representations.mel_spectrogram import MelSpectrogram

SLOPE, LAST_SLOPE = 0.1, 0.01
"""Slope of leaky ReLU for negative inputs: in hidden layers (``SLOPE``), and before the last convolution of the
generator (``LAST_SLOPE``)."""
INITIAL_STD = 0.01
"""Standard deviation of the initial weights of upsampling layers and residual blocks."""


class HiFiGANBlock(nn.Module):
    """Residual block of dilated convolutions on ``[B, width, T]``.

    Args:
        width: number of channels.
        kernel: kernel size, odd.
        dilations: dilation of each residual step.
        paired: add a convolution without dilation after each dilated convolution (block type 1 of the authors' code).
    """

    def __init__(self, width: int, kernel: int, dilations: Sequence[int], paired: bool) -> None:
        super().__init__()

        def convs(rates: Sequence[int]) -> nn.ModuleList:
            made = (nn.Conv1d(width, width, kernel, padding=(kernel - 1) // 2 * d, dilation=d) for d in rates)
            return nn.ModuleList(weight_norm(_init_small(conv)) for conv in made)

        self.dilated = convs(dilations)
        self.plain = convs([1] * len(dilations)) if paired else None
        self.reach = sum((kernel - 1) // 2 * (d + paired) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for i, conv in enumerate(self.dilated):
            y = conv(F.leaky_relu(x, SLOPE))
            x = x + (y if self.plain is None else self.plain[i](F.leaky_relu(y, SLOPE)))
        return x


class HiFiGAN(nn.Module):
    """Vocoder: log-mel spectrograms ``[B, n_mels, frames]`` to sounds ``[B, 1, frames * hop_length]``.

    Transposed convolutions raise the rate from frames to samples. After each of them, residual blocks with several
    kernel sizes are averaged. The defaults are version 1 of the paper:

    ======= ============ ============== ===== ========= ======================== ======
    version rates        kernels        width blocks    dilations                paired
    ======= ============ ============== ===== ========= ======================== ======
    1       8, 8, 2, 2   16, 16, 4, 4   512   3, 7, 11  (1, 3, 5) for each       true
    2       8, 8, 2, 2   16, 16, 4, 4   128   3, 7, 11  (1, 3, 5) for each       true
    3       8, 8, 4      16, 16, 8      256   3, 5, 7   (1, 2), (2, 6), (3, 12)  false
    ======= ============ ============== ===== ========= ======================== ======

    Args:
        shape: shape ``(1, length)`` of the sounds in training.
        mel: dictionary with the arguments of `audiogan.representations.mel_spectrogram.MelSpectrogram`.
        rates: upsampling factors. Their product must be the hop of the spectrogram.
        kernels: kernel size of each transposed convolution: its rate plus an even number, 0 or more.
        width: number of channels before the first upsampling. It is halved by each upsampling.
        blocks: kernel sizes of the residual blocks, odd.
        dilations: dilations of each residual block, a list of lists.
        paired: add a convolution without dilation after each dilated convolution.

    Attributes:
        multiple: the length of sounds must be a multiple of this number of samples.
        receptive_field: largest distance, in samples, between an output sample and an input sample that it depends on.

    Examples:
        >>> import torch
        >>> from audiogan.networks.hifigan import HiFiGAN
        >>> HiFiGAN((1, 8192), {"sample_rate": 16000}, width=16)(mel=torch.zeros(1, 80, 4)).shape
        torch.Size([1, 1, 1024])
    """

    takes = frozenset({"mel"})

    def __init__(
        self,
        shape: Sequence[int],
        mel: Any,
        rates: Sequence[int] = (8, 8, 2, 2),
        kernels: Sequence[int] = (16, 16, 4, 4),
        width: int = 512,
        blocks: Sequence[int] = (3, 7, 11),
        dilations: Sequence[Sequence[int]] = ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
        paired: bool = True,
    ) -> None:
        super().__init__()
        spectrogram = MelSpectrogram(**mel)
        check_vocoder_shape(self, shape, spectrogram.hop_length)
        if prod(rates) != spectrogram.hop_length or len(kernels) != len(rates) or len(blocks) != len(dilations):
            raise ValueError(
                f"HiFiGAN: rates={list(rates)}, kernels={list(kernels)}, blocks={list(blocks)}: the product of rates "
                f"must be the hop, {spectrogram.hop_length}, with one kernel per rate and dilations for each block"
            )
        if any((k - u) % 2 or k < u for k, u in zip(kernels, rates, strict=True)) or width % 2 ** len(rates):
            raise ValueError(
                f"HiFiGAN: kernels={list(kernels)} must exceed rates={list(rates)} by even numbers, and width={width} "
                f"must be a multiple of {2 ** len(rates)}"
            )
        self.shape, self.n_mels = tuple(shape), spectrogram.n_mels
        widths = [width // 2**i for i in range(len(rates) + 1)]
        self.first = weight_norm(nn.Conv1d(self.n_mels, width, 7, padding=3))
        self.ups = nn.ModuleList(
            weight_norm(_init_small(nn.ConvTranspose1d(i, o, k, u, padding=(k - u) // 2)))
            for (i, o), k, u in zip(pairwise(widths), kernels, rates, strict=True)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(HiFiGANBlock(w, k, d, paired) for k, d in zip(blocks, dilations, strict=True))
            for w in widths[1:]
        )
        self.last = weight_norm(_init_small(nn.Conv1d(widths[-1], 1, 7, padding=3)))
        self.multiple, reach, rate = spectrogram.hop_length, 3.0, 1
        for stage, k, u in zip(self.blocks, kernels, rates, strict=True):
            reach += -(-(k - u) // (2 * u)) / rate
            rate *= u
            reach += max(block.reach for block in stage) / rate  # type: ignore[attr-defined]
        around = -(-spectrogram.n_fft // (2 * self.multiple))
        self.receptive_field = int(reach + 2 + around) * self.multiple

    def forward(self, mel: Tensor) -> Tensor:
        """Return sounds ``[B, 1, frames * hop_length]`` for log-mel spectrograms ``[B, n_mels, frames]``."""
        if mel.dim() != 3 or mel.shape[1] != self.n_mels:
            raise ValueError(f"HiFiGAN: mel: expected [B, {self.n_mels}, frames], got {list(mel.shape)}")
        x = self.first(mel)
        for up, stage in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, SLOPE))
            x = torch.stack([block(x) for block in stage]).mean(0)  # type: ignore[attr-defined]
        return torch.tanh(self.last(F.leaky_relu(x, LAST_SLOPE)))


class MPD(nn.Module):
    """Multi-period critic: for each period p, a critic on sounds ``[B, 1, T]`` folded to ``[B, 1, T / p, p]``.

    Args:
        periods: periods in samples, prime numbers in the paper.
        width: number of channels of the first layer, 1 or more; 32 in the paper. Later layers have 4, 16, 32 and 32
            times as many.
        largest: upper bound on the number of channels of a layer; 1024 in the paper.

    Examples:
        >>> import torch
        >>> from audiogan.networks.hifigan import MPD
        >>> len(MPD(width=4)(torch.zeros(2, 1, 4096)).logits)
        5
    """

    takes: frozenset[str] = frozenset()

    def __init__(self, periods: Sequence[int] = (2, 3, 5, 7, 11), width: int = 32, largest: int = 1024) -> None:
        super().__init__()
        check_sizes(self, periods=len(periods), width=width, largest=largest, period=min(periods, default=0))
        self.periods = tuple(periods)
        widths = [1, *(min(width * factor, largest) for factor in (1, 4, 16, 32, 32))]
        strides = [3, 3, 3, 3, 1]
        self.convs = nn.ModuleList(
            nn.ModuleList(
                weight_norm(init_he_conv(nn.Conv2d(i, o, (5, 1), (s, 1), padding=(2, 0))))
                for (i, o), s in zip(pairwise(widths), strides, strict=True)
            )
            for _ in periods
        )
        self.scores = nn.ModuleList(
            weight_norm(init_he_conv(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))) for _ in periods
        )

    def forward(self, x: Tensor) -> CriticOutput:
        """Return the logits of each period, and all hidden layers as features, for sounds ``[B, 1, T]``."""
        parts = []
        for period in self.periods:
            y = F.pad(x, (0, -x.shape[-1] % period), "reflect")
            parts.append(y.unflatten(-1, (-1, period)))
        return _apply_critics(parts, self.convs, self.scores)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of each critic, averaged over time, as one tensor ``[B, D]``."""
        return pooled_features(self(x), len(self.convs[0]))  # type: ignore[arg-type]


class MSD(nn.Module):
    """Multi-scale critic: critics on sounds ``[B, 1, T]`` and on the same sounds with 1/2 and 1/4 of the sample rate.

    The critic at the full rate has spectral norm, the others have weight norm.

    Args:
        scales: number of critics, 1 or more.
        width: number of channels of the first layer, a multiple of 16; 128 in the paper. Later layers have 1, 2, 4, 8,
            8 and 8 times as many.

    Examples:
        >>> import torch
        >>> from audiogan.networks.hifigan import MSD
        >>> len(MSD(width=16)(torch.zeros(2, 1, 4096)).logits)
        3
    """

    takes: frozenset[str] = frozenset()

    def __init__(self, scales: int = 3, width: int = 128) -> None:
        super().__init__()
        check_sizes(self, scales=scales, width=width)
        if width % 16:
            raise ValueError(f"MSD: width={width} must be a multiple of 16")
        widths = [1, *(width * factor for factor in (1, 1, 2, 4, 8, 8, 8))]
        kernels, strides = [15, 41, 41, 41, 41, 41, 5], [1, 2, 2, 4, 4, 1, 1]
        groups = [1, 4, 16, 16, 16, 16, 1]
        self.pool = nn.AvgPool1d(4, 2, padding=2)
        norms: list[Any] = [spectral_norm, *[weight_norm] * (scales - 1)]
        self.convs = nn.ModuleList(
            nn.ModuleList(
                norm(init_he_conv(nn.Conv1d(i, o, k, s, padding=k // 2, groups=g)))
                for (i, o), k, s, g in zip(pairwise(widths), kernels, strides, groups, strict=True)
            )
            for norm in norms
        )
        self.scores = nn.ModuleList(norm(init_he_conv(nn.Conv1d(widths[-1], 1, 3, padding=1))) for norm in norms)

    def forward(self, x: Tensor) -> CriticOutput:
        """Return the logits of each scale, and all hidden layers as features, for sounds ``[B, 1, T]``."""
        parts = [x]
        for _ in self.convs[1:]:
            parts.append(self.pool(parts[-1]))
        return _apply_critics(parts, self.convs, self.scores)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of each critic, averaged over time, as one tensor ``[B, D]``."""
        return pooled_features(self(x), len(self.convs[0]))  # type: ignore[arg-type]


def init_he_conv(conv: Any) -> Any:
    """Initialise a convolution with He weights (He et al., ICCV 2015) and zero biases, and return it.

    The initial weights keep the variance of signals. With PyTorch's default, each layer of a narrow critic makes
    signals smaller, and learning starts late.
    """
    nn.init.kaiming_normal_(conv.weight, a=SLOPE)
    nn.init.zeros_(conv.bias)
    return conv


def pooled_features(output: CriticOutput, layers: int) -> Tensor:
    """Return the last hidden layer of each critic, averaged over all positions, as one tensor ``[B, D]``.

    Args:
        output: output of a network of several critics. Its features are the hidden layers of all critics, in order.
        layers: number of hidden layers of each critic.
    """
    return torch.cat([y.flatten(2).mean(2) for y in list(output.features or ())[layers - 1 :: layers]], dim=1)


def _apply_critics(parts: Sequence[Tensor], convs: nn.ModuleList, scores: nn.ModuleList) -> CriticOutput:
    logits, hidden = [], []
    for y, layers, score in zip(parts, convs, scores, strict=True):
        for conv in layers:  # type: ignore[attr-defined]
            y = F.leaky_relu(conv(y), SLOPE)
            hidden.append(y)
        logits.append(score(y))
    return CriticOutput(logits, None, hidden)


def _init_small(conv: Any) -> Any:
    nn.init.normal_(conv.weight, std=INITIAL_STD)
    return conv
