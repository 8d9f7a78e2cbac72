"""DCGAN (Radford, Metz & Chintala, ICLR 2016): images by strided convolutions and batch norm, no hidden dense layers.

Section 3 has the architecture, section 4 the initialisation. `width` 128 is the paper's generator at 64 pixels: 1024,
512, 256 and 128 channels, then colours. In the generator an embedding of the classes is joined with the latents (Mirza
& Osindero 2014), in the critic classes enter through a `Head`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import he, minibatch_deviation, normalise_spectra, with_classes
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, named_inputs
from audiogan.networks.heads import Head

NORMS = ("batch", "layer", "none")


class DCGANGenerator(nn.Module):
    """Latents to images in -1 ... 1.

    Args:
        shape: ``(C, H, W)``, square; the side halves to a grid of 4 ... 7, where the network begins (28 to 7, 64 to 4).
        latent_dim: size of the latents, standard normal (uniform in the paper).
        classes: number of classes; 0 for none. The input ``classes`` is ``[B, classes]``, weights that sum to 1.
        width: channels of the finest hidden layer; each coarser one has twice as many.
        kernel: side of the kernels. 4 covers every pixel equally often; 5 is the paper's figure.
    """

    latent = "normal"

    def __init__(
        self, shape: Sequence[int], latent_dim: int = 100, classes: int = 0, width: int = 64, kernel: int = 4
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, width=width)
        self.shape, self.latent_dim, self.classes = tuple(shape), latent_dim, classes
        self.takes = named_inputs(latent=latent_dim, classes=classes)
        grid, doublings = halvings(self.shape)
        widths = [width * 2**i for i in reversed(range(doublings))]
        self.embed = nn.Linear(classes, latent_dim, bias=False) if classes else None
        self.start = nn.ConvTranspose2d(latent_dim * (2 if classes else 1), widths[0], grid, bias=False)
        self.convs = nn.ModuleList(up(i, o, kernel, bias=False) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in widths)
        self.out = up(widths[-1], self.shape[0], kernel, bias=True)
        self.apply(initialise)
        if self.embed is not None:
            # Smaller than the latents: with larger values each class soon becomes a single picture.
            nn.init.normal_(self.embed.weight, std=0.3)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        latent = with_classes(latent, self.embed, classes)
        # A transposed convolution of a single pixel is a product of matrices, which is much faster.
        x = (latent @ self.start.weight.flatten(1)).unflatten(1, self.start.weight.shape[1:])
        x = F.relu(self.norms[0](x.contiguous(memory_format=torch.channels_last)))
        for conv, norm in zip(self.convs, self.norms[1:], strict=True):
            x = F.relu(norm(conv(x)))
        return torch.tanh(self.out(x))


class DCGANCritic(nn.Module):
    """Images to one logit; the generator mirrored, with LeakyReLU 0.2.

    Args:
        shape, classes, width, kernel: as in the generator.
        norm: ``batch`` (the paper; none on the first layer), ``layer`` (what WGAN-GP's authors put in its place, for a
            penalty of single gradients makes no sense where the images of a batch see each other) or ``none``.
        spectral_norm: normalise every layer by its spectral norm (Miyato et al., ICLR 2018).
        conditioning: how the class enters, see `Head`.
        deviation: give the last layer the `minibatch_deviation` of each class; not in the paper.
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
        deviation: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width)
        if norm not in NORMS:
            raise ValueError(f"norm={norm!r} must be one of {', '.join(NORMS)}")
        self.shape, self.classes, self.deviation = tuple(shape), classes, deviation
        self.grid, doublings = halvings(self.shape)
        widths = [width * 2**i for i in range(doublings)]
        channels = [self.shape[0], *widths]
        padding = (kernel - 1) // 2
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, kernel, 2, padding, bias=i == channels[0] or norm == "none") for i, o in pairwise(channels)
        )
        self.norms = nn.ModuleList(nn.Identity() if i == 0 else _norm(norm, o) for i, o in enumerate(widths))
        self.head = Head((widths[-1] + deviation) * self.grid**2, classes, conditioning)
        self.takes = named_inputs(classes=classes) if deviation else self.head.takes
        # Weights of 0.02 would lose a signal that no norm restores.
        self.convs.apply(initialise if norm != "none" else he)
        self.norms.apply(initialise)
        initialise(self.head.score)
        if spectral_norm:
            normalise_spectra(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, ``[B, D]``. It does not depend on the classes."""
        check_tensor(self, "x", x, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return x.flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        h = self.features(x)
        if self.deviation:
            maps = h.unflatten(1, (-1, self.grid, self.grid))
            h = torch.cat([h, minibatch_deviation(maps, classes).flatten(1)], dim=1)
        return self.head(h, classes)


def halvings(shape: Sequence[int]) -> tuple[int, int]:
    """(side of the coarsest grid, how often it doubles) of an image shape ``(C, H, W)``."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"DCGAN makes square images (C, H, W), not shape={tuple(shape)}")
    grid, doublings = shape[1], 0
    while grid > 7 and grid % 2 == 0:
        grid, doublings = grid // 2, doublings + 1
    if not (4 <= grid <= 7 and doublings):
        near = sorted({base * 2**n for base in range(4, 8) for n in range(1, 9)}, key=lambda s: abs(s - shape[1]))[:3]
        raise ValueError(f"images of {shape[1]} pixels do not halve to 4 ... 7; use {near[0]}, {near[1]} or {near[2]}")
    return grid, doublings


def up(in_channels: int, out_channels: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    """A convolution that doubles the side, for any kernel."""
    return nn.ConvTranspose2d(
        in_channels, out_channels, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )


def initialise(module: nn.Module) -> None:
    """Section 4: weights from N(0, 0.02); scales of norms, which the paper leaves open, from N(1, 0.02)."""
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
