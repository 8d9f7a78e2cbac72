"""SpecGAN: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", ICLR 2019, section 3.4 and appendix E.

Images are SpecGAN's spectrograms, `audiogan.representations.LogMagnitude`: 128 frequencies by 128 frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import (
    SameConv2d,
    SameConvTranspose2d,
    check_input,
    check_sizes,
    glorot,
    normalise_spectra,
)

KERNEL, STRIDE, LAYERS, START, SIZE = 5, 2, 5, 4, 128


class SpecGANGenerator(nn.Module):
    """Latents `[B, latent_dim]`, uniform in -1 ... 1, -> images `[B, channels, 128, 128]` in -1 ... 1.

    `model_size` is d in the paper, 64 there; the first layer has `16 d` channels.
    """

    latent = "uniform"
    classes = 0

    def __init__(self, latent_dim: int = 100, model_size: int = 64, channels: int = 1) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, model_size=model_size, channels=channels)
        self.latent_dim, self.shape = latent_dim, (channels, SIZE, SIZE)
        widths = [model_size * 2 ** (LAYERS - 1 - i) for i in range(LAYERS)] + [channels]
        self.dense = nn.Linear(latent_dim, START * START * widths[0])
        self.layers = nn.ModuleList(
            SameConvTranspose2d(widths[i], widths[i + 1], KERNEL, STRIDE) for i in range(LAYERS)
        )
        glorot(self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        check_input(self, z, (self.latent_dim,), condition)
        x = self.dense(z).unflatten(1, (-1, START, START))
        for layer in self.layers:
            x = layer(F.relu(x))
        return torch.tanh(x)


class SpecGANCritic(nn.Module):
    """Images `[B, channels, 128, 128]` -> logits `[B]`.

    `spectral_norm` normalises every layer by its spectral norm (not in the paper).
    """

    classes = 0

    def __init__(self, model_size: int = 64, channels: int = 1, spectral_norm: bool = False) -> None:
        super().__init__()
        check_sizes(self, model_size=model_size, channels=channels)
        self.shape = (channels, SIZE, SIZE)
        widths = [channels] + [model_size * 2**i for i in range(LAYERS)]
        self.layers = nn.ModuleList(SameConv2d(widths[i], widths[i + 1], KERNEL, STRIDE) for i in range(LAYERS))
        self.dense = nn.Linear(START * START * widths[-1], 1)
        glorot(self)
        if spectral_norm:
            normalise_spectra(self)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        check_input(self, x, self.shape, condition)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.dense(x.flatten(1)).squeeze(1)
