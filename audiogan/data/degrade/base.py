"""What degradations share: the base class, several in a row, and the checks of their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from torch import Tensor

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.data.columns import Column
    from audiogan.data.table import Table

Shape = tuple[int | None, ...]
Range = float | Sequence[float]


class Degradation:
    """Base class. Subclasses define `apply`, and `shape` where the shape changes.

    Args:
        of: the column that is degraded.
    """

    def __init__(self, of: str = "x") -> None:
        self.of = of

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the degraded signal.

        Args:
            x: one signal `[*shape]`; it stays as it is.
            rng: the source of random numbers.
        """
        raise NotImplementedError

    def shape(self, of: Shape) -> Shape:
        """Return the shape of a degraded signal, given that of a signal; UserError where it does not fit."""
        return of

    def bound(self, table: Table) -> Degradation:
        """Return this degradation with what the table decides, such as the sample rate."""
        return self

    @overload
    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor: ...
    @overload
    def __call__(self, x: Table) -> Column: ...

    def __call__(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        if isinstance(x, Tensor):
            return self.apply(x, np.random.default_rng(0) if rng is None else rng)
        return self.column(x)

    def column(self, table: Table) -> Column:
        """Return the column of degraded signals of a table.

        Raises:
            UserError: the table has no column `of`, or its signals cannot be degraded in this way.
        """
        return self.derived(table, (self.of,))

    def derived(self, table: Table, names: tuple[str, ...], function: Callable[..., Tensor] | None = None) -> Column:
        """Return a column that is computed from the columns ``names``, by default by this degradation."""
        from audiogan.data.columns import Derived

        for name in names:
            if name not in table.columns:
                known = ", ".join(table.columns)
                raise UserError(f"{type(self).__name__}: the data has no column {name!r}; it has {known}")
        self.shape(table.columns[self.of].shape)
        return Derived(names, function or self.bound(table))(table)


class Steps(Degradation):
    """Several degradations, one after the other.

    Args:
        steps: the degradations, the first is applied first.
        of: the column that is degraded.
    """

    def __init__(self, steps: Sequence[Degradation], of: str = "x") -> None:
        super().__init__(of)
        if not steps or not all(isinstance(step, Degradation) for step in steps):
            raise UserError("Steps: steps: must be a list of degradations, such as audiogan.data.degrade.Grey")
        self.steps = list(steps)

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        for step in self.steps:
            x = step.apply(x, rng)
        return x

    def shape(self, of: Shape) -> Shape:
        for step in self.steps:
            of = step.shape(of)
        return of

    def bound(self, table: Table) -> Degradation:
        return Steps([step.bound(table) for step in self.steps], self.of)


def limits(owner: object, name: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """Return a setting, a number or ``[least, most]``, as (least, most) within low ... high; UserError otherwise."""
    pair = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value, value]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair)
    if len(pair) != 2 or not numbers or not low <= pair[0] <= pair[1] <= high:
        kind = type(owner).__name__
        raise UserError(f"{kind}: {name}={value!r}: must be a number from {low:g} to {high:g}, or a range [low, high]")
    return float(pair[0]), float(pair[1])


def whole(owner: object, name: str, value: Any, low: int, high: int) -> int:
    """Return a whole number from low to high; UserError otherwise."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        kind = type(owner).__name__
        raise UserError(f"{kind}: {name}={value!r}: must be a whole number from {low} to {high}")
    return value


def drawn(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """Draw uniformly between two bounds."""
    return float(rng.uniform(*bounds))


def gaussian(rng: np.random.Generator, shape: Sequence[int]) -> Tensor:
    """Draw standard normal values, float32."""
    return torch.from_numpy(rng.standard_normal(tuple(shape), np.float32))


def picture(owner: object, of: Shape) -> Shape:
    """Return the shape of a picture `[C, H, W]`; UserError for others."""
    if len(of) != 3:
        raise UserError(f"{type(owner).__name__}: needs pictures [C, H, W], got {shown(of)}")
    return of


def shown(of: Shape) -> str:
    """Return a shape in words for errors."""
    return f"[{', '.join('any' if side is None else str(side) for side in of)}]"
