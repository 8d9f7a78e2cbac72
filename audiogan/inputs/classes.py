"""The class input: weights of named classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.errors import UserError
from audiogan.inputs.base import ByName, Input, Random, find_column, parse_numbers
from audiogan.utils.names import describe_unknown_name, match_name

INITIAL_LOGIT = 5.0
"""Initial logit of a class with weight 1, when class weights are optimised by gradient descent."""
MAX_WEIGHT = 1e9
"""Largest class weight that a user can request, before weights are divided by their sum."""
MIXTURE_ERROR = "class {!r}: write NAME or NAME:NUMBER"
"""Error message for an invalid mixture of classes."""
MIN_STORED_WEIGHT = 0.02
"""Smallest class weight that a recipe stores. Smaller weights are set to 0."""


class Classes(Input):
    """Input with a weight for each class, float32 ``[classes]``. Weights sum to 1.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        labels: names of the classes.
        counts: number of training examples in each class. Classes are drawn in proportion to these numbers. If it is
            empty, all classes have the same probability.
        column: name of the data column with the class of each example, int64. ``None``: classes are drawn in training
            as well, like the target class of StarGAN.
        use: ``auto`` for all classes of the data, 0 for none, or the number of classes that the data must have.
        size: number of classes. It is ignored, because the number follows from ``labels``.

    Examples:
        >>> from audiogan.inputs import Classes
        >>> classes = Classes(labels=["kick", "snare"], counts=[30, 10])
        >>> classes.parse("kick:3,snare:1")
        tensor([0.7500, 0.2500])
    """

    default_column = "label"
    learning_rate = 0.2
    counts: Tensor

    def __init__(
        self,
        name: str = "classes",
        labels: Sequence[str] = (),
        counts: Sequence[int] = (),
        column: str | None = "label",
        use: Any = "auto",
        size: int | None = None,
    ) -> None:
        super().__init__(name, (len(labels),), column)
        if not labels or (counts and len(counts) != len(labels)):
            raise ValueError(f"{name}: {len(counts)} counts for {len(labels)} labels; give one count for each label")
        self.labels = list(labels)
        self.register_buffer("counts", torch.as_tensor(list(counts) or [1] * len(labels), dtype=torch.float32))

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "label", use: Any = "auto", **options: Any) -> dict[str, Any]:
        """Return ``labels``, ``counts`` and ``size``, the number of classes. Without labels in the data, ``size`` is
        0."""
        column, found = column or cls.default_column, None
        if table is not None and (column != cls.default_column or column in table.columns):
            found = find_column(table, column, "labels", "labels")
        labels = list(found.labels) if found is not None else []
        if table is not None and use not in ("auto", 0, len(labels)):
            raise UserError(f"classes={use!r}, but the data has {len(labels)} labels; use classes=auto or classes=0")
        if use == 0 or not labels:
            return {"labels": [], "counts": [], "size": 0}
        return {"labels": labels, "counts": table.class_counts, "size": len(labels)}

    def check_buffers(self) -> None:
        if not (bool((self.counts >= 0).all()) and float(self.counts.sum()) > 0):
            raise UserError(f"{self.name}: expected a count of at least 0 for each class, not all of them 0")

    def from_batch(self, batch: Mapping[str, Tensor], random: Random) -> Tensor:
        """Return one-hot weights ``[B, classes]`` for the labels of a batch."""
        if self.column is None:
            return self.draw(next(len(value) for value in batch.values()), random)
        if self.column not in batch:
            raise ValueError(f"the networks need {len(self.labels)} classes, but the data has no labels")
        return self._one_hot(batch[self.column])

    def values_for_real_examples(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        if self.column is not None or self.default_column not in batch:
            return None
        return self._one_hot(batch[self.default_column])

    def _one_hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels, len(self.labels)).to(self.counts.dtype)

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        if requested is not None:
            return self.expand_to_batch(requested, n)
        chances = self.counts.cpu()
        if odds and self.name in odds:
            chances = chances * odds[self.name]
        if chances.dim() == 2:  # The samples have different probabilities.
            chosen = torch.cat([random.choice(row, 1) for row in chances])
        else:
            chosen = random.choice(chances, n)
        # NumPy computes the one-hot weights, because it is faster than PyTorch for small arrays.
        weights = (chosen.cpu().numpy()[:, None] == np.arange(len(self.labels))).astype(np.float32)
        return torch.from_numpy(weights).to(chosen.device)

    def balanced_values(self, n: int) -> Tensor:
        return torch.eye(len(self.labels))[torch.arange(n) % len(self.labels)]

    def proportional_values(self, n: int) -> Tensor:
        shares = self.counts.cpu().double().cumsum(0).numpy()
        chosen = np.searchsorted(shares / shares[-1], (np.arange(n) + 0.5) / n)
        return torch.eye(len(self.labels))[torch.from_numpy(chosen)]

    def neutral_values(self, n: int) -> Tensor:
        """Return ``n`` rows that weight all classes equally."""
        return torch.full((n, len(self.labels)), 1 / len(self.labels))

    def kind_indices(self, x: Tensor) -> Tensor:
        """Return the index of the class with the largest weight in each row of ``x``."""
        return x.argmax(1)

    def to_batch(self, x: Tensor) -> dict[str, Tensor]:
        return {self.column or self.default_column: x.argmax(1)}

    def captions(self, x: Tensor) -> list[str]:
        """Return the name of the class with the largest weight in each row of ``x``."""
        return [self.labels[k] for k in x.argmax(1).tolist()]

    def parse(self, value: Any) -> Tensor:
        """Return class weights for a name or a mixture, such as ``{"kick": 0.7, "tom": 0.3}`` or ``kick:0.7,tom:0.3``.

        Case, separators and the order of words in a name are ignored: ``closed hat`` means ``hat_closed``.

        Raises:
            UserError: a name is not a class, or a weight is invalid.
        """
        if isinstance(value, Tensor | np.ndarray):
            value = self.values_by_name(value, self.labels)
        if isinstance(value, str):
            is_name = value in self.labels or ":" not in value
            value = {value: 1.0} if is_name else parse_numbers(value, ":", MIXTURE_ERROR)
        if not isinstance(value, Mapping):
            raise UserError(f"class {value!r:.60}: give a name, or a mapping of names to weights")
        return self._weights(value)

    def _weights(self, value: Mapping[str, float]) -> Tensor:
        weights = np.zeros(len(self.labels), np.float32)
        seen: set[str] = set()
        for text, weight in value.items():
            name = match_name(str(text), self.labels)
            if name is None:
                raise UserError(f"the model has no class {describe_unknown_name(str(text), self.labels)}")
            if name in seen:
                raise UserError(f"classes {dict(value)}: {name!r} is given twice; remove one of them")
            seen.add(name)
            if (
                isinstance(weight, bool)
                or not isinstance(weight, int | float | np.number)
                or not 0 <= weight <= MAX_WEIGHT
            ):
                raise UserError(f"class {name!r}: its weight {weight!r:.60} must be from 0 to {MAX_WEIGHT:g}")
            weights[self.labels.index(name)] = weight
        if not weights.sum() > 0:
            raise UserError(f"classes {dict(value)}: the weights of a mixture must not all be 0")
        return torch.from_numpy(weights / weights.sum())

    def to_json(self, x: Tensor) -> dict[str, float]:
        return {name: weight for name, weight in zip(self.labels, x.tolist(), strict=True) if weight}

    def from_json(self, json_value: Any) -> Tensor:
        return self._weights(json_value) if isinstance(json_value, dict) else self.parse(json_value)

    def from_exported(self, x: Tensor) -> Tensor:
        """Return non-negative weights ``[n, classes]``, normalised so that each row sums to 1."""
        return x / x.sum(1, keepdim=True).clamp_min(1e-6)

    def to_parameter(self, x: Tensor) -> Tensor:
        return INITIAL_LOGIT * x

    def from_parameter(self, parameter: Tensor) -> Tensor:
        return parameter.softmax(1)

    def drop_negligible(self, x: Tensor) -> Tensor:
        kept = torch.where(x >= min(MIN_STORED_WEIGHT, float(x.max())), x, 0.0)
        return kept / kept.sum()

    def example_values(self, n: int) -> Tensor:
        return self.balanced_values(n)

    def describe(self) -> str:
        return f"class or mixture of classes: {', '.join(self.labels)}"
