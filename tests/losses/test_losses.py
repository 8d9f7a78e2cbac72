"""Tests of adversarial losses and penalties: values of the papers, optima, gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.losses import R1, GradientPenalty, Hinge, LeastSquares, NonSaturating, Wasserstein, WeightClip

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0, 1.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("loss", "critic", "generator"),
    [
        (
            NonSaturating(),
            -sum(math.log(sigmoid(r)) for r in REAL.tolist()) / 2
            - sum(math.log(1 - sigmoid(f)) for f in FAKE.tolist()) / 3,
            -sum(math.log(sigmoid(f)) for f in FAKE.tolist()) / 3,
        ),
        (LeastSquares(), 0.5 * (1 + 4) / 2 + 0.5 * (0.25 + 9 + 1) / 3, 0.5 * (0.25 + 16 + 0) / 3),
        (Hinge(), (0 + 2) / 2 + (1.5 + 0 + 2) / 3, 0.5),
        (Wasserstein(), -0.5 - 0.5, 0.5),
    ],
)
def test_values(loss: Any, critic: float, generator: float) -> None:
    assert loss.critic(REAL, FAKE).item() == pytest.approx(critic, rel=1e-5)
    assert loss.generator(FAKE).item() == pytest.approx(generator, rel=1e-5)


@pytest.mark.parametrize("loss", [NonSaturating(), LeastSquares(), Hinge(), Wasserstein()])
def test_the_players_pull_apart(loss: Any) -> None:
    real, fake = torch.zeros(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    loss.critic(real, fake).backward()
    assert (real.grad < 0).all() and (fake.grad >= 0).all()  # type: ignore[operator]
    score = torch.zeros(4, requires_grad=True)
    loss.generator(score).backward()
    assert (score.grad < 0).all()  # type: ignore[operator]


@pytest.mark.parametrize("loss", [NonSaturating(), LeastSquares(), Hinge(), Wasserstein()])
def test_confident_logits_stay_finite(loss: Any) -> None:
    wrong = torch.full((2,), -1e4, requires_grad=True)
    value = loss.critic(wrong, -wrong) + loss.generator(wrong)
    assert torch.isfinite(value) and torch.isfinite(torch.autograd.grad(value, wrong)[0]).all()


class Linear(nn.Module):
    """Linear critic w . x, whose gradient is w everywhere."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight


def rand(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_gradient_penalty_of_a_linear_critic() -> None:
    critic, x = Linear([3.0, 4.0]), torch.randn(5, 1, 2)
    penalty = GradientPenalty(weight=10)
    assert penalty.every == 1
    value = penalty(critic, x, torch.randn(5, 1, 2), rand)
    assert value.item() == pytest.approx(10 * (5 - 1) ** 2)
    value.backward()  # d/dw 10 (|w| - 1)^2 = 20 (|w| - 1) w / |w|
    assert torch.allclose(critic.weight.grad, torch.tensor([48.0, 64.0]))  # type: ignore[arg-type]


def test_r1_of_a_linear_critic_is_lazy() -> None:
    critic, x = Linear([3.0, 4.0]), torch.randn(5, 1, 2)
    assert R1(weight=2, every=1)(critic, x, x, rand).item() == pytest.approx(25)
    assert R1().every == 16
    lazy = R1(weight=2, every=16)(critic, x, x, rand)
    assert lazy.item() == pytest.approx(16 * 25)
    lazy.backward()  # d/dw 16 |w|^2 = 32 w
    assert torch.allclose(critic.weight.grad, torch.tensor([96.0, 128.0]))  # type: ignore[arg-type]


def test_gradient_penalty_looks_between_real_and_fake_and_r1_at_real() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.square().flatten(1).sum(1)

    real, fake = torch.zeros(64, 1, 8), torch.ones(64, 1, 8)
    GradientPenalty()(critic, real, fake, rand)
    mix = seen[0]
    assert torch.equal(mix, mix[:, :, :1].expand_as(mix))  # One position on the line for each sample.
    assert torch.allclose(mix[:, 0, 0], rand(64, 1, 1)[:, 0, 0])  # real + epsilon (fake - real)
    R1()(critic, real, fake, rand)
    assert torch.equal(seen[1], real)


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1()])
def test_penalties_leave_inputs_alone_and_survive_a_dead_critic(penalty: Any) -> None:
    generator = nn.Linear(2, 2)
    fake = generator(torch.randn(3, 2))
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    for parameter in critic.parameters():
        nn.init.zeros_(parameter)
    real = torch.randn(3, 2)
    value = penalty(lambda x: critic(x).squeeze(1), real, fake, rand)
    with torch.no_grad():  # The value can be computed without gradients.
        assert torch.equal(penalty(lambda x: critic(x).squeeze(1), real, fake, rand), value)
    value.backward()
    assert all(torch.isfinite(p.grad).all() for p in critic.parameters() if p.grad is not None)
    assert generator.weight.grad is None and not real.requires_grad


def test_weight_clip() -> None:
    module = nn.Linear(3, 2)
    nn.init.constant_(module.weight, -0.3)
    nn.init.constant_(module.bias, 0.005)
    WeightClip(0.01)(module)
    assert torch.equal(module.weight, torch.full((2, 3), -0.01)) and torch.equal(module.bias, torch.full((2,), 0.005))
    assert module.weight.requires_grad and module.weight.is_leaf


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match=r"\[2, 2\].*\[3, 2\]"):
        GradientPenalty()(Linear([1.0, 1.0]), torch.zeros(3, 2), torch.zeros(2, 2), rand)
    with pytest.raises(ValueError, match="weight=-1"):
        R1(-1)
    with pytest.raises(ValueError, match="every=0"):
        GradientPenalty(every=0)
    with pytest.raises(ValueError, match="limit=0"):
        WeightClip(0)
