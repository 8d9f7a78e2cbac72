"""The number input: one number with a default, such as a speed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import ByName, Input, Random


class Number(Input):
    """Input with one number, float32 ``[1]``. It has its default value unless another value is requested.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        low: lowest value.
        high: highest value.
        default: value in training, and in samples for which no value is requested.
        size: number of channels. It is ignored, because it is 1.

    Raises:
        ValueError: the default is not between ``low`` and ``high``.

    Examples:
        >>> from audiogan.inputs import Number
        >>> Number("speed", low=0.5, high=2, default=1).parse("1.2")
        tensor([1.2000])
    """

    def __init__(
        self, name: str = "number", low: float = 0.0, high: float = 1.0, default: float = 0.0, size: int | None = None
    ) -> None:
        super().__init__(name, (1,))
        if not -math.inf < low <= default <= high < math.inf:
            raise ValueError(f"{name}: default={default} must be from low={low} to high={high}")
        self.low, self.high, self.default = float(low), float(high), float(default)

    @classmethod
    def data_facts(cls, table: Any, column: str | None = None, **options: Any) -> dict[str, Any]:
        """Return ``size``, which is 1."""
        return {"size": 1}

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        return torch.full((n, 1), self.default) if requested is None else self.expand_to_batch(requested, n)

    def parse(self, value: Any) -> Tensor:
        """Return a number, or a text with a number, as a tensor ``[1]``.

        Raises:
            UserError: the value is not a number, or it is out of range.
        """
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UserError(f"{self.name}={str(value)[:40]!r}: write a number") from None
        if not self.low <= number <= self.high:
            raise UserError(f"{self.name}={number:g}: must be from {self.low:g} to {self.high:g}")
        return torch.tensor([number], dtype=torch.float32)

    def from_json(self, json_value: Any) -> Tensor:
        return self.parse(json_value[0] if isinstance(json_value, list) and len(json_value) == 1 else json_value)

    def describe(self) -> str:
        return f"number from {self.low:g} to {self.high:g}; default {self.default:g}"
