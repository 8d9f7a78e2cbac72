"""Many sounds one by one: made faster after a while, and the very same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import audiogan
from audiogan import generator
from audiogan.tracing import traced


class Drawing(nn.Module):
    """Adds a random number to what it is given: it never does the same twice."""

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        return z + condition + torch.randn(1)


@pytest.mark.parametrize("name", ["drums", "digits"])
def test_sounds_are_the_same_bits_before_and_after(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = audiogan.load(name).sample(40, seed=3)
    monkeypatch.setattr(generator, "TRACED_AFTER", 10)
    model = audiogan.load(name)
    assert np.array_equal(model.sample(40, seed=3), expected)
    assert model._traced is not None  # or nothing was compared
    other = audiogan.load(name).sample(1, seed=3, truncation=0.5)
    assert np.array_equal(model.sample(1, seed=3, truncation=0.5), other)


def test_a_network_without_the_same_bits_twice_stays_as_it_is() -> None:
    assert traced(Drawing(), torch.ones(1, 3), torch.ones(1, 3)) is None


def test_a_large_network_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Bilinear(3, 3, 4)
    assert traced(net, torch.ones(1, 3), torch.ones(1, 3)) is not None
    monkeypatch.setattr("audiogan.tracing.LARGEST", 8)
    assert traced(net, torch.ones(1, 3), torch.ones(1, 3)) is None
