"""Differentiable random transformations of sounds `[B, C, T]`, and `Augment`, which combines transformations.

A transformation is called as ``transform(x, rand)``, where ``rand(*shape)`` draws uniform numbers in [0, 1) on the
device of ``x``. Each sound of a batch gets its own random numbers, and all its channels share them. The same object
transforms real and generated sounds, as in Zhao et al., "Differentiable augmentation for data-efficient GAN training",
NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Rand = Callable[..., Tensor]
Number = TypeVar("Number", int, float)


def rand_per_sample(x: Tensor, rand: Rand) -> Tensor:
    """Return one uniform number in [0, 1) per sample, with shape `[B, 1, ..., 1]` to broadcast over ``x``."""
    return rand(x.shape[0], *[1] * (x.dim() - 1))


class Augment(nn.Module):
    """Sequence of transformations. Each sample undergoes each transformation with probability ``p``, independently.

    ``p`` is a buffer: checkpoints contain it, and `AdaptiveAugment` can change it.

    Args:
        transforms: modules that are called as ``transform(x, rand)``.
        p: probability of each transformation, 0 ... 1.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Augment, Shift
        >>> sounds = torch.rand(2, 1, 100)
        >>> Augment([Shift(10)], p=0.5)(sounds, torch.rand).shape
        torch.Size([2, 1, 100])
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
            x = torch.where(rand_per_sample(x, rand) < self.p, transform(x, rand), x)
        return x


class Shift(nn.Module):
    """Shift each sound by a random whole number of samples, padded with zeros.

    The shift is uniform in ``min_samples`` ... ``max_samples``. Positive shifts delay the sound.

    Args:
        max_samples: largest shift in samples, 0 or more.
        min_samples: smallest shift in samples. ``None``: ``-max_samples``.

    Examples:
        >>> import torch
        >>> from audiogan.augment import Shift
        >>> Shift(max_samples=2, min_samples=2)(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), torch.rand)
        tensor([[[0., 0., 1., 2.]]])
    """

    def __init__(self, max_samples: int, min_samples: int | None = None) -> None:
        super().__init__()
        self.max_samples = check_not_negative("max_samples", int(max_samples))
        self.min_samples = -self.max_samples if min_samples is None else int(min_samples)
        if self.min_samples > self.max_samples:
            raise ValueError(f"min_samples={min_samples} must not exceed max_samples={max_samples}")

    def forward(self, x: Tensor, rand: Rand) -> Tensor:
        span = self.max_samples - self.min_samples
        steps = ((span + 1) * rand_per_sample(x, rand)).long().clamp_max(span) + self.min_samples
        # Slicing takes a third of the time of gather, but needs the shifts as Python integers. On a GPU, reading them
        # would synchronise with the device, so gather is used there.
        if x.device.type == "cpu":
            size = x.shape[-1]
            places = (max(-size, min(size, step)) for step in steps.flatten().tolist())
            return torch.stack([F.pad(row, (place, -place)) for row, place in zip(x, places, strict=True)])
        source = torch.arange(x.shape[-1], device=x.device) - steps
        inside = (source >= 0) & (source < x.shape[-1])
        shifted = x.gather(-1, source.clamp(0, x.shape[-1] - 1).expand_as(x))
        return shifted.masked_fill(~inside, 0.0)


def check_not_negative(name: str, value: Number) -> Number:
    """Return ``value`` unchanged. Raise ``ValueError`` if it is negative; the message starts with ``name``."""
    if not value >= 0:
        raise ValueError(f"{name}={value} must not be negative")
    return value
