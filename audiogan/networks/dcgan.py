"""DCGAN (Radford, Metz & Chintala, ICLR 2016): strided convolutions with batch norm, for images.

Architecture: section 3 of the paper. Initialisation: section 4. ``width=128`` gives the paper's generator at 64 pixels,
with 1024, 512, 256 and 128 channels. Classes condition the generator by an embedding that is concatenated with the
latents (Mirza & Osindero 2014), and the critic by a `Head`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import apply_spectral_norm, init_he, join_classes, minibatch_std
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.heads import Head

NORMS = ("batch", "layer", "none")


class DCGANGenerator(nn.Module):
    """DCGAN generator: latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to images in -1 ... 1.

    Args:
        shape: shape ``(C, S, S)`` of an image. S must be 4, 5, 6 or 7 times a power of two.
        latent_dim: size of the latent, which is standard normal here and uniform in the paper.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        width: channels of the finest hidden layer; each coarser layer has twice as many.
        kernel: side of the kernels in pixels; 5 in the paper. 4 avoids checkerboard artifacts.

    Source:
        Radford, Metz & Chintala, "Unsupervised representation learning with DCGANs", ICLR 2016, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.dcgan import DCGANGenerator
        >>> DCGANGenerator((3, 32, 32), latent_dim=8, width=4)(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 3, 32, 32])
    """

    latent = "normal"

    def __init__(
        self, shape: Sequence[int], latent_dim: int = 100, classes: int = 0, width: int = 64, kernel: int = 4
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, width=width)
        self.shape, self.latent_dim, self.classes = tuple(shape), latent_dim, classes
        self.takes = input_names(latent=latent_dim, classes=classes)
        grid, doublings = coarsest_grid(self.shape)
        widths = [width * 2**i for i in reversed(range(doublings))]
        self.embed = nn.Linear(classes, latent_dim, bias=False) if classes else None
        self.start = nn.ConvTranspose2d(latent_dim * (2 if classes else 1), widths[0], grid, bias=False)
        self.convs = nn.ModuleList(upsampling_conv(i, o, kernel, bias=False) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in widths)
        self.out = upsampling_conv(widths[-1], self.shape[0], kernel, bias=True)
        self.apply(init_dcgan)
        if self.embed is not None:
            # Embeddings start smaller than latents, because large values lead to mode collapse in each class.
            nn.init.normal_(self.embed.weight, std=0.3)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        latent = join_classes(latent, self.embed, classes)
        # A transposed convolution of a single pixel is a matrix product, which is computed much faster than a
        # convolution.
        x = (latent @ self.start.weight.flatten(1)).unflatten(1, self.start.weight.shape[1:])
        x = F.relu(self.norms[0](x.contiguous(memory_format=torch.channels_last)))
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            x = F.relu(norm(conv(x)))
        return torch.tanh(self.out(x))


class DCGANCritic(nn.Module):
    """DCGAN critic: images ``[B, C, S, S]`` and class weights ``[B, classes]`` to logits ``[B]``.

    Args:
        shape: shape ``(C, S, S)`` of an image. S must be 4, 5, 6 or 7 times a power of two.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        width: channels of the first layer; each later layer has twice as many.
        kernel: side of the kernels in pixels; 5 in the paper.
        norm: normalisation of all layers but the first: ``batch`` (as in the paper), ``layer`` or ``none``. Use
            ``layer`` or ``none`` with a gradient penalty, because batch norm makes logits depend on the whole batch.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.
        minibatch_std: append the standard deviation within groups of samples to the last hidden layer, see
            `audiogan.networks.blocks.minibatch_std`; not in the paper.

    Source:
        Radford, Metz & Chintala, "Unsupervised representation learning with DCGANs", ICLR 2016, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.dcgan import DCGANCritic
        >>> DCGANCritic((3, 32, 32), width=4)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 64,
        kernel: int = 4,
        norm: str = "batch",
        spectral_norm: bool = False,
        conditioning: str = "projection",
        minibatch_std: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width)
        if norm not in NORMS:
            raise ValueError(f"norm={norm!r} must be one of {', '.join(NORMS)}")
        self.shape, self.classes, self.minibatch_std = tuple(shape), classes, minibatch_std
        self.grid, doublings = coarsest_grid(self.shape)
        widths = [width * 2**i for i in range(doublings)]
        channels = [self.shape[0], *widths]
        padding = (kernel - 1) // 2
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, kernel, 2, padding, bias=i == channels[0] or norm == "none") for i, o in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.Identity() if i == 0 else _norm(norm, o) for i, o in enumerate(widths))
        self.head = Head((widths[-1] + minibatch_std) * self.grid**2, classes, conditioning)
        self.takes = input_names(classes=classes) if minibatch_std else self.head.takes
        # Without norm layers, He initialisation is used, because DCGAN's small weights would make activations vanish.
        self.convs.apply(init_dcgan if norm != "none" else init_he)
        self.norms.apply(init_dcgan)
        init_dcgan(self.head.score)
        if spectral_norm:
            apply_spectral_norm(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer ``[B, D]`` of images ``[B, C, S, S]``. Classes are ignored."""
        check_tensor(self, "x", x, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return x.flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        h = self.features(x)
        if self.minibatch_std:
            maps = h.unflatten(1, (-1, self.grid, self.grid))
            h = torch.cat([h, minibatch_std(maps, classes).flatten(1)], dim=1)
        return self.head(h, classes)


def coarsest_grid(shape: Sequence[int]) -> tuple[int, int]:
    """Return the height of the coarsest feature maps (4 ... 7), and how many doublings lead from it to ``(C, H, W)``.

    Examples:
        >>> from audiogan.networks.dcgan import coarsest_grid
        >>> coarsest_grid((3, 64, 64)), coarsest_grid((1, 28, 28))
        ((4, 4), (7, 2))
    """
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"DCGAN needs square images (C, H, W), got shape={tuple(shape)}")
    grid, doublings = shape[1], 0
    while grid > 7 and grid % 2 == 0:
        grid, doublings = grid // 2, doublings + 1
    if not (4 <= grid <= 7 and doublings):
        near = sorted({base * 2**n for base in range(4, 8) for n in range(1, 9)}, key=lambda s: abs(s - shape[1]))[:3]
        raise ValueError(
            f"images of {shape[1]} pixels do not halve down to 4 ... 7 pixels; use {near[0]}, {near[1]} or {near[2]}"
        )
    return grid, doublings


def upsampling_conv(in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    """Return a transposed convolution that doubles height and width, for any kernel size.

    Examples:
        >>> import torch
        >>> from audiogan.networks.dcgan import upsampling_conv
        >>> upsampling_conv(2, 3, kernel=5, bias=False)(torch.zeros(1, 2, 7, 7)).shape
        torch.Size([1, 3, 14, 14])
    """
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )


def init_dcgan(module: nn.Module) -> None:
    """Initialise a layer as in DCGAN, section 4: weights from N(0, 0.02), scales of norm layers from N(1, 0.02).

    Examples:
        >>> import torch
        >>> from audiogan.networks.dcgan import init_dcgan
        >>> _ = torch.manual_seed(0)
        >>> layer = torch.nn.Conv2d(64, 64, 4)
        >>> init_dcgan(layer)
        >>> round(layer.weight.std().item(), 3)
        0.02
    """
    if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(1, channels) if kind == "layer" else nn.Identity()
