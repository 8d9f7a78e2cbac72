"""SpecGAN (Donahue, McAuley & Puckette, ICLR 2019): a DCGAN on log-magnitude spectrograms of sounds.

Spectrograms have 128 frequencies and 128 frames, see `audiogan.representations.LogMagnitude`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import ClassFiLM, SameConv2d, SameConvTranspose2d, apply_spectral_norm, init_glorot
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.heads import Head

KERNEL, STRIDE, LAYERS, START, SIZE = 5, 2, 5, 4, 128


class SpecGANGenerator(nn.Module):
    """SpecGAN generator: latents `[B, latent_dim]` to spectrograms `[B, channels, 128, 128]` in -1 ... 1.

    Args:
        latent_dim: size of the latent, which is uniform in -1 ... 1.
        model_size: base number of channels; d = 64 in the paper. The first layer has `16 * model_size` channels.
        channels: number of channels of the sounds.
        classes: number of classes; 0: unconditional, as in the paper. The class weights `[B, classes]` sum to 1.

    Source:
        Donahue, McAuley & Puckette, "Adversarial audio synthesis", ICLR 2019, section 3.4 and appendix E.

    Examples:
        >>> import torch
        >>> from audiogan.networks.specgan import SpecGANGenerator
        >>> SpecGANGenerator(latent_dim=8, model_size=2)(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 1, 128, 128])
    """

    latent = "uniform"

    def __init__(self, latent_dim: int = 100, model_size: int = 64, channels: int = 1, classes: int = 0) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, model_size=model_size, channels=channels)
        self.latent_dim, self.shape, self.classes = latent_dim, (channels, SIZE, SIZE), classes
        self.takes = input_names(latent=latent_dim, classes=classes)
        widths = [model_size * 2 ** (LAYERS - 1 - i) for i in range(LAYERS)] + [channels]
        self.dense = nn.Linear(latent_dim, START * START * widths[0])
        self.layers = nn.ModuleList(
            SameConvTranspose2d(widths[i], widths[i + 1], KERNEL, STRIDE) for i in range(LAYERS)
        )
        init_glorot(self)
        self.films = nn.ModuleList(ClassFiLM(classes, width) for width in widths[:-1] if classes)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        x = self.dense(latent).unflatten(1, (-1, START, START))
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(self.films[i](x, classes) if self.classes else x))
        return torch.tanh(x)


class SpecGANCritic(nn.Module):
    """SpecGAN critic: spectrograms `[B, channels, 128, 128]` to logits `[B]`.

    Args:
        model_size: channels of the first layer; d = 64 in the paper. Each later layer has twice as many.
        channels: number of channels of the sounds.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018); not in the paper.
        classes: number of classes; 0: unconditional, as in the paper. The class weights `[B, classes]` sum to 1.
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.

    Source:
        Donahue, McAuley & Puckette, "Adversarial audio synthesis", ICLR 2019, section 3.4 and appendix E.

    Examples:
        >>> import torch
        >>> from audiogan.networks.specgan import SpecGANCritic
        >>> SpecGANCritic(model_size=2)(torch.zeros(2, 1, 128, 128)).shape
        torch.Size([2])
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
        init_glorot(self.layers, self.head.score)
        if spectral_norm:
            apply_spectral_norm(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer `[B, D]` of spectrograms `[B, channels, 128, 128]`. Classes are ignored."""
        check_tensor(self, "x", x, self.shape)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return x.flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        """Return logits `[B]`, or with ``auxiliary`` conditioning a `CriticOutput` that also has class logits."""
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)
