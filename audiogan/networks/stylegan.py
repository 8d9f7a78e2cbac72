"""StyleGAN and StyleGAN2: a mapping network makes styles, a style for each layer of the synthesis network.

Karras, Laine & Aila, "A style-based generator architecture for GANs", CVPR 2019 (StyleGAN); Karras et al., "Analyzing
and improving the image quality of StyleGAN", CVPR 2020 (StyleGAN2), whose networks these are: output skips in the
generator, residual blocks in the critic (section 4.1), modulated convolutions (section 2.2). Options go back to
StyleGAN's adaptive instance normalisation and to the growing resolution of Karras et al., "Progressive growing of
GANs", ICLR 2018 (PGGAN).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Callback, Trainer
from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import apply_spectral_norm, minibatch_std
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.heads import Head
from audiogan.networks.stylegan_blocks import (
    ACTIVE,
    MODULATIONS,
    Colour,
    CriticBlock,
    EqualConv2d,
    EqualLinear,
    Mapping,
    StyledConv,
    activation,
    double,
    equalise,
)


def resolutions(size: int) -> list[int]:
    """Sides of the grids up to ``size``, from a side of 4 to 7 on: 28 -> [7, 14, 28]. ValueError if there is none."""
    sides = [size]
    while sides[0] >= 8 and sides[0] % 2 == 0:
        sides.insert(0, sides[0] // 2)
    if not 4 <= sides[0] <= 7:
        raise ValueError(f"a size of {size} does not halve down to 4, 5, 6 or 7; use e.g. 28, 32, 64 or 1024")
    return sides


def _grids(shape: Sequence[int], channel_base: int, channel_max: int) -> tuple[list[int], list[int]]:
    """Sides of the grids and their channels, coarsest first."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"shape={tuple(shape)} must be (channels, size, size): StyleGAN makes square images")
    sides = resolutions(shape[1])
    return sides, [max(1, min(channel_max, channel_base // side)) for side in sides]


class StyleGANGenerator(nn.Module):
    """From latents ``[B, latent_dim]`` to images ``[B, C, size, size]``, of about -1 ... 1 (no tanh).

    In training mode noise is new for each pixel. With probability ``mixing`` a sample takes the style of another latent
    from a random layer on (StyleGAN, section 3.1). In evaluation mode an image depends on latent and class alone.

    Args:
        shape: ``(C, size, size)``; ``size`` must halve down to 4 ... 7.
        latent_dim, style_dim: sizes of latents, which are standard normal, and of styles; 512 in the papers.
        classes: number of classes; 0 for none. The input ``classes`` is ``[B, classes]``, weights that sum to 1.
        channel_base, channel_max: a grid of side ``s`` has ``min(channel_max, channel_base // s)`` channels; 32768 and
            512 in StyleGAN2.
        modulation: ``demodulate`` (StyleGAN2) or ``adain`` (StyleGAN).
        mapping_layers: number of dense layers from latents to styles.
        mixing: probability of style mixing.
        progressive: the image grows from the coarsest grid on (PGGAN, section 2); `Growth` says when. The network
            holds how far, in the buffer ``level``.

    Attributes:
        layers: how many styles an image has, two a grid.
        w_avg: ``[max(classes, 1), style_dim]``: the mean style of each class, the centre of truncation.
    """

    latent = "normal"
    w_avg: Tensor
    w_seen: Tensor
    level: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        latent_dim: int = 512,
        style_dim: int = 512,
        classes: int = 0,
        channel_base: int = 32768,
        channel_max: int = 512,
        modulation: str = "demodulate",
        mapping_layers: int = 8,
        mixing: float = 0.9,
        progressive: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, style_dim=style_dim, mapping_layers=mapping_layers)
        if modulation not in MODULATIONS:
            raise ValueError(f"modulation={modulation!r} must be one of {', '.join(MODULATIONS)}")
        if not 0.0 <= mixing <= 1.0:
            raise ValueError(f"mixing={mixing} must be a probability")
        self.shape, self.latent_dim, self.style_dim, self.classes = tuple(shape), latent_dim, style_dim, classes
        self.takes = input_names(latent=latent_dim, classes=classes)
        self.mixing, self.progressive = mixing, progressive
        self.sides, widths = _grids(shape, channel_base, channel_max)
        self.layers = 2 * len(self.sides)
        self.map = Mapping(latent_dim, style_dim, classes, mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, widths[0], self.sides[0], self.sides[0]))
        self.convs, self.colours = nn.ModuleList(), nn.ModuleList()
        for i, (side, width) in enumerate(zip(self.sides, widths, strict=True)):
            if i:
                self.convs.append(StyledConv(widths[i - 1], width, style_dim, side, True, modulation))
            self.convs.append(StyledConv(width, width, style_dim, side, False, modulation))
            self.colours.append(Colour(width, self.shape[0], style_dim))
        self.register_buffer("w_avg", torch.zeros(max(classes, 1), style_dim))
        self.register_buffer("w_seen", torch.zeros(max(classes, 1)))
        if progressive:
            self.register_buffer("level", torch.zeros(()))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        w = self.mapping(latent, classes)
        if self.training:
            self._track(w.detach(), classes)
        ws = w[:, None].expand(-1, self.layers, -1)
        if self.training and self.mixing:
            ws = self._mix(ws, classes)
        return self.synthesis(ws)

    def mapping(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the styles ``[B, style_dim]`` of latents and class weights."""
        check_inputs(self, latent=latent, classes=classes)
        return self.map(latent, classes)

    def synthesis(self, ws: Tensor) -> Tensor:
        """Return the images of styles ``[B, layers, style_dim]``, one a layer, the coarsest first."""
        if ws.dim() != 3 or ws.shape[1:] != (self.layers, self.style_dim):
            raise ValueError(f"synthesis expected [B, {self.layers}, {self.style_dim}], got {list(ws.shape)}")
        styles, level = ws.unbind(1), self._level()
        x = self.constant.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.convs[0](x, styles[0])
        image = self.colours[0](x, styles[1])
        for i in range(1, 1 + math.ceil(level)):
            x = self.convs[2 * i - 1](x, styles[2 * i - 1])
            x = self.convs[2 * i](x, styles[2 * i])
            colour = self.colours[i](x, styles[2 * i + 1])
            fade = min(level - (i - 1), 1.0)
            if fade < 1.0:  # from pixels that are repeated, which is what the coarser grid alone gave
                image = torch.lerp(F.interpolate(image, scale_factor=2), double(image), fade) + fade * colour
            else:
                image = double(image) + colour
        return _enlarge(image, self.shape[1])

    def forward_truncated(self, truncation: float, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return images of styles that are moved towards the mean style of their class.

        StyleGAN, section 2 and appendix B, with one mean for each class.

        Args:
            truncation: 0 gives the image of the mean style, 1 changes nothing.
            latent, classes: as in ``forward``.
        """
        w = self.mapping(latent, classes)
        centre = self.w_avg.expand(len(w), -1) if classes is None else classes @ self.w_avg
        return self.synthesis(torch.lerp(centre.to(w.dtype), w, truncation)[:, None].expand(-1, self.layers, -1))

    def _level(self) -> float:
        """The finest grid in use, counted from 0; between whole numbers it is being faded in."""
        return float(self.level) if self.progressive else len(self.sides) - 1.0

    @torch.no_grad()
    def _track(self, w: Tensor, classes: Tensor | None, decay: float = 0.995) -> None:
        """Update the average style of each class in the batch by ``w [B, style_dim]``."""
        share = (w.new_ones(len(w), 1) if classes is None else classes).float()
        mass = share.sum(0)
        self.w_seen += mass > 0
        # The plain mean of all that came, as long as that is few.
        rate = torch.clamp_min(1 / self.w_seen.clamp_min(1), 1 - decay) * (mass > 0)
        self.w_avg.lerp_((share.T @ w.float()) / mass.clamp_min(1e-8)[:, None], rate[:, None])

    def _mix(self, ws: Tensor, classes: Tensor | None) -> Tensor:
        """With probability ``mixing`` give a sample the style of another latent from a random layer on."""
        n, used = len(ws), 2 * (1 + math.ceil(self._level()))
        other = self.mapping(torch.randn(n, self.latent_dim, device=ws.device, dtype=ws.dtype), classes)
        start = torch.randint(1, used, (n, 1), device=ws.device)
        start = torch.where(torch.rand(n, 1, device=ws.device) < self.mixing, start, self.layers)
        layer = torch.arange(self.layers, device=ws.device)
        return torch.where((layer >= start)[:, :, None], other[:, None], ws)


class StyleGANCritic(nn.Module):
    """From images ``[B, C, size, size]`` to logits ``[B]``; also class logits with ``conditioning="auxiliary"``.

    A residual critic with a minibatch deviation (StyleGAN2, section 4.1). The deviation is that of groups of four
    samples, of one class if there are classes; so a logit depends a little on the other samples of its batch.

    Args:
        shape, classes, channel_base, channel_max, progressive: as in the generator.
        conditioning: how the class enters, see `audiogan.networks.heads.Head`.
        spectral_norm: normalise every layer by its spectral norm (Miyato et al., ICLR 2018); not in the papers.
    """

    level: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        classes: int = 0,
        channel_base: int = 32768,
        channel_max: int = 512,
        conditioning: str = "projection",
        progressive: bool = False,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.classes, self.progressive = tuple(shape), classes, progressive
        self.takes = input_names(classes=classes)
        self.sides, widths = _grids(shape, channel_base, channel_max)
        # Coarsest first, as in the generator; blocks[i] halves grid i + 1. Without growth only the last has an entry.
        entries = widths if progressive else widths[-1:]
        self.entries = nn.ModuleList(EqualConv2d(self.shape[0], width, 1, gain=ACTIVE) for width in entries)
        self.blocks = nn.ModuleList(CriticBlock(widths[i + 1], widths[i]) for i in range(len(widths) - 1))
        self.last = EqualConv2d(widths[0] + 1, widths[0], 3, gain=ACTIVE)
        self.hidden = EqualLinear(widths[0] * self.sides[0] ** 2, widths[0], gain=ACTIVE)
        self.head = Head(widths[0], classes, conditioning)
        equalise(self.head, widths[0] ** -0.5)
        if progressive:
            self.register_buffer("level", torch.zeros(()))
        if spectral_norm:
            self._normalise()

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        return self.head(self.features(x, classes), classes)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, ``[B, channels of the coarsest grid]``.

        Classes group the samples of the minibatch deviation.
        """
        check_tensor(self, "x", x, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        h = self._grown(x) if self.progressive else self._down(self._enter(x, -1), len(self.blocks))
        h = activation(self.last(torch.cat([h, minibatch_std(h, classes)], dim=1)))
        return activation(self.hidden(h.flatten(1)))

    def _enter(self, x: Tensor, grid: int) -> Tensor:
        return activation(self.entries[grid](x))

    def _down(self, h: Tensor, grid: int) -> Tensor:
        """From a grid to the coarsest one."""
        for block in reversed(self.blocks[:grid]):
            h = block(h)
        return h

    def _grown(self, x: Tensor) -> Tensor:
        """What the blocks in use make of an image: finer detail than theirs is averaged away (PGGAN, figure 2)."""
        level = float(self.level)
        top = math.ceil(level)
        x = F.avg_pool2d(x, self.sides[-1] // self.sides[top])
        if top == level:
            return self._down(self._enter(x, top), top)
        fade, small = level - (top - 1), F.avg_pool2d(x, 2)
        x = torch.lerp(F.interpolate(small, scale_factor=2), x, fade)
        h = torch.lerp(self._enter(small, top - 1), self.blocks[top - 1](self._enter(x, top)), fade)
        return self._down(h, top - 1)

    def _normalise(self) -> None:
        apply_spectral_norm(self)
        for module in self.modules():
            if isinstance(module, EqualConv2d | EqualLinear):
                module.weight_scale = module.bias_scale = 1.0


class Growth(Callback):
    """Lets networks built with ``progressive=True`` grow: each grid is trained for a while, then the next fades in.

    PGGAN, section 2. How far they are is a function of the step alone. Networks without a ``level`` are left alone.

    Args:
        hold: steps on the coarsest grid, and on each new one before the next.
        fade: steps over which a grid is faded in.
    """

    def __init__(self, hold: int = 1000, fade: int = 1000) -> None:
        if hold < 0 or fade < 1:
            raise ValueError(f"Growth wants hold >= 0 and fade >= 1, got hold={hold}, fade={fade}")
        self.hold, self.fade = hold, fade

    def level(self, step: int, grids: int) -> float:
        """The finest of ``grids`` in use at ``step``; between whole numbers it is being faded in."""
        whole, rest = divmod(step, self.hold + self.fade)
        return min(whole + max(rest - self.hold, 0) / self.fade, grids - 1.0)

    def on_start(self, trainer: Trainer) -> None:
        self.on_step(trainer)

    def on_step(self, trainer: Trainer) -> None:
        for net in trainer.game.nets.values():
            if isinstance(net, StyleGANGenerator | StyleGANCritic) and net.progressive:
                net.level.fill_(self.level(trainer.step, len(net.sides)))


def _enlarge(image: Tensor, size: int) -> Tensor:
    """To ``size`` by repeating pixels, so that averaging brings back what was there."""
    return image if image.shape[-1] == size else F.interpolate(image, scale_factor=size // image.shape[-1])
