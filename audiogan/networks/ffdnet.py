"""The denoising network FFDNet (Zhang, Zuo & Zhang, IEEE TIP 2018), without its noise-level map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.translation_blocks import check_settings, check_source, init_translation_weights


class FFDNet(nn.Module):
    """Denoising network: noisy images ``[B, C, H, W]`` to clean images of the same shape, fully convolutional.

    Each 2x2 block of pixels becomes one pixel with four times the channels. A stack of 3x3 convolutions with ReLU
    predicts the noise at this half resolution, which takes a quarter of the time of the full resolution. The output is
    the source minus the predicted noise. Output values can exceed -1 ... 1.

    The network differs from the paper in two points. It has no noise-level map as an input, so it estimates the noise
    level itself. It predicts the noise (as `DnCNN` does), whereas the paper's network predicts the clean image. Without
    the map, the paper's colour network (``width=96, layers=12``) has 851,244 instead of 853,836 parameters.

    Args:
        shape: shape ``(C, H, W)`` of the output. Height and width must be even.
        source: shape ``(C, H, W)`` of the source. It has as many channels as the output.
        width: number of channels of the hidden layers; 96 for colour and 64 for grey images in the paper.
        layers: number of convolutions, 2 or more; 12 for colour and 15 for grey images in the paper.

    Attributes:
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: largest distance between an output pixel and a source pixel that it depends on.

    Source:
        Zhang, Zuo & Zhang, "FFDNet: toward a fast and flexible solution for CNN-based image denoising", IEEE TIP 2018,
        section III.
    """

    takes = frozenset({"source"})
    multiple = 2

    def __init__(self, shape: Sequence[int], source: Sequence[int | None], width: int = 96, layers: int = 12) -> None:
        super().__init__()
        check_settings(self, shape, source, "none")
        check_denoiser(self, shape, source, width, layers, 2)
        if any(side % self.multiple for side in shape[1:]):
            raise ValueError(f"FFDNet: height and width of shape={tuple(shape)} must be even")
        self.shape, self.source, self.source_channels = tuple(shape), tuple(source), shape[0]
        ends = 4 * shape[0]
        widths = [ends, *[width] * (layers - 1), ends]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in pairwise(widths))
        init_denoiser_weights(self)
        down, up = Layer(2, 2), Layer(2, 2, transposed=True)
        self.receptive_field = receptive_field([down, *[Layer(3, 1, 1)] * layers, up])

    def forward(self, source: Tensor) -> Tensor:
        """Return denoised images ``[B, C, H, W]`` for noisy images ``[B, C, H, W]`` of even height and width."""
        check_source(self, source, self.source_channels, self.multiple)
        x = F.pixel_unshuffle(source, 2).contiguous(memory_format=torch.channels_last)
        for conv in self.convs[:-1]:
            x = F.relu(conv(x))
        return source - F.pixel_shuffle(self.convs[-1](x), 2)


def init_denoiser_weights(network: nn.Module) -> None:
    """Initialise a stack of convolutions that predicts noise.

    The first convolution has He initialisation. The weights of the next convolutions are the identity, plus 0.03 times
    He initialisation. The noise of each pixel thus reaches the last layer, as with skip connections (DiracNets,
    Zagoruyko & Komodakis 2017). With He initialisation alone, a stack of 12 layers does not learn in its first 100
    steps. The last convolution is zero, so before training, the output of the network is its source.

    Args:
        network: the network. Its convolutions are in the order in which they are applied.
    """
    init_translation_weights(network, "none")
    _, *hidden, last = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        for conv in hidden:
            conv.weight.mul_(0.03).add_(nn.init.dirac_(torch.empty_like(conv.weight)))
        last.weight.zero_()


def check_denoiser(
    network: nn.Module, shape: Sequence[int], source: Sequence[int | None], width: int, layers: int, min_layers: int
) -> None:
    """Raise ``ValueError`` if a denoising network cannot be built with these arguments.

    Args:
        network: the network that is built. Error messages contain the name of its class.
        shape: shape ``(C, H, W)`` of the output.
        source: shape ``(C, H, W)`` of the source. It must have as many channels as the output.
        width: number of channels of the hidden layers, 1 or more.
        layers: number of convolutions.
        min_layers: smallest number of convolutions that the network supports.
    """
    check_sizes(network, width=width)
    name = type(network).__name__
    if layers < min_layers:
        raise ValueError(f"{name}: layers={layers} must be at least {min_layers}")
    if source[0] != shape[0]:
        raise ValueError(f"{name}: source={tuple(source)} and shape={tuple(shape)} must have the same channels")
