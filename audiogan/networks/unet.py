"""The U-Net generator of pix2pix (Isola et al., CVPR 2017, section 3.2 and appendix 6.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.translation_blocks import (
    check_settings,
    check_source,
    init_translation_weights,
    join_latent,
    norm2d,
)

MAX_DEPTH = 8
"""Largest default number of encoder layers. The paper's network has 8, which reduce 256 pixels to one."""


class UNet(nn.Module):
    """U-Net generator of pix2pix: source images ``[B, C', H, W]`` to images ``[B, C, H, W]`` in -1 ... 1.

    Encoder and decoder layers of the same size are connected by skips. Each layer is a 4x4 convolution with stride 2,
    with ``width`` to ``8 * width`` channels. At 256 pixels and three channels the defaults give the 54,413,955
    parameters of the authors' network.

    Args:
        shape: shape ``(C, H, W)`` of the output. Height and width must be divisible by 4.
        source: shape ``(C', H, W)`` of the source.
        latent_dim: size of a standard normal latent, which is concatenated with the source as further channels
            (BicycleGAN: Zhu et al., NeurIPS 2017, section 4). 0: no latent.
        width: channels after the first layer.
        depth: number of encoder layers; ``None``: the largest possible, at most 8.
        norm: normalisation, ``batch`` (as in the paper), ``instance`` or ``none``. Use ``instance`` for small batches,
            because the running statistics of batch norm are inaccurate then.
        dropout: dropout probability of the inner decoder layers in training, 0 to below 1. In the paper, dropout
            is the only source of noise.

    Attributes:
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: largest distance between an output pixel and a source pixel that it depends on, in evaluation
            mode; ``None``: each output pixel depends on all source pixels.

    Source:
        Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017, section 3.2 and
        appendix 6.1.1.

    Examples:
        >>> import torch
        >>> from audiogan.networks.unet import UNet
        >>> UNet((3, 32, 32), source=(1, 32, 32), width=4)(source=torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 3, 32, 32])
    """

    latent = "normal"

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        latent_dim: int = 0,
        width: int = 64,
        depth: int | None = None,
        norm: str = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, latent_dim=latent_dim + 1)
        check_settings(self, shape, source, norm)
        if not 0 <= dropout < 1:
            raise ValueError(f"UNet: dropout={dropout} must be from 0 to below 1")
        self.shape, self.source, self.latent_dim = tuple(shape), tuple(source), latent_dim
        self.takes = frozenset({"source", "latent"} if latent_dim else {"source"})
        self.depth = _depth(self.shape, depth)
        self.multiple = 2**self.depth
        layers = [Layer(4, 2, 1)] * self.depth + [Layer(4, 2, 1, transposed=True)] * self.depth
        self.receptive_field = None if norm == "instance" else receptive_field(layers)

        widths = [width * min(2**i, 8) for i in range(self.depth)]
        assert source[0] is not None
        self.source_channels, bias = source[0], norm == "none"  # A norm removes any bias.
        inner = range(1, self.depth - 1)  # As in the paper, the first and the last encoder layer have no norm.
        self.downs = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2, 1, bias=bias) for i, o in pairwise([source[0] + latent_dim, *widths])
        )
        self.down_norms = nn.ModuleList(norm2d(norm if i in inner else "none", w) for i, w in enumerate(widths))
        # Decoder layers receive twice the channels, because of the skip connection. The coarsest layer has no skip.
        ins = [w * (1 if i == self.depth - 1 else 2) for i, w in enumerate(widths)]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(ins[i], widths[i - 1] if i else self.shape[0], 4, 2, 1, bias=bias or not i)
            for i in range(self.depth)
        )
        self.up_norms = nn.ModuleList(norm2d(norm, widths[i - 1]) if i else nn.Identity() for i in range(self.depth))
        self.dropouts = nn.ModuleList(
            nn.Dropout(dropout) if 4 <= i < self.depth - 1 else nn.Identity() for i in range(self.depth)
        )
        init_translation_weights(self, norm)

    def forward(self, source: Tensor, latent: Tensor | None = None) -> Tensor:
        """Return images ``[B, C, H, W]`` in -1 ... 1.

        Args:
            source: source images ``[B, C', H, W]``. H and W must be multiples of the attribute ``multiple``.
            latent: standard normal latents ``[B, latent_dim]``, if ``latent_dim`` is not 0.
        """
        check_source(self, source, self.source_channels, self.multiple)
        x = join_latent(source, latent, self.latent_dim)
        skips: list[Tensor] = []
        for i, (conv, norm) in enumerate(zip(self.downs, self.down_norms, strict=True)):
            x = norm(conv(F.leaky_relu(x, 0.2) if i else x))
            skips.append(x)
        x = skips.pop()
        for i in reversed(range(self.depth)):
            x = self.dropouts[i](self.up_norms[i](self.ups[i](F.relu(x))))
            if i:
                x = torch.cat([skips.pop(), x], dim=1)
        return torch.tanh(x)


def _depth(shape: Sequence[int], depth: int | None) -> int:
    """Return the number of encoder layers. Raise ``ValueError`` if the size of images does not allow this depth."""
    most = min((side & -side).bit_length() - 1 for side in shape[1:])
    size = " x ".join(map(str, shape[1:]))
    if most < 2:
        near = " x ".join(str(max(1, round(side / 4)) * 4) for side in shape[1:])
        raise ValueError(f"UNet: images of {size} pixels do not halve twice; use {near}, or better a power of two")
    if depth is not None and not 2 <= depth <= most:
        raise ValueError(f"UNet: depth={depth} must be from 2 to {most} for images of {size} pixels")
    return min(most, MAX_DEPTH) if depth is None else depth
