"""Layers on frames `[B, N, C]`, for generators that run at the rate of frames: blocks, two ways to double frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrameBlock(nn.Module):
    """`[B, N, C]` -> `[B, N, C]`: a depthwise convolution over frames, modulated, then two dense layers; residual."""

    def __init__(self, channels: int, kernel: int = 7, widen: int = 2) -> None:
        super().__init__()
        bound = kernel**-0.5
        self.taps = nn.Parameter(torch.empty(kernel, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        self.wide, self.narrow = nn.Linear(channels, widen * channels), nn.Linear(widen * channels, channels)
        self.gain = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Modulation, `scale` and `shift`, is `[B, 1, C]`."""
        h = self.depthwise(x)
        h = torch.addcmul(shift, F.layer_norm(h, h.shape[2:]), scale)
        return torch.addcmul(x, self.narrow(F.leaky_relu(self.wide(h), 0.2)), self.gain)

    def depthwise(self, x: Tensor) -> Tensor:
        """The convolution. Of one sound, and without gradients, its sum written out takes less than half the time."""
        reach = len(self.taps) // 2
        if torch.is_grad_enabled() or torch.compiler.is_exporting() or len(x) > 1:
            weight = self.taps.t()[:, None, None]
            h = F.conv2d(x.transpose(1, 2)[:, :, None], weight, self.bias, padding=(0, reach), groups=x.shape[2])
            return h[:, :, 0].transpose(1, 2)
        windows = F.pad(x, (0, 0, reach, reach)).unfold(1, len(self.taps), 1).transpose(2, 3)  # [B, N, taps, C]
        return torch.linalg.vecdot(windows, self.taps, dim=2) + self.bias


class LinearDoubling(nn.Module):
    """`[B, frames, C]` -> `[B, 2 frames, C]`: a dense layer, then straight lines between frames.

    A transposed convolution makes even and odd frames by weights of their own, which stay different, and a pattern of
    two, four, eight frames is left in all that it makes (Odena, Dumoulin & Olah, "Deconvolution and Checkerboard
    Artifacts", Distill 2016): here levels that go up and down from frame to frame.
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
    """`[B, frames, C]` -> `[B, 2 frames, C]`: a dense layer makes two frames between each two neighbours, silence at
    the ends.

    What a transposed convolution of kernel 4 and stride 2 does, as one product of matrices, which takes less time.
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
