"""Layers on sequences of frames `[B, frames, channels]`, for generators that predict the frames of an STFT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrameBlock(nn.Module):
    """ConvNeXt block with FiLM modulation: `[B, N, channels]` to the same shape.

    A depthwise convolution over frames and a modulated layer norm are followed by two dense layers. The block is
    residual.

    Args:
        channels: number of channels.
        kernel: kernel size of the convolution, in frames; odd.
        expansion: number of hidden units between the two dense layers, divided by ``channels``.

    Source:
        Liu et al., "A ConvNet for the 2020s", CVPR 2022. Perez et al., "FiLM", AAAI 2018.
    """

    def __init__(self, channels: int, kernel: int = 7, expansion: int = 2) -> None:
        super().__init__()
        bound = kernel**-0.5
        self.taps = nn.Parameter(torch.empty(kernel, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self.wide, self.narrow = nn.Linear(channels, expansion * channels), nn.Linear(expansion * channels, channels)
        self.gain = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Return the output frames `[B, N, C]`. ``scale`` and ``shift`` are the modulation, each `[B, 1, C]`."""
        h = self.depthwise(x)
        h = torch.addcmul(shift, F.layer_norm(h, h.shape[2:]), scale)
        return torch.addcmul(x, self.narrow(F.leaky_relu(self.wide(h), 0.2)), self.gain)

    def depthwise(self, x: Tensor) -> Tensor:
        """Return the depthwise convolution of frames `[B, N, C]`.

        For one sound without gradients, a sum of products replaces the convolution, because the sum is twice as fast.
        """
        reach = len(self.taps) // 2
        if torch.is_grad_enabled() or torch.compiler.is_exporting() or len(x) > 1:
            weight = self.taps.t()[:, None, None]
            h = F.conv2d(x.transpose(1, 2)[:, :, None], weight, self.bias, padding=(0, reach), groups=x.shape[2])
            return h[:, :, 0].transpose(1, 2)
        windows = F.pad(x, (0, 0, reach, reach)).unfold(1, len(self.taps), 1).transpose(2, 3)
        return torch.linalg.vecdot(windows, self.taps, dim=2) + self.bias


class LinearDoubling(nn.Module):
    """Upsampling by a dense layer and linear interpolation: `[B, frames, channels]` to `[B, 2 frames, channels]`.

    It avoids the checkerboard artifacts of transposed convolutions, which make levels alternate from frame to frame.

    Args:
        channels: number of channels.
        frames: number of input frames.

    Source:
        Odena, Dumoulin & Olah, "Deconvolution and checkerboard artifacts", Distill 2016.
    """

    lines: Tensor

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels, channels)
        lines = F.interpolate(torch.eye(frames)[None], scale_factor=2, mode="linear")[0].t()
        self.register_buffer("lines", lines.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.lines @ self.dense(x)


class TransposedDoubling(nn.Module):
    """Upsampling by a transposed convolution: `[B, frames, channels]` to `[B, 2 frames, channels]`.

    The convolution has kernel size 4 and stride 2. It is computed as one matrix product, which takes less time than
    PyTorch's convolution.

    Args:
        channels: number of channels.
        frames: number of input frames. It is not used.
    """

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * channels, 2 * channels)
        bound = (4 * channels) ** -0.5
        nn.init.uniform_(self.dense.weight, -bound, bound)
        nn.init.uniform_(self.dense.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 1, 1))
        return self.dense(torch.cat([x[:, :-1], x[:, 1:]], dim=2)).unflatten(2, (2, -1)).flatten(1, 2)[:, 1:-1]


DOUBLINGS = {"linear": LinearDoubling, "transposed": TransposedDoubling}


def initial_positions(frames: int, channels: int) -> Tensor:
    """Return initial position embeddings `[1, frames, channels]`: sines with random frequencies in logarithmic time.

    The embeddings are smooth in time, because independent random embeddings make levels jump from frame to frame even
    after training.

    Args:
        frames: number of frames.
        channels: number of channels.
    """
    time = torch.arange(frames).div(2).log1p() / math.log1p(max(frames - 1, 1) / 2)
    turns, phase = torch.rand(2, channels)
    return 0.14 * (2 * math.pi * (4 * time[:, None] * turns + phase)).sin()[None]
