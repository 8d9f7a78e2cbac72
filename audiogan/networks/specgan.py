"""SpecGAN: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", ICLR 2019, section 3.4 and appendix E.

Images are SpecGAN's spectrograms, `audiogan.representations.LogMagnitude`: 128 frequencies by 128 frames.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import (
    ClassFiLM,
    SameConv2d,
    SameConvTranspose2d,
    check_condition,
    check_input,
    check_sizes,
    glorot,
    normalise_spectra,
)
from audiogan.networks.heads import Head

KERNEL, STRIDE, LAYERS, START, SIZE = 5, 2, 5, 4, 128


class SpecGANGenerator(nn.Module):
    """Latents `[B, latent_dim]`, uniform in -1 ... 1, -> images `[B, channels, 128, 128]` in -1 ... 1.

    `model_size` is d in the paper, 64 there; the first layer has `16 d` channels. `classes` is how many a condition
    `[B, classes]` weighs; 0, as in the paper, for none.
    """

    latent = "uniform"

    def __init__(self, latent_dim: int = 100, model_size: int = 64, channels: int = 1, classes: int = 0) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, model_size=model_size, channels=channels)
        self.latent_dim, self.shape, self.classes = latent_dim, (channels, SIZE, SIZE), classes
        widths = [model_size * 2 ** (LAYERS - 1 - i) for i in range(LAYERS)] + [channels]
        self.dense = nn.Linear(latent_dim, START * START * widths[0])
        self.layers = nn.ModuleList(
            SameConvTranspose2d(widths[i], widths[i + 1], KERNEL, STRIDE) for i in range(LAYERS)
        )
        glorot(self)
        self.films = nn.ModuleList(ClassFiLM(classes, width) for width in widths[:-1] if classes)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        check_input(self, z, (self.latent_dim,), None)
        check_condition(self, condition)
        x = self.dense(z).unflatten(1, (-1, START, START))
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(self.films[i](x, condition) if self.classes else x))
        return torch.tanh(x)


class SpecGANCritic(nn.Module):
    """Images `[B, channels, 128, 128]` -> logits `[B]`.

    `spectral_norm` normalises every layer by its spectral norm (not in the paper); `conditioning` is how the class
    comes in, see `audiogan.networks.heads.Head`.
    """

    def __init__(
        self,
        model_size: int = 64,
        channels: int = 1,
        spectral_norm: bool = False,
        classes: int = 0,
        conditioning: str = "projection",
    ) -> None:
        super().__init__()
        check_sizes(self, model_size=model_size, channels=channels)
        self.shape, self.classes = (channels, SIZE, SIZE), classes
        widths = [channels] + [model_size * 2**i for i in range(LAYERS)]
        self.layers = nn.ModuleList(SameConv2d(widths[i], widths[i + 1], KERNEL, STRIDE) for i in range(LAYERS))
        self.head = Head(START * START * widths[-1], classes, conditioning)
        glorot(self.layers)
        glorot(self.head.score)
        if spectral_norm:
            normalise_spectra(self)

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, `[B, D]`."""
        check_input(self, x, self.shape, None)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x.flatten(1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Logits `[B]`; with `auxiliary` conditioning also class logits `[B, classes]`."""
        return cast("Tensor | tuple[Tensor, Tensor]", self.head(self.features(x), condition))
