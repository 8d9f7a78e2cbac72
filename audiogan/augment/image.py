"""Differentiable random transformations of pictures `[B, C, H, W]`, values about -1 ... 1.

Called as those of `audiogan.augment.waveform` are, and put together by the same `Augment`; every picture of a batch
draws for itself. Two sets stand ready: `DiffAugment` (Zhao et al., NeurIPS 2020) and `ADAPipeline` (Karras et al.,
NeurIPS 2020, "Training GANs with limited data"). All can be differentiated twice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiogan.augment.waveform import Augment, Rand, not_negative, per_clip


class Cutout(nn.Module):
    """Overwrites a rectangle of each clip with `fill`: `ratio` of both sides, centred anywhere, cut at the edges.

    Zhao et al. 2020 (DiffAugment), where ratio is 0.5.
    """

    def __init__(self, ratio: float = 0.5, fill: float = 0.0) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio={ratio} must lie in 0 ... 1")
        self.ratio, self.fill = ratio, fill

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        sides = []
        for size in x.shape[-2:]:
            width = round(self.ratio * size)
            centre = (size * per_clip(x, rand)).floor()
            sides.append(_between(size, centre - width // 2, torch.full_like(centre, width), x))
        return x.masked_fill(sides[0].unsqueeze(-1) & sides[1].unsqueeze(-2), self.fill)


class RandomBrightness(nn.Module):
    """Adds a constant to each picture: uniform in -amount ... amount, or (`normal`) of that standard deviation."""

    def __init__(self, amount: float = 0.5, normal: bool = False) -> None:
        super().__init__()
        self.amount, self.normal = not_negative("amount", amount), normal

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return x + (self.amount * _spread(x, rand, self.normal)).to(x.dtype)


class Saturation(nn.Module):
    """Scales each pixel's distance from its mean over the channels; grey pictures stay as they are.

    The factor is uniform in 1 - amount ... 1 + amount, or (`normal`) two to a normal power of that standard deviation.
    """

    def __init__(self, amount: float = 1.0, normal: bool = False) -> None:
        super().__init__()
        self.amount, self.normal = not_negative("amount", amount), normal

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return _scaled(x, x.mean(1, keepdim=True), _spread(x, rand, self.normal), self.amount, self.normal)


class Contrast(nn.Module):
    """Scales each picture's distance from its mean over channels and places; factors as in `Saturation`."""

    def __init__(self, amount: float = 0.5, normal: bool = False) -> None:
        super().__init__()
        self.amount, self.normal = not_negative("amount", amount), normal

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return _scaled(x, x.mean((1, 2, 3), keepdim=True), _spread(x, rand, self.normal), self.amount, self.normal)


class Hue(nn.Module):
    """Turns the colours of each picture around the grey axis, by a uniform angle of -turns/2 ... turns/2 turns.

    Pictures without three channels stay as they are.
    """

    def __init__(self, turns: float = 1.0) -> None:
        super().__init__()
        self.turns = not_negative("turns", turns)

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        angle = self.turns * math.pi * _spread(x, rand, False)
        if x.shape[1] != 3:
            return x
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        # Rodrigues: the part along the grey axis stays, the rest turns; the cross product with grey is a difference.
        grey = x.mean(1, keepdim=True)
        across = (x.roll(1, 1) - x.roll(2, 1)) / math.sqrt(3)
        return cos * x + (1 - cos) * grey + sin * across


class Flip(nn.Module):
    """Mirrors each picture left to right with probability one half."""

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return torch.where(per_clip(x, rand) < 0.5, x.flip(-1), x)


class Rotate90(nn.Module):
    """Turns each square picture by 0, 90, 180 or 270 degrees."""

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        if x.shape[-1] != x.shape[-2]:
            raise ValueError(f"Rotate90 wants square pictures, got {list(x.shape)}")
        turns = (4 * per_clip(x, rand)).long()
        x = torch.where(turns % 2 == 1, x.mT, x)
        x = torch.where((turns == 1) | (turns == 2), x.flip(-2), x)
        return torch.where(turns >= 2, x.flip(-1), x)


class Translate(nn.Module):
    """Moves each picture by whole pixels along both sides, uniform up to `ratio` of the side either way.

    What comes in is `fill`, or (`None`) the picture mirrored at its edge.
    """

    def __init__(self, ratio: float = 0.125, fill: float | None = 0.0) -> None:
        super().__init__()
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio={ratio} must lie in 0 ... 1")
        self.ratio, self.fill = ratio, fill

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return self._moved(self._moved(x, rand).mT, rand).mT

    def _moved(self, x: Tensor, rand: Rand) -> Tensor:
        size = x.shape[-1]
        limit = round(self.ratio * size)
        steps = ((2 * limit + 1) * per_clip(x, rand)).long().clamp_max(2 * limit) - limit
        source = torch.arange(size, device=x.device) - steps
        moved = x.gather(-1, _mirrored(source, size).expand_as(x))
        return moved if self.fill is None else moved.masked_fill((source < 0) | (source >= size), self.fill)


class RandomScale(nn.Module):
    """Enlarges each picture around its centre by two to a normal power of standard deviation `std`, both sides alike.

    Bilinear, with a wider kernel where it shrinks; the picture mirrored at its edges fills what comes in. Written as
    two matrix products, because `grid_sample` cannot be differentiated twice.
    """

    def __init__(self, std: float = 0.2) -> None:
        super().__init__()
        self.std = not_negative("std", std)

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        factor = torch.exp2(self.std * _spread(x, rand, True))[:, 0]
        rows, columns = (self._weights(size, factor).to(x.dtype).unsqueeze(1) for size in x.shape[-2:])
        return rows @ x @ columns.mT

    @staticmethod
    def _weights(size: int, factor: Tensor) -> Tensor:
        """`[B, size, size]`: how much of each old place each new one takes; `factor` is `[B, 1, 1]`."""
        places = torch.arange(size, device=factor.device, dtype=factor.dtype)
        centre = (size - 1) / 2
        source = _mirrored((places[:, None] - centre) / factor + centre, size)
        weights = (1 - (source - places).abs() / (1 / factor).clamp_min(1)).clamp_min(0)
        return weights / weights.sum(-1, keepdim=True)


class DiffAugment(Augment):
    """Zhao et al. 2020, section 4 and their code: colour, translation by 1/8, cutout of 1/2, on every picture.

    Args:
        colour: brightness +-0.5, saturation times 0 ... 2, contrast times 0.5 ... 1.5.
        translation: largest shift as a share of the side.
        cutout: side of the square that is overwritten, as a share of the picture's.
        fill: what comes in and what overwrites; the paper's 0 is a middle grey.
        p: probability of each transformation, 1 in the paper.
    """

    def __init__(
        self, colour: bool = True, translation: float = 0.125, cutout: float = 0.5, fill: float = 0.0, p: float = 1.0
    ) -> None:
        colours = [RandomBrightness(), Saturation(), Contrast()] if colour else []
        super().__init__([*colours, Translate(translation, fill), Cutout(cutout, fill)], p)


class ADAPipeline(Augment):
    """Karras et al. 2020, appendix B: flips, quarter turns, whole-pixel shifts, isotropic scaling, then colours.

    Left out are rotations by any angle, stretching, shifts by fractions of a pixel and the inversion of brightness;
    contrast is scaled around the mean of the picture. Rectangular pictures want `rotate: false`.

    Args:
        flip, rotate: whether to mirror and to turn by quarters.
        translation: largest shift as a share of the side.
        scale: standard deviation of the enlargement, in octaves.
        colour: brightness, contrast, hue and saturation.
        p: probability of each transformation; 0, because `AdaptiveAugment` moves it from there.
    """

    def __init__(
        self,
        flip: bool = True,
        rotate: bool = True,
        translation: float = 0.125,
        scale: float = 0.2,
        colour: bool = True,
        p: float = 0.0,
    ) -> None:
        places: list[nn.Module] = [Flip()] if flip else []
        places += [Rotate90()] if rotate else []
        places += [Translate(translation, fill=None), RandomScale(scale)]
        colours = [RandomBrightness(0.2, normal=True), Contrast(0.5, normal=True), Hue(), Saturation(1.0, normal=True)]
        super().__init__([*places, *(colours if colour else [])], p)


def _spread(x: Tensor, rand: Rand, normal: bool) -> Tensor:
    """`[B, 1, 1, 1]`: uniform in -1 ... 1, or standard normal."""
    u = 2 * per_clip(x, rand) - 1
    return math.sqrt(2) * torch.erfinv(u.clamp_min(-1 + 2**-23)) if normal else u


def _scaled(x: Tensor, centre: Tensor, spread: Tensor, amount: float, normal: bool) -> Tensor:
    factor = torch.exp2(amount * spread) if normal else 1 + amount * spread
    return torch.lerp(centre, x, factor.to(x.dtype))


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places on an endless line, folded back into 0 ... size - 1 at the centres of the outermost pixels."""
    last = max(size - 1, 1)
    return (last - (last - places.remainder(2 * last)).abs()).clamp_max(size - 1)


def _between(size: int, first: Tensor, width: Tensor, x: Tensor) -> Tensor:
    """Boolean `[B, 1, size]`: true at `first` and the `width - 1` places after it."""
    places = torch.arange(size, device=x.device)
    first, width = first.squeeze(-1), width.squeeze(-1)
    return (places >= first) & (places < first + width)
