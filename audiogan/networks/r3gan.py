"""R3GAN (Huang et al., NeurIPS 2024): residual networks without normalisation, for images.

Both networks consist of residual blocks with bottlenecks (ResNeXt, Xie et al., CVPR 2017) and bilinear resampling. They
have no normalisation layers, no styles and no minibatch statistics. Train them with
`audiogan.losses.RelativisticPairing` and with both penalties `audiogan.losses.R1` and `audiogan.losses.R2`.

Source: Huang, Gokaslan, Kuleshov & Tompkin, "The GAN is dead; long live the GAN! A modern baseline GAN", NeurIPS 2024,
section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import apply_spectral_norm
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.dcgan import coarsest_grid

SLOPE = 0.2
"""Slope of LeakyReLU for negative inputs."""
CHANNELS_LAST = torch.channels_last
GAIN = (2 / (1 + SLOPE**2)) ** 0.5
"""Gain of initial weights before a LeakyReLU. It keeps the mean square of activations."""


class R3GANGenerator(nn.Module):
    """R3GAN generator: latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to images ``[B, C, S, S]``.

    Images are about -1 ... 1 but unbounded, unless ``tanh`` is true.

    Args:
        shape: shape ``(C, S, S)`` of an image. S must be 4, 5, 6 or 7 times a power of two.
        latent_dim: size of the latent, which is standard normal; 64 in the paper.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        widths: number of channels of each resolution, coarsest first. For S = 28, the resolutions are 7, 14 and 28.
        blocks: number of residual blocks per resolution; 2 in the paper.
        expansion: channels inside a block, divided by the channels of its input; 2 in the paper.
        group_channels: channels per group of the grouped convolutions; 16 in the paper.
        tanh: end with a tanh, which makes exactly black or white areas possible; not in the paper.

    Source:
        Huang et al., "The GAN is dead; long live the GAN!", NeurIPS 2024, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.r3gan import R3GANGenerator
        >>> R3GANGenerator((3, 16, 16), latent_dim=8, widths=(16, 16, 16), blocks=1)(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 3, 16, 16])
    """

    latent = "normal"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int = 64,
        classes: int = 0,
        widths: Sequence[int] = (768, 768, 768, 768),
        blocks: int = 2,
        expansion: int = 2,
        group_channels: int = 16,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, blocks=blocks, expansion=expansion, group_channels=group_channels)
        self.shape, self.latent_dim, self.classes, self.tanh = tuple(shape), latent_dim, classes, tanh
        self.takes = input_names(latent=latent_dim, classes=classes)
        grid = _check_widths(self.shape, widths)
        self.embed = _dense(classes, latent_dim) if classes else None
        self.start = _dense(latent_dim * (2 if classes else 1), widths[0])
        self.basis = nn.Parameter(torch.randn(widths[0], grid, grid))
        self.stages = nn.ModuleList(
            _blocks(width, blocks, expansion, group_channels, blocks * len(widths)) for width in widths
        )
        self.transitions = nn.ModuleList(_transition(i, o) for i, o in pairwise(widths))
        self.out = _conv(widths[-1], self.shape[0], 1)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        if self.embed is not None:
            latent = torch.cat([latent, self.embed(classes)], dim=1)
        x = self.stages[0]((self.start(latent)[:, :, None, None] * self.basis).contiguous(memory_format=CHANNELS_LAST))
        for transition, stage in zip(self.transitions, self.stages[1:], strict=True):
            x = F.interpolate(transition(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = stage(x)
        image = self.out(x)
        return torch.tanh(image) if self.tanh else image


class R3GANCritic(nn.Module):
    """R3GAN critic: images ``[B, C, S, S]`` and class weights ``[B, classes]`` to logits ``[B]``.

    With classes, a logit is the scalar product of the last layer's output with an embedding of the class.

    Args:
        shape: shape ``(C, S, S)`` of an image. S must be 4, 5, 6 or 7 times a power of two.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        widths: number of channels of each resolution, coarsest first, as in the generator.
        blocks: number of residual blocks per resolution; 2 in the paper.
        expansion: channels inside a block, divided by the channels of its input; 2 in the paper.
        group_channels: channels per group of the grouped convolutions; 16 in the paper.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018); not in the paper.

    Source:
        Huang et al., "The GAN is dead; long live the GAN!", NeurIPS 2024, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.r3gan import R3GANCritic
        >>> R3GANCritic((3, 16, 16), widths=(16, 16, 16), blocks=1)(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        widths: Sequence[int] = (768, 768, 768, 768),
        blocks: int = 2,
        expansion: int = 2,
        group_channels: int = 16,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, blocks=blocks, expansion=expansion, group_channels=group_channels)
        self.shape, self.classes = tuple(shape), classes
        self.takes = input_names(classes=classes)
        grid, widths = _check_widths(self.shape, widths), list(reversed(widths))
        self.entry = _conv(self.shape[0], widths[0], 1)
        self.stages = nn.ModuleList(
            _blocks(width, blocks, expansion, group_channels, blocks * len(widths)) for width in widths
        )
        self.transitions = nn.ModuleList(_transition(i, o) for i, o in pairwise(widths))
        self.basis = _conv(widths[-1], widths[-1], grid, groups=widths[-1], padding=0)
        self.score = _dense(widths[-1], widths[-1] if classes else 1)
        self.embed = _dense(classes, widths[-1], gain=widths[-1] ** -0.5) if classes else None
        if spectral_norm:
            for module in self.modules():
                if isinstance(module, ResNeXtBlock):  # Weights of 0 have no direction, so their spectral norm is NaN.
                    nn.init.normal_(module.reduce.weight)
            apply_spectral_norm(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer ``[B, D]`` of images ``[B, C, S, S]``. Classes are ignored."""
        check_tensor(self, "x", x, self.shape)
        x = self.stages[0](self.entry(x.contiguous(memory_format=CHANNELS_LAST)))
        for transition, stage in zip(self.transitions, self.stages[1:], strict=True):
            x = stage(transition(F.avg_pool2d(x, 2)))  # Average pooling is bilinear downsampling by 2.
        return self.basis(x).flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, classes=classes)
        scores = self.score(self.features(x))
        return scores[:, 0] if self.embed is None else (scores * self.embed(classes)).sum(1)


class ResNeXtBlock(nn.Module):
    """Residual block of R3GAN: ``[B, channels, H, W]`` to the same shape.

    A 1x1 convolution expands the channels, a grouped 3x3 convolution follows, and a 1x1 convolution reduces the
    channels. The first two convolutions have a bias, and LeakyReLU with slope 0.2 follows each of them. The weights of
    the last convolution are initially 0, so that the block begins as the identity.

    Args:
        channels: number of input and output channels.
        expansion: channels inside the block, divided by ``channels``.
        group_channels: channels per group of the 3x3 convolution.
        depth: number of residual blocks of the network. Initial weights are scaled by ``depth ** -0.25``, so that the
            variance does not grow with the depth (Fixup, Zhang et al., ICLR 2019).

    Examples:
        >>> import torch
        >>> from audiogan.networks.r3gan import ResNeXtBlock
        >>> ResNeXtBlock(16, expansion=2, group_channels=16, depth=1)(torch.zeros(2, 16, 8, 8)).shape
        torch.Size([2, 16, 8, 8])
    """

    def __init__(self, channels: int, expansion: int, group_channels: int, depth: int) -> None:
        super().__init__()
        inner, gain = channels * expansion, GAIN * depth**-0.25
        if inner % group_channels:
            raise ValueError(
                f"a width of {channels} channels, times expansion={expansion}, is not a multiple of "
                f"group_channels={group_channels}"
            )
        self.expand = _conv(channels, inner, 1, gain=gain, bias=True)
        self.grouped = _conv(inner, inner, 3, groups=inner // group_channels, gain=gain, bias=True)
        self.reduce = _conv(inner, channels, 1, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = F.leaky_relu(self.expand(x), SLOPE)
        return x + self.reduce(F.leaky_relu(self.grouped(h), SLOPE))


def _blocks(channels: int, count: int, expansion: int, group_channels: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(ResNeXtBlock(channels, expansion, group_channels, depth) for _ in range(count)))


def _transition(in_channels: int, out_channels: int) -> nn.Module:
    """Return a 1x1 convolution that changes the number of channels, or the identity if the numbers are equal."""
    return nn.Identity() if in_channels == out_channels else _conv(in_channels, out_channels, 1)


def _conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    groups: int = 1,
    gain: float = 1.0,
    bias: bool = False,
    padding: int | None = None,
) -> nn.Conv2d:
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, groups=groups, bias=bias)
    nn.init.normal_(conv.weight, std=gain * (in_channels // groups * kernel**2) ** -0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _dense(in_features: int, out_features: int, gain: float = 1.0) -> nn.Linear:
    dense = nn.Linear(in_features, out_features, bias=False)
    nn.init.normal_(dense.weight, std=gain * in_features**-0.5)
    return dense


def _check_widths(shape: Sequence[int], widths: Sequence[int]) -> int:
    """Return the height of the coarsest feature maps. Raise `ValueError` if ``widths`` does not fit ``shape``."""
    grid, doublings = coarsest_grid(shape)
    if len(widths) != doublings + 1 or min(widths) < 1:
        raise ValueError(
            f"widths={list(widths)}: images of {shape[1]} pixels need {doublings + 1} widths of 1 or more, one for "
            f"each resolution from {grid} to {shape[1]} pixels"
        )
    return grid
