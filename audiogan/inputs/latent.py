"""The latent input: random numbers with a fixed distribution."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import ByName, Input, Random

DISTRIBUTIONS = ("normal", "uniform")
"""Names of the available distributions."""
NORM_PROBABILITY = 0.99
"""Probability that the norm of a random latent is at most `Latent.max_norm`."""
MAX_ELEMENTS = 1 << 20
"""Largest number of elements of a latent that a recipe may contain."""


class Latent(Input):
    """Input with random numbers from a fixed distribution. They are drawn in training and in sampling.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        shape: number of dimensions, or a shape such as ``[T, D]`` for a latent in each time step.
        distribution: ``normal`` for standard normal, or ``uniform`` for uniform in -1 to 1.
        column: always ``None``, because latents have no data column.

    Examples:
        >>> from audiogan.inputs import Latent, Seeded
        >>> Latent(shape=64).draw(3, Seeded(0)).shape
        torch.Size([3, 64])
    """

    def __init__(
        self, name: str = "latent", shape: int | Sequence[int] = 64, distribution: str = "normal", column: None = None
    ) -> None:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
            raise ValueError(f"{name}: shape={list(shape)} must be whole numbers of at least 1")
        if distribution not in DISTRIBUTIONS:
            raise ValueError(f"{name}: distribution={distribution!r} must be one of {', '.join(DISTRIBUTIONS)}")
        super().__init__(name, shape)
        self.sizes: tuple[int, ...] = shape
        self.distribution = distribution

    @property
    def is_normal(self) -> bool:
        """Whether the distribution is standard normal."""
        return self.distribution == "normal"

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        if requested is not None:
            return self.expand_to_batch(requested, n)
        return random.randn(n, *self.sizes) if self.is_normal else 2 * random.rand(n, *self.sizes) - 1

    def parse(self, value: Any) -> Tensor:
        """Return a latent from numbers with the shape of this input, or from a string of numbers separated by commas.

        Raises:
            UserError: the shape is wrong, or a number is not finite.
        """
        if isinstance(value, str):
            value = value.split(",")
        try:
            with np.errstate(over="ignore"):
                x = torch.as_tensor(np.asarray(value, np.float32))
        except (TypeError, ValueError):
            raise UserError(f"{self.name}: expected numbers of shape {list(self.shape)}") from None
        if x.numel() == np.prod(self.sizes) and x.dim() == 1:
            x = x.reshape(self.sizes)
        if tuple(x.shape) != self.shape or not bool(torch.isfinite(x).all()):
            raise UserError(f"{self.name}: expected {list(self.shape)} finite numbers, got shape {list(x.shape)}")
        return x

    def to_json(self, x: Tensor) -> str:
        """Return a latent as Base64 of little-endian float32 values."""
        return base64.b64encode(np.asarray(x.detach().cpu(), "<f4").tobytes()).decode()

    def from_json(self, json_value: Any) -> Tensor:
        try:
            if not isinstance(json_value, str) or len(json_value) > 8 * MAX_ELEMENTS:
                raise ValueError
            values = np.frombuffer(base64.b64decode(json_value, validate=True), "<f4")
        except (ValueError, binascii.Error):
            raise UserError(f"{self.name}: the recipe contains no valid latent") from None
        return self.parse(values.copy())

    def to_parameter(self, x: Tensor) -> Tensor:
        return x.clone()

    def clip_parameter(self, parameter: Tensor) -> None:
        """Shorten normal latents to `max_norm`, and clip uniform latents to -1 to 1, in place."""
        if self.is_normal:
            norms = parameter.flatten(1).norm(dim=1).reshape(-1, *[1] * len(self.sizes))
            parameter.mul_((self.max_norm / norms).clamp_max(1.0))
        else:
            parameter.clamp_(-1.0, 1.0)

    @property
    def max_norm(self) -> float:
        """Norm that 99 % of standard normal latents of this shape do not exceed."""
        from scipy.stats import chi2

        return float(chi2.ppf(NORM_PROBABILITY, math.prod(self.sizes))) ** 0.5

    def mix(self, first: Tensor, second: Tensor, fraction: float) -> Tensor:
        """Return the spherical interpolation of two latents (White, "Sampling Generative Networks", 2016, section
        2.1)."""
        return torch.from_numpy(slerp(first.double().numpy(), second.double().numpy(), fraction)).float()

    def describe(self) -> str:
        kind = "standard normal" if self.is_normal else "uniform in -1 ... 1"
        return f"{' x '.join(map(str, self.shape))} random numbers, {kind}; drawn from the seed"


def slerp(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """Return the spherical interpolation of two arrays of the same shape. The norm is interpolated linearly.

    Args:
        start: array at ``fraction=0``.
        end: array at ``fraction=1``.
        fraction: position between the arrays, 0 to 1.
    """
    start_norm, end_norm = float(np.linalg.norm(start)), float(np.linalg.norm(end))
    if not start_norm or not end_norm:
        return (1 - fraction) * start + fraction * end
    angle = math.acos(float(np.clip(start.ravel() @ end.ravel() / (start_norm * end_norm), -1, 1)))
    if math.sin(angle) < 1e-6:
        return (1 - fraction) * start + fraction * end
    parts = math.sin((1 - fraction) * angle) * start / start_norm, math.sin(fraction * angle) * end / end_norm
    direction = (parts[0] + parts[1]) / math.sin(angle)
    return ((1 - fraction) * start_norm + fraction * end_norm) * direction
