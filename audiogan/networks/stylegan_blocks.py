"""The layers of StyleGAN: equalised learning rates, modulated convolutions, noise, blur.

Sources: Karras, Laine & Aila, "A style-based generator architecture for GANs", CVPR 2019 (StyleGAN); Karras et al.,
"Analyzing and improving the image quality of StyleGAN", CVPR 2020 (StyleGAN2); Karras et al., "Progressive growing of
GANs", ICLR 2018 (PGGAN).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

MODULATIONS = ("demodulate", "adain")
# Leaky ReLUs of slope 0.2 halve the mean square. They are homogeneous, so what gives it back scales weights and
# biases, which are small, and not feature maps.
ACTIVE = 2**0.5


def activation(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class EqualLinear(nn.Linear):
    """A dense layer whose weights are kept at unit variance and scaled when used (PGGAN, section 4.1).

    So one learning rate fits all layers, whatever their width. ``rate`` multiplies that learning rate, ``gain`` what
    comes out.
    """

    def __init__(
        self, in_features: int, out_features: int, rate: float = 1.0, gain: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__(in_features, out_features)
        nn.init.normal_(self.weight, std=1 / rate)
        nn.init.constant_(self.bias, bias / rate)
        self.weight_scale, self.bias_scale = gain * rate * in_features**-0.5, gain * rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_scale, self.bias * self.bias_scale)


class Mapping(nn.Module):
    """From latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to styles ``[B, style_dim]``.

    Latents and an embedding of the classes are normalised and joined. Then come ``layers`` dense layers with a
    hundredth of the learning rate (StyleGAN, section 2 and appendix C).
    """

    def __init__(self, latent_dim: int, style_dim: int, classes: int, layers: int = 8, rate: float = 0.01) -> None:
        super().__init__()
        self.embed = EqualLinear(classes, latent_dim) if classes else None
        widths = [latent_dim * (2 if classes else 1), *[style_dim] * layers]
        self.layers = nn.ModuleList(EqualLinear(i, o, rate=rate, gain=ACTIVE) for i, o in pairwise(widths))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        x = _unit(latent)
        if self.embed is not None:
            x = torch.cat([x, _unit(self.embed(classes))], dim=1)
        for layer in self.layers:
            x = activation(layer(x))
        return x


def _unit(x: Tensor) -> Tensor:
    """Each row with a mean square of one."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class EqualConv2d(nn.Conv2d):
    """A convolution as `EqualLinear`; it halves the grid with ``stride=2``."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, gain: float = 1.0, bias: bool = True
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, 0 if stride > 1 else kernel // 2, bias=bias)
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.weight_scale, self.bias_scale = gain * (in_channels * kernel * kernel) ** -0.5, gain

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias * self.bias_scale
        return F.conv2d(x, self.weight * self.weight_scale, bias, self.stride, self.padding)


class _WeightScale(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight / self.scale


def equalise(network: nn.Module, scale: float) -> None:
    """Give the dense layers of a foreign network an equalised learning rate; the values of their weights stay."""
    for module in list(network.modules()):
        if isinstance(module, nn.Linear):
            parametrize.register_parametrization(module, "weight", _WeightScale(scale))


class BinomialFilter(nn.Module):
    """The binomial filter ``[1, 3, 3, 1]`` in both directions, before halving or after doubling (StyleGAN2, C).

    ``padding`` zeros are added on each side; ``gain`` makes up for the zeros between samples after doubling.
    """

    kernel: Tensor

    def __init__(self, padding: int, *, stride: int = 1, gain: float = 1.0) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", gain * torch.outer(taps, taps).view(1, 1, 4, 4), persistent=False)
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.to(x.dtype).expand(channels, -1, -1, -1)
        return F.conv2d(x, kernel, stride=self.stride, padding=self.padding, groups=channels)


def double(image: Tensor) -> Tensor:
    """Return images of twice the size. Equal to a `BinomialFilter` except at the borders, which are repeated."""
    return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


class UpConv2d(nn.Module):
    """A convolution without bias; with ``up`` to twice the grid, by a transposed convolution and a blur."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, *, up: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.scale, self.padding = (in_channels * kernel * kernel) ** -0.5, kernel // 2
        self.blur = BinomialFilter(1, gain=4.0) if up else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        if self.blur is None:
            return F.conv2d(x, weight, padding=self.padding)
        return self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by a style (StyleGAN2, section 2.2, equations 1 and 3).

    The paper scales weights, which makes a batch one grouped convolution. Scaling the activations before and after
    is the same function and many times faster on a CPU.

    Args:
        inputs, outputs, style_dim: sizes.
        kernel: side of the kernel.
        up: doubles the grid.
        demodulate: divide each output channel by its expected standard deviation, and multiply by ``gain``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        kernel: int = 3,
        *,
        up: bool = False,
        demodulate: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.conv = UpConv2d(in_channels, out_channels, kernel, up=up)
        self.affine = EqualLinear(style_dim, in_channels, bias=1.0)
        self.demodulate, self.gain = demodulate, gain

    def forward(self, x: Tensor, w: Tensor, bias: Tensor) -> Tensor:
        """``x [B, inputs, H, W]`` with styles ``w [B, style_dim]``, plus ``bias [outputs, 1, 1]``."""
        style = self.affine(w)
        x = self.conv(x * style[:, :, None, None])
        if not self.demodulate:
            return x + bias
        squares = (self.conv.weight * self.conv.scale).square().sum((2, 3))
        scale = self.gain * torch.rsqrt(style.square() @ squares.T + 1e-8)
        return torch.addcmul(bias, x, scale[:, :, None, None])


class AdaptiveNorm(nn.Module):
    """Adaptive instance normalisation: a style gives each channel its mean and deviation (StyleGAN, equation 1)."""

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.affine = EqualLinear(style_dim, 2 * channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, F.instance_norm(x), 1 + scale)


class StyledConv(nn.Module):
    """``[B, inputs, H, W]`` and styles ``[B, style_dim]`` -> ``[B, outputs, size, size]``.

    Convolution, noise, bias, leaky ReLU; the style modulates the convolution (StyleGAN2) or, with
    ``modulation="adain"``, normalises what comes out (StyleGAN). Noise is new for each pixel while training and always
    the same in eval mode.
    """

    noise: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, size: int, up: bool, modulation: str
    ) -> None:
        super().__init__()
        self.modulated: ModulatedConv2d | None = None
        if modulation == "demodulate":
            self.modulated = ModulatedConv2d(in_channels, out_channels, style_dim, up=up, gain=ACTIVE)
        else:
            self.conv, self.norm = UpConv2d(in_channels, out_channels, up=up), AdaptiveNorm(out_channels, style_dim)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("noise", torch.randn(size, size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        noise = torch.randn(len(x), 1, *self.noise.shape, device=x.device) if self.training else self.noise
        noise, bias = noise * (ACTIVE * self.strength), ACTIVE * self.bias[:, None, None]
        if self.modulated is not None:
            return activation(self.modulated(x, w, bias) + noise)
        return self.norm(activation(self.conv(x) + bias + noise), w)


class Colour(nn.Module):
    """Feature maps to colours: a modulated 1x1 convolution without demodulation (StyleGAN2, tRGB of figure 7b)."""

    def __init__(self, width: int, out_channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(width, out_channels, style_dim, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return self.conv(x, w, self.bias[:, None, None])


class CriticBlock(nn.Module):
    """Two convolutions and a short cut, to half the grid (StyleGAN2, section 4.1 and figure 7c)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, in_channels, 3, gain=ACTIVE)
        # Half the energy from each branch: the root of one half is in the weights.
        self.blur = BinomialFilter(2)
        self.down = EqualConv2d(in_channels, out_channels, 3, stride=2)
        self.blur_down = BinomialFilter(1, stride=2)
        self.skip = EqualConv2d(in_channels, out_channels, 1, gain=0.5**0.5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.down(self.blur(activation(self.conv(x))))
        return activation(h) + self.skip(self.blur_down(x))
