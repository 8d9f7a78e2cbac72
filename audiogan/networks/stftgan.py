"""Small 2-D convolutional GAN on the complex STFT of sounds. It learns drum sounds on two CPU cores.

The channels are real and imaginary parts of an STFT with compressed magnitudes, as in DrumGAN (Nistal, Lattner &
Richard, ISMIR 2020, section 3.1). Latents modulate every block of the generator, as in StyleGAN (Karras et al., CVPR
2019, section 2). The critic uses the minibatch standard deviation (Karras et al., ICLR 2018, section 3) and a
projection of the class (Miyato & Koyama, ICLR 2018, equation 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import StridedConvs, apply_spectral_norm, init_he, join_classes, minibatch_std
from audiogan.networks.checks import check_inputs, check_tensor, input_names


class Modulate(nn.Module):
    """FiLM layer (Perez et al., AAAI 2018): scale and shift channels by a linear function of a style.

    Args:
        style_dim: size of the style `[B, style_dim]`.
        channels: number of channels of the feature maps `[B, channels, H, W]`.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stftgan import Modulate
        >>> Modulate(style_dim=4, channels=3)(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4)).shape
        torch.Size([2, 3, 8, 8])
    """

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(style_dim, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.5 / style_dim**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + scale)


class STFTUpBlock(nn.Module):
    """Generator block that doubles frequencies and frames: a modulated transposed convolution and a convolution.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        style_dim: size of the style `[B, style_dim]` that modulates the block.
        bins: number of output frequencies.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stftgan import STFTUpBlock
        >>> STFTUpBlock(4, 2, style_dim=3, bins=8)(torch.zeros(1, 4, 4, 5), torch.zeros(1, 3)).shape
        torch.Size([1, 2, 8, 10])
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, bins: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)
        self.conv = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.modulate = Modulate(style_dim, out_channels)
        # Convolutions do not depend on the position, so a bias for each frequency distinguishes low from high bins.
        self.frequency = nn.Parameter(torch.zeros(1, out_channels, bins, 1))
        init_he(self.conv)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = self.up(x) + self.frequency
        # In channels_last memory format, layer norm over the channels of each position is a single fused operation.
        x = F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)
        x = F.leaky_relu(self.modulate(x, style), 0.2)
        return F.leaky_relu(self.conv(x), 0.2)


class STFTGenerator(nn.Module):
    """STFT generator: latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to STFTs ``[B, C, F, N]``.

    Args:
        shape: shape ``(C, F, N)`` of the STFT: real and imaginary parts, frequencies, frames. The network generates
            only the first frequencies and frames: F and N, rounded down to multiples of ``2 ** len(widths)``. The other
            frequencies (such as the Nyquist bin) and frames are zero.
        latent_dim: size of the latent, which is standard normal.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        widths: channels of each resolution, coarsest first. The output has twice the last resolution.
        style_dim: size of the style, the output of the mapping network.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stftgan import STFTGenerator
        >>> generator = STFTGenerator((2, 129, 33), latent_dim=8, widths=(8, 4), style_dim=8)
        >>> generator(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 2, 129, 33])
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
        self.takes = input_names(latent=latent_dim, classes=classes)
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
            STFTUpBlock(*pair, style_dim, self.grid[0] * 2 ** (i + 1)) for i, pair in enumerate(pairwise(widths))
        )
        self.out = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)
        self.mapping.apply(init_he)
        init_he(self.start)

    def style(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return styles ``[B, style_dim]`` for latents ``[B, latent_dim]`` and class weights ``[B, classes]``."""
        check_inputs(self, latent=latent, classes=classes)
        return self.mapping(join_classes(latent, self.embed, classes))

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
    """STFT critic: STFTs ``[B, C, F, N]`` and class weights ``[B, classes]`` to logits ``[B]``.

    Args:
        shape: shape ``(C, F, N)`` of the STFT: real and imaginary parts, frequencies, frames.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        widths: channels after each convolution with stride 2.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).

    Examples:
        >>> import torch
        >>> from audiogan.networks.stftgan import STFTCritic
        >>> STFTCritic((2, 129, 33), widths=(4, 8))(torch.zeros(2, 2, 129, 33)).shape
        torch.Size([2])
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
        self.takes = input_names(classes=classes)
        channels, bins, frames = self.shape
        # The magnitude is an additional input, because timbre depends on it more than on phases. A ramp encodes the
        # frequency.
        self.register_buffer("ramp", torch.linspace(-1, 1, bins).view(1, 1, bins, 1))
        self.convs = StridedConvs([channels + channels // 2 + 1, *widths])
        fold = 2 ** len(widths)
        if min(bins, frames) < fold:
            raise ValueError(f"shape={self.shape} is too small for {len(widths)} halvings")
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.hidden = nn.Linear(widths[-1] * (bins // fold) * (frames // fold), widths[-1])
        self.score = nn.Linear(widths[-1], 1)
        self.embed = nn.Linear(classes, widths[-1], bias=False) if classes else None
        self.apply(init_he)
        if spectral_norm:
            apply_spectral_norm(self)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        check_tensor(self, "x", x, self.shape)
        check_inputs(self, classes=classes)
        magnitude = torch.sqrt(x.unflatten(1, (-1, 2)).square().sum(2) + 1e-4)
        x = self.convs(torch.cat([x, magnitude, self.ramp.expand(len(x), -1, -1, x.shape[3])], dim=1))
        x = F.leaky_relu(self.last(torch.cat([x, minibatch_std(x)], dim=1)), 0.2)
        h = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        logits = self.score(h)[:, 0]
        if self.embed is not None:
            logits = logits + (self.embed(classes) * h).sum(1) / h.shape[1] ** 0.5
        return logits
