"""Tests of fully connected networks: signals of any shape, conditioning, training on a small problem."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from audiogan.networks.base import CriticOutput
from audiogan.networks.mlp import MLPCritic, MLPGenerator


@settings(max_examples=15, deadline=None)
@given(
    shape=st.sampled_from([(2,), (3,), (1, 8, 8), (3, 5, 7), (1, 50)]),
    classes=st.sampled_from([0, 3]),
    widths=st.sampled_from([(8,), (8, 5), (4, 6, 8)]),
    activation=st.sampled_from(["relu", "leaky"]),
    spectral_norm=st.booleans(),
    conditioning=st.sampled_from(["projection", "embedding", "auxiliary"]),
)
def test_any_shape_fits(
    shape: tuple[int, ...],
    classes: int,
    widths: tuple[int, ...],
    activation: str,
    spectral_norm: bool,
    conditioning: str,
) -> None:
    generator = MLPGenerator(shape, 6, classes, widths, activation)
    critic = MLPCritic(shape, classes, widths, activation, spectral_norm, conditioning)
    weights = torch.eye(3)[[0, 2]] if classes else None
    x = generator(torch.randn(2, 6), classes=weights)
    out = critic(x, classes=weights)
    assert x.shape == (2, *shape) and critic.features(x).shape == (2, widths[-1])
    assert (out.logits if isinstance(out, CriticOutput) else out).shape == (2,)


def test_pictures_are_bounded_and_points_are_not() -> None:
    torch.manual_seed(0)
    z = 100 * torch.randn(64, 8)
    assert MLPGenerator((1, 6, 6), 8)(z).abs().max() <= 1
    assert MLPGenerator((2,), 8)(z).abs().max() > 1


def test_the_paper_s_networks_have_two_layers_of_1200() -> None:
    with torch.device("meta"):
        generator = MLPGenerator((1, 28, 28), 100, widths=[1200, 1200])
    layers = [module for module in generator.modules() if isinstance(module, nn.Linear)]
    assert [layer.out_features for layer in layers] == [1200, 1200, 784]


@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
def test_every_weight_of_both_networks_learns(conditioning: str) -> None:
    torch.manual_seed(0)
    generator = MLPGenerator((1, 4, 4), 6, 3, (8, 8))
    critic = MLPCritic((1, 4, 4), 3, (8, 8), conditioning=conditioning)
    out = critic(generator(torch.randn(3, 6), torch.eye(3)), torch.eye(3))
    sum(part.square().sum() for part in (out[:2] if isinstance(out, CriticOutput) else (out,))).backward()
    for name, weight in [*generator.named_parameters(), *critic.named_parameters()]:
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_signals_keep_their_size_through_many_layers() -> None:
    torch.manual_seed(0)
    for activation in ("relu", "leaky"):
        features = MLPCritic((64,), widths=[256] * 10, activation=activation).features(torch.randn(64, 64))
        assert 0.3 < features.square().mean().sqrt() < 3


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="activation='tanh' must be one of relu, leaky"):
        MLPGenerator((2,), activation="tanh")
    with pytest.raises(ValueError, match=r"widths=\[\]"):
        MLPCritic((2,), widths=[])
    with pytest.raises(ValueError, match=r"widths\[1\]=0"):
        MLPCritic((2,), widths=[8, 0])
    with pytest.raises(ValueError, match=r"expected \[B, 2\], got \[4, 3\]"):
        MLPCritic((2,))(torch.zeros(4, 3))
    for classes, weights in ((2, None), (0, torch.eye(2))):
        with pytest.raises(ValueError, match="takes the inputs"):
            MLPGenerator((2,), 4, classes)(torch.zeros(2, 4), classes=weights)
