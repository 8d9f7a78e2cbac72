"""Tests of classes in networks for sounds: effect of the class, mixtures, gradients of all weights."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.networks.base import CriticOutput
from audiogan.networks.specgan import SpecGANCritic, SpecGANGenerator
from audiogan.networks.wavegan import WaveGANCritic, WaveGANGenerator
from audiogan.representations import SoundFormat

FORMAT = SoundFormat(16384)
PAIRS: dict[str, tuple[Any, Any]] = {
    "wavegan": (partial(WaveGANGenerator, FORMAT), partial(WaveGANCritic, FORMAT)),
    "specgan": (SpecGANGenerator, SpecGANCritic),
}


def mixtures(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize("name", PAIRS)
def test_a_mixture_lies_between(name: str) -> None:
    torch.manual_seed(0)
    generator = PAIRS[name][0](model_size=2, classes=2).eval()
    z = torch.rand(1, 100) * 2 - 1
    a, mixed, b = generator(z.expand(3, -1), classes=mixtures([1, 0], [0.5, 0.5], [0, 1])).unbind()
    assert (a - b).norm() > 0.05 * a.norm()
    assert (mixed - a).norm() < (a - b).norm() > (mixed - b).norm()


@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
@pytest.mark.parametrize("name", PAIRS)
def test_every_weight_learns(name: str, conditioning: str) -> None:
    torch.manual_seed(0)
    generator = PAIRS[name][0](model_size=2, classes=3)
    critic = PAIRS[name][1](model_size=2, classes=3, conditioning=conditioning)
    weights = torch.eye(3)
    out = critic(generator(torch.rand(3, 100), classes=weights), classes=weights)
    logits, class_logits = out[:2] if isinstance(out, CriticOutput) else (out, None)
    assert logits.shape == (3,) and (class_logits is None) == (conditioning != "auxiliary")
    loss = logits.square().sum()
    if class_logits is not None:
        assert class_logits.shape == (3, 3)
        loss = loss + nn.functional.cross_entropy(class_logits, weights)
    loss.backward()
    for network in (generator, critic):
        for key, p in network.named_parameters():
            assert p.grad is not None and p.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", PAIRS)
def test_a_missing_class_is_named(name: str) -> None:
    generator, critic = PAIRS[name][0](model_size=1, classes=3), PAIRS[name][1](model_size=1, classes=3)
    with pytest.raises(ValueError, match="GANGenerator takes the inputs: classes, latent; got: latent"):
        generator(torch.rand(2, 100))
    with pytest.raises(ValueError, match="GANCritic takes the inputs: classes; got: none"):
        critic(torch.rand(2, *critic.shape))
