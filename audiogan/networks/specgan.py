"""SpecGAN: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", ICLR 2019, section 3.4 and appendix E.

Images are SpecGAN's spectrograms, `audiogan.representations.LogMagnitude`: 128 frequencies by 128 frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import ClassFiLM, SameConv2d, SameConvTranspose2d, glorot, normalise_spectra
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, named_inputs
from audiogan.networks.heads import Head

KERNEL, STRIDE, LAYERS, START, SIZE = 5, 2, 5, 4, 128


class SpecGANGenerator(nn.Module):
    """Latents `[B, latent_dim]`, uniform in -1 ... 1, -> images `[B, channels, 128, 128]` in -1 ... 1.

    `model_size` is d in the paper, 64 there; the first layer has `16 d` channels. `classes` is the number of classes;
    0, as in the paper, for none. The input ``classes`` is `[B, classes]`, weights that sum to 1.
    """

    latent = "uniform"

    def __init__(self, latent_dim: int = 100, model_size: int = 64, channels: int = 1, classes: int = 0) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, model_size=model_size, channels=channels)
        self.latent_dim, self.shape, self.classes = latent_dim, (channels, SIZE, SIZE), classes
        self.takes = named_inputs(latent=latent_dim, classes=classes)
        widths = [model_size * 2 ** (LAYERS - 1 - i) for i in range(LAYERS)] + [channels]
        self.dense = nn.Linear(latent_dim, START * START * widths[0])
        self.layers = nn.ModuleList(
            SameConvTranspose2d(widths[i], widths[i + 1], KERNEL, STRIDE) for i in range(LAYERS)
        )
        glorot(self)
        self.films = nn.ModuleList(ClassFiLM(classes, width) for width in widths[:-1] if classes)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        x = self.dense(latent).unflatten(1, (-1, START, START))
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(self.films[i](x, classes) if self.classes else x))
        return torch.tanh(x)


class SpecGANCritic(nn.Module):
    """Images `[B, channels, 128, 128]` -> logits `[B]`.

    `spectral_norm` normalises every layer by its spectral norm (not in the paper); `conditioning` is how the class
    enters, see `audiogan.networks.heads.Head`.
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
        self.takes = self.head.takes
        glorot(self.layers, self.head.score)
        if spectral_norm:
            normalise_spectra(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `[B, D]`. It does not depend on the classes."""
        check_tensor(self, "x", x, self.shape)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x.flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        """Return logits `[B]`; with `auxiliary` conditioning a `CriticOutput` with class logits `[B, classes]`."""
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)
