"""The U-Net generator of pix2pix (Isola et al., CVPR 2017, section 3.2 and appendix 6.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.translation_blocks import check_settings, check_source, initialise_weights, norm2d, with_latent

DEEPEST = 8
"""Halvings of the paper's network, which takes 256 pixels to one."""


class UNet(nn.Module):
    """Translate pictures: an encoder and a decoder, with skips between layers of the same size.

    Each layer is a 4x4 convolution with stride 2. Channels grow from ``width`` to ``8 * width``. The output is in
    -1 ... 1. The defaults are the paper's; at 256 pixels and three channels they give the authors' 54,413,955
    parameters.

    Batch norm of single pictures (batch size 1) is instance norm in training, but not in evaluation, where it uses
    running statistics: use ``instance`` for small batches.

    Args:
        shape: ``(C, H, W)`` of the output. Height and width must halve at least twice.
        source: ``(C', H, W)`` of the source.
        latent_dim: size of a latent ``z``, standard normal, which joins the source as further channels (Zhu et al.,
            "Toward multimodal image-to-image translation", NeurIPS 2017, section 4: add to input). 0: none.
        width: channels after the first layer.
        depth: halvings; ``None``: as many as height and width allow, at most 8.
        norm: ``batch``, ``instance`` or ``none``; see `norm2d`.
        dropout: probability of dropout in the decoder's layers of ``8 * width`` channels. The paper's only noise. Only
            in training: in evaluation a generator draws nothing.

    Attributes:
        multiple: sources of other sizes must be multiples of it.
        receptive_field: pixels to either side on which an output can depend in evaluation; ``None``: all.
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
        self.source_channels, bias = source[0], norm == "none"  # a bias before a norm has no effect
        inner = range(1, self.depth - 1)  # neither the first layer of the encoder nor the last has a norm
        self.downs = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2, 1, bias=bias) for i, o in pairwise([source[0] + latent_dim, *widths])
        )
        self.down_norms = nn.ModuleList(norm2d(norm if i in inner else "none", w) for i, w in enumerate(widths))
        # Layer i of the decoder doubles the size of layer i of the encoder; all but the coarsest also get the skip.
        ins = [w * (1 if i == self.depth - 1 else 2) for i, w in enumerate(widths)]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(ins[i], widths[i - 1] if i else self.shape[0], 4, 2, 1, bias=bias or not i)
            for i in range(self.depth)
        )
        self.up_norms = nn.ModuleList(norm2d(norm, widths[i - 1]) if i else nn.Identity() for i in range(self.depth))
        self.dropouts = nn.ModuleList(
            nn.Dropout(dropout) if 4 <= i < self.depth - 1 else nn.Identity() for i in range(self.depth)
        )
        initialise_weights(self, norm)

    def forward(self, source: Tensor, latent: Tensor | None = None) -> Tensor:
        """Return pictures ``[B, C, H, W]`` in -1 ... 1.

        Args:
            source: ``[B, C', H, W]`` of any size that is a multiple of ``multiple``.
            latent: ``[B, latent_dim]``.
        """
        check_source(self, source, self.source_channels, self.multiple)
        x = with_latent(source, latent, self.latent_dim)
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
    """Return how often pictures of a shape are to halve."""
    most = min((side & -side).bit_length() - 1 for side in shape[1:])
    size = " x ".join(map(str, shape[1:]))
    if most < 2:
        near = " x ".join(str(max(1, round(side / 4)) * 4) for side in shape[1:])
        raise ValueError(f"UNet: pictures of {size} pixels do not halve twice; use {near}, or better a power of two")
    if depth is not None and not 2 <= depth <= most:
        raise ValueError(f"UNet: depth={depth} must be from 2 to {most} for pictures of {size} pixels")
    return min(most, DEEPEST) if depth is None else depth
