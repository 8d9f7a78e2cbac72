"""WaveGAN: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", ICLR 2019, section 2.3 and appendix D."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import ClassFiLM, SameConv1d, SameConvTranspose1d, glorot, normalise_spectra
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, named_inputs
from audiogan.networks.heads import Head
from audiogan.representations.sound_format import SoundFormat

KERNEL = 25
STRIDES = {16384: (4,) * 5, 32768: (4,) * 5 + (2,), 65536: (4,) * 6}
"""Strides of the layers, in generator and critic alike, for each length in samples that the paper's code offers."""


class WaveGANGenerator(nn.Module):
    """Latents `[B, latent_dim]`, uniform in -1 ... 1, -> waves `[B, channels, length]` in -1 ... 1.

    Args:
        format: format of the waves; their length is 16384, 32768 or 65536 samples.
        model_size: d in the paper, 64 there; the first layer has `16 d` channels (32 d at the longer lengths).
        post_filter: taps of a learned filter after the tanh (the paper's: 512), one a channel; None leaves it out.
            Its output may exceed 1.
        classes: number of classes; 0, as in the paper, for none. The input ``classes`` is `[B, classes]`, weights that
            sum to 1.
    """

    latent = "uniform"

    def __init__(
        self,
        format: SoundFormat,
        latent_dim: int = 100,
        model_size: int = 64,
        post_filter: int | None = None,
        classes: int = 0,
    ) -> None:
        super().__init__()
        taps = 1 if post_filter is None else post_filter
        check_sizes(self, latent_dim=latent_dim, model_size=model_size, post_filter=taps)
        channels, strides = format.channels, _strides(self, format.length)
        self.latent_dim, self.shape, self.classes = latent_dim, format.shape, classes
        self.takes = named_inputs(latent=latent_dim, classes=classes)
        widths = [model_size * 2 ** (len(strides) - 1 - i) for i in range(len(strides))] + [channels]
        self.dense = nn.Linear(latent_dim, 16 * widths[0])
        self.layers = nn.ModuleList(
            SameConvTranspose1d(widths[i], widths[i + 1], KERNEL, stride) for i, stride in enumerate(strides)
        )
        glorot(self)
        self.films = nn.ModuleList(ClassFiLM(classes, width) for width in widths[:-1] if classes)
        self.post_filter = None
        if post_filter is not None:
            self.post_filter = SameConv1d(channels, channels, post_filter, 1, groups=channels, bias=False)
            # Glorot for one channel, the fans of a grouped convolution being counted otherwise.
            bound = math.sqrt(3 / post_filter)
            nn.init.uniform_(self.post_filter.weight, -bound, bound)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        x = self.dense(latent).unflatten(1, (-1, 16))
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(self.films[i](x, classes) if self.classes else x))
        x = torch.tanh(x)
        return x if self.post_filter is None else self.post_filter(x)


class WaveGANCritic(nn.Module):
    """Waves `[B, channels, length]` -> logits `[B]`.

    Args:
        format: format of the waves; their length is 16384, 32768 or 65536 samples.
        model_size: d in the paper, 64 there.
        phase_shuffle: n in the paper: in training the features after each of the first four layers are shifted by
            -n ... n samples, one shift a layer for the whole batch. 0 turns it off.
        spectral_norm: normalise every layer by its spectral norm (not in the paper).
        classes: as in the generator.
        conditioning: how the class enters, see `audiogan.networks.heads.Head`.
    """

    def __init__(
        self,
        format: SoundFormat,
        model_size: int = 64,
        phase_shuffle: int = 2,
        spectral_norm: bool = False,
        classes: int = 0,
        conditioning: str = "projection",
    ) -> None:
        super().__init__()
        check_sizes(self, model_size=model_size, phase_shuffle=phase_shuffle + 1)
        channels, strides = format.channels, _strides(self, format.length)
        self.shape, self.phase_shuffle, self.classes = format.shape, phase_shuffle, classes
        widths = [channels] + [model_size * 2**i for i in range(len(strides))]
        self.layers = nn.ModuleList(
            SameConv1d(widths[i], widths[i + 1], KERNEL, stride) for i, stride in enumerate(strides)
        )
        self.head = Head(16 * widths[-1], classes, conditioning)
        self.takes = self.head.takes
        glorot(self.layers, self.head.score)
        if spectral_norm:
            normalise_spectra(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `[B, D]`. It does not depend on the classes."""
        check_tensor(self, "x", x, self.shape)
        for i, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), 0.2)
            if i < 4 and self.phase_shuffle and self.training:
                x = phase_shuffle(x, self.phase_shuffle)
        return x.flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        """Return logits `[B]`; with `auxiliary` conditioning a `CriticOutput` with class logits `[B, classes]`."""
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)


def phase_shuffle(x: Tensor, n: int) -> Tensor:
    """Shift `[B, C, L]` by one random integer in -n ... n, mirrored at the edges (section 3.3)."""
    # Drawn on the host: a draw on a GPU would have to be waited for.
    shift = int(torch.randint(-n, n + 1, ()))
    if not shift:
        return x
    if shift > 0:
        return F.pad(x[..., :-shift], (shift, 0), "reflect")
    return F.pad(x[..., -shift:], (0, -shift), "reflect")


def _strides(network: nn.Module, length: int) -> tuple[int, ...]:
    if length not in STRIDES:
        raise ValueError(f"{type(network).__name__} makes {', '.join(map(str, STRIDES))} samples, not length={length}")
    return STRIDES[length]
