"""Layers shared by several networks: convolutions with SAME padding, initialisation, minibatch standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Return the left and right padding of TensorFlow's SAME mode. The length must be a multiple of the stride.

    Examples:
        >>> from audiogan.networks.blocks import same_padding
        >>> same_padding(kernel=25, stride=4)
        (10, 11)
    """
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2


class SameConv1d(nn.Conv1d):
    """1-D convolution with TensorFlow's SAME padding: `[B, in_channels, L]` to `[B, out_channels, L / stride]`.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel: kernel size, in samples.
        stride: stride in samples. L must be a multiple of it.
        groups: number of channel groups.
        bias: add a learned bias.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import SameConv1d
        >>> SameConv1d(1, 2, kernel=25, stride=4)(torch.zeros(1, 1, 64)).shape
        torch.Size([1, 2, 16])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, *, groups: int = 1, bias: bool = True
    ):
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=bias)
        self.same = same_padding(kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.same))


class SameConv2d(nn.Conv2d):
    """2-D convolution with TensorFlow's SAME padding: `[B, C, H, W]` to `[B, out_channels, H / stride, W / stride]`.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel: side of the square kernel, in pixels.
        stride: stride in pixels. H and W must be multiples of it.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import SameConv2d
        >>> SameConv2d(1, 2, kernel=5, stride=2)(torch.zeros(1, 1, 8, 8)).shape
        torch.Size([1, 2, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride)
        self.same = same_padding(kernel, stride) * 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.same))


class SameConvTranspose1d(nn.ConvTranspose1d):
    """Transpose of `SameConv1d`, as in TensorFlow: `[B, in_channels, L]` to `[B, out_channels, stride * L]`.

    SAME padding is asymmetric, so the output is cropped at the end. Ports of WaveGAN use the PyTorch arguments
    ``padding=11, output_padding=1`` instead, which delay the output by one sample.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel: kernel size, in samples.
        stride: upsampling factor.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import SameConvTranspose1d
        >>> SameConvTranspose1d(1, 2, kernel=25, stride=4)(torch.zeros(1, 1, 16)).shape
        torch.Size([1, 2, 64])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding=same_padding(kernel, stride)[0])

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : x.shape[-1] * self.stride[0]]


class SameConvTranspose2d(nn.ConvTranspose2d):
    """Transpose of `SameConv2d`, as in TensorFlow: `[B, C, H, W]` to `[B, out_channels, stride * H, stride * W]`.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel: side of the square kernel, in pixels.
        stride: upsampling factor.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import SameConvTranspose2d
        >>> SameConvTranspose2d(1, 2, kernel=5, stride=2)(torch.zeros(1, 1, 4, 4)).shape
        torch.Size([1, 2, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, padding=same_padding(kernel, stride)[0])

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        rows, columns = x.shape[-2] * self.stride[0], x.shape[-1] * self.stride[1]
        return super().forward(x)[..., :rows, :columns]


class StridedConvs(nn.ModuleList):
    """Sequence of n 4x4 convolutions with stride 2 and LeakyReLU 0.2.

    It maps `[B, widths[0], H, W]` to `[B, widths[-1], H / 2^n, W / 2^n]`.

    Args:
        widths: number of input channels, followed by the number of output channels of each convolution.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import StridedConvs
        >>> StridedConvs([3, 8, 16])(torch.zeros(1, 3, 32, 32)).shape
        torch.Size([1, 16, 8, 8])
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(nn.Conv2d(i, o, 4, 2, 1) for i, o in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        for conv in self:
            x = F.leaky_relu(conv(x), 0.2)
        return x


class ClassFiLM(nn.Module):
    """FiLM layer: scale and shift each channel of `[B, channels, ...]` by a linear function of the class weights.

    Initial weights have a standard deviation of 0.1, so that classes differ from the first training step on.

    Args:
        classes: number of classes. The class weights are `[B, classes]`.
        channels: number of channels.

    Source:
        Perez et al., "FiLM: Visual reasoning with a general conditioning layer", AAAI 2018, section 2.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import ClassFiLM
        >>> ClassFiLM(classes=3, channels=4)(torch.zeros(2, 4, 8, 8), torch.eye(3)[:2]).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(classes, 2 * channels, bias=False)
        nn.init.normal_(self.affine.weight, std=0.1)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        scale, shift = self.affine(classes)[(...,) + (None,) * (x.dim() - 2)].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


def init_he(module: nn.Module) -> None:
    """Initialise a convolution or dense layer that precedes a LeakyReLU 0.2 (He et al., ICCV 2015, equation 14).

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import init_he
        >>> _ = torch.manual_seed(0)
        >>> layer = torch.nn.Linear(100, 100)
        >>> init_he(layer)
        >>> round(layer.weight.std().item(), 2), layer.bias.abs().max().item()
        (0.14, 0.0)
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=0.2, nonlinearity="leaky_relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def join_classes(latent: Tensor, class_embedding: nn.Module | None, classes: Tensor | None) -> Tensor:
    """Return latents ``[B, D]`` concatenated with embedded class weights. ``class_embedding=None`` adds no classes.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import join_classes
        >>> join_classes(torch.zeros(2, 8), torch.nn.Linear(10, 4), torch.zeros(2, 10)).shape
        torch.Size([2, 12])
    """
    return latent if class_embedding is None else torch.cat([latent, class_embedding(classes)], dim=1)


def init_glorot(*networks: nn.Module) -> None:
    """Initialise convolutions and dense layers with Glorot uniform weights and zero biases, as TensorFlow does.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import init_glorot
        >>> layer = torch.nn.Linear(3, 3)
        >>> init_glorot(layer)
        >>> layer.weight.abs().max().item() <= 1, layer.bias.tolist()  # limit: (6 / (3 + 3)) ** 0.5
        (True, [0.0, 0.0, 0.0])
    """
    for module in (module for network in networks for module in network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def apply_spectral_norm(network: nn.Module) -> None:
    """Apply spectral norm (Miyato et al., ICLR 2018) to every convolution and dense layer of a network.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import apply_spectral_norm
        >>> layer = torch.nn.Linear(1, 1)
        >>> apply_spectral_norm(layer)
        >>> abs(layer.weight.item())  # The largest singular value is 1.
        1.0
    """
    for module in list(network.modules()):
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            spectral_norm(module)


def minibatch_std(x: Tensor, classes: Tensor | None = None, group_size: int = 4) -> Tensor:
    """Return the standard deviation within groups of samples, averaged over features, as a channel ``[B, 1, H, W]``.

    Args:
        x: feature maps ``[B, C, H, W]``.
        classes: class weights ``[B, classes]``. If given, samples of the same class are grouped where possible, because
            differences between classes would hide mode collapse within a class.
        group_size: largest number of samples in a group. If it does not divide B, the next smaller divisor of B is
            used.

    Source:
        Karras et al., "Progressive growing of GANs", ICLR 2018, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.blocks import minibatch_std
        >>> minibatch_std(torch.ones(4, 3, 2, 2)).max().item() < 1e-3  # equal samples: almost 0
        True
    """
    b, _, h, w = x.shape
    g = next(g for g in range(min(group_size, b), 0, -1) if b % g == 0)
    if classes is None:
        # As in the authors' code, a group consists of every (b / g)-th sample.
        groups = x.reshape(g, b // g, -1).transpose(0, 1)
    else:
        order = classes.argmax(1).argsort(stable=True)
        groups = x[order].reshape(b // g, g, -1)
    # The constant keeps the derivative of the square root finite for equal samples.
    spread = ((groups - groups.mean(1, keepdim=True)).square().mean(1) + 1e-8).sqrt().mean(1)
    spread = spread.repeat(g) if classes is None else spread.repeat_interleave(g)[order.argsort()]
    return spread.view(b, 1, 1, 1).expand(b, 1, h, w)
