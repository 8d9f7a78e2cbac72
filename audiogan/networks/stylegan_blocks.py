"""Layers of StyleGAN networks: equalised learning rates, modulated convolutions, noise and blur.

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
# LeakyReLU 0.2 approximately halves the mean square of activations. This gain restores it. The gain multiplies weights
# and biases instead of feature maps: LeakyReLU is homogeneous, so the result is the same, at a lower cost.
ACTIVATION_GAIN = 2**0.5


def activation(x: Tensor) -> Tensor:
    """Return LeakyReLU 0.2 of ``x``."""
    return F.leaky_relu(x, 0.2)


class EqualLinear(nn.Linear):
    """Dense layer with an equalised learning rate: stored weights have unit variance and are scaled in ``forward``.

    The same learning rate then suits layers of all widths.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        lr_factor: factor on the learning rate of this layer.
        gain: factor on the output.
        bias: initial value of the bias.

    Source:
        Karras et al., "Progressive growing of GANs", ICLR 2018, section 4.1.
    """

    def __init__(
        self, in_features: int, out_features: int, lr_factor: float = 1.0, gain: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__(in_features, out_features)
        nn.init.normal_(self.weight, std=1 / lr_factor)
        nn.init.constant_(self.bias, bias / lr_factor)
        self.weight_scale, self.bias_scale = gain * lr_factor * in_features**-0.5, gain * lr_factor

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_scale, self.bias * self.bias_scale)


class MappingNetwork(nn.Module):
    """Mapping network: latents ``[B, latent_dim]`` and class weights ``[B, classes]`` to styles ``[B, style_dim]``.

    Latents and a class embedding are normalised and concatenated. Dense layers follow.

    Args:
        latent_dim: size of the latent.
        style_dim: size of the style.
        classes: number of classes; 0: unconditional.
        layers: number of dense layers.
        lr_factor: factor on the learning rate of the dense layers; 0.01 in the paper.
        class_scale: norm of the class embedding divided by the norm of the latent.

    Source:
        Karras, Laine & Aila (StyleGAN), CVPR 2019, section 2 and appendix C.
    """

    def __init__(
        self,
        latent_dim: int,
        style_dim: int,
        classes: int,
        layers: int = 8,
        lr_factor: float = 0.01,
        class_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.class_scale = class_scale
        self.embed = EqualLinear(classes, latent_dim) if classes else None
        widths = [latent_dim * (2 if classes else 1), *[style_dim] * layers]
        self.layers = nn.ModuleList(EqualLinear(i, o, lr_factor, ACTIVATION_GAIN) for i, o in pairwise(widths))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        x = _unit(latent)
        if self.embed is not None:
            x = torch.cat([x, self.class_scale * _unit(self.embed(classes))], dim=1)
        for layer in self.layers:
            x = activation(layer(x))
        return x


def _unit(x: Tensor) -> Tensor:
    """Scale each row of ``[B, D]`` to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class EqualConv2d(nn.Conv2d):
    """2-D convolution with an equalised learning rate: stored weights have unit variance and are scaled when used.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel: side of the square kernel, in pixels.
        stride: stride in pixels. With 1, height and width do not change. With more, there is no padding.
        gain: factor on the output.
        bias: add a learned bias.
    """

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


def equalise_learning_rate(network: nn.Module, scale: float) -> None:
    """Equalise the learning rate of all dense layers of a network. The effective weights stay the same.

    Args:
        network: the network, which is changed in place.
        scale: effective weight divided by stored weight.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Linear):
            parametrize.register_parametrization(module, "weight", _WeightScale(scale))


class BinomialFilter(nn.Module):
    """Low-pass filter ``[1, 3, 3, 1] / 8`` in both directions, for down- and upsampling (StyleGAN2, appendix C).

    Args:
        padding: number of zeros added on each side, in pixels.
        stride: stride in pixels.
        gain: factor on the output. Use 4 after upsampling by inserting zeros.
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


def upsample2x(image: Tensor) -> Tensor:
    """Double height and width of images ``[B, C, H, W]`` by bilinear interpolation.

    The result equals upsampling with a `BinomialFilter`, except at the borders.
    """
    return F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)


class UpConv2d(nn.Module):
    """Convolution without bias, optionally with upsampling by a transposed convolution and a blur.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel: side of the square kernel, in pixels.
        up: double height and width.
    """

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
    """Modulated convolution: input channels are scaled by a linear function of a style.

    The paper scales the weights, which needs a grouped convolution. Here activations are scaled before and after the
    convolution. The result is the same, and a CPU computes it many times faster than a grouped convolution.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        style_dim: size of the style.
        kernel: side of the square kernel, in pixels.
        up: double height and width.
        demodulate: divide each output channel by its expected standard deviation.
        gain: factor on the output, if ``demodulate`` is true.

    Source:
        Karras et al. (StyleGAN2), CVPR 2020, section 2.2, equations 1 and 3.
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

    def forward(self, x: Tensor, style: Tensor, bias: Tensor) -> Tensor:
        """Return ``[B, out_channels, H, W]``, with twice the height and width if ``up`` is true.

        Args:
            x: feature maps ``[B, in_channels, H, W]``.
            style: styles ``[B, style_dim]``.
            bias: bias ``[out_channels, 1, 1]``, added to the output after demodulation.
        """
        factors = self.affine(style)
        x = self.conv(x * factors[:, :, None, None])
        if not self.demodulate:
            return x + bias
        squares = (self.conv.weight * self.conv.scale).square().sum((2, 3))
        scale = self.gain * torch.rsqrt(factors.square() @ squares.T + 1e-8)
        return torch.addcmul(bias, x, scale[:, :, None, None])


class AdaptiveNorm(nn.Module):
    """Adaptive instance norm (AdaIN): a style determines the mean and standard deviation of each channel.

    Args:
        channels: number of channels of the feature maps ``[B, channels, H, W]``.
        style_dim: size of the style ``[B, style_dim]``.

    Source:
        Karras, Laine & Aila (StyleGAN), CVPR 2019, equation 1.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.affine = EqualLinear(style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, F.instance_norm(x), 1 + scale)


class StyledConv(nn.Module):
    """Layer of the synthesis network: feature maps and styles ``[B, style_dim]`` to ``[B, out_channels, size, size]``.

    A convolution is followed by noise, bias and LeakyReLU 0.2. Noise is drawn anew for each pixel in training mode and
    is constant in evaluation mode.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        style_dim: size of the style.
        size: height and width of the output, in pixels.
        up: double height and width.
        modulation: ``demodulate`` modulates the convolution (StyleGAN2); ``adain`` applies `AdaptiveNorm` to the output
            (StyleGAN).
    """

    noise: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, size: int, up: bool, modulation: str
    ) -> None:
        super().__init__()
        self.modulated: ModulatedConv2d | None = None
        if modulation == "demodulate":
            self.modulated = ModulatedConv2d(in_channels, out_channels, style_dim, up=up, gain=ACTIVATION_GAIN)
        else:
            self.conv, self.norm = UpConv2d(in_channels, out_channels, up=up), AdaptiveNorm(out_channels, style_dim)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("noise", torch.randn(size, size))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        noise = torch.randn(len(x), 1, *self.noise.shape, device=x.device) if self.training else self.noise
        noise, bias = noise * (ACTIVATION_GAIN * self.strength), ACTIVATION_GAIN * self.bias[:, None, None]
        if self.modulated is not None:
            return activation(self.modulated(x, style, bias) + noise)
        return self.norm(activation(self.conv(x) + bias + noise), style)


class ToRGB(nn.Module):
    """Output layer of one resolution: feature maps ``[B, in_channels, H, W]`` to images ``[B, out_channels, H, W]``.

    It is a modulated 1x1 convolution without demodulation (tRGB in StyleGAN2, figure 7b).

    Args:
        in_channels: number of input channels.
        out_channels: number of channels of the image.
        style_dim: size of the style.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(in_channels, out_channels, style_dim, kernel=1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.conv(x, style, self.bias[:, None, None])


class CriticBlock(nn.Module):
    """Residual critic block that halves height and width: ``[B, C, H, W]`` to ``[B, out_channels, H / 2, W / 2]``.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.

    Source:
        Karras et al. (StyleGAN2), CVPR 2020, section 4.1 and figure 7c.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = EqualConv2d(in_channels, in_channels, 3, gain=ACTIVATION_GAIN)
        # The gains of `down` and `skip` contain a factor of sqrt(1/2), so that the sum of the two branches keeps the
        # variance.
        self.blur = BinomialFilter(2)
        self.down = EqualConv2d(in_channels, out_channels, 3, stride=2)
        self.blur_down = BinomialFilter(1, stride=2)
        self.skip = EqualConv2d(in_channels, out_channels, 1, gain=0.5**0.5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.down(self.blur(activation(self.conv(x))))
        return activation(h) + self.skip(self.blur_down(x))
