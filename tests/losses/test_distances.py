"""Tests of distances between outputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from audiogan.losses import L1

OUTPUT = torch.tensor([[[1.0, -2.0]], [[0.0, 0.5]]])
TARGET = torch.tensor([[[0.0, 1.0]], [[0.0, 0.0]]])


@pytest.mark.parametrize(
    ("distance", "value"),
    [
        (L1(), (1 + 3 + 0 + 0.5) / 4),
        (L1(100), 112.5),
    ],
)
def test_values(distance: Callable[..., Any], value: float) -> None:
    found = distance(OUTPUT, TARGET)
    assert found.shape == () and found.item() == pytest.approx(value)
    assert distance(OUTPUT.bfloat16(), TARGET).dtype == torch.float32


def test_gradients_lead_to_the_target_and_end_there() -> None:
    output = OUTPUT.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(L1()(output, TARGET), output)
    assert torch.equal(gradient.sign(), (OUTPUT - TARGET).sign())
    equal = TARGET.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(L1()(equal, TARGET), equal)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match=r"L1: weight=-1"):
        L1(weight=-1)
    with pytest.raises(ValueError, match=r"L1: the output is \[2, 1, 2\], the target \[2, 1, 1\]"):
        L1()(OUTPUT, TARGET[..., :1])  # Without a check, the target would be broadcast.
