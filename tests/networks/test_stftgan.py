"""Tests of the STFT GAN: shapes, conditioning, inputs of the critic."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogan.networks.stftgan import STFTCritic, STFTGenerator


@settings(max_examples=12, deadline=None)
@given(
    bins=st.integers(33, 70),
    frames=st.integers(33, 70),
    channels=st.sampled_from([2, 4]),
    classes=st.sampled_from([0, 3]),
)
def test_any_grid_fits(bins: int, frames: int, channels: int, classes: int) -> None:
    shape = (channels, bins, frames)
    generator = STFTGenerator(shape, latent_dim=8, classes=classes, widths=(8, 8, 8), style_dim=8)
    critic = STFTCritic(shape, classes=classes, widths=(4, 8, 8))
    weights = torch.eye(3)[:2] if classes else None
    x = generator(torch.randn(2, 8), classes=weights)
    assert x.shape == (2, *shape) and critic(x, classes=weights).shape == (2,)
    assert torch.isfinite(critic(torch.zeros(2, *shape), classes=weights)).all()


def test_every_weight_of_both_networks_learns() -> None:
    generator = STFTGenerator((2, 33, 33), latent_dim=8, classes=3, widths=(8, 8, 8), style_dim=8)
    critic = STFTCritic((2, 33, 33), classes=3, widths=(4, 8, 8))
    weights = torch.eye(3)
    # The same batch of latents twice: the standard deviation is 0, and its gradient must be finite.
    critic(generator(torch.randn(3, 8), classes=weights), classes=weights).square().sum().backward()
    for name, weight in [*generator.named_parameters(), *critic.named_parameters()]:
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().sum() > 0, name


def test_mixtures_of_classes_lie_between() -> None:
    torch.manual_seed(0)
    generator = STFTGenerator((2, 33, 33), latent_dim=8, classes=2, widths=(8, 8, 8), style_dim=8)
    z = torch.randn(1, 8)
    a, mixed, b = (generator(z, classes=torch.tensor([c])) for c in ([1.0, 0.0], [0.5, 0.5], [0.0, 1.0]))
    assert (mixed - a).norm() < (a - b).norm() and (mixed - b).norm() < (a - b).norm()


@pytest.mark.parametrize("missing", [True, False])
def test_conditions_must_fit_the_classes(missing: bool) -> None:
    generator = STFTGenerator((2, 33, 33), latent_dim=8, classes=2 if missing else 0, widths=(8, 8), style_dim=8)
    with pytest.raises(ValueError, match="classes"):
        generator(torch.randn(2, 8), classes=None if missing else torch.eye(2))


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="too small"):
        STFTGenerator((2, 8, 8), widths=(8, 8, 8, 8))
    with pytest.raises(ValueError, match=r"expected \[B, 2, 33, 33\], got"):
        STFTCritic((2, 33, 33), widths=(4, 8))(torch.zeros(1, 2, 33, 32))
