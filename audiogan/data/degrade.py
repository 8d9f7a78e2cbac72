"""Degrade a signal, so that a generator learns to restore it: a source computed from the target.

Name one under ``data.columns``; several in a row with `Steps`::

    data:
      columns:
        source: {_target_: audiogan.data.degrade.Downsample, factor: 4}

A degradation depends only on a signal and a random generator, ``degrade(x, rng)``. Called with a table, it returns the
column of degraded signals. A setting of the type ``Range`` is a number, or ``[low, high]``, from which each example
draws uniformly; its annotation has the limits. Pictures ``[C, H, W]`` are from -1 (black) to 1 (white); sounds are
``[C, T]``.
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
Range = Any  # a number or [low, high]; an object keeps (low, high)

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow
SLOPES = {"white": 0.0, "pink": -0.5, "brown": -1.0}  # exponent of the frequency in the magnitude spectrum
QUIET = 1e-10  # mean square below which a sound counts as silent


def column_sample_rate(table: Table, name: str) -> int | None:
    """Return the sample rate of a column in Hz; ``None`` where it has none."""
    return getattr(getattr(table.columns.get(name), "modality", None), "sample_rate", None)


@dataclass(eq=False)
class Degradation:
    """Base class; subclasses define `apply`. ``of``: the column that is degraded."""

    dims: ClassVar[int | None] = None  # of the signals that it takes; None: any
    channels: ClassVar[tuple[int, ...]] = ()  # that it takes; empty: any
    input: str = field(default="x", kw_only=True)

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            if limits := getattr(hint, "__metadata__", None):
                setattr(self, name, self._checked(name, getattr(self, name), hint.__origin__ is int, *limits))

    def _checked(self, name: str, value: Any, whole: bool, low: float, high: float) -> Any:
        """Return a whole number, or a range as (low, high); UserError where it is out of the limits."""
        pair = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
        numbers = all(isinstance(v, int if whole else int | float) and not isinstance(v, bool) for v in pair)
        if len(pair) != 2 or not numbers or not low <= pair[0] <= pair[1] <= high or (whole and pair[0] != value):
            kind = "whole number" if whole else "number"
            more = "" if whole else ", or a range [low, high]"
            raise self.error(f"{name}={value!r}: must be a {kind} from {low:g} to {high:g}{more}")
        return value if whole else (float(pair[0]), float(pair[1]))

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        """Return a degraded copy of one signal ``[*shape]``."""
        raise NotImplementedError

    def bind(self, table: Table) -> Degradation:
        """Return this degradation with what the table decides, such as the sample rate."""
        return self

    def column(self, table: Table) -> Column:
        """Return the column of degraded signals of a table; UserError if its signals do not fit."""
        return Derived(self.input, self.bind(table))(table)

    def __call__(self, x: Any, rng: Rng | None = None) -> Any:
        if not isinstance(x, Tensor):
            return self.column(x)
        if self.dims not in (None, x.dim()):
            wanted = "sounds [C, T]" if self.dims == 2 else "pictures [C, H, W]"
            raise self.error(f"needs {wanted}, got {list(x.shape)}")
        if self.channels and len(x) not in self.channels:
            raise self.error(f"needs {' or '.join(map(str, self.channels))} channels, got {list(x.shape)}")
        return self.apply(x, rng or np.random.default_rng(0))

    def error(self, what: str) -> UserError:
        """Return an error that names the class."""
        return UserError(f"{type(self).__name__}: {what}")


@dataclass(eq=False)
class Steps(Degradation):
    """Several degradations, one after the other."""

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
    """Make a picture smaller, for super-resolution: bicubic with a kernel widened by the factor, as MATLAB's imresize.

    The convention of Timofte et al., "NTIRE 2017 challenge on single image super-resolution", CVPR Workshops 2017.
    Height and width must be multiples of ``factor``, 2 ... 16. With ``enlarge`` the picture is scaled back (bicubic),
    for generators with sources of the target's size.

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
    """Turn a colour picture into a grey one ``[1, H, W]`` (luma), as for colourisation."""

    dims, channels = 3, (1, 3)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return x.clone() if len(x) == 1 else torch.einsum("c,chw->hw", torch.tensor(LUMA, dtype=x.dtype), x)[None]


@dataclass(eq=False)
class GaussianNoise(Degradation):
    """Add white Gaussian noise of the standard deviation ``std``, 0 ... 2, in units of the signal.

    The literature's "sigma = 25" of 255 is 25 / 127.5 = 0.196 (Zhang et al., "Beyond a Gaussian denoiser", IEEE TIP
    2017). Values beyond the range of pictures are kept, since clipping them shifts the mean.
    """

    std: Annotated[Range, 0, 2] = (0.0, 0.4)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return x + rng.uniform(*self.std) * torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))


@dataclass(eq=False)
class PoissonNoise(Degradation):
    """Replace each pixel by a photon count, as in a dark photograph; ``peak``: mean photons of white, 0.1 ... 1e6.

    The noise of a white pixel has the standard deviation 2 / sqrt(peak) (Foi et al., "Practical Poissonian-Gaussian
    noise modeling", IEEE TIP 2008).
    """

    peak: Annotated[Range, 0.1, 1e6] = 30.0

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        peak = rng.uniform(*self.peak)
        photons = rng.poisson((x.double().clamp(-1, 1).numpy() + 1) * (peak / 2))
        return torch.from_numpy(photons * (2 / peak) - 1).to(x.dtype)


@dataclass(eq=False)
class Blur(Degradation):
    """Blur a picture with a Gaussian of ``std`` pixels, 0 ... 64; it is mirrored beyond its borders."""

    dims = 3
    std: Annotated[Range, 0, 64] = 2.0

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        from scipy.ndimage import gaussian_filter

        std = rng.uniform(*self.std)
        return torch.from_numpy(gaussian_filter(x.numpy(), (0, std, std), mode="reflect", truncate=4))


@dataclass(eq=False)
class Jpeg(Degradation):
    """Encode a picture as JPEG (4:2:0) and decode it; below a quality of about 30, blocks become visible."""

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
    """Base class of masks: float32 ``[1, H, W]``, 1 where a picture is missing, 0 where it is known."""

    dims = 3

    def draw_mask(self, height: int, width: int, rng: Rng) -> np.ndarray:
        """Return which pixels are missing, bool ``[H, W]``."""
        raise NotImplementedError

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return torch.from_numpy(self.draw_mask(x.shape[-2], x.shape[-1], rng).astype(np.float32))[None]


@dataclass(eq=False)
class BoxMask(Mask):
    """One missing rectangle of a share of each side (Pathak et al., "Context encoders", CVPR 2016, section 3.3)."""

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
    """Missing brush strokes that turn (Yu et al., "Free-form image inpainting ...", ICCV 2019, appendix).

    At least one stroke is drawn, at most ``strokes``, 1 ... 32. ``width``: of the brush, as a share of the picture's
    smaller side, 0.01 ... 0.5. Lengths are relative to it, too.
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
                turn = rng.uniform(0.3, 1.6)  # radians
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
    """Remove the pixels that a mask marks as missing, as for inpainting.

    Args:
        mask: a `Mask`, drawn anew for each example; or the name of a column that holds masks ``[1, H, W]``, so that
            networks can receive the mask, too.
        fill: value of missing pixels, -1 ... 1.
        append: add the mask as a last channel: ``[C + 1, H, W]``.
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
            raise self.error(f"mask={self.mask!r} names a column, which works outside Steps only; give a BoxMask")
        return self.apply_mask(x, self.mask.apply(x, rng))

    def column(self, table: Table) -> Column:
        if isinstance(self.mask, str):
            return Derived((self.input, self.mask), lambda x, mask, rng: self.apply_mask(x, mask))(table)
        return super().column(table)

    def apply_mask(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return pictures ``[..., C, H, W]`` with `fill` where masks ``[..., 1, H, W]`` are 1."""
        holed = torch.where(mask > 0.5, torch.as_tensor(self.fill[0], dtype=x.dtype), x)
        return torch.cat([holed, mask.to(x.dtype)], -3) if self.append else holed


@dataclass(eq=False)
class MixNoise(Degradation):
    """Add noise at a signal-to-noise ratio of the mean squares over all channels and samples; silence stays silent.

    Args:
        snr: in dB, -30 ... 100.
        noise: ``white`` (equal power at all frequencies), ``pink`` (1/f) or ``brown`` (1/f²); channels are independent.
        sounds: a table of noises in place of ``noise``, at the same sample rate, such as
            ``{_target_: audiogan.data.open_sounds, root: FOLDER}``. A random one is used from a random place, and
            repeated where it is shorter.
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
            raise self.error(f"sounds: the noises have {mine} Hz, the data {theirs} Hz; make them equal")
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
    """Resample to a lower ``rate`` in Hz and back (soxr HQ, which passes 91 % of the band), for bandwidth extension.

    A rate of the sample rate or more changes nothing. ``sample_rate``: Hz; by default that of the table.
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
    """Cut off the peaks (hard clipping) at ``level``, a share of the sound's peak, 0.001 ... 1 (nothing is clipped)."""

    dims = 2
    level: Annotated[Range, 1e-3, 1] = (0.1, 0.5)

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        most = float(x.abs().max()) * rng.uniform(*self.level)
        return x.clamp(-most, most)
