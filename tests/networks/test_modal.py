"""Tests of the network with modes and noise: deterministic sounds, sharp spectral lines, exact mono, and gradients of
all weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from audiogan.networks.modal import ModalNoiseGenerator
from audiogan.networks.modal_encoder import MidListener, ModalNoiseEncoder
from audiogan.representations import SoundFormat

SMALL: dict[str, Any] = {"latent_dim": 8, "width": 16, "blocks": 1, "bands": 8, "style_dim": 16}


def generator(length: int = 22050, channels: int = 2, rate: int = 44100, **options: Any) -> ModalNoiseGenerator:
    torch.manual_seed(0)
    return ModalNoiseGenerator(SoundFormat(length, channels, rate), **{**SMALL, **options})


def latents(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("length", "channels", "rate", "n_fft", "hop"),
    [
        (2048, 1, 44100, 1024, 512),
        (11025, 2, 22050, 512, 200),
        (88200, 2, 44100, 1536, 768),
        (16384, 1, 16000, 512, 256),
    ],
)
def test_any_format_fits(length: int, channels: int, rate: int, n_fft: int, hop: int) -> None:
    network = generator(length, channels, rate, n_fft=n_fft, hop_length=hop)
    sounds, predicted = network.forward_with_aux(latents(2))
    assert sounds.shape == (2, channels, length) and sounds.isfinite().all()
    assert set(predicted) == {"modes", "glide"} | ({"width"} if channels == 2 else set())


def test_in_evaluation_a_sound_depends_on_its_latent_only() -> None:
    network = generator().eval()
    again = copy.deepcopy(network)
    z = latents(3)
    assert torch.equal(network(z), again(z))
    assert torch.allclose(network(z)[1], network(z[1:2])[0], atol=1e-5)
    assert not torch.allclose(network(z)[0], network(z)[1], atol=1e-3)
    network.train()
    assert not torch.equal(network(z), network(z))


def test_every_parameter_learns() -> None:
    network = generator(classes=2, knobs=1)
    classes = torch.eye(2)
    sounds, predicted = network.forward_with_aux(latents(2), classes, torch.zeros(2, 1))
    (sounds.square().mean() + sum(each.square().mean() for each in predicted.values())).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []


def test_a_mode_is_a_sharp_line_and_glides() -> None:
    """All modes except one are silent, so the sound has one spectral line. With a glide, the line falls."""
    network = generator(44100, 1).eval()
    parts = network.affine.bias.split(network.styled)
    with torch.no_grad():
        network.affine.weight.zero_()
        network.out.bias.fill_(-12)
        for layer in (network.out, network.transient, network.fine):
            layer.weight.zero_()
        _, level, decay = parts[-1].view(3, -1)
        level.fill_(-12)
        level[20], decay[20] = 0.0, -4.0
        parts[-2].copy_(torch.tensor([-30.0, 0.0]))
        wave = network(latents(1))[0, 0]
        power = torch.fft.rfft(wave[4410:26460] * torch.hann_window(22050)).abs().square()
        peak = int(power.argmax())
        assert peak * 2 == pytest.approx(float(network.high[20 - len(network.low)].exp2()), abs=4)
        assert power[peak - 4 : peak + 5].sum() > 0.99 * power.sum()
        factors = network.glide_factor(torch.tensor([[0.0, 0.0]]), network.times)
        fine = torch.arange(44100) / 44100
        exact = network.glide_factor(torch.tensor([[0.0, 0.0]]), fine)[0].cumsum(0) / 44100
        *_, warped = network.place_modes(parts[-1][None], torch.tensor([[0.0, 0.0]]))
        assert factors[0, 1] > 1.5 and factors[0, -1] < 1.001
        assert warped[0, 40].item() == pytest.approx(exact[40 * 512].item(), abs=2e-4)


def test_mono_is_exactly_mono() -> None:
    network = generator()
    with torch.no_grad():
        network.affine.weight.split(network.styled)[4].zero_()
        network.affine.bias.split(network.styled)[4].fill_(-0.1)
    left, right = network(latents(2)).unbind(1)
    assert torch.equal(left, right)


def test_encoder_and_listener() -> None:
    format = SoundFormat(11025, 2, 44100)
    sounds, classes = torch.randn(2, 2, 11025), torch.eye(2)
    mean, log_variance = ModalNoiseEncoder(format, latent_dim=8, classes=2, widths=(4, 4), hidden=8)(sounds, classes)
    assert mean.shape == log_variance.shape == (2, 8) and mean.isfinite().all()
    logits, knobs = MidListener(format, classes=2, knobs=3, widths=(4, 4, 4), hidden=8)(sounds)
    assert logits.shape == (2, 2) and knobs.shape == (2, 3)
