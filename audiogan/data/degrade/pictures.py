"""Degradations of pictures `[C, H, W]`, -1 (black) ... 1 (white)."""

from __future__ import annotations

import io

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.data.degrade.base import Degradation, Range, Shape, drawn, gaussian, limits, picture, shown, whole
from audiogan.errors import UserError

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow


class Downsample(Degradation):
    """Make a picture smaller, antialiased, as for super-resolution.

    Bicubic with a kernel widened by the factor, as MATLAB's ``imresize``, the convention of the field (Timofte et al.,
    "NTIRE 2017 challenge on single image super-resolution", CVPR Workshops 2017).

    Args:
        factor: from 2 to 16; height and width must be multiples of it.
        enlarge: scale back to the original size (bicubic), for generators with sources of the target's size.
        of: the column that is degraded.
    """

    def __init__(self, factor: int = 4, enlarge: bool = False, of: str = "x") -> None:
        super().__init__(of)
        self.factor, self.enlarge = whole(self, "factor", factor, 2, 16), bool(enlarge)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        height, width = x.shape[-2:]
        small = (height // self.factor, width // self.factor)
        y = F.interpolate(x[None], small, mode="bicubic", antialias=True, align_corners=False)
        if self.enlarge:
            y = F.interpolate(y, (height, width), mode="bicubic", align_corners=False)
        return y[0].clamp(-1, 1)

    def shape(self, of: Shape) -> Shape:
        channels, *sides = picture(self, of)
        if any(side is not None and side % self.factor for side in sides):
            raise UserError(f"Downsample: factor={self.factor} does not divide {shown(of)}; choose another data.size")
        return of if self.enlarge else (channels, *(None if side is None else side // self.factor for side in sides))


class Grey(Degradation):
    """Turn a colour picture into a grey one `[1, H, W]`, as for colourisation. The luma of ITU-R BT.601."""

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        if x.shape[0] == 1:
            return x.clone()
        return torch.einsum("c,chw->hw", torch.tensor(LUMA, dtype=x.dtype), x)[None]

    def shape(self, of: Shape) -> Shape:
        channels, *sides = picture(self, of)
        if channels not in (1, 3):
            raise UserError(f"Grey: needs 1 or 3 channels, got {shown(of)}")
        return (1, *sides)


class GaussianNoise(Degradation):
    """Add white Gaussian noise. Values beyond the range of pictures are kept, since clipping them shifts the mean.

    Args:
        std: standard deviation in units of the signal, 0 ... 2, or a range. The literature's "sigma = 25" of 255 is
            25 / 127.5 = 0.196 (Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 2017).
        of: the column that is degraded.
    """

    def __init__(self, std: Range = (0.0, 0.4), of: str = "x") -> None:
        super().__init__(of)
        self.std = limits(self, "std", std, 0, 2)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        return x + drawn(self.std, rng) * gaussian(rng, x.shape)


class PoissonNoise(Degradation):
    """Replace each pixel by a photon count, as in a dark photograph.

    Args:
        peak: mean photons of a white pixel, 0.1 ... 1e6, or a range. The noise of a white pixel has the standard
            deviation 2 / sqrt(peak) (Foi et al., "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008).
        of: the column that is degraded.
    """

    def __init__(self, peak: Range = 30.0, of: str = "x") -> None:
        super().__init__(of)
        self.peak = limits(self, "peak", peak, 0.1, 1e6)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        peak = drawn(self.peak, rng)
        photons = rng.poisson((x.double().clamp(-1, 1).numpy() + 1) * (peak / 2))
        return torch.from_numpy(photons * (2 / peak) - 1).to(x.dtype)


class Blur(Degradation):
    """Blur a picture with a Gaussian. Beyond its borders the picture is mirrored.

    Args:
        std: standard deviation in pixels, 0 ... 64, or a range.
        of: the column that is degraded.
    """

    def __init__(self, std: Range = 2.0, of: str = "x") -> None:
        super().__init__(of)
        self.std = limits(self, "std", std, 0, 64)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        from scipy.ndimage import gaussian_filter

        std = drawn(self.std, rng)
        return torch.from_numpy(gaussian_filter(x.numpy(), (0, std, std), mode="reflect", truncate=4))

    def shape(self, of: Shape) -> Shape:
        picture(self, of)
        return of


class Jpeg(Degradation):
    """Encode a picture as JPEG and decode it. Colour has half the resolution (4:2:0), Pillow's default.

    Args:
        quality: from 1 to 95, or a range. Blocks of 8x8 pixels become visible below about 30.
        of: the column that is degraded.
    """

    def __init__(self, quality: Range = (5, 40), of: str = "x") -> None:
        super().__init__(of)
        self.quality = limits(self, "quality", quality, 1, 95)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        from PIL import Image

        quality, stream = round(drawn(self.quality, rng)), io.BytesIO()
        pixels = x.add(1).mul(127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels if len(x) == 3 else pixels[..., 0]).save(stream, "JPEG", quality=quality)
        with Image.open(stream) as decoded:
            values = torch.from_numpy(np.array(decoded).reshape(pixels.shape)).permute(2, 0, 1)
        return values.to(x.dtype).sub(127.5).div(127.5).contiguous()

    def shape(self, of: Shape) -> Shape:
        if picture(self, of)[0] not in (1, 3):
            raise UserError(f"Jpeg: needs 1 or 3 channels, got {shown(of)}")
        return of
