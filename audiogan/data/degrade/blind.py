"""Random degradations for super-resolution of images with unknown defects (Real-ESRGAN, Wang et al., 2021)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiogan.data.degrade.base import Degradation, Range, Rng
from audiogan.data.degrade.images import Jpeg
from audiogan.representations.lab import LUMA

KINDS = ("gaussian", "anisotropic", "generalised", "generalised anisotropic", "plateau", "plateau anisotropic")
"""Kinds of blur kernels."""
KIND_PROBABILITIES = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
"""Probability of each kind of blur kernel, in the order of `KINDS`."""
KERNEL_SIZES = (7, 9, 11, 13, 15, 17, 19, 21)
"""Heights and widths of kernels in pixels, with equal probabilities."""
INTERPOLATIONS = ("area", "bilinear", "bicubic")
"""Interpolations from which `RandomResize` draws one, with equal probabilities."""
PHOTONS = 256
"""Mean number of photons of a white pixel from which `CameraNoise` computes Poisson noise."""


@dataclass(eq=False)
class RandomBlur(Degradation):
    """Blur an image with a random kernel of 7 to 21 pixels. The borders are padded with the nearest pixel.

    The kernel is a Gaussian, a generalised Gaussian ``exp(-d**b / 2)`` or a plateau ``1 / (1 + d**b)``, where ``d`` is
    the square of the distance from the centre in standard deviations. Each of these kernels is isotropic, or
    anisotropic with a random direction. Alternatively, the kernel is an ideal low-pass filter (sinc), which adds
    ringing.

    Args:
        std: standard deviation of the kernel in pixels, 0.1 to 10. Anisotropic kernels draw one value for each axis.
        sinc: probability that the kernel is a sinc kernel, 0 to 1.
        probability: probability that the image is blurred, 0 to 1.

    Source: Wang et al., "Real-ESRGAN", ICCV Workshops 2021, sections 3.1 and 3.3.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import RandomBlur
        >>> RandomBlur()(torch.zeros(3, 32, 32), np.random.default_rng(0)).shape
        torch.Size([3, 32, 32])
    """

    dims = 3
    std: Annotated[Range, 0.1, 10] = (0.2, 3.0)
    sinc: float = 0.1
    probability: float = 1.0

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        if rng.random() >= self.probability:
            return x
        size = int(rng.choice(KERNEL_SIZES))
        if rng.random() < self.sinc:
            return convolve(x, sinc_kernel(size, rng.uniform(math.pi / (3 if size < 13 else 5), math.pi)))
        kind = str(rng.choice(KINDS, p=KIND_PROBABILITIES))
        first = rng.uniform(*self.std)
        second, angle = (rng.uniform(*self.std), rng.uniform(-math.pi, math.pi)) if "aniso" in kind else (first, 0.0)
        power = 1.0
        if kind.startswith("generalised"):
            power = rng.uniform(0.5, 4.0)
        elif kind.startswith("plateau"):
            power = rng.uniform(1.0, 2.0)
        return convolve(x, bell_kernel(size, first, second, angle, power, plateau=kind.startswith("plateau")))


def bell_kernel(
    size: int, first_std: float, second_std: float, angle: float, power: float, plateau: bool = False
) -> NDArray[np.float64]:
    """Return a bell-shaped blur kernel ``[size, size]`` with the sum 1.

    Args:
        size: height and width in pixels, odd.
        first_std: standard deviation along the first axis of the kernel, in pixels.
        second_std: standard deviation along the second axis, in pixels.
        angle: direction of the first axis, in radians.
        power: exponent ``b`` of `RandomBlur`; 1 gives a Gaussian.
        plateau: whether the kernel is a plateau ``1 / (1 + d**b)``.
    """
    at = np.arange(size) - size // 2
    x, y = np.meshgrid(at, at)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    distance = (along / first_std) ** 2 + (across / second_std) ** 2
    kernel: NDArray[np.float64] = 1 / (1 + distance**power) if plateau else np.exp(-0.5 * distance**power)
    return kernel / kernel.sum()


def sinc_kernel(size: int, cutoff: float) -> NDArray[np.float64]:
    """Return an ideal isotropic low-pass kernel ``[size, size]`` with the sum 1.

    Args:
        size: height and width in pixels, odd.
        cutoff: highest frequency that passes, in radians per pixel, above 0 to pi.

    Source: Wang et al., "Real-ESRGAN", ICCV Workshops 2021, equation 6.
    """
    from scipy.special import j1

    at = np.arange(size) - size // 2
    r = np.hypot(*np.meshgrid(at, at))
    r[size // 2, size // 2] = 1.0  # The formula divides by r, so the value at the centre is set below.
    kernel: NDArray[np.float64] = cutoff * j1(cutoff * r) / (2 * math.pi * r)
    kernel[size // 2, size // 2] = cutoff**2 / (4 * math.pi)
    return kernel / kernel.sum()


def convolve(x: Tensor, kernel: NDArray[np.float64]) -> Tensor:
    """Return an image ``[C, H, W]`` filtered with a kernel of odd height and width. The borders are padded with the
    nearest pixel."""
    weight, half = torch.from_numpy(kernel).to(x.dtype)[None, None], len(kernel) // 2
    return F.conv2d(F.pad(x[:, None], [half] * 4, mode="replicate"), weight)[:, 0]


@dataclass(eq=False)
class RandomResize(Degradation):
    """Resize an image by a random factor with a random interpolation: area, bilinear or bicubic, without antialiasing.

    Args:
        up: probability of enlarging, 0 to 1.
        down: probability of shrinking, 0 to 1. With the remaining probability, the size does not change.
        smallest: smallest factor, 0.05 to 1.
        largest: largest factor, 1 to 4.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import RandomResize
        >>> RandomResize()(torch.zeros(3, 32, 32), np.random.default_rng(0)).shape[0]
        3
    """

    dims = 3
    up: float = 0.2
    down: float = 0.7
    smallest: float = 0.15
    largest: float = 1.5

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return self.resize(x, x.shape[-2], x.shape[-1], rng)

    def resize(self, x: Tensor, height: float, width: float, rng: Rng) -> Tensor:
        """Return an image ``[C, H, W]`` resized to ``height`` and ``width``, in pixels, after both are multiplied by a
        random factor."""
        draw, factor = rng.random(), 1.0
        if draw < self.up:
            factor = rng.uniform(1.0, self.largest)
        elif draw < self.up + self.down:
            factor = rng.uniform(self.smallest, 1.0)
        return interpolate(x, (max(2, round(height * factor)), max(2, round(width * factor))), rng)


def interpolate(x: Tensor, size: tuple[int, int], rng: Rng) -> Tensor:
    """Return an image ``[C, H, W]`` resized to a height and width, with a random interpolation of `INTERPOLATIONS`."""
    mode = str(rng.choice(INTERPOLATIONS))
    return F.interpolate(x[None], size, mode=mode, align_corners=None if mode == "area" else False)[0]


@dataclass(eq=False)
class CameraNoise(Degradation):
    """Add Gaussian or Poisson noise to an image, each with probability 1/2. The result is clamped to -1 ... 1.

    Args:
        std: standard deviation of the Gaussian noise, 0 to 255, in levels of 8-bit pixels.
        poisson: factor by which Poisson noise is multiplied, 0 to 10. With a factor of 1, a white pixel has 256 photons
            on average.
        grey: probability that all channels get the same noise, 0 to 1.

    Source: Wang et al., "Real-ESRGAN", ICCV Workshops 2021, section 3.1.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import CameraNoise
        >>> CameraNoise()(torch.zeros(3, 8, 8), np.random.default_rng(0)).shape
        torch.Size([3, 8, 8])
    """

    dims, channels = 3, (1, 3)
    std: Annotated[Range, 0, 255] = (1.0, 30.0)
    poisson: Annotated[Range, 0, 10] = (0.05, 3.0)
    grey: float = 0.4

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        gaussian, grey = rng.random() < 0.5, rng.random() < self.grey
        if gaussian:
            shape = (1, *x.shape[1:]) if grey else tuple(x.shape)
            noise = rng.standard_normal(shape) * (rng.uniform(*self.std) / 127.5)
        else:
            luma = torch.einsum("c,chw->hw", torch.tensor(LUMA, dtype=x.dtype), x)[None] if len(x) == 3 else x
            light = ((luma if grey else x).double().clamp(-1, 1).numpy() + 1) / 2
            noise = (rng.poisson(light * PHOTONS) / PHOTONS - light) * (2 * rng.uniform(*self.poisson))
        return (x + torch.from_numpy(noise).to(x.dtype)).clamp(-1, 1)


@dataclass(eq=False)
class BlindDegradation(Degradation):
    """Degrade and downsample an image as unknown cameras and web sites do, for training blind super-resolution.

    The image is blurred, resized, made noisy and compressed as JPEG, all with random strengths. These steps are applied
    twice, the second time more weakly. Finally, the image is resized to its height and width divided by `factor`,
    filtered with a sinc kernel with probability 0.8, and rounded to 256 levels. At random, the second JPEG compression
    happens before this last resizing or after the filter. All probabilities and ranges are those of the paper's code.

    Args:
        factor: downsampling factor, 1 to 16. It must divide the height and the width.

    Source: Wang et al., "Real-ESRGAN: Training real-world blind super-resolution with pure synthetic data", ICCV
    Workshops 2021, section 3 and figure 2.

    Examples:
        >>> BlindDegradation(factor=4)(torch.zeros(3, 64, 64)).shape
        torch.Size([3, 16, 16])
    """

    dims, channels = 3, (1, 3)
    factor: Annotated[int, 1, 16] = 4

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        height, width = x.shape[-2:]
        if height % self.factor or width % self.factor:
            raise self.error(f"factor={self.factor} does not divide {list(x.shape)}; choose another data.size")
        small, compress = (height // self.factor, width // self.factor), Jpeg(quality=(30, 95))
        x = RandomBlur().apply(x, rng)
        x = RandomResize().apply(x, rng)
        x = compress.apply(CameraNoise().apply(x, rng), rng)
        x = RandomBlur(std=(0.2, 1.5), probability=0.8).apply(x, rng)
        x = RandomResize(up=0.3, down=0.4, smallest=0.3, largest=1.2).resize(x, *small, rng)
        x = CameraNoise(std=(1.0, 25.0), poisson=(0.05, 2.5)).apply(x, rng)
        first = rng.random() < 0.5
        if first:
            x = compress.apply(x, rng)
        x = interpolate(x, small, rng)
        if rng.random() < 0.8:
            x = convolve(x, sinc_kernel(int(rng.choice(KERNEL_SIZES)), rng.uniform(math.pi / 3, math.pi)))
        if not first:
            x = compress.apply(x, rng)
        return x.clamp(-1, 1).add(1).mul(127.5).round().sub(127.5).div(127.5).contiguous()
