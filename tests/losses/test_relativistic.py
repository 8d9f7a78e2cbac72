"""Tests of the relativistic pairing loss: values, gradients, configuration."""

from __future__ import annotations

import math

import pytest
import torch

from audiogan.losses import Hinge, LeastSquares, NonSaturating, RelativisticPairing, Wasserstein

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def test_values() -> None:
    loss = RelativisticPairing()
    assert loss.critic(REAL, FAKE).item() == pytest.approx((softplus(-1.5) + softplus(4.0)) / 2)
    assert loss.generator(FAKE, REAL).item() == pytest.approx((softplus(1.5) + softplus(-4.0)) / 2)


def test_only_differences_count() -> None:
    loss = RelativisticPairing()
    torch.testing.assert_close(loss.critic(REAL + 7, FAKE + 7), loss.critic(REAL, FAKE))
    torch.testing.assert_close(loss.generator(FAKE + 7, REAL + 7), loss.generator(FAKE, REAL))


def test_the_players_pull_apart() -> None:
    loss = RelativisticPairing()
    real, fake = torch.zeros(4, 1, 3, 3, requires_grad=True), torch.zeros(4, 1, 3, 3, requires_grad=True)
    of_real, of_fake = torch.autograd.grad(loss.critic(real, fake), (real, fake))
    assert (of_real < 0).all() and (of_fake > 0).all()
    (gradient,) = torch.autograd.grad(loss.generator(fake, real), fake)
    assert (gradient < 0).all()


def test_confident_logits_stay_finite() -> None:
    real = torch.full((2,), -1e4, requires_grad=True)
    value = RelativisticPairing().critic(real, -real)
    assert torch.isfinite(value) and torch.isfinite(torch.autograd.grad(value, real)[0]).all()


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"equally many .* \[2\] and \[3\]"):
        RelativisticPairing().critic(REAL, torch.zeros(3))


def test_games_can_tell_which_losses_are_relativistic() -> None:
    assert RelativisticPairing.relativistic
    assert not any(loss.relativistic for loss in (NonSaturating, LeastSquares, Hinge, Wasserstein))


def test_its_configuration_has_both_penalties() -> None:
    from audiogan.run.config import compose

    game = compose("images", ["loss=relativistic"]).game
    assert game.loss._target_ == "audiogan.losses.RelativisticPairing"
    assert [game.penalties[name]._target_.rpartition(".")[2] for name in ("r1", "r2")] == ["R1", "R2"]
