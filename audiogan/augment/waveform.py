"""Differentiable random transformations of waves `[B, C, T]`, and how they are put together.

Every transformation is called as `transform(x, rand)`, where `rand(*shape)` draws uniform [0, 1) numbers on x's
device, and draws anew for each sound of the batch (all channels of a sound share the draw). The same object serves
real and fake sounds alike: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

Rand = Callable[..., Tensor]
Number = TypeVar("Number", int, float)


def per_clip(x: Tensor, rand: Rand) -> Tensor:
    """One uniform [0, 1) number a clip, shaped `[B, 1, 1, ...]` to go with x."""
    return rand(x.shape[0], *[1] * (x.dim() - 1))


class Augment(nn.Module):
    """Applies each transformation in turn, to each clip with probability `p`, independently.

    `p` is a buffer, so that an adaptive scheme (Karras et al. 2020, "ADA") can move it and a checkpoint keeps it.
    """

    p: Tensor

    def __init__(self, transforms: Iterable[nn.Module], p: float = 1.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p={p} must lie in 0 ... 1")
        self.transforms = nn.ModuleList(transforms)
        self.register_buffer("p", torch.tensor(float(p)))

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        for transform in self.transforms:
            x = torch.where(per_clip(x, rand) < self.p, transform(x, rand), x)
        return x


class Shift(nn.Module):
    """Moves each clip by a whole number of samples, uniform in min_samples ... max_samples; zeros come in.

    Positive is later; `min_samples` is `-max_samples` if it is not given.
    """

    def __init__(self, max_samples: int, min_samples: int | None = None) -> None:
        super().__init__()
        self.max_samples = not_negative("max_samples", int(max_samples))
        self.min_samples = -self.max_samples if min_samples is None else int(min_samples)
        if self.min_samples > self.max_samples:
            raise ValueError(f"min_samples={min_samples} must not exceed max_samples={max_samples}")

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        span = self.max_samples - self.min_samples
        steps = ((span + 1) * per_clip(x, rand)).long().clamp_max(span) + self.min_samples
        source = torch.arange(x.shape[-1], device=x.device) - steps
        inside = (source >= 0) & (source < x.shape[-1])
        moved = x.gather(-1, source.clamp(0, x.shape[-1] - 1).expand_as(x))
        return moved.masked_fill(~inside, 0.0)


def not_negative(name: str, value: Number) -> Number:
    if not value >= 0:
        raise ValueError(f"{name}={value} must not be negative")
    return value
