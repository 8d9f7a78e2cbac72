"""Fully connected networks (Goodfellow et al., NeurIPS 2014), for points and for small images alike.

With classes they are the conditional GAN of Mirza & Osindero 2014 (`conditioning="embedding"`). The paper's networks
for handwriting, in section 5 and its published code, have two hidden layers of 1200 units.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import pi, prod

import torch
from torch import Tensor, nn

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import normalise_spectra, with_classes
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, named_inputs
from audiogan.networks.heads import Head

ACTIVATIONS = {"relu": 0.0, "leaky": 0.2}


class MLPGenerator(nn.Module):
    """From latents to signals of any shape: points ``(D,)`` without bounds; other signals in -1 ... 1, by a tanh.

    Args:
        shape: of one signal, ``(D,)``, ``(C, T)`` or ``(C, H, W)``.
        latent_dim: size of the latents, standard normal.
        classes: number of classes; 0 for none. The input ``classes`` is ``[B, classes]``, weights that sum to 1.
        widths: units of the hidden layers.
        activation: of the hidden layers, ``relu`` or ``leaky`` (slope 0.2).
    """

    latent = "normal"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int = 64,
        classes: int = 0,
        widths: Sequence[int] = (256, 512),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim)
        self.shape, self.latent_dim, self.classes = tuple(shape), latent_dim, classes
        self.takes = named_inputs(latent=latent_dim, classes=classes)
        self.embed = nn.Linear(classes, latent_dim, bias=False) if classes else None
        self.body = dense(self, latent_dim * (2 if classes else 1), widths, activation)
        self.out = nn.Linear(widths[-1], prod(self.shape))
        if self.embed is not None:
            # Smaller than the latents: with larger values each class soon becomes a single picture.
            nn.init.normal_(self.embed.weight, std=0.3)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        x = self.out(self.body(with_classes(latent, self.embed, classes)))
        return x if len(self.shape) == 1 else torch.tanh(x).view(-1, *self.shape)


class MLPCritic(nn.Module):
    """From signals of any shape to one logit.

    Args:
        shape, classes, widths: as in the generator.
        activation: of the hidden layers, ``relu`` or ``leaky`` (slope 0.2).
        spectral_norm: normalise every layer by its spectral norm (Miyato et al., ICLR 2018).
        conditioning: how the class enters, see `Head`.
        octaves: sines and cosines of each coordinate at so many frequencies, from half a period a unit on, join it
            (Fourier features, Tancik et al., NeurIPS 2020, section 5): dense layers see fine structure late without.
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        widths: Sequence[int] = (512, 256),
        activation: str = "leaky",
        spectral_norm: bool = False,
        conditioning: str = "projection",
        octaves: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.octaves = tuple(shape), classes, octaves
        self.body = dense(self, prod(self.shape) * (1 + 2 * octaves), widths, activation)
        self.head = Head(widths[-1], classes, conditioning)
        self.takes = self.head.takes
        if spectral_norm:
            normalise_spectra(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, ``[B, D]``. It does not depend on the classes."""
        check_tensor(self, "x", x, self.shape)
        x = x.flatten(1)
        angles = [pi / 2 * 2**octave * x for octave in range(self.octaves)]
        waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
        return self.body(torch.cat([x, *waves], 1))

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)


def dense(network: nn.Module, in_features: int, widths: Sequence[int], activation: str) -> nn.Sequential:
    """Dense layers with an activation after each, whose weights keep the size of a signal (He et al., ICCV 2015)."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation={activation!r} must be one of {', '.join(ACTIVATIONS)}")
    if not widths:
        raise ValueError(f"{type(network).__name__}: widths={list(widths)} must name at least one hidden layer")
    check_sizes(network, **{f"widths[{i}]": width for i, width in enumerate(widths)})
    layers: list[nn.Module] = []
    for i, o in pairwise([in_features, *widths]):
        layer = nn.Linear(i, o)
        nn.init.kaiming_normal_(layer.weight, a=ACTIVATIONS[activation], nonlinearity="leaky_relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.LeakyReLU(ACTIVATIONS[activation])]
    return nn.Sequential(*layers)
