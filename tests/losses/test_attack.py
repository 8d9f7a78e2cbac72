"""Attack as a loss: what the knob measures, with a gradient that makes attacks longer or shorter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from audiogan.data.drum_machine import DrumMachine
from audiogan.data.knobs import Scale, measure
from audiogan.losses import Attack

NAMES = ["brightness", "attack"]


@pytest.fixture(scope="module")
def sounds() -> Tensor:
    waves = DrumMachine(96, sample_rate=16000, length=8192).signals(slice(None))
    rise = torch.logspace(-4, -1, 96)[:, None, None]  # drum machines are all sharp
    return waves * (torch.arange(8192) / 16000 / rise).clamp_max(1)


@pytest.fixture(scope="module")
def scale(sounds: Tensor) -> Scale:
    return Scale.fit(measure(sounds.numpy(), 16000, NAMES), NAMES)


def test_it_is_what_the_knob_measures(sounds: Tensor, scale: Scale) -> None:
    ruler = Attack(scale.to_dict(), 16000)
    wanted = scale.scores(measure(sounds.numpy(), 16000, NAMES))[:, 1]
    assert ruler.index == 1 and np.abs(ruler(sounds).numpy() - wanted).mean() < 0.05


def test_its_gradient_makes_attacks_longer_and_shorter(sounds: Tensor, scale: Scale) -> None:
    ruler, t = Attack(scale.to_dict(), 16000), torch.arange(8192) / 16000
    noise = torch.randn(1, 1, 8192, generator=torch.Generator().manual_seed(0)) * (-10 * t).exp()
    for target in (-1.0, 1.0):
        rise = torch.tensor(-4.6, requires_grad=True)  # 10 ms
        optimizer = torch.optim.Adam([rise], 0.05)
        for _ in range(150):
            score = ruler(noise * (t / rise.exp()).clamp_max(1))
            optimizer.zero_grad()
            (score - target).square().sum().backward()
            optimizer.step()
        assert abs(float(score.detach()) - target) < 0.3


def test_silence_and_other_knobs(scale: Scale) -> None:
    silence = torch.zeros(2, 1, 4096, requires_grad=True)
    Attack(scale.to_dict(), 16000)(silence).sum().backward()
    assert silence.grad is not None and torch.isfinite(silence.grad).all()
    assert Attack(None, 16000).index is None
    assert Attack({"names": ["decay"], "quantiles": [[0.0, 1.0]]}, 16000).index is None
