"""Tests of knob losses: values equal to the measured knobs, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from audiogan.data.sounds.knobs import measure_knobs
from audiogan.data.toys.drum_machine import drum_machine
from audiogan.inputs import Scale
from audiogan.losses import Attack, Brightness, Decay, Noisiness
from audiogan.losses.knobs import KnobLoss
from audiogan.representations import SoundFormat

NAMES = ["brightness", "attack", "decay", "noisiness"]
FORMAT = SoundFormat(8192)
KINDS: list[type[KnobLoss]] = [Attack, Decay, Brightness, Noisiness]


@pytest.fixture(scope="module")
def sounds() -> Tensor:
    waves = drum_machine(96, sample_rate=16000, length=8192).signals(slice(None))
    rise = torch.logspace(-4, -1, 96)[:, None, None]  # The sounds of the drum machine all have short attacks.
    return waves * (torch.arange(8192) / 16000 / rise).clamp_max(1)


@pytest.fixture(scope="module")
def scale(sounds: Tensor) -> Scale:
    return Scale.fit(measure_knobs(sounds.numpy(), 16000, NAMES), NAMES)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_the_knob_measures(sounds: Tensor, scale: Scale, kind: type[KnobLoss]) -> None:
    loss = kind(scale.to_dict(), FORMAT)
    assert loss.index == NAMES.index(loss.knob)
    wanted = scale.to_normal_scores(measure_knobs(sounds.numpy(), 16000, NAMES))[:, loss.index]
    assert np.abs(loss.normal_score(sounds).numpy() - wanted).mean() < 0.08
    assert np.abs(loss.normal_score(0.01 * sounds).numpy() - wanted).mean() < 0.08  # The level has no effect.


@pytest.mark.parametrize("kind", [Attack, Decay])
@pytest.mark.parametrize("target", [-1.0, 1.0])
def test_its_gradient_moves_the_envelope(scale: Scale, kind: type[KnobLoss], target: float) -> None:
    loss, t = kind(scale.to_dict(), FORMAT), torch.arange(8192) / 16000
    noise = torch.randn(1, 1, 8192, generator=torch.Generator().manual_seed(0))
    rise, fall = (torch.tensor(x, requires_grad=True) for x in (-4.6, -3.0))  # 10 and 50 ms
    optimizer = torch.optim.Adam([rise if kind is Attack else fall], 0.05)
    for _ in range(150):
        score = loss.normal_score(noise * (t / rise.exp()).clamp_max(1) * (-t / fall.exp()).exp())
        optimizer.zero_grad()
        (score - target).square().sum().backward()
        optimizer.step()
    assert abs(float(score.detach()) - target) < 0.3


@pytest.mark.parametrize("kind", KINDS[2:])
@pytest.mark.parametrize("target", [-1.0, 1.0])
def test_its_gradient_moves_the_spectrum(scale: Scale, kind: type[KnobLoss], target: float) -> None:
    loss, seconds = kind(scale.to_dict(), FORMAT), torch.arange(8192) / 16000
    noise = torch.fft.rfft(torch.randn(1, 1, 8192, generator=torch.Generator().manual_seed(0)))
    tone, hertz = torch.sin(2 * torch.pi * 500 * seconds), torch.linspace(0, 8000, 4097)
    # Ratio of noise to tone, and cutoff in octaves above 1 Hz.
    mix, cut = torch.tensor(-2.0, requires_grad=True), torch.tensor(7.0, requires_grad=True)
    optimizer = torch.optim.Adam([mix, cut], 0.1)
    for _ in range(150):
        coloured = torch.fft.irfft(noise / (1 + (hertz / cut.exp()) ** 2), 8192)
        score = loss.normal_score((tone + coloured * mix.exp()) * (-seconds / 0.1).exp())
        optimizer.zero_grad()
        (score - target).square().sum().backward()
        optimizer.step()
    assert abs(float(score.detach()) - target) < 0.3


def test_silence_and_other_knobs(scale: Scale) -> None:
    for kind in KINDS:
        silence = torch.zeros(2, 1, 8192, requires_grad=True)
        kind(scale.to_dict(), FORMAT).normal_score(silence).sum().backward()
        assert silence.grad is not None and torch.isfinite(silence.grad).all()
    assert Attack(None, FORMAT).index is None
    assert Attack({"names": ["brightness"], "quantiles": [[0.0, 1.0]]}, FORMAT).index is None


def test_both_channels_count(scale: Scale, sounds: Tensor) -> None:
    left = torch.cat([sounds[:4], torch.zeros_like(sounds[:4])], dim=1)
    for kind in KINDS:
        loss = kind(scale.to_dict(), FORMAT)
        for stereo in (left, left.flip(1)):
            assert torch.allclose(loss.normal_score(stereo), loss.normal_score(sounds[:4]), atol=1e-3)
