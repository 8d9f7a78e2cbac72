"""BigGAN (Brock, Donahue & Simonyan, ICLR 2019): residual blocks, classes and latents in every batch norm.

Section 3 and appendix B, figure 15, table 4. Both networks have one self-attention layer (Zhang et al., ICML 2019,
"SAGAN"), orthogonal weights at the start and spectral norm (Miyato et al., ICLR 2018). The loss of the paper is the
hinge loss, its generator penalty `audiogan.losses.OrthogonalRegularisation`.
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
from audiogan.networks.blocks import normalise_spectra
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, named_inputs
from audiogan.networks.heads import Head

# Channels in multiples of `width`, from the coarsest grid on; by the number of doublings. Other counts halve them at
# each doubling, as 128 pixels do in the paper.
MULTIPLIERS = {4: (16, 16, 8, 4, 2), 6: (16, 16, 8, 8, 4, 2, 1), 7: (16, 16, 8, 8, 4, 2, 1, 1)}


class ConditionalBatchNorm(nn.Module):
    """Batch norm with gains and biases that are linear in a vector `[B, inputs]` (Dumoulin et al., ICLR 2017)."""

    def __init__(self, channels: int, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Linear(inputs, channels, bias=False)
        self.shift = nn.Linear(inputs, channels, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.addcmul(self.shift(y)[:, :, None, None], self.norm(x), 1 + self.gain(y)[:, :, None, None])


class SelfAttention(nn.Module):
    """SAGAN, section 3: each place takes what it wants from all others; keys and values on half the grid.

    Learns to begin: its part in the sum starts at zero.
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
        weights = torch.softmax(query.mT @ key, dim=2)  # not the fused kernel, which can't be differentiated twice
        return x + self.amount * self.out((value @ weights.mT).unflatten(2, x.shape[2:]))


class UpBlock(nn.Module):
    """Figure 15 (b): norm, ReLU, twice the grid, convolution, norm, ReLU, convolution, beside a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, inputs: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ConditionalBatchNorm(in_channels, inputs), ConditionalBatchNorm(out_channels, inputs)
        self.conv1, self.conv2 = (
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.norm1(x, y)), scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h), y)))
        return h + F.interpolate(self.skip(x), scale_factor=2)  # the same after doubling, at four times the cost


class DownBlock(nn.Module):
    """Figure 15 (c): ReLU, convolution, ReLU, convolution, half the grid, beside a 1x1 convolution.

    The first block, whose input is a picture, begins without the ReLU; the last one does not halve and needs no
    convolution beside.
    """

    def __init__(self, in_channels: int, out_channels: int, first: bool = False, down: bool = True) -> None:
        super().__init__()
        self.first, self.down = first, down
        self.conv1, self.conv2 = (
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip = nn.Conv2d(in_channels, out_channels, 1) if down or in_channels != out_channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.down:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.skip is None else self.skip(x))


class BigGANGenerator(nn.Module):
    """From latents and classes to pictures `[B, C, S, S]` in -1 ... 1.

    The latent is split into one part for the first dense layer and one for each block. The batch norms of a block
    receive its part and a shared embedding of the class. In evaluation mode batch norm uses running statistics, so a
    sample does not depend on its batch; `standing` computes them anew.

    Args:
        shape: `(C, S, S)`; S must come to 4 ... 7 by halving.
        latent_dim: size of the latents, standard normal; 120 in the paper at 128 pixels.
        classes: number of classes; 0 for none. The input ``classes`` is `[B, classes]`, weights that sum to 1.
        width: the paper's ch: channels at the finest grid of 128 pixels; 96 there.
        embed_dim: size of the shared embedding of classes.
        attention: side of the grid on which the self-attention layer sits; 0 for none, `None` for 64 or, in smaller
            pictures, half their side.
        multipliers: channels from the coarsest grid on, in multiples of `width`; `None` for the paper's.
        spectral_norm: normalise every layer but the embedding by its spectral norm.
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
        self.takes = named_inputs(latent=latent_dim, classes=classes)
        self.base, channels = _layout(self.shape, width, multipliers)
        parts = [len(part) for part in torch.arange(latent_dim).tensor_split(len(channels))]
        if min(parts) < 1:
            raise ValueError(f"latent_dim={latent_dim} cannot be split into {len(channels)} parts")
        self.embed = nn.Linear(classes, embed_dim, bias=False) if classes else None
        known = embed_dim if classes else 0
        self.start = nn.Linear(parts[0], channels[0] * self.base**2)
        self.blocks = nn.ModuleList(
            UpBlock(cin, cout, known + part) for (cin, cout), part in zip(pairwise(channels), parts[1:], strict=True)
        )
        self.place, self.attention = _attention(self.shape, attention, self.base, channels)
        self.norm = nn.BatchNorm2d(channels[-1])
        self.out = nn.Conv2d(channels[-1], self.shape[0], 3, padding=1)
        orthogonal(self)
        if spectral_norm:
            for name, module in self.named_children():
                if name != "embed":
                    normalise_spectra(module)

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

    def truncated(self, truncation: float, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return pictures of latents from a normal distribution that is cut at +-`truncation` (section 3.1).

        The paper draws components outside again. Here `truncate` maps every component, so a seed keeps its picture as
        the threshold changes.

        Args:
            truncation: 0 ... infinity; 0 gives the mean of each class, infinity changes nothing.
            latent, classes: as in `forward`.
        """
        return self(truncate(latent, truncation), classes)

    @torch.no_grad()
    def standing(self, batches: Iterable[Mapping[str, Tensor]]) -> None:
        """Set the statistics of batch norm to their mean over batches (standing statistics, appendix A).

        An average of weights (EMA) otherwise keeps the statistics of the weights from which it was computed.

        Args:
            batches: the named inputs of each batch.
        """
        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta, training = [norm.momentum for norm in norms], self.training
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
        self.train()
        try:
            for inputs in batches:
                self(**inputs)
        finally:
            self.train(training)
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


class BigGANCritic(nn.Module):
    """Pictures to one logit: residual blocks, a sum over the last grid, a projection for classes.

    Args:
        shape, classes, width, attention, multipliers: as in the generator, whose channels it mirrors.
        conditioning: see `audiogan.networks.heads.Head`; the paper has the projection.
        spectral_norm: normalise every layer by its spectral norm.
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
        cins = [self.shape[0], *channels[:-1]]
        self.blocks = nn.ModuleList(
            DownBlock(cin, cout, first=i == 0, down=i < len(channels) - 1)
            for i, (cin, cout) in enumerate(zip(cins, channels, strict=True))
        )
        self.head = Head(channels[-1], classes, conditioning)
        self.takes = self.head.takes
        orthogonal(self)
        if spectral_norm:
            normalise_spectra(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `[B, D]`. It does not depend on the classes."""
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


def truncate(z: Tensor, threshold: float) -> Tensor:
    """Map standard normal numbers monotonically to the normal distribution cut at +-`threshold` (0 ... infinity).

    With F the standard normal distribution and F_t the truncated one it is F_t^-1(F(z)).
    """
    if not threshold >= 0:
        raise ValueError(f"truncation={threshold} must lie in 0 ... infinity")
    if threshold == math.inf:
        return z
    # F(z) - 1/2 = erf(z / sqrt 2) / 2, and truncation multiplies it by erf(t / sqrt 2).
    shares = torch.erf(to_float64(z) / math.sqrt(2)) * math.erf(threshold / math.sqrt(2))
    return (math.sqrt(2) * torch.erfinv(shares)).clamp(-threshold, threshold).to(z.dtype)


def orthogonal(network: nn.Module) -> None:
    """Orthogonal weights and zero biases in every convolution and dense layer (Saxe et al., ICLR 2014)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _layout(shape: Sequence[int], width: int, multipliers: Sequence[int] | None) -> tuple[int, list[int]]:
    """Side of the coarsest grid, and channels from it on; each but the first after a doubling."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"BigGAN makes square pictures (C, S, S), got shape={list(shape)}")
    base, doublings = shape[1], 0
    while base > 7 and base % 2 == 0:
        base, doublings = base // 2, doublings + 1
    if not 4 <= base <= 7 or not doublings:
        raise ValueError(f"BigGAN wants a side that comes to 4 ... 7 by halving (28, 32, 64, 128), got {shape[1]}")
    usual = [min(16, 2 ** (doublings - i)) for i in range(doublings + 1)]
    factors = list(MULTIPLIERS.get(doublings, usual) if multipliers is None else multipliers)
    if len(factors) != doublings + 1 or min(factors) < 1:
        raise ValueError(f"multipliers={factors}: pictures of side {shape[1]} want {doublings + 1} of at least 1")
    return base, [width * factor for factor in factors]


def _attention(
    shape: Sequence[int], side: int | None, base: int, channels: Sequence[int], down: bool = False
) -> tuple[int, SelfAttention | None]:
    """After which block self-attention comes, and the layer; (-1, None) for none."""
    size, blocks = shape[1], len(channels) - 1
    if side is None:
        side = min(64, size // 2) if blocks > 1 else 0
    if not side:
        return -1, None
    sides = [size // 2 ** (i + 1) if down else base * 2 ** (i + 1) for i in range(blocks)]
    if side not in sides:
        raise ValueError(f"attention={side} is none of the grids {sides} of pictures of side {size}; 0 for none")
    place = sides.index(side)
    return place, SelfAttention(channels[place if down else place + 1])
