"""Shared parts of networks: TensorFlow's SAME padding, initialisation, minibatch deviation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros left and right that TensorFlow's SAME adds where the length is a multiple of the stride."""
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2


class SameConv1d(nn.Conv1d):
    """`[B, C, L]` -> `[B, C', L / stride]` with TensorFlow's SAME padding; L must be a multiple of the stride."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, *, groups: int = 1, bias: bool = True
    ):
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=bias)
        self.same = same_padding(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.same))


class SameConv2d(nn.Conv2d):
    """`[B, C, F, N]` -> `[B, C', F / stride, N / stride]`, square kernels, as SameConv1d."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride)
        self.same = same_padding(kernel, stride) * 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.same))


class SameConvTranspose1d(nn.ConvTranspose1d):
    """`[B, C, L]` -> `[B, C', stride * L]`: the exact transpose of SameConv1d, hence TensorFlow's.

    SAME crops unequally. Cropping the left amount on both sides and cutting the end is exact; the usual port,
    `padding=11, output_padding=1`, is one sample late.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding=same_padding(kernel, stride)[0])

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : x.shape[-1] * self.stride[0]]


class SameConvTranspose2d(nn.ConvTranspose2d):
    """`[B, C, F, N]` -> `[B, C', stride * F, stride * N]`, square kernels, as SameConvTranspose1d."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding=same_padding(kernel, stride)[0])

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        rows, columns = x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1]
        return super().forward(x)[..., :rows, :columns]


class Halvings(nn.ModuleList):
    """4x4 convolutions with stride 2 and leaky ReLUs: `[B, widths[0], H, W]` -> `[B, widths[-1], H / 2^n, W / 2^n]`."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(nn.Conv2d(i, o, 4, 2, 1) for i, o in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        for conv in self:
            x = F.leaky_relu(conv(x), 0.2)
        return x


class ClassFiLM(nn.Module):
    """Scale and shift each channel of `[B, channels, ...]` by a linear function of class weights `[B, classes]`.

    FiLM (Perez et al., AAAI 2018, section 2). The first shifts are about 0.1, so classes differ from the first step on.
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(classes, 2 * channels, bias=False)
        nn.init.normal_(self.affine.weight, std=0.1)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        scale, shift = self.affine(classes)[(...,) + (None,) * (x.dim() - 2)].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


def he(module: nn.Module) -> None:
    """Draw weights that keep the size of a signal through leaky ReLUs (He et al., ICCV 2015, equation 14)."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0.2, nonlinearity="leaky_relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def with_classes(latent: Tensor, embed: nn.Module | None, classes: Tensor | None) -> Tensor:
    """Return latents ``[B, D]`` joined with an embedding of class weights; without an embedding, the latents."""
    return latent if embed is None else torch.cat([latent, embed(classes)], dim=1)


def glorot(*networks: nn.Module) -> None:
    """Glorot uniform weights and zero biases, TensorFlow's default, in every convolution and dense layer."""
    for module in (module for network in networks for module in network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def normalise_spectra(network: nn.Module) -> None:
    """Miyato et al. 2018: divide the weight of every convolution and dense layer by its largest singular value."""
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            spectral_norm(module)


def minibatch_deviation(x: Tensor, classes: Tensor | None = None, group: int = 4) -> Tensor:
    """Return the mean standard deviation within groups of the batch, ``[B, 1, H, W]``.

    Karras et al., ICLR 2018, section 3.

    Args:
        x: feature maps ``[B, C, H, W]``.
        classes: class weights ``[B, classes]``. With them samples are grouped by class, as far as the batch allows:
            differences between classes would hide that all pictures of a class are the same.
        group: size of a group, or the next smaller divisor of B.
    """
    b, _, h, w = x.shape
    g = next(g for g in range(min(group, b), 0, -1) if b % g == 0)
    if classes is None:
        groups = x.reshape(g, b // g, -1).transpose(0, 1)  # strided, as the paper's code has them
    else:
        order = classes.argmax(1).argsort(stable=True)
        groups = x[order].reshape(b // g, g, -1)
    # The floor keeps the root's derivative finite.
    spread = ((groups - groups.mean(1, keepdim=True)).square().mean(1) + 1e-8).sqrt().mean(1)
    spread = spread.repeat(g) if classes is None else spread.repeat_interleave(g)[order.argsort()]
    return spread.view(b, 1, 1, 1).expand(b, 1, h, w)
