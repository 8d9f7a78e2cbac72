"""BigGAN (Brock, Donahue & Simonyan, ICLR 2019): residual networks with class-conditional batch norm, for images.

Both networks have one self-attention layer (SAGAN: Zhang et al., ICML 2019), orthogonal initialisation and spectral
norm (Miyato et al., ICLR 2018). See appendix B, figure 15 and table 4 of the paper. Train them with
`audiogan.losses.Hinge` and `audiogan.losses.OrthogonalRegularisation`, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core.engine import to_float64
from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import apply_spectral_norm
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.heads import Head

# Channels of each resolution, coarsest first, in multiples of `width`. The key is the number of upsampling blocks. The
# paper has these values for 64, 256 and 512 pixels. For other image sizes, see the rule in `_layout`.
MULTIPLIERS = {4: (16, 16, 8, 4, 2), 6: (16, 16, 8, 8, 4, 2, 1), 7: (16, 16, 8, 8, 4, 2, 1, 1)}


class ConditionalBatchNorm(nn.Module):
    """Batch norm of `[B, channels, H, W]` with gains and biases that are linear functions of a condition.

    Args:
        channels: number of channels.
        condition_dim: size D of the condition `[B, D]`.

    Source:
        Dumoulin et al., "A learned representation for artistic style", ICLR 2017.

    Examples:
        >>> import torch
        >>> from audiogan.networks.biggan import ConditionalBatchNorm
        >>> ConditionalBatchNorm(4, condition_dim=3)(torch.zeros(2, 4, 8, 8), torch.zeros(2, 3)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(condition_dim, channels, bias=False)
        self.shift = nn.Linear(condition_dim, channels, bias=False)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, normalised = self.shift(condition)[:, :, None, None], self.norm(x)
        return torch.addcmul(shift, normalised, 1 + self.gain(condition)[:, :, None, None])


class SelfAttention(nn.Module):
    """Self-attention over all positions of `[B, channels, H, W]`, as a residual layer.

    Keys and values are max-pooled by a factor of 2 in height and width. A learned factor, initially 0, scales the
    attention before it is added to the input.

    Args:
        channels: number of channels.

    Source:
        Zhang et al., "Self-attention generative adversarial networks" (SAGAN), ICML 2019, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.networks.biggan import SelfAttention
        >>> SelfAttention(8)(torch.zeros(2, 8, 4, 4)).shape
        torch.Size([2, 8, 4, 4])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.amount = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2)
        key, value = (F.max_pool2d(conv(x), 2, ceil_mode=True).flatten(2) for conv in (self.key, self.value))
        # The fused attention kernel is not used, because it is not twice differentiable.
        weights = torch.softmax(query.mT @ key, dim=2)
        return x + self.amount * self.out((value @ weights.mT).unflatten(2, x.shape[2:]))


class UpBlock(nn.Module):
    """Residual upsampling block of BigGAN's generator (figure 15b): doubles height and width.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        condition_dim: size of the condition `[B, condition_dim]` of both batch norms.
    """

    def __init__(self, in_channels: int, out_channels: int, condition_dim: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm(in_channels, condition_dim)
        self.norm2 = ConditionalBatchNorm(out_channels, condition_dim)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.norm1(x, condition)), scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), condition)))
        # The 1x1 convolution precedes upsampling. The reverse order would give the same result at four times the cost.
        return h + F.interpolate(self.skip(x), scale_factor=2)


class DownBlock(nn.Module):
    """Residual downsampling block of BigGAN's critic (figure 15c).

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        is_first: leave out the ReLU before the first convolution, because the input is an image.
        down: halve height and width. If ``down`` is false and both numbers of channels agree, the skip connection is
            the identity.
    """

    def __init__(self, in_channels: int, out_channels: int, is_first: bool = False, down: bool = True) -> None:
        super().__init__()
        self.is_first, self.down = is_first, down
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if down or in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.is_first else F.relu(x))))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.skip is None else self.skip(x))


class BigGANGenerator(nn.Module):
    """BigGAN generator: latents `[B, latent_dim]` and class weights `[B, classes]` to images `[B, C, S, S]`.

    Images are in -1 ... 1. The latent is split into equal parts, one for the first dense layer and one for each block.
    The batch norms of a block are conditioned on its part of the latent and on a shared class embedding. In evaluation
    mode batch norm uses running statistics; `update_standing_statistics` recomputes them.

    Args:
        shape: shape `(C, S, S)` of an image. S must be 4, 5, 6 or 7 times a power of two.
        latent_dim: size of the latent, which is standard normal; 120 in the paper at 128 pixels.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        width: base number of channels; ch = 96 in the paper.
        embed_dim: size of the shared class embedding.
        attention: height of the feature maps that the self-attention layer receives; 0: no attention; `None`: 64, or
            half the height of images below 128 pixels.
        multipliers: channels of each resolution in multiples of `width`, coarsest first; `None`: as in the paper.
        spectral_norm: apply spectral norm to every layer except the class embedding.

    Source:
        Brock, Donahue & Simonyan, "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019,
        section 3 and appendix B.

    Examples:
        >>> import torch
        >>> from audiogan.networks.biggan import BigGANGenerator
        >>> BigGANGenerator((3, 32, 32), latent_dim=20, width=2, embed_dim=4)(latent=torch.zeros(2, 20)).shape
        torch.Size([2, 3, 32, 32])
    """

    latent = "normal"

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int = 120,
        classes: int = 0,
        width: int = 96,
        embed_dim: int = 128,
        attention: int | None = None,
        multipliers: Sequence[int] | None = None,
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, width=width, embed_dim=embed_dim)
        self.shape, self.latent_dim, self.classes = tuple(shape), latent_dim, classes
        self.takes = input_names(latent=latent_dim, classes=classes)
        self.base, channels = _layout(self.shape, width, multipliers)
        parts = [len(part) for part in torch.arange(latent_dim).tensor_split(len(channels))]
        if min(parts) < 1:
            raise ValueError(f"latent_dim={latent_dim} cannot be split into {len(channels)} parts")
        self.embed = nn.Linear(classes, embed_dim, bias=False) if classes else None
        known = embed_dim if classes else 0
        self.start = nn.Linear(parts[0], channels[0] * self.base**2)
        self.blocks = nn.ModuleList(
            UpBlock(i, o, known + part) for (i, o), part in zip(pairwise(channels), parts[1:], strict=True)
        )
        self.place, self.attention = _attention(self.shape, attention, self.base, channels)
        self.norm = nn.BatchNorm2d(channels[-1])
        self.out = nn.Conv2d(channels[-1], self.shape[0], 3, padding=1)
        init_orthogonal(self)
        if spectral_norm:
            for name, module in self.named_children():
                if name != "embed":
                    apply_spectral_norm(module)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        first, *parts = latent.tensor_split(len(self.blocks) + 1, dim=1)
        known = [] if self.embed is None else [self.embed(classes)]
        x = self.start(first).view(len(latent), -1, self.base, self.base).contiguous(memory_format=torch.channels_last)
        for i, (block, part) in enumerate(zip(self.blocks, parts, strict=True)):
            x = block(x, torch.cat([*known, part], dim=1))
            if self.attention is not None and i == self.place:
                x = self.attention(x)
        return torch.tanh(self.out(F.relu(self.norm(x)))).contiguous()

    def forward_truncated(self, truncation: float, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return images for truncated latents (the truncation trick, section 3.1).

        The paper redraws components beyond the threshold. Here `truncate_normal` maps every component monotonically, so
        that a latent gives similar images for all thresholds.

        Args:
            truncation: threshold, 0 or more; 0 sets all latents to 0, infinity disables truncation.
            latent: standard normal latents `[B, latent_dim]`.
            classes: class weights `[B, classes]`.
        """
        return self(truncate_normal(latent, truncation), classes)

    @torch.no_grad()
    def update_standing_statistics(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Set the running statistics of batch norm to their average over the given batches (standing statistics,
        appendix A).

        Use it after averaging weights (EMA), because averaged weights need other statistics than the weights before
        averaging.

        Args:
            batches: batches of named inputs, each a dictionary with `latent` and, if conditional, `classes`.
        """
        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta, training = [norm.momentum for norm in norms], self.training
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # Without a momentum, batch norm computes the mean over all batches.
        self.train()
        try:
            for inputs in batches:
                self(**inputs)
        finally:
            self.train(training)
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


class BigGANCritic(nn.Module):
    """BigGAN critic: images `[B, C, S, S]` and class weights `[B, classes]` to logits `[B]`.

    Residual blocks are followed by a sum over all positions and a `Head`.

    Args:
        shape: shape `(C, S, S)` of an image. S must be 4, 5, 6 or 7 times a power of two.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        width: base number of channels; ch = 96 in the paper.
        attention: height of the feature maps that the self-attention layer receives; 0: no attention; `None`: 64, or
            half the height of images below 128 pixels.
        multipliers: channels of each resolution in multiples of `width`, coarsest first; `None`: as in the paper.
        conditioning: class conditioning, `projection` (as in the paper), `embedding` or `auxiliary`; see `Head`.
        spectral_norm: apply spectral norm to every layer.

    Source:
        Brock, Donahue & Simonyan, "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019,
        section 3 and appendix B.

    Examples:
        >>> import torch
        >>> from audiogan.networks.biggan import BigGANCritic
        >>> BigGANCritic((3, 32, 32), width=2)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        width: int = 96,
        attention: int | None = None,
        multipliers: Sequence[int] | None = None,
        conditioning: str = "projection",
        spectral_norm: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width)
        self.shape, self.classes = tuple(shape), classes
        base, up = _layout(self.shape, width, multipliers)
        channels = [*reversed(up[1:]), up[0]]
        self.place, self.attention = _attention(self.shape, attention, base, channels, down=True)
        self.blocks = nn.ModuleList(
            DownBlock(*pair, is_first=i == 0, down=i < len(channels) - 1)
            for i, pair in enumerate(pairwise([self.shape[0], *channels]))
        )
        self.head = Head(channels[-1], classes, conditioning)
        self.takes = self.head.takes
        init_orthogonal(self)
        if spectral_norm:
            apply_spectral_norm(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer `[B, D]` of images `[B, C, S, S]`. Classes are ignored."""
        check_tensor(self, "x", x, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if self.attention is not None and i == self.place:
                x = self.attention(x)
        return F.relu(x).sum((2, 3))

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)


def truncate_normal(z: Tensor, threshold: float) -> Tensor:
    """Map standard normal numbers to a normal distribution truncated to -threshold ... threshold.

    The map is monotonic: it is F_t^-1(F(z)) for the cumulative distribution functions F of the standard normal
    distribution and F_t of the truncated one.

    Args:
        z: standard normal numbers of any shape.
        threshold: largest absolute value of the result, 0 ... infinity.

    Examples:
        >>> import torch
        >>> from audiogan.networks.biggan import truncate_normal
        >>> truncate_normal(torch.tensor([-9.0, 0.0, 9.0]), threshold=0.5)
        tensor([-0.5000,  0.0000,  0.5000])
    """
    if not threshold >= 0:
        raise ValueError(f"truncation={threshold} must be at least 0")
    if threshold == math.inf:
        return z
    # F(z) - 1/2 is erf(z / sqrt 2) / 2. Truncation at t multiplies this quantity by erf(t / sqrt 2).
    shares = torch.erf(to_float64(z) / math.sqrt(2)) * math.erf(threshold / math.sqrt(2))
    return (math.sqrt(2) * torch.erfinv(shares)).clamp(-threshold, threshold).to(z.dtype)


def init_orthogonal(network: nn.Module) -> None:
    """Initialise convolutions and dense layers with orthogonal weights and zero biases (Saxe et al., ICLR 2014).

    Examples:
        >>> import torch
        >>> from audiogan.networks.biggan import init_orthogonal
        >>> layer = torch.nn.Linear(2, 2)
        >>> init_orthogonal(layer)
        >>> bool(torch.allclose(layer.weight @ layer.weight.T, torch.eye(2), atol=1e-6))
        True
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _layout(shape: Sequence[int], width: int, multipliers: Sequence[int] | None) -> tuple[int, list[int]]:
    """Return the height of the coarsest feature maps, and the channels of each resolution, coarsest first."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"BigGAN needs square images (C, S, S), got shape={list(shape)}")
    base, doublings = shape[1], 0
    while base > 7 and base % 2 == 0:
        base, doublings = base // 2, doublings + 1
    if not 4 <= base <= 7 or not doublings:
        raise ValueError(f"BigGAN needs a side of 4 to 7 times a power of two (28, 32, 64, 128), got {shape[1]}")
    usual = [min(16, 2 ** (doublings - i)) for i in range(doublings + 1)]
    factors = list(MULTIPLIERS.get(doublings, usual) if multipliers is None else multipliers)
    if len(factors) != doublings + 1 or min(factors) < 1:
        raise ValueError(
            f"multipliers={factors}: images of side {shape[1]} need {doublings + 1} multipliers of at least 1"
        )
    return base, [width * factor for factor in factors]


def _attention(
    shape: Sequence[int], side: int | None, base: int, channels: Sequence[int], down: bool = False
) -> tuple[int, SelfAttention | None]:
    """Return the index of the block before self-attention, and the attention layer, or (-1, None) without attention."""
    size, blocks = shape[1], len(channels) - 1
    if side is None:
        side = min(64, size // 2) if blocks > 1 else 0
    if not side:
        return -1, None
    sides = [size // 2 ** (i + 1) if down else base * 2 ** (i + 1) for i in range(blocks)]
    if side not in sides:
        raise ValueError(f"attention={side} must be one of {sides} for images of side {size}, or 0 for none")
    place = sides.index(side)
    return place, SelfAttention(channels[place if down else place + 1])
