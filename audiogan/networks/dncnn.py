"""The denoising network DnCNN (Zhang et al., IEEE TIP 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from audiogan.networks.ffdnet import check_denoiser, init_denoiser_weights
from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.translation_blocks import check_settings, check_source, norm2d


class DnCNN(nn.Module):
    """Denoising network: noisy images ``[B, C, H, W]`` to clean images of the same shape, fully convolutional.

    A stack of 3x3 convolutions with batch norm and ReLU predicts the noise. The output is the source minus the
    predicted noise. Output values can exceed -1 ... 1. The network works at the full resolution. For the same width and
    number of layers, it therefore takes about four times as long as `FFDNet`.

    Args:
        shape: shape ``(C, H, W)`` of the output.
        source: shape ``(C, H, W)`` of the source. It has as many channels as the output.
        width: number of channels of the hidden layers; 64 in the paper.
        layers: number of convolutions, 3 or more; 17 in the paper for one noise level, 20 for unknown noise levels.
        norm: normalisation of all layers but the first and the last: ``batch`` (as in the paper), ``instance`` or
            ``none``.

    Attributes:
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: largest distance between an output pixel and a source pixel that it depends on, in evaluation
            mode; ``None``: each output pixel depends on all source pixels.

    Source:
        Zhang, Zuo, Chen, Meng & Zhang, "Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising",
        IEEE TIP 2017, section III.
    """

    takes = frozenset({"source"})
    multiple = 1

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        width: int = 64,
        layers: int = 20,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        check_settings(self, shape, source, norm)
        check_denoiser(self, shape, source, width, layers, 3)
        self.shape, self.source, self.source_channels = tuple(shape), tuple(source), shape[0]
        hidden: list[nn.Module] = []
        for _ in range(layers - 2):
            conv = nn.Conv2d(width, width, 3, padding=1, bias=norm == "none")  # Normalisation cancels a bias.
            hidden += [conv, norm2d(norm, width), nn.ReLU()]
        ends = nn.Conv2d(shape[0], width, 3, padding=1), nn.Conv2d(width, shape[0], 3, padding=1)
        self.layers = nn.Sequential(ends[0], nn.ReLU(), *hidden, ends[1])
        init_denoiser_weights(self)
        self.receptive_field = None if norm == "instance" else receptive_field([Layer(3, 1, 1)] * layers)

    def forward(self, source: Tensor) -> Tensor:
        """Return denoised images ``[B, C, H, W]`` for noisy images ``[B, C, H, W]``."""
        check_source(self, source, self.source_channels, self.multiple)
        return source - cast("Tensor", self.layers(source.contiguous(memory_format=torch.channels_last)))
