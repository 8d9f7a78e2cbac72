"""Differentiable random transformations of encoded sounds `[B, C, F, N]`: complex STFTs, log-magnitudes, mels.

Called as those of `audiogan.augment.waveform` are, and put together by the same `Augment`. `fill` is the value of
silence: 0 for a complex STFT, -1 for log-magnitude and mel representations.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from audiogan.augment.waveform import Rand, not_negative, per_clip, shifted


class TimeShift(nn.Module):
    """Moves each clip by a whole number of frames, uniform in -max_frames ... max_frames; `fill` comes in."""

    def __init__(self, max_frames: int, fill: float = 0.0) -> None:
        super().__init__()
        self.max_frames, self.fill = not_negative("max_frames", int(max_frames)), fill

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return shifted(x, rand, self.max_frames, self.fill)


class FrequencyMask(nn.Module):
    """Overwrites a band of each clip with `fill`: 0 ... max_bins bins wide, at a uniform place inside the picture.

    Park et al. 2019, "SpecAugment", section 2.
    """

    def __init__(self, max_bins: int, fill: float = 0.0) -> None:
        super().__init__()
        self.max_bins, self.fill = not_negative("max_bins", int(max_bins)), fill

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        height = x.shape[-2]
        if self.max_bins > height:
            raise ValueError(f"FrequencyMask max_bins={self.max_bins} exceeds the {height} bins of {list(x.shape)}")
        width = ((self.max_bins + 1) * per_clip(x, rand)).floor().clamp_max(self.max_bins)
        first = ((height - width + 1) * per_clip(x, rand)).floor().minimum(height - width)
        return x.masked_fill(_between(height, first, width, x).unsqueeze(-1), self.fill)


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


class Gain(nn.Module):
    """For complex STFTs: a gain in sound of -db ... db, uniform in decibels, the same for all of a clip.

    `power` is the representation's: a sound louder by g has coefficients larger by g ** power.
    """

    def __init__(self, db: float, power: float = 0.5) -> None:
        super().__init__()
        self.db, self.power = not_negative("db", db), not_negative("power", power)

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return x * torch.exp((2 * per_clip(x, rand) - 1) * (self.db * self.power * math.log(10) / 20)).to(x.dtype)


class LogGain(nn.Module):
    """For log-magnitudes and mels: adds a constant, uniform in -amount ... amount, in units of the picture.

    That is a gain in sound: 0.1 is 0.3 standard deviations, about 13 dB for drums as SpecGAN normalises them.
    Values may leave -1 ... 1.
    """

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = not_negative("amount", amount)

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        return x + ((2 * per_clip(x, rand) - 1) * self.amount).to(x.dtype)


def _between(size: int, first: Tensor, width: Tensor, x: Tensor) -> Tensor:
    """Boolean `[B, 1, size]`: true at `first` and the `width - 1` places after it."""
    places = torch.arange(size, device=x.device)
    first, width = first.squeeze(-1), width.squeeze(-1)
    return (places >= first) & (places < first + width)
