"""Degradations of signals, for training a generator to restore the original from a degraded source.

Add a degraded column under ``data.columns``. `Steps` chains several degradations::

    data:
      columns:
        source: {_target_: audiogan.data.degrade.Downsample, factor: 4}

Call a degradation as ``degrade(x, rng)`` to degrade one signal, or with a table to get a column of degraded signals.
Parameters of type ``Range`` are a number or a pair ``[low, high]``; a pair is sampled uniformly per example.
Images ``[C, H, W]`` range from -1 (black) to 1 (white). Sounds have the shape ``[C, T]``.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, get_type_hints

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.data.columns import Column, Derived
from audiogan.data.table import Table
from audiogan.errors import UserError

Rng = np.random.Generator
Range = Any  # A number or a pair [low, high]. Instances store the pair (low, high).

LUMA = (0.299, 0.587, 0.114)  # Weights of red, green and blue in luma (ITU-R BT.601).
SLOPES = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # Exponents of the frequency in the magnitude spectrum.
QUIET = 1e-10  # Mean square below which a sound counts as silent.


def column_sample_rate(table: Table, name: str) -> int | None:
    """Return the sample rate in Hz of the column ``name``, or ``None`` if the column has no sample rate."""
    return getattr(getattr(table.columns.get(name), "modality", None), "sample_rate", None)


@dataclass(eq=False)
class Degradation:
    """Base class of degradations. Subclasses implement `apply`.

    Args:
        input: name of the column to degrade. Default: the signal ``x``.
    """

    dims: ClassVar[int | None] = None  # Required number of dimensions of a signal. None: any.
    channels: ClassVar[tuple[int, ...]] = ()  # Supported numbers of channels. Empty: any.
    input: str = field(default="x", kw_only=True)

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            if limits := getattr(hint, "__metadata__", None):
                setattr(self, name, self._checked(name, getattr(self, name), hint.__origin__ is int, *limits))

    def _checked(self, name: str, value: Any, whole: bool, low: float, high: float) -> Any:
        """Return an integer parameter as it is, or a range as (low, high). Raise `UserError` if it is out of limits."""
        pair = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
        numbers = all(isinstance(v, int if whole else int | float) and not isinstance(v, bool) for v in pair)
        if len(pair) != 2 or not numbers or not low <= pair[0] <= pair[1] <= high or (whole and pair[0] != value):
            kind = "whole number" if whole else "number"
            more = "" if whole else ", or a range [low, high]"
            raise self.error(f"{name}={value!r}: must be a {kind} from {low:g} to {high:g}{more}")
        return value if whole else (float(pair[0]), float(pair[1]))

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        """Return a degraded copy of one signal, ``[C, T]`` or ``[C, H, W]``."""
        raise NotImplementedError

    def bind(self, table: Table) -> Degradation:
        """Return this degradation with parameters taken from the table, such as the sample rate."""
        return self

    def column(self, table: Table) -> Column:
        """Return the column of degraded signals for a table. Raise `UserError` if its signals are not supported."""
        return Derived(self.input, self.bind(table))(table)

    def __call__(self, x: Any, rng: Rng | None = None) -> Any:
        if not isinstance(x, Tensor):
            return self.column(x)
        if self.dims not in (None, x.dim()):
            wanted = "sounds [C, T]" if self.dims == 2 else "images [C, H, W]"
            raise self.error(f"needs {wanted}, got {list(x.shape)}")
        if self.channels and len(x) not in self.channels:
            raise self.error(f"needs {' or '.join(map(str, self.channels))} channels, got {list(x.shape)}")
        return self.apply(x, rng or np.random.default_rng(0))

    def error(self, message: str) -> UserError:
        """Return a `UserError` with the class name before the message."""
        return UserError(f"{type(self).__name__}: {message}")


@dataclass(eq=False)
class Steps(Degradation):
    """Sequence of degradations, applied in order.

    Args:
        steps: degradations, at least one.
    """

    steps: Sequence[Degradation]

    def __post_init__(self) -> None:
        if not self.steps or not all(isinstance(step, Degradation) for step in self.steps):
            raise self.error("steps: must be a list of degradations, such as audiogan.data.degrade.Grey")

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        for step in self.steps:
            x = step(x, rng)
        return x

    def bind(self, table: Table) -> Degradation:
        return Steps([step.bind(table) for step in self.steps], input=self.input)


@dataclass(eq=False)
class Downsample(Degradation):
    """Downsample an image for super-resolution with an antialiased bicubic kernel, like MATLAB's ``imresize``.

    Args:
        factor: downsampling factor, 2 to 16. It must divide the height and the width.
        enlarge: upsample the result to the original size (bicubic), for generators whose source has the target's size.

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
    """Convert an RGB image to a grey image ``[1, H, W]`` (luma), for training colourisation."""

    dims, channels = 3, (1, 3)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return x.clone() if len(x) == 1 else torch.einsum("c,chw->hw", torch.tensor(LUMA, dtype=x.dtype), x)[None]


@dataclass(eq=False)
class GaussianNoise(Degradation):
    """Add white Gaussian noise to a signal. The result is not clipped, because clipping would shift the mean.

    Args:
        std: standard deviation in units of the signal, 0 to 2. For 8-bit images, the literature's sigma = 25 is
            25 / 127.5 = 0.196.

    Source: Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP 2017.
    """

    std: Annotated[Range, 0, 2] = (0.0, 0.4)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return x + rng.uniform(*self.std) * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))


@dataclass(eq=False)
class PoissonNoise(Degradation):
    """Add photon (Poisson) noise to an image, as in a photograph taken in low light.

    Args:
        peak: mean photon count of a white pixel, 0.1 to 1e6. The standard deviation of its noise is 2 / sqrt(peak).

    Source: Foi et al., "Practical Poissonian-Gaussian noise modeling", IEEE TIP 2008.
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
    """

    dims = 3
    std: Annotated[Range, 0, 64] = 2.0

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        from scipy.ndimage import gaussian_filter

        std = rng.uniform(*self.std)
        return torch.from_numpy(gaussian_filter(x.numpy(), (0, std, std), mode="reflect", truncate=4))


@dataclass(eq=False)
class Jpeg(Degradation):
    """Compress an image as JPEG (4:2:0) and decode it.

    Args:
        quality: JPEG quality, 1 to 95. Blocks are visible below about 30.
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
        side: height and width of the rectangle relative to the image, 0 to 1, drawn independently.
        centred: centre the rectangle. Default: a random position.

    Source: Pathak et al., "Context encoders", CVPR 2016, section 3.3.
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
        strokes: maximum number of strokes, 1 to 32. Each mask has at least one.
        width: brush width relative to the shorter side of the image, 0.01 to 0.5.

    Source: Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, appendix.
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
class Hole(Degradation):
    """Replace the masked pixels of an image by a constant, for training inpainting.

    Args:
        mask: `Mask` drawn for each example, or the name of a column of masks ``[1, H, W]``. A column also serves as
            an input of the networks.
        fill: value of the masked pixels, -1 (black) to 1 (white).
        append: append the mask as the last channel, which gives ``[C + 1, H, W]``.
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


@dataclass(eq=False)
class MixNoise(Degradation):
    """Add noise to a sound at a given signal-to-noise ratio. Silent sounds are returned unchanged.

    Args:
        snr: signal-to-noise ratio in dB, -30 to 100: the ratio of mean squares over all channels and samples.
        noise: spectrum of synthetic noise: ``white`` (flat), ``pink`` (power 1/f) or ``brown`` (1/f²). Channels are
            independent.
        sounds: table of recorded noises with the sample rate of the data, used instead of ``noise``. Example:
            ``{_target_: audiogan.data.open_sounds, root: FOLDER}``. The noise starts at a random position of a random
            recording, which is looped if it is shorter than the sound.
    """

    dims = 2
    snr: Annotated[Range, -30, 100] = (0.0, 20.0)
    noise: str = "white"
    sounds: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise not in SLOPES:
            raise self.error(f"noise={self.noise!r}: choose one of {', '.join(SLOPES)}")
        if self.sounds is not None and not len(self.sounds):
            raise self.error("sounds: the table of noises is empty")

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        snr = rng.uniform(*self.snr)
        added = self._noise(x.shape[0], x.shape[1], rng) if self.sounds is None else self._recorded(x, rng)
        signal, noise = (float(v.double().square().mean()) for v in (x, added))
        return x + added * (signal / noise / 10 ** (snr / 10)) ** 0.5 if min(signal, noise) >= QUIET else x.clone()

    def bind(self, table: Table) -> Degradation:
        mine, theirs = self.sounds and column_sample_rate(self.sounds, "x"), column_sample_rate(table, self.input)
        if None not in (mine, theirs) and mine != theirs:
            raise self.error(f"sounds: the noises have {mine} Hz, the data {theirs} Hz; use equal sample rates")
        return self

    def _noise(self, channels: int, length: int, rng: Rng) -> Tensor:
        white = rng.standard_normal((channels, length), np.float32)
        if self.noise == "white" or length < 2:
            return torch.from_numpy(white)
        spectrum = np.fft.rfft(white)
        bins = np.maximum(np.arange(spectrum.shape[-1]), 1)
        spectrum[:, 0] = 0
        return torch.from_numpy(np.fft.irfft(spectrum * bins ** SLOPES[self.noise], length).astype(np.float32))

    def _recorded(self, x: Tensor, rng: Rng) -> Tensor:
        sound = self.sounds.signals(np.array([int(rng.integers(len(self.sounds)))]))[0]
        if len(sound) != len(x):
            sound = sound.mean(0, keepdim=True).expand(len(x), -1)
        start = int(rng.integers(sound.shape[1]))
        return sound[:, (torch.arange(x.shape[1]) + start) % sound.shape[1]]


@dataclass(eq=False)
class BandLimit(Degradation):
    """Limit the bandwidth of a sound by resampling it to a lower rate and back, for training bandwidth extension.

    Args:
        rate: lower sample rate in Hz, 100 to 384,000. Rates of ``sample_rate`` or more change nothing.
        sample_rate: sample rate of the sounds in Hz. Default: that of the table.
    """

    dims = 2
    rate: Annotated[Range, 100, 384_000] = 8000.0
    sample_rate: int | None = None

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        import soxr

        low, high, length = round(rng.uniform(*self.rate)), self.sample_rate, x.shape[-1]
        if high is None:
            raise self.error("the signals have no sample rate; give sample_rate in Hz")
        if low >= high:
            return x.clone()
        y = soxr.resample(soxr.resample(x.T.numpy(), high, low, quality="HQ"), low, high, quality="HQ")[:length]
        out = torch.zeros_like(x)
        out[:, : len(y)] = torch.from_numpy(np.ascontiguousarray(y.T))
        return out

    def bind(self, table: Table) -> Degradation:
        return replace(self, sample_rate=self.sample_rate or column_sample_rate(table, self.input))


@dataclass(eq=False)
class Clip(Degradation):
    """Clip a sound (hard clipping).

    Args:
        level: clipping level relative to the peak of the sound, 0.001 to 1. At 1, nothing is clipped.
    """

    dims = 2
    level: Annotated[Range, 1e-3, 1] = (0.1, 0.5)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        most = float(x.abs().max()) * rng.uniform(*self.level)
        return x.clamp(-most, most)
