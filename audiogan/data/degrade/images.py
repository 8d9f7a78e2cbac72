"""Degradations of images: downsampling, conversion to grey, noise, blur, JPEG compression, and masks."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.data.columns import Column, Derived
from audiogan.data.degrade.base import Degradation, Range, Rng
from audiogan.data.table import Table
from audiogan.representations.lab import LUMA, grey_of_same_lightness


@dataclass(eq=False)
class Downsample(Degradation):
    """Downsample an image for super-resolution with an antialiased bicubic kernel, like MATLAB's ``imresize``.

    Args:
        factor: downsampling factor, 2 to 16. It must divide the height and the width.
        enlarge: upsample the result to the original size (bicubic), for generators whose output is as large as
            their input.

    Source: Timofte et al., "NTIRE 2017 challenge on single image super-resolution", CVPR Workshops 2017.

    Examples:
        >>> Downsample(factor=2)(torch.zeros(3, 64, 64)).shape
        torch.Size([3, 32, 32])
    """

    dims = 3
    factor: Annotated[int, 2, 16] = 4
    enlarge: bool = False

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        height, width = x.shape[-2:]
        if height % self.factor or width % self.factor:
            raise self.error(f"factor={self.factor} does not divide {list(x.shape)}; choose another data.size")
        small = (height // self.factor, width // self.factor)
        y = F.interpolate(x[None], small, mode="bicubic", antialias=True, align_corners=False)
        if self.enlarge:
            y = F.interpolate(y, (height, width), mode="bicubic", align_corners=False)
        return y[0].clamp(-1, 1)


@dataclass(eq=False)
class Grey(Degradation):
    """Convert an RGB image to a grey image ``[1, H, W]``, for training colourisation.

    Args:
        lightness: preserve the CIE lightness L* of the colour image. Default: preserve the luma (ITU-R BT.601), as most
            image programs do.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import Grey
        >>> Grey()(torch.ones(3, 8, 8)).shape
        torch.Size([1, 8, 8])
    """

    dims, channels = 3, (1, 3)
    lightness: bool = False

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        if len(x) == 1:
            return x.clone()
        if self.lightness:
            return grey_of_same_lightness(x)
        return torch.einsum("c,chw->hw", torch.tensor(LUMA, dtype=x.dtype), x)[None]


@dataclass(eq=False)
class GaussianNoise(Degradation):
    """Add white Gaussian noise to a signal. The result is not clipped, because clipping would shift the mean.

    Args:
        std: standard deviation in units of the signal, 0 to 2. A standard deviation of 25 on the scale from 0 to 255,
            common in papers, is 25 / 127.5 = 0.196 on the scale from -1 to 1.

    Source: Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 2017.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import GaussianNoise
        >>> noisy = GaussianNoise(std=0.1)(torch.zeros(3, 64, 64), np.random.default_rng(0))
        >>> round(noisy.std().item(), 2)
        0.1
    """

    std: Annotated[Range, 0, 2] = (0.0, 0.4)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return x + rng.uniform(*self.std) * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))


@dataclass(eq=False)
class PoissonNoise(Degradation):
    """Add photon (Poisson) noise to an image, as in a photograph taken in low light.

    Args:
        peak: mean photon count of a white pixel, 0.1 to 1e6. On the scale from -1 to 1, the noise of a white
            pixel has the standard deviation 2 / sqrt(peak).

    Source: Foi et al., "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import PoissonNoise
        >>> black = torch.full((1, 4, 4), -1.0)
        >>> PoissonNoise(peak=30.0)(black, np.random.default_rng(0)).unique()  # Black has no noise.
        tensor([-1.])
    """

    peak: Annotated[Range, 0.1, 1e6] = 30.0

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        peak = rng.uniform(*self.peak)
        photons = rng.poisson((x.double().clamp(-1, 1).numpy() + 1) * (peak / 2))
        return torch.from_numpy(photons * (2 / peak) - 1).to(x.dtype)


@dataclass(eq=False)
class Blur(Degradation):
    """Blur an image with a Gaussian kernel. The borders are padded by reflection.

    Args:
        std: standard deviation of the kernel in pixels, 0 to 64.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import Blur
        >>> image = torch.zeros(1, 9, 9)
        >>> image[0, 4, 4] = 1
        >>> Blur(std=1.0)(image).max().item() < 0.2
        True
    """

    dims = 3
    std: Annotated[Range, 0, 64] = 2.0

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        from scipy.ndimage import gaussian_filter

        std = rng.uniform(*self.std)
        return torch.from_numpy(gaussian_filter(x.numpy(), (0, std, std), mode="reflect", truncate=4))


@dataclass(eq=False)
class Jpeg(Degradation):
    """Compress an image as JPEG with 4:2:0 chroma subsampling, and decode it.

    Args:
        quality: JPEG quality, 1 to 95. Blocks are visible below about 30.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import Jpeg
        >>> Jpeg(quality=20)(torch.zeros(3, 16, 16)).shape
        torch.Size([3, 16, 16])
    """

    dims, channels = 3, (1, 3)
    quality: Annotated[Range, 1, 95] = (5, 40)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        from PIL import Image

        quality, stream = round(rng.uniform(*self.quality)), io.BytesIO()
        pixels = x.add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels if len(x) == 3 else pixels[..., 0]).save(stream, "JPEG", quality=quality)
        with Image.open(stream) as decoded:
            values = torch.from_numpy(np.array(decoded).reshape(pixels.shape)).permute(2, 0, 1)
        return values.to(x.dtype).sub(127.5).div(127.5).contiguous()


@dataclass(eq=False)
class Mask(Degradation):
    """Base class of random masks for inpainting: float32 ``[1, H, W]``, 1 for missing and 0 for known pixels."""

    dims = 3

    def draw_mask(self, height: int, width: int, rng: Rng) -> np.ndarray:
        """Draw a mask, bool ``[H, W]``, ``True`` for missing pixels."""
        raise NotImplementedError

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return torch.from_numpy(self.draw_mask(x.shape[-2], x.shape[-1], rng).astype(np.float32))[None]


@dataclass(eq=False)
class BoxMask(Mask):
    """Mask with one missing rectangle.

    Args:
        side: height and width of the rectangle, as fractions of those of the image, 0 to 1. A number, or a pair
            ``[low, high]`` from which each of the two is drawn separately.
        centred: centre the rectangle. Default: a random position.

    Source: Pathak et al., "Context encoders", CVPR 2016, section 3.3.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import BoxMask
        >>> BoxMask(side=0.5, centred=True)(torch.zeros(3, 8, 8)).mean().item()  # a quarter of the pixels
        0.25
    """

    side: Annotated[Range, 0, 1] = (0.25, 0.5)
    centred: bool = False

    def draw_mask(self, height: int, width: int, rng: Rng) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        h, w = (max(1, round(rng.uniform(*self.side) * side)) for side in (height, width))
        top, left = (int(rng.integers(0, most + 1)) for most in (height - h, width - w))
        if self.centred:
            top, left = (height - h) // 2, (width - w) // 2
        mask[top : top + h, left : left + w] = True
        return mask


@dataclass(eq=False)
class FreeFormMask(Mask):
    """Mask of random brush strokes with bends.

    Args:
        strokes: maximum number of strokes, 1 to 32. Each mask has at least one stroke.
        width: width of the brush, as a fraction of the shorter side of the image, 0.01 to 0.5.

    Source: Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, appendix.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import FreeFormMask
        >>> FreeFormMask()(torch.zeros(3, 32, 32), np.random.default_rng(0)).unique()
        tensor([0., 1.])
    """

    strokes: Annotated[int, 1, 32] = 4
    width: Annotated[Range, 0.01, 0.5] = (0.05, 0.15)

    def draw_mask(self, height: int, width: int, rng: Rng) -> np.ndarray:
        from PIL import Image, ImageDraw

        canvas = Image.new("L", (width, height), 0)
        draw, side = ImageDraw.Draw(canvas), min(height, width)
        for _ in range(int(rng.integers(1, self.strokes + 1))):
            brush = max(1, round(rng.uniform(*self.width) * side))
            x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, 2 * math.pi)
            for i in range(int(rng.integers(3, 9))):
                turn = rng.uniform(0.3, 1.6)
                angle += math.pi - turn if i % 2 else turn
                length, r = rng.uniform(0.1, 0.35) * side, brush / 2
                nx = min(max(x + length * math.cos(angle), 0.0), width - 1.0)
                ny = min(max(y + length * math.sin(angle), 0.0), height - 1.0)
                draw.line((x, y, nx, ny), fill=255, width=brush)
                draw.ellipse((nx - r, ny - r, nx + r, ny + r), fill=255)
                x, y = nx, ny
        return np.asarray(canvas) > 0


@dataclass(eq=False)
class MaskChoice(Mask):
    """Union of one or more masks, chosen at random from a list. All combinations are equally likely.

    Args:
        masks: kinds of masks, at least one.

    Examples:
        >>> import numpy as np, torch
        >>> from audiogan.data.degrade import BoxMask, FreeFormMask, MaskChoice
        >>> MaskChoice([BoxMask(), FreeFormMask()])(torch.zeros(3, 32, 32), np.random.default_rng(0)).shape
        torch.Size([1, 32, 32])
    """

    masks: Sequence[Mask]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.masks or not all(isinstance(mask, Mask) for mask in self.masks):
            raise self.error("masks: must be a list of masks, such as audiogan.data.degrade.BoxMask")

    def draw_mask(self, height: int, width: int, rng: Rng) -> np.ndarray:
        # Mask i is used if bit i of the number is 1. At least one bit is 1.
        chosen = int(rng.integers(1, 1 << len(self.masks)))
        used = [mask.draw_mask(height, width, rng) for i, mask in enumerate(self.masks) if chosen >> i & 1]
        return np.logical_or.reduce(used)


@dataclass(eq=False)
class Hole(Degradation):
    """Replace the masked pixels of an image by a constant, for training inpainting.

    Args:
        mask: `Mask` drawn for each example, or the name of a column of masks ``[1, H, W]``. With a column, networks
            can also use the mask as an input.
        fill: value of the masked pixels, -1 (black) to 1 (white).
        append: append the mask as the last channel, which gives ``[C + 1, H, W]``.

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import BoxMask, Hole
        >>> Hole(BoxMask(side=0.5, centred=True))(torch.ones(1, 4, 4)).sum().item()  # 4 of 16 pixels are missing.
        12.0
    """

    dims = 3
    mask: Mask | str = "mask"
    fill: Annotated[Range, -1, 1] = 0.0
    append: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.mask, Mask | str):
            raise self.error(f"mask={self.mask!r}: must be the name of a column, or a mask such as BoxMask")

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        if isinstance(self.mask, str):
            raise self.error(f"mask={self.mask!r} names a column; inside Steps use a mask such as BoxMask")
        return self.apply_mask(x, self.mask.apply(x, rng))

    def column(self, table: Table) -> Column:
        if isinstance(self.mask, str):
            return Derived((self.input, self.mask), lambda x, mask, rng: self.apply_mask(x, mask))(table)
        return super().column(table)

    def apply_mask(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return images ``[..., C, H, W]`` with `fill` at the pixels where the masks ``[..., 1, H, W]`` are 1."""
        holed = torch.where(mask > 0.5, torch.as_tensor(self.fill[0], dtype=x.dtype), x)
        return torch.cat([holed, mask.to(x.dtype)], -3) if self.append else holed
