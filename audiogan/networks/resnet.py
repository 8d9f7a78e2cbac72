"""The generator of CycleGAN (Zhu et al., ICCV 2017, appendix 7.2), after Johnson et al. (ECCV 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.translation_blocks import check_settings, check_source, init_translation_weights, norm2d

UPSAMPLINGS = ("transposed", "nearest")
MIN_SIDE = 8
"""Smallest height and width of a source in pixels, because reflection padding needs more pixels than it adds."""


class ResNetGenerator(nn.Module):
    """CycleGAN generator: source images ``[B, C', H, W]`` to images ``[B, C, H, W]`` in -1 ... 1, fully convolutional.

    The network has two convolutions with stride 2, residual blocks and two upsampling layers. Residual blocks and the
    first and last convolution have reflection padding. The paper's notation is c7s1-64, d128, d256, R256 (6 or 9
    times), u128, u64, c7s1-3.

    Args:
        shape: shape ``(C, H, W)`` of the output.
        source: shape ``(C', H, W)`` of the source.
        width: channels of the first layer; residual blocks have four times as many.
        blocks: number of residual blocks. The paper uses 6 for 128 pixels, and 9 for 256 pixels or more.
        norm: normalisation, ``instance`` (as in the paper), ``batch`` or ``none``.
        upsampling: ``transposed`` convolutions with stride 2 (as in the paper), or ``nearest`` upsampling followed by
            a convolution, which avoids checkerboard artifacts (Odena et al., Distill 2016).

    Attributes:
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: largest distance between an output pixel and a source pixel that it depends on, in evaluation
            mode; ``None``: each output pixel depends on all source pixels.

    Source:
        Zhu et al., "Unpaired image-to-image translation using cycle-consistent adversarial networks", ICCV 2017,
        appendix 7.2.

    Examples:
        >>> import torch
        >>> from audiogan.networks.resnet import ResNetGenerator
        >>> generator = ResNetGenerator((3, 32, 32), source=(3, 32, 32), width=4, blocks=1)
        >>> generator(source=torch.zeros(1, 3, 48, 40)).shape  # Images may have other sizes.
        torch.Size([1, 3, 48, 40])
    """

    takes = frozenset({"source"})
    multiple = 4

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        width: int = 64,
        blocks: int = 9,
        norm: str = "instance",
        upsampling: str = "transposed",
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, blocks=blocks)
        check_settings(self, shape, source, norm)
        if upsampling not in UPSAMPLINGS:
            raise ValueError(f"ResNetGenerator: upsampling={upsampling!r} must be one of {', '.join(UPSAMPLINGS)}")
        if any(side % self.multiple or side < MIN_SIDE for side in shape[1:]):
            raise ValueError(
                f"ResNetGenerator: height and width of shape={tuple(shape)} must be multiples of 4, at least {MIN_SIDE}"
            )
        self.shape, self.source = tuple(shape), tuple(source)
        assert source[0] is not None
        self.source_channels, bias = source[0], norm == "none"  # A norm removes any bias.

        def block(conv: nn.Module, channels: int) -> list[nn.Module]:
            return [conv, norm2d(norm, channels), nn.ReLU()]

        def up(in_channels: int, out_channels: int) -> list[nn.Module]:
            if upsampling == "nearest":
                conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode="reflect", bias=bias)
                return [nn.Upsample(scale_factor=2), *block(conv, out_channels)]
            return block(
                nn.ConvTranspose2d(in_channels, out_channels, 3, 2, 1, output_padding=1, bias=bias), out_channels
            )

        w = width
        self.layers = nn.Sequential(
            *block(nn.Conv2d(source[0], w, 7, padding=3, padding_mode="reflect", bias=bias), w),
            *block(nn.Conv2d(w, 2 * w, 3, 2, 1, bias=bias), 2 * w),
            *block(nn.Conv2d(2 * w, 4 * w, 3, 2, 1, bias=bias), 4 * w),
            *(Residual(4 * w, norm) for _ in range(blocks)),
            *up(4 * w, 2 * w),
            *up(2 * w, w),
            nn.Conv2d(w, shape[0], 7, padding=3, padding_mode="reflect"),
            nn.Tanh(),
        )
        init_translation_weights(self, norm)
        if norm == "none":  # Without norms, small initial weights keep the residual sum from growing.
            for residual in self.layers:
                if isinstance(residual, Residual):
                    residual.second.weight.data.mul_(blocks**-0.5)
        upwards = [Layer(3, 2, 1, True)] if upsampling == "transposed" else [Layer(2, 2, 0, True), Layer(3, 1, 1)]
        path = [Layer(7, 1, 3), *[Layer(3, 2, 1)] * 2, *[Layer(3, 1, 1)] * 2 * blocks, *upwards * 2, Layer(7, 1, 3)]
        self.receptive_field = None if norm == "instance" else receptive_field(path)

    def forward(self, source: Tensor) -> Tensor:
        """Return images ``[B, C, H, W]`` in -1 ... 1 for source images ``[B, C', H, W]``."""
        check_source(self, source, self.source_channels, self.multiple, MIN_SIDE)
        return cast("Tensor", self.layers(source.contiguous(memory_format=torch.channels_last)))


class Residual(nn.Module):
    """Residual block of two 3x3 convolutions: ``[B, channels, H, W]`` to the same shape.

    Args:
        channels: number of channels.
        norm: normalisation after each convolution, ``instance``, ``batch`` or ``none``.

    Examples:
        >>> import torch
        >>> from audiogan.networks.resnet import Residual
        >>> Residual(4, norm="instance")(torch.zeros(2, 4, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        bias = norm == "none"
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.first_norm, self.second_norm = norm2d(norm, channels), norm2d(norm, channels)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first_norm(self.first(x)))
        return x + cast("Tensor", self.second_norm(self.second(h)))
