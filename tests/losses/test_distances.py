"""Distances between outputs and targets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from audiogan.losses import L1, L2, Charbonnier

OUTPUT = torch.tensor([[[1.0, -2.0]], [[0.0, 0.5]]])
TARGET = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]])


@pytest.mark.parametrize(
    ("distance", "value"),
    [
        (L1(), (1 + 3 + 0 + 0.5) / 4),
        (L1(100), 112.5),
        (L2(2), 2 * (1 + 9 + 0 + 0.25) / 4),
        (Charbonnier(3, epsilon=0.5), 3 * sum(math.sqrt(d * d + 0.25) for d in (1, 3, 0, 0.5)) / 4),
    ],
)
def test_values(distance: Callable[..., Any], value: float) -> None:
    found = distance(OUTPUT, TARGET)
    assert found.shape == () and found.item() == pytest.approx(value)
    assert distance(OUTPUT.bfloat16(), TARGET).dtype == torch.float32


@pytest.mark.parametrize("distance", [L1(), L2(), Charbonnier()])
def test_gradients_lead_to_the_target_and_end_there(distance: Callable[..., Any]) -> None:
    output = OUTPUT.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(distance(output, TARGET), output)
    assert torch.equal(gradient.sign(), (OUTPUT - TARGET).sign())
    equal = TARGET.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(distance(equal, TARGET), equal)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("kind", [L1, L2, Charbonnier])
def test_wrong_use_is_named(kind: type[Any]) -> None:
    with pytest.raises(ValueError, match=rf"{kind.__name__}: weight=-1"):
        kind(weight=-1)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: the output is \[2, 1, 2\], the target \[2, 1, 1\]"):
        kind()(OUTPUT, TARGET[..., :1])  # it would be broadcast
    with pytest.raises(ValueError, match="epsilon=0"):
        Charbonnier(epsilon=0)
