"""A 2-D convolutional GAN on the complex STFT, small enough to learn drums on two CPU cores.

Real and imaginary part of a magnitude-compressed STFT as two channels, as in DrumGAN (Nistal, Lattner & Richard, ISMIR
2020, section 3.1); latents modulate every block, as in StyleGAN (Karras et al., CVPR 2019, section 2); the critic has a
minibatch-deviation channel (Karras et al., ICLR 2018, section 3) and a projection for classes (Miyato & Koyama, ICLR
2018, equation 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import Halvings, he, minibatch_deviation, normalise_spectra, with_classes
from audiogan.networks.checks import check_inputs, check_tensor, named_inputs


class Modulate(nn.Module):
    """Scale and shift each channel by a linear function of a style (FiLM, Perez et al., AAAI 2018)."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style_dim, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.5 / style_dim**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


class STFTUpBlock(nn.Module):
    """Twice the frequencies and frames: a transposed convolution, normalised and modulated, then a convolution."""

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, bins: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)
        self.conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.modulate = Modulate(style_dim, out_channels)
        # Convolutions can't tell a bass bin from a treble bin; a bias a frequency can.
        self.frequency = nn.Parameter(torch.zeros(1, out_channels, bins, 1))
        he(self.conv)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = self.up(x) + self.frequency
        # Over the channels of each position; in channels_last memory that is one fused pass.
        x = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)
        x = F.leaky_relu(self.modulate(x, style), 0.2)
        return F.leaky_relu(self.conv(x), 0.2)


class STFTGenerator(nn.Module):
    """From latents to the bins of a spectrogram.

    Args:
        shape: ``(C, F, N)`` of the representation; the grid that is computed is the next smaller one that halves often
            enough, rows and columns beyond it (the Nyquist bin, the last frame) are zero.
        latent_dim: size of the latents, standard normal.
        classes: number of classes; 0 for none. The input ``classes`` is ``[B, classes]``, weights that sum to 1.
        widths: channels from the coarsest grid on; each but the last step doubles the grid, as does the output layer.
        style_dim: size of the style, the output of the mapping network.
    """

    latent = "normal"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int = 128,
        classes: int = 0,
        widths: Sequence[int] = (128, 96, 64, 24),
        style_dim: int = 128,
    ) -> None:
        super().__init__()
        self.shape, self.latent_dim, self.classes = tuple(shape), latent_dim, classes
        self.takes = named_inputs(latent=latent_dim, classes=classes)
        channels, bins, frames = self.shape
        fold = 2 ** len(widths)
        self.grid = (bins // fold, frames // fold)
        if min(self.grid) < 1:
            raise ValueError(f"shape={self.shape} is too small for {len(widths)} doublings")
        self.embed = nn.Linear(classes, latent_dim, bias=False) if classes else None
        inputs = latent_dim * (2 if classes else 1)
        self.mapping = nn.Sequential(
            nn.Linear(inputs, style_dim), nn.LeakyReLU(0.2), nn.Linear(style_dim, style_dim), nn.LeakyReLU(0.2)
        )
        self.start = nn.Linear(style_dim, widths[0] * self.grid[0] * self.grid[1])
        self.blocks = nn.ModuleList(
            STFTUpBlock(cin, cout, style_dim, self.grid[0] * 2 ** (i + 1))
            for i, (cin, cout) in enumerate(pairwise(widths))
        )
        self.out = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)
        self.mapping.apply(he)
        he(self.start)

    def style(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the styles ``[B, style_dim]`` of latents and class weights."""
        check_inputs(self, latent=latent, classes=classes)
        return self.mapping(with_classes(latent, self.embed, classes))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        style = self.style(latent, classes)
        x = self.start(style).unflatten(1, (-1, *self.grid)).contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(x, 0.2)
        for block in self.blocks:
            x = block(x, style)
        x = self.out(x)
        _, bins, frames = self.shape
        return F.pad(x, (0, frames - x.shape[3], 0, bins - x.shape[2]))


class STFTCritic(nn.Module):
    """From a spectrogram to one logit.

    Args:
        shape: ``(C, F, N)`` of the representation.
        classes: as in the generator.
        widths: channels after each halving of the grid.
        spectral_norm: normalise every layer by its spectral norm (Miyato et al., ICLR 2018).
    """

    ramp: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        widths: Sequence[int] = (24, 48, 96, 160, 160),
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.classes = tuple(shape), classes
        self.takes = named_inputs(classes=classes)
        channels, bins, frames = self.shape
        # Beside real and imaginary parts the magnitude, which is what one mostly hears, and a ramp that names the
        # frequency.
        cins = [channels + channels // 2 + 1, *widths]
        self.register_buffer("ramp", torch.linspace(-1, 1, bins).view(1, 1, bins, 1))
        self.convs = Halvings(cins)
        fold = 2 ** len(widths)
        if min(bins, frames) < fold:
            raise ValueError(f"shape={self.shape} is too small for {len(widths)} halvings")
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.hidden = nn.Linear(widths[-1] * (bins // fold) * (frames // fold), widths[-1])
        self.score = nn.Linear(widths[-1], 1)
        self.embed = nn.Linear(classes, widths[-1], bias=False) if classes else None
        self.apply(he)
        if spectral_norm:
            normalise_spectra(self)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        check_tensor(self, "x", x, self.shape)
        check_inputs(self, classes=classes)
        magnitude = torch.sqrt(x.unflatten(1, (-1, 2)).square().sum(2) + 1e-4)
        x = self.convs(torch.cat([x, magnitude, self.ramp.expand(len(x), -1, -1, x.shape[3])], dim=1))
        x = F.leaky_relu(self.last(torch.cat([x, minibatch_deviation(x)], dim=1)), 0.2)
        h = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        logits = self.score(h)[:, 0]
        if self.embed is not None:
            logits = logits + (self.embed(classes) * h).sum(1) / h.shape[1] ** 0.5
        return logits
