"""`Degradation`: base class of degradations. `Steps`: sequence of degradations. `OneOf`: random choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_type_hints

import numpy as np
from torch import Tensor

from audiogan.data.columns import Column, Derived
from audiogan.data.table import Table
from audiogan.errors import UserError

Rng = np.random.Generator
Range = Any  # Type of parameters that accept a number or a pair [low, high].


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
        """Return a copy of this degradation with missing parameters filled in from the table, such as the sample
        rate."""
        return self

    def column(self, table: Table) -> Column:
        """Return a column with the degraded signals of a table. Raise `UserError` if the degradation does not support
        them."""
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

    Examples:
        >>> import torch
        >>> from audiogan.data.degrade import Blur, Downsample, Steps
        >>> Steps([Blur(std=1.0), Downsample(factor=4)])(torch.zeros(3, 32, 32)).shape
        torch.Size([3, 8, 8])
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
class OneOf(Degradation):
    """Random choice of one degradation per example, for training a generator for an unknown degradation.

    Args:
        choices: degradations, at least one. All must return the same shape.
        odds: relative probability of each choice, 0 or more. Default: all choices are equally likely.

    Examples:
        >>> from audiogan.data.degrade import Blur, GaussianNoise
        >>> OneOf([Blur(std=1), GaussianNoise(std=0.1)])(torch.zeros(3, 8, 8)).shape
        torch.Size([3, 8, 8])
    """

    choices: Sequence[Degradation]
    odds: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not self.choices or not all(isinstance(choice, Degradation) for choice in self.choices):
            raise self.error("choices: must be a list of degradations, such as audiogan.data.degrade.Jpeg")
        odds = np.ones(len(self.choices)) if self.odds is None else np.asarray(self.odds, float)
        if odds.shape != (len(self.choices),) or not np.isfinite(odds).all() or (odds < 0).any() or not odds.sum():
            raise self.error(f"odds={self.odds!r}: must be {len(self.choices)} numbers of 0 or more, not all of them 0")
        self._shares = odds / odds.sum()

    def apply(self, x: Tensor, rng: Rng) -> Tensor:
        return self.choices[int(rng.choice(len(self.choices), p=self._shares))](x, rng)

    def column(self, table: Table) -> Column:
        if len({choice.column(table).shape for choice in self.choices}) > 1:
            raise self.error("choices: the results differ in shape; choose degradations that keep the size")
        return super().column(table)

    def bind(self, table: Table) -> Degradation:
        return OneOf([choice.bind(table) for choice in self.choices], self.odds, input=self.input)
