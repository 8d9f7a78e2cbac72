"""The scale of knobs: conversion between measured values, quantile levels in the training data, and normal scores."""

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
MAX_NORMAL_SCORE = 2.3263478
"""Largest normal score (quantile of the standard normal distribution). It clips the scores of 2 % of the examples."""
QUANTILES = 65
"""Number of quantiles that a scale stores, at evenly spaced levels from 0 to 1."""
CLIPPED_FRACTION = 0.01
"""Fraction of training examples at each end of the scale whose normal scores are clipped to ±MAX_NORMAL_SCORE."""

MEDIAN_COEFFICIENTS = (
    (59.109374720, 159.29113202, 50.434271938, 3.3871327179),
    (67.187563600, 78.757757664, 17.895169469, 1.0),
)
"""Coefficients of a rational approximation of the normal quantile function near the median: numerator, denominator. The
highest power comes first."""
TAIL_COEFFICIENTS = (0.17023821103, 1.3067284816, 2.7568153900, 1.4234372777), (0.12021132975, 0.73700164250, 1.0)
"""Coefficients of a rational approximation of the normal quantile function in the tails: numerator, denominator. The
highest power comes first."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Conversion of knobs between measured values, quantile levels in the training data, and normal scores.

    The quantile level of a value is the fraction of training examples with a smaller value, 0 to 1. Its normal score is
    the quantile of the standard normal distribution at this level: 0 for the median, negative for smaller values.

    Attributes:
        names: names of the knobs.
        quantiles: quantiles of the training data, float `[K, 65]`, at evenly spaced levels from 0 to 1. Each row
            increases strictly.

    Examples:
        >>> import numpy as np
        >>> from audiogan.inputs import Scale
        >>> scale = Scale.fit(np.linspace(0, 100, 1001)[:, None], ["decay"])
        >>> float(scale.to_quantile_levels([[25.0]])[0, 0].round(3))
        0.25
    """

    names: tuple[str, ...]
    quantiles: Array

    def __post_init__(self) -> None:
        want = (len(self.names), QUANTILES)
        if self.quantiles.shape != want:
            raise ValueError(f"quantiles {self.quantiles.shape}: must be {want} for knobs {', '.join(self.names)}")
        if not (np.isfinite(self.quantiles).all() and (np.diff(self.quantiles) > 0).all()):
            raise ValueError(f"quantiles of {', '.join(self.names)}: must be finite and strictly increasing")

    @classmethod
    def fit(cls, values: ArrayLike, names: Sequence[str]) -> Scale:
        """Return the scale of a training set.

        Args:
            values: measured values, `[N, K]`. NaN marks examples without a value.
            names: names of the K knobs.

        Raises:
            UserError: no example has a value for one of the knobs.
            ValueError: `values` is empty, has another shape, or contains infinity.
        """
        values = np.asarray(values, np.float64)
        if values.ndim != 2 or values.shape[1] != len(names) or not len(values) or np.isinf(values).any():
            raise ValueError(f"values {values.shape}: must be finite or NaN, [N, {len(names)}] with N at least 1")
        for name, missing in zip(names, np.isnan(values).all(axis=0), strict=True):
            if missing:
                raise UserError(
                    f"knobs: none of the {len(values)} training sounds has a {name}; leave {name!r} out of the knobs"
                )
        return cls(tuple(names), _separate_ties(np.nanquantile(values, np.linspace(0, 1, QUANTILES), axis=0).T))

    def to_quantile_levels(self, values: ArrayLike) -> Array:
        """Return the quantile levels of measured values `[N, K]`: the fractions of training examples with a smaller
        value. The level of NaN is 0.5."""
        return self._map(values, lambda v, q, s: np.where(np.isnan(v), 0.5, np.interp(v, q, s)))

    def to_values(self, quantile_levels: ArrayLike) -> Array:
        """Return values in the units of the knobs for quantile levels `[N, K]`, which are clipped to 0 to 1."""
        return self._map(quantile_levels, lambda v, q, s: np.interp(v, s, q))

    def to_normal_scores(self, values: ArrayLike) -> NDArray[np.float32]:
        """Return normal scores, from -2.33 to 2.33, for measured values `[N, K]`. Networks receive these scores."""
        return self.quantile_levels_to_normal_scores(self.to_quantile_levels(values))

    def quantile_levels_to_normal_scores(self, quantile_levels: ArrayLike) -> NDArray[np.float32]:
        """Return normal scores for quantile levels of any shape, which are clipped to 0.01 to 0.99."""
        inside = np.clip(np.asarray(quantile_levels, np.float64), CLIPPED_FRACTION, 1 - CLIPPED_FRACTION)
        return torch.special.ndtri(torch.as_tensor(inside)).float().numpy()

    def to_dict(self) -> dict[str, Any]:
        """Return names and quantiles as plain lists, for YAML."""
        return {"names": list(self.names), "quantiles": self.quantiles.tolist()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Scale:
        """Return the scale for a dict that `to_dict` has returned.

        Raises:
            ValueError: the dict does not describe a scale.
        """
        return cls(tuple(state["names"]), np.array(state["quantiles"], np.float64).reshape(len(state["names"]), -1))

    def _map(self, x: ArrayLike, f: Callable[[Array, Array, Array], Array]) -> Array:
        x, grid = np.asarray(x, np.float64), np.linspace(0, 1, QUANTILES)
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise ValueError(f"{x.shape}: the shape must be [N, {len(self.names)}], for {', '.join(self.names)}")
        return np.stack([f(column, q, grid) for column, q in zip(x.T, self.quantiles, strict=True)], axis=1)


def _separate_ties(quantiles: Array) -> Array:
    """Return quantiles `[K, P]`, rounded to six digits, with equal ones moved apart by one unit of the last digit, so
    that the scale is invertible."""
    # Separating equal quantiles can raise the maximum. The factor 1.001 leaves room for this.
    largest = np.abs(quantiles).max(axis=1, initial=1e-9) * 1.001
    out = np.empty_like(quantiles)
    for row, q, decimals in zip(out, quantiles, 5 - np.floor(np.log10(largest)).astype(int), strict=True):
        steps = np.arange(len(q)) * 10.0**-decimals
        row[:] = np.round(np.maximum.accumulate(q.round(decimals) - steps) + steps, decimals)
    return out


def quantile_levels_to_normal_scores(quantile_levels: Tensor) -> Tensor:
    """Return normal scores for quantile levels of any shape, with an error below 1e-6. It uses only operations that
    every runtime supports, because exported models contain it.

    Source:
        Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 1988, routine
        PPND7.
    """
    p = quantile_levels.clamp(CLIPPED_FRACTION, 1 - CLIPPED_FRACTION)
    q = p - 0.5
    r = (-torch.minimum(p, 1 - p).log()).sqrt() - 1.6
    near_median = q * _rational(MEDIAN_COEFFICIENTS, 0.180625 - q * q)
    return torch.where(q.abs() <= 0.425, near_median, torch.sign(q) * _rational(TAIL_COEFFICIENTS, r))


def _rational(coefficients: tuple[Sequence[float], Sequence[float]], x: Tensor) -> Tensor:
    above, below = (_polynomial(row, x) for row in coefficients)
    return above / below


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
