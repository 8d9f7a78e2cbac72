"""The scale of knobs: the rank of a value among the training examples, as a share or as a normal score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from audiogan.errors import UserError

Array = NDArray[np.float64]
LIMIT = 2.3263478
"""Largest normal score; 98 of 100 training examples lie between -LIMIT and LIMIT."""
POINTS = 65
"""Quantiles of a scale: every 64th of the training sounds."""
EXTREME = 0.01
"""Share of the training sounds at either end that networks do not tell apart."""

# Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 1988, routine PPND7:
# numerators and denominators of two quotients of polynomials, the highest power first.
MIDDLE = (59.109374720, 159.29113202, 50.434271938, 3.3871327179), (67.187563600, 78.757757664, 17.895169469, 1.0)
TAIL = (0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777), (0.12021132975, 0.73700164250, 1.0)


@dataclass(frozen=True, eq=False)
class Scale:
    """Where a value stands among the training sounds, and back, by their quantiles.

    Attributes:
        names: of the knobs.
        quantiles: float `[K, 65]`, at evenly spaced shares from 0 to 1; strictly increasing.
    """

    names: tuple[str, ...]
    quantiles: Array

    def __post_init__(self) -> None:
        want = (len(self.names), POINTS)
        if self.quantiles.shape != want:
            raise ValueError(f"quantiles {self.quantiles.shape}: must be {want} for knobs {', '.join(self.names)}")
        if not (np.isfinite(self.quantiles).all() and (np.diff(self.quantiles) > 0).all()):
            raise ValueError(f"quantiles of {', '.join(self.names)}: must be finite and strictly increasing")

    @classmethod
    def fit(cls, values: ArrayLike, names: Sequence[str]) -> Scale:
        """The scale of training values `[N, K]`, NaN where a sound has none.

        Raises:
            UserError: a knob that no sound has a value of.
            ValueError: no values, another K than names, or infinities.
        """
        values = np.asarray(values, np.float64)
        if values.ndim != 2 or values.shape[1] != len(names) or not len(values) or np.isinf(values).any():
            raise ValueError(f"values {values.shape}: must be finite or NaN, [N, {len(names)}] with N at least 1")
        for name, missing in zip(names, np.isnan(values).all(axis=0), strict=True):
            if missing:
                raise UserError(f"knobs: none of the {len(values)} training sounds has a {name}; leave {name!r} out")
        return cls(tuple(names), _apart(np.nanquantile(values, np.linspace(0, 1, POINTS), axis=0).T))

    def to_shares(self, values: ArrayLike) -> Array:
        """Share of the training sounds, 0 ... 1, that have less than each of the values `[N, K]`; NaN is the middle."""
        return self._map(values, lambda v, q, s: np.where(np.isnan(v), 0.5, np.interp(v, q, s)))

    def to_values(self, shares: ArrayLike) -> Array:
        """The inverse of `shares`, `[N, K]`: values in the knobs' units; shares beyond 0 ... 1 are clamped."""
        return self._map(shares, lambda v, q, s: np.interp(v, s, q))

    def to_scores(self, values: ArrayLike) -> NDArray[np.float32]:
        """What networks see of values `[N, K]`: normal scores, from -2.33 to 2.33, of their `shares`."""
        return self.shares_to_scores(self.to_shares(values))

    def shares_to_scores(self, shares: ArrayLike) -> NDArray[np.float32]:
        """Normal scores of shares of any shape, clamped to 0.01 ... 0.99."""
        inside = np.clip(np.asarray(shares, np.float64), EXTREME, 1 - EXTREME)
        return torch.special.ndtri(torch.as_tensor(inside)).float().numpy()

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for YAML; quantiles have six significant digits since `fit`."""
        return {"names": list(self.names), "quantiles": self.quantiles.tolist()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Scale:
        """The inverse of `to_dict`. ValueError for what makes no scale."""
        return cls(tuple(state["names"]), np.array(state["quantiles"], np.float64).reshape(len(state["names"]), -1))

    def _map(self, x: ArrayLike, f: Callable[[Array, Array, Array], Array]) -> Array:
        x, grid = np.asarray(x, np.float64), np.linspace(0, 1, POINTS)
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise ValueError(f"{x.shape}: must be [N, {len(self.names)}], a column for each of {', '.join(self.names)}")
        return np.stack([f(column, q, grid) for column, q in zip(x.T, self.quantiles, strict=True)], axis=1)


def _apart(quantiles: Array) -> Array:
    """Quantiles `[K, P]` rounded to six digits of the largest, each at least a unit of the last digit above the one
    before: ties would have no inverse."""
    largest = np.abs(quantiles).max(axis=1, initial=1e-9) * 1.001  # room for ties spread upwards
    out = np.empty_like(quantiles)
    for row, q, decimals in zip(out, quantiles, 5 - np.floor(np.log10(largest)).astype(int), strict=True):
        steps = np.arange(len(q)) * 10.0**-decimals
        row[:] = np.round(np.maximum.accumulate(q.round(decimals) - steps) + steps, decimals)
    return out


def shares_to_scores(shares: Tensor) -> Tensor:
    """`Scale.shares_to_scores` within 1e-6, of operations that every runtime has."""
    p = shares.clamp(EXTREME, 1 - EXTREME)
    q = p - 0.5
    r = (-torch.minimum(p, 1 - p).log()).sqrt() - 1.6
    middle = q * _quotient(MIDDLE, 0.180625 - q * q)
    return torch.where(q.abs() <= 0.425, middle, torch.sign(q) * _quotient(TAIL, r))


def _quotient(coefficients: tuple[Sequence[float], Sequence[float]], x: Tensor) -> Tensor:
    above, below = (_polynomial(row, x) for row in coefficients)
    return above / below


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
