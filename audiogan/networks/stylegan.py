"""StyleGAN2 networks for images, with options for StyleGAN's adaptive instance norm and for progressive growing.

A mapping network computes a style from latents and classes. Styles control each layer of the synthesis network. The
generator has output skips and modulated convolutions. The critic has residual blocks.

Sources: Karras, Laine & Aila, "A style-based generator architecture for GANs", CVPR 2019 (StyleGAN). Karras et al.,
"Analyzing and improving the image quality of StyleGAN", CVPR 2020 (StyleGAN2). Karras et al., "Progressive growing of
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
    ACTIVATION_GAIN,
    MODULATIONS,
    CriticBlock,
    EqualConv2d,
    EqualLinear,
    MappingNetwork,
    StyledConv,
    ToRGB,
    activation,
    equalise_learning_rate,
    upsample2x,
)


def grid_sizes(size: int) -> list[int]:
    """Return the heights of the feature maps of a network for images of ``size`` pixels, such as [7, 14, 28] for 28.

    Raises:
        ValueError: The size is not 4, 5, 6 or 7 times a power of two.

    Examples:
        >>> from audiogan.networks.stylegan import grid_sizes
        >>> grid_sizes(64), grid_sizes(28)
        ([4, 8, 16, 32, 64], [7, 14, 28])
    """
    sides = [size]
    while sides[0] >= 8 and sides[0] % 2 == 0:
        sides.insert(0, sides[0] // 2)
    if not 4 <= sides[0] <= 7:
        raise ValueError(f"a size of {size} does not halve down to 4, 5, 6 or 7; use e.g. 28, 32, 64 or 1024")
    return sides


def _grids(shape: Sequence[int], channel_base: int, channel_max: int) -> tuple[list[int], list[int]]:
    """Return the heights and the numbers of channels of the feature maps, coarsest first."""
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"shape={tuple(shape)} must be (channels, size, size): StyleGAN needs square images")
    sides = grid_sizes(shape[1])
    return sides, [max(1, min(channel_max, channel_base // side)) for side in sides]


class StyleGANGenerator(nn.Module):
    """StyleGAN generator: latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to images ``[B, C, S, S]``.

    Images are about -1 ... 1 but unbounded, unless ``tanh`` is true. In training mode the network draws new noise for
    each pixel and mixes the styles of two latents. In evaluation mode an image depends on its latent and class only.

    Args:
        shape: shape ``(C, S, S)`` of an image. S must be 4, 5, 6 or 7 times a power of two.
        latent_dim: size of the latent, which is standard normal; 512 in the papers.
        style_dim: size of a style; 512 in the papers.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        channel_base: product of the number of channels and the height of feature maps; 32768 in StyleGAN2.
        channel_max: largest number of channels; 512 in StyleGAN2.
        modulation: effect of styles on convolutions, ``demodulate`` (StyleGAN2) or ``adain`` (StyleGAN).
        mapping_layers: number of dense layers of the mapping network.
        mixing: probability of style mixing, 0 ... 1: layers after a random layer receive the style of a second latent
            (StyleGAN, section 3.1).
        progressive: train with growing resolution (PGGAN, section 2). `Growth` sets the resolution in the buffer
            ``level``.
        class_scale: norm of the class embedding divided by the norm of the latent, as inputs of the mapping network.
            Small values keep the variety within a class.
        mapping_lr: factor on the learning rate of the mapping network; 0.01 in the papers.
        tanh: end with a tanh, which makes exactly black or white areas possible; not in the papers.

    Attributes:
        layers: number of styles of an image, two per resolution.
        w_avg: mean style of each class, ``[max(classes, 1), style_dim]``, for truncation.

    Source:
        Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stylegan import StyleGANGenerator
        >>> generator = StyleGANGenerator((3, 16, 16), latent_dim=8, style_dim=8, channel_base=64)
        >>> generator(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 3, 16, 16])
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
        class_scale: float = 1.0,
        mapping_lr: float = 0.01,
        tanh: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, latent_dim=latent_dim, style_dim=style_dim, mapping_layers=mapping_layers)
        if modulation not in MODULATIONS:
            raise ValueError(f"modulation={modulation!r} must be one of {', '.join(MODULATIONS)}")
        if not 0.0 <= mixing <= 1.0:
            raise ValueError(f"mixing={mixing} must be a probability")
        self.shape, self.latent_dim, self.style_dim, self.classes = tuple(shape), latent_dim, style_dim, classes
        self.takes = input_names(latent=latent_dim, classes=classes)
        self.mixing, self.progressive, self.tanh = mixing, progressive, tanh
        self.sides, widths = _grids(shape, channel_base, channel_max)
        self.layers = 2 * len(self.sides)
        self.map = MappingNetwork(latent_dim, style_dim, classes, mapping_layers, mapping_lr, class_scale)
        self.constant = nn.Parameter(torch.randn(1, widths[0], self.sides[0], self.sides[0]))
        self.convs, self.colours = nn.ModuleList(), nn.ModuleList()
        for i, (side, width) in enumerate(zip(self.sides, widths, strict=True)):
            if i:
                self.convs.append(StyledConv(widths[i - 1], width, style_dim, side, True, modulation))
            self.convs.append(StyledConv(width, width, style_dim, side, False, modulation))
            self.colours.append(ToRGB(width, self.shape[0], style_dim))
        self.register_buffer("w_avg", torch.zeros(max(classes, 1), style_dim))
        self.register_buffer("w_seen", torch.zeros(max(classes, 1)))
        if progressive:
            self.register_buffer("level", torch.zeros(()))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        w = self.mapping(latent, classes)
        if self.training:
            self._update_mean_style(w.detach(), classes)
        ws = w[:, None].expand(-1, self.layers, -1)
        if self.training and self.mixing:
            ws = self._mix_styles(ws, classes)
        return self.synthesis(ws)

    def mapping(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return styles ``[B, style_dim]`` for latents ``[B, latent_dim]`` and class weights ``[B, classes]``."""
        check_inputs(self, latent=latent, classes=classes)
        return self.map(latent, classes)

    def synthesis(self, ws: Tensor) -> Tensor:
        """Return images ``[B, C, S, S]`` for styles ``[B, layers, style_dim]``. The coarsest layer is the first."""
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
            if fade < 1.0:  # The fade begins with repeated pixels, like images of the previous resolution.
                image = torch.lerp(F.interpolate(image, scale_factor=2), upsample2x(image), fade) + fade * colour
            else:
                image = upsample2x(image) + colour
        image = _enlarge(image, self.shape[1])
        return torch.tanh(image) if self.tanh else image

    def forward_truncated(self, truncation: float, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return images whose styles are interpolated with the mean style of their class (the truncation trick).

        Args:
            truncation: psi in the paper: 0 gives the mean style, 1 disables truncation.
            latent: standard normal latents ``[B, latent_dim]``.
            classes: class weights ``[B, classes]``.

        Source:
            Karras, Laine & Aila (StyleGAN), CVPR 2019, appendix B. The paper has one mean style for all classes.
        """
        w = self.mapping(latent, classes)
        centre = self.w_avg.expand(len(w), -1) if classes is None else classes @ self.w_avg
        return self.synthesis(torch.lerp(centre.to(w.dtype), w, truncation)[:, None].expand(-1, self.layers, -1))

    def _level(self) -> float:
        """Return the index of the finest resolution in use. A fraction means that this resolution is fading in."""
        return float(self.level) if self.progressive else len(self.sides) - 1.0

    @torch.no_grad()
    def _update_mean_style(self, w: Tensor, classes: Tensor | None, decay: float = 0.995) -> None:
        """Update the running mean style of each class in the batch with the styles ``w [B, style_dim]``."""
        share = (w.new_ones(len(w), 1) if classes is None else classes).float()
        mass = share.sum(0)
        self.w_seen += mass > 0
        # The first 1 / (1 - decay) updates form a plain mean, because a running mean would stay near its initial 0.
        rate = torch.clamp_min(1 / self.w_seen.clamp_min(1), 1 - decay) * (mass > 0)
        self.w_avg.lerp_((share.T @ w.float()) / mass.clamp_min(1e-8)[:, None], rate[:, None])

    def _mix_styles(self, ws: Tensor, classes: Tensor | None) -> Tensor:
        """Mix styles: with probability ``mixing`` replace the styles after a random layer by those of a new latent."""
        n, used = len(ws), 2 * (1 + math.ceil(self._level()))
        other = self.mapping(torch.randn(n, self.latent_dim, device=ws.device, dtype=ws.dtype), classes)
        start = torch.randint(1, used, (n, 1), device=ws.device)
        start = torch.where(torch.rand(n, 1, device=ws.device) < self.mixing, start, self.layers)
        layer = torch.arange(self.layers, device=ws.device)
        return torch.where((layer >= start)[:, :, None], other[:, None], ws)


class StyleGANCritic(nn.Module):
    """StyleGAN2 critic: images ``[B, C, S, S]`` and class weights ``[B, classes]`` to logits ``[B]``.

    The network has residual blocks and a channel with the minibatch standard deviation of groups of four samples. A
    logit therefore depends slightly on other samples of the batch. With classes, groups consist of samples of one class
    where possible.

    Args:
        shape: shape ``(C, S, S)`` of an image. S must be 4, 5, 6 or 7 times a power of two.
        classes: number of classes; 0: unconditional. Class weights sum to 1.
        channel_base: product of the number of channels and the height of feature maps; 32768 in StyleGAN2.
        channel_max: largest number of channels; 512 in StyleGAN2.
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.
        progressive: train with growing resolution (PGGAN, section 2). `Growth` sets the resolution in the buffer
            ``level``.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018); not in the papers.

    Source:
        Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, section 4.1.

    Examples:
        >>> import torch
        >>> from audiogan.networks.stylegan import StyleGANCritic
        >>> StyleGANCritic((3, 16, 16), channel_base=64)(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2])
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
        # Resolutions are in ascending order: blocks[i] reduces resolution i + 1 to i. Without progressive growing only
        # the finest resolution needs an input layer.
        entries = widths if progressive else widths[-1:]
        self.entries = nn.ModuleList(EqualConv2d(self.shape[0], width, 1, gain=ACTIVATION_GAIN) for width in entries)
        self.blocks = nn.ModuleList(CriticBlock(widths[i + 1], widths[i]) for i in range(len(widths) - 1))
        self.last = EqualConv2d(widths[0] + 1, widths[0], 3, gain=ACTIVATION_GAIN)
        self.hidden = EqualLinear(widths[0] * self.sides[0] ** 2, widths[0], gain=ACTIVATION_GAIN)
        self.head = Head(widths[0], classes, conditioning)
        equalise_learning_rate(self.head, widths[0] ** -0.5)
        if progressive:
            self.register_buffer("level", torch.zeros(()))
        if spectral_norm:
            self._normalise()

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        check_inputs(self, classes=classes)
        return self.head(self.features(x, classes), classes)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, ``[B, D]``.

        Args:
            x: images ``[B, C, S, S]``.
            classes: class weights ``[B, classes]``. They group samples for the minibatch standard deviation.
        """
        check_tensor(self, "x", x, self.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        h = (
            self._features_while_growing(x)
            if self.progressive
            else self._apply_blocks(self._apply_input_layer(x, -1), len(self.blocks))
        )
        h = activation(self.last(torch.cat([h, minibatch_std(h, classes)], dim=1)))
        return activation(self.hidden(h.flatten(1)))

    def _apply_input_layer(self, x: Tensor, grid: int) -> Tensor:
        return activation(self.entries[grid](x))

    def _apply_blocks(self, h: Tensor, grid: int) -> Tensor:
        """Return the feature maps of the coarsest resolution, given those of resolution ``grid``."""
        for block in reversed(self.blocks[:grid]):
            h = block(h)
        return h

    def _features_while_growing(self, x: Tensor) -> Tensor:
        """Return the coarsest feature maps for images reduced to the current resolution (PGGAN, figure 2)."""
        level = float(self.level)
        top = math.ceil(level)
        x = F.avg_pool2d(x, self.sides[-1] // self.sides[top])
        if top == level:
            return self._apply_blocks(self._apply_input_layer(x, top), top)
        fade, small = level - (top - 1), F.avg_pool2d(x, 2)
        x = torch.lerp(F.interpolate(small, scale_factor=2), x, fade)
        h = torch.lerp(
            self._apply_input_layer(small, top - 1), self.blocks[top - 1](self._apply_input_layer(x, top)), fade
        )
        return self._apply_blocks(h, top - 1)

    def _normalise(self) -> None:
        apply_spectral_norm(self)
        for module in self.modules():
            if isinstance(module, EqualConv2d | EqualLinear):
                module.weight_scale = module.bias_scale = 1.0


class Growth(Callback):
    """Callback for progressive growing: it increases the resolution of networks built with ``progressive=True``.

    Each resolution is trained for ``hold`` steps. Then the next one fades in over ``fade`` steps. The resolution
    depends on the step only. The callback has no effect on networks without
    progressive growing.

    Args:
        hold: number of steps on each resolution before the next one fades in, 0 or more.
        fade: number of steps over which a resolution fades in, 1 or more.

    Source:
        Karras et al., "Progressive growing of GANs", ICLR 2018, section 2.

    Examples:
        >>> from audiogan.networks.stylegan import Growth
        >>> Growth(hold=500, fade=500).hold
        500
    """

    def __init__(self, hold: int = 1000, fade: int = 1000) -> None:
        if hold < 0 or fade < 1:
            raise ValueError(f"Growth needs hold >= 0 and fade >= 1, got hold={hold}, fade={fade}")
        self.hold, self.fade = hold, fade

    def level_at(self, step: int, resolutions: int) -> float:
        """Return the index of the finest resolution in use.

        A fractional index means that a resolution is fading in: at 2.3, resolution 3 has the weight 0.3.

        Args:
            step: training step, 0 or more.
            resolutions: number of resolutions of the network.
        """
        whole, rest = divmod(step, self.hold + self.fade)
        return min(whole + max(rest - self.hold, 0) / self.fade, resolutions - 1.0)

    def on_start(self, trainer: Trainer) -> None:
        self.on_step(trainer)

    def on_step(self, trainer: Trainer) -> None:
        for net in trainer.game.nets.values():
            if isinstance(net, StyleGANGenerator | StyleGANCritic) and net.progressive:
                net.level.fill_(self.level_at(trainer.step, len(net.sides)))


def _enlarge(image: Tensor, size: int) -> Tensor:
    """Enlarge images to ``size`` pixels by repeating pixels. Average pooling inverts this exactly."""
    return image if image.shape[-1] == size else F.interpolate(image, scale_factor=size // image.shape[-1])
