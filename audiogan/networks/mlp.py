"""Fully connected networks (Goodfellow et al., NeurIPS 2014), for points and small images.

With classes and ``conditioning="embedding"`` they form the conditional GAN of Mirza & Osindero (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import pi, prod

import torch
from torch import Tensor, nn

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import apply_spectral_norm, join_classes
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.heads import Head

ACTIVATIONS = {"relu": 0.0, "leaky": 0.2}


class MLPGenerator(nn.Module):
    """Fully connected generator: latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to ``[B, *shape]``.

    Points ``[B, D]`` are unbounded. Samples with other shapes are in -1 ... 1, by a tanh.

    Args:
        shape: shape of a sample, ``(D,)``, ``(C, T)`` or ``(C, H, W)``.
        latent_dim: size of the latent, which is standard normal.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        widths: units of the hidden layers.
        activation: activation of the hidden layers, ``relu`` or ``leaky`` (LeakyReLU 0.2).

    Source:
        Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, section 5.

    Examples:
        >>> import torch
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> MLPGenerator((2,), latent_dim=8)(latent=torch.zeros(4, 8)).shape
        torch.Size([4, 2])
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
        self.takes = input_names(latent=latent_dim, classes=classes)
        self.embed = nn.Linear(classes, latent_dim, bias=False) if classes else None
        self.body = dense_layers(self, latent_dim * (2 if classes else 1), widths, activation)
        self.out = nn.Linear(widths[-1], prod(self.shape))
        if self.embed is not None:
            # Embeddings start smaller than latents, because large values lead to mode collapse in each class.
            nn.init.normal_(self.embed.weight, std=0.3)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        x = self.out(self.body(join_classes(latent, self.embed, classes)))
        return x if len(self.shape) == 1 else torch.tanh(x).view(-1, *self.shape)


class MLPCritic(nn.Module):
    """Fully connected critic: samples ``[B, *shape]`` and class weights ``[B, classes]`` to logits ``[B]``.

    Args:
        shape: shape of a sample, ``(D,)``, ``(C, T)`` or ``(C, H, W)``.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        widths: units of the hidden layers.
        activation: activation of the hidden layers, ``relu`` or ``leaky`` (LeakyReLU 0.2).
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.
        fourier_octaves: number of frequencies of Fourier features, 0 or more. Sines and cosines of each coordinate are
            added as inputs, with periods of 4, 2, 1 ... units. They help dense layers to learn fine structure.

    Source:
        Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, section 5. Fourier features: Tancik et al.,
        NeurIPS 2020, section 5.

    Examples:
        >>> import torch
        >>> from audiogan.networks.mlp import MLPCritic
        >>> MLPCritic((1, 8, 8), classes=3)(torch.zeros(2, 1, 8, 8), classes=torch.eye(3)[:2]).shape
        torch.Size([2])
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        widths: Sequence[int] = (512, 256),
        activation: str = "leaky",
        spectral_norm: bool = False,
        conditioning: str = "projection",
        fourier_octaves: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        self.fourier_octaves = fourier_octaves
        self.body = dense_layers(self, prod(self.shape) * (1 + 2 * fourier_octaves), widths, activation)
        self.head = Head(widths[-1], classes, conditioning)
        self.takes = self.head.takes
        if spectral_norm:
            apply_spectral_norm(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer ``[B, widths[-1]]`` of samples ``[B, *shape]``. Classes are ignored."""
        check_tensor(self, "x", x, self.shape)
        x = x.flatten(1)
        angles = [pi / 2 * 2**octave * x for octave in range(self.fourier_octaves)]
        waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
        return self.body(torch.cat([x, *waves], 1))

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)


def dense_layers(network: nn.Module, in_features: int, widths: Sequence[int], activation: str) -> nn.Sequential:
    """Return dense layers, each followed by an activation, with He initialisation (He et al., ICCV 2015).

    Examples:
        >>> import torch
        >>> from audiogan.networks.mlp import dense_layers
        >>> dense_layers(torch.nn.Module(), 2, [8, 16], "relu")(torch.zeros(1, 2)).shape
        torch.Size([1, 16])
    """
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
