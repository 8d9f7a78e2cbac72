"""The super-resolution generator of SRGAN (Ledig et al., CVPR 2017), without batch norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.translation_blocks import check_source

UPSAMPLINGS = ("progressive", "direct")
INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
RESIDUAL_SCALE = 0.1
"""Factor on the initial weights of two kinds of layers: the second convolution of each block, and the last convolution
of the network."""


class SRResNet(nn.Module):
    """Super-resolution generator: images ``[B, C, h, w]`` to larger images ``[B, C, H, W]``, fully convolutional.

    The network computes a residual, which is added to the interpolated source. All residual blocks process the small
    image. The enlargement factor ``H / h`` follows from ``shape`` and ``source``. The output may exceed -1 ... 1.

    With 64 channels, 16 blocks, progressive upsampling and factor 4, the network has the 1,517,571 parameters of
    MSRResNet, the variant of SRResNet without batch norm in Wang et al.'s ESRGAN code. The original network has batch
    norm, which causes artifacts in images whose statistics differ from those in training (ESRGAN, section 3.1).

    Args:
        shape: shape ``(C, H, W)`` of the output.
        source: shape ``(C, h, w)`` of the source. ``H / h`` and ``W / w`` must be the same integer from 1 to 16.
        width: number of channels.
        blocks: number of residual blocks of two convolutions.
        upsampling: ``progressive``: one convolution and one pixel shuffle for each factor of 2, then one convolution at
            the size of the output, as in SRGAN. The factor must be a power of two. ``direct``: a single convolution and
            pixel shuffle (ESPCN, Shi et al., CVPR 2016, section 3.2), which needs less than a third of the operations.
        interpolation: method that enlarges the source before the residual is added: ``bicubic``, ``bilinear`` or
            ``nearest``.

    Attributes:
        factor: enlargement factor.
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: radius of the receptive field in source pixels: an output pixel depends only on source pixels
            up to this distance from its position.
        macs: number of multiply-accumulate operations of all convolutions per pixel of the source.

    Raises:
        ValueError: The shapes do not define a factor, or an argument is out of range.

    Source:
        Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", CVPR 2017,
        section 2.1.1 and figure 4. Wang et al., "ESRGAN", ECCV Workshops 2018, section 3.1.
    """

    takes = frozenset({"source"})
    multiple = 1

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        width: int = 64,
        blocks: int = 16,
        upsampling: str = "progressive",
        interpolation: str = "bicubic",
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, blocks=blocks)
        for key, value, known in (
            ("upsampling", upsampling, UPSAMPLINGS),
            ("interpolation", interpolation, INTERPOLATIONS),
        ):
            if value not in known:
                raise ValueError(f"SRResNet: {key}={value!r} must be one of {', '.join(known)}")
        self.shape, self.source = tuple(shape), tuple(source)
        self.channels, self.factor = _channels_and_factor(shape, source)
        self.interpolation = interpolation
        doublings = self.factor.bit_length() - 1
        if upsampling == "progressive" and self.factor != 2**doublings:
            raise ValueError(f"SRResNet: factor {self.factor} is not a power of two; use upsampling=direct")
        self.first = nn.Conv2d(self.channels, width, 3, padding=1, padding_mode="replicate")
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.ups = nn.ModuleList()
        if upsampling == "progressive":
            for _ in range(doublings):
                conv = nn.Conv2d(width, 4 * width, 3, padding=1, padding_mode="replicate")
                self.ups.append(nn.Sequential(conv, nn.PixelShuffle(2), nn.LeakyReLU(0.1)))
            conv = nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate")
            self.ups.append(nn.Sequential(conv, nn.LeakyReLU(0.1)))
        shuffle = self.factor if upsampling == "direct" else 1
        self.last = nn.Conv2d(width, self.channels * shuffle**2, 3, padding=1, padding_mode="replicate")
        self.shuffle = nn.PixelShuffle(shuffle) if shuffle > 1 else nn.Identity()
        self._init_weights()
        self.receptive_field, self.macs = self._reach_and_macs(blocks, doublings if len(self.ups) else 0)

    def forward(self, source: Tensor) -> Tensor:
        """Return images ``[B, C, factor * h, factor * w]``, about -1 ... 1.

        Args:
            source: source images ``[B, C, h, w]``.
        """
        check_source(self, source, self.channels, self.multiple)
        x = self.blocks(F.leaky_relu(self.first(source.contiguous(memory_format=torch.channels_last)), 0.1))
        for up in self.ups:
            x = up(x)
        residual = self.shuffle(self.last(x))
        return cast("Tensor", self._upsample_source(source) + residual)

    def _upsample_source(self, source: Tensor) -> Tensor:
        if self.factor == 1:
            return source
        align = None if self.interpolation == "nearest" else False
        return F.interpolate(source, scale_factor=float(self.factor), mode=self.interpolation, align_corners=align)

    def _init_weights(self) -> None:
        """Initialise weights with He initialisation and ICNR. The residual is near zero at first, so training starts
        with the interpolated source as output."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.1)
                nn.init.zeros_(cast("Tensor", module.bias))
        for block in self.blocks:
            cast("ResidualBlock", block).second.weight.data.mul_(RESIDUAL_SCALE)
        for up in self.ups:
            layers = cast("nn.Sequential", up)
            if isinstance(layers[1], nn.PixelShuffle):
                icnr(cast("nn.Conv2d", layers[0]), layers[1].upscale_factor)
        if isinstance(self.shuffle, nn.PixelShuffle):
            icnr(self.last, self.shuffle.upscale_factor)
        self.last.weight.data.mul_(RESIDUAL_SCALE)

    def _reach_and_macs(self, blocks: int, doublings: int) -> tuple[int, int]:
        """Return the attributes `receptive_field` and `macs` for a number of residual blocks and a number of
        progressive upsampling layers."""
        reach = 2 if len(self.ups) else 0  # Two convolutions follow the last upsampling.
        for _ in range(doublings):
            reach = -(-reach // 2) + 1
        if len(self.ups) == 0:
            reach += 1  # The last convolution precedes the upsampling.
        reach += 2 * blocks + 1
        macs, scale = 0, 1
        for module in self.modules():  # Modules are listed in the order in which `forward` uses them.
            if isinstance(module, nn.Conv2d):
                macs += module.weight.numel() * scale**2
            elif isinstance(module, nn.PixelShuffle):
                scale *= module.upscale_factor
        return max(reach, 2), macs


class ResidualBlock(nn.Module):
    """Residual block without normalisation: ``[B, channels, h, w]`` to the same shape.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="replicate")

    def forward(self, x: Tensor) -> Tensor:
        return x + cast("Tensor", self.second(F.relu(self.first(x))))


@torch.no_grad()
def icnr(conv: nn.Conv2d, factor: int) -> None:
    """Initialise the convolution before a pixel shuffle, so that both together upsample without a checkerboard.

    Before training, the result is that of nearest-neighbour upsampling, because all ``factor**2`` filters of an output
    channel become copies of the first one.

    Args:
        conv: convolution with ``channels * factor**2`` output channels.
        factor: enlargement factor of the pixel shuffle.

    Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution", arXiv:1707.02937, section 4.
    """
    conv.weight.copy_(conv.weight[:: factor**2].repeat_interleave(factor**2, 0))
    if conv.bias is not None:
        conv.bias.copy_(conv.bias[:: factor**2].repeat_interleave(factor**2, 0))


def _channels_and_factor(shape: Sequence[int], source: Sequence[int | None]) -> tuple[int, int]:
    """Return the number of channels and the enlargement factor. Raise `ValueError` if the shapes do not define it."""
    sizes = f"SRResNet: shape={tuple(shape)} and source={tuple(source)}"
    if len(shape) != 3 or len(source) != 3 or None in source:
        raise ValueError(f"{sizes} must be (channels, height, width)")
    if shape[0] != source[0]:
        raise ValueError(f"{sizes} must have the same number of channels")
    ratios = {big / small if small else 0.0 for big, small in zip(shape[1:], source[1:], strict=True)}
    if len(ratios) != 1 or not all(ratio in range(1, 17) for ratio in ratios):
        raise ValueError(f"{sizes}: the output must be larger than the source by a whole factor, 1 to 16, on both axes")
    return shape[0], int(ratios.pop())
