"""Tests of the minibatch standard deviation: critics detect batches of equal samples."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiogan.networks.blocks import minibatch_std
from audiogan.networks.dcgan import DCGANCritic
from audiogan.networks.stylegan import StyleGANCritic


def one_hot(*labels: int) -> Tensor:
    return torch.eye(max(labels) + 1)[list(labels)]


def test_a_batch_of_one_picture_shows() -> None:
    x = torch.randn(8, 3, 4, 4)
    assert minibatch_std(x).shape == (8, 1, 4, 4)
    assert minibatch_std(x).mean() > 100 * minibatch_std(x[:1].expand(8, -1, -1, -1)).mean()
    # Without classes, groups consist of every second sample: 0, 2, 4, 6 and 1, 3, 5, 7.
    x[1::2] = x[1]
    assert (minibatch_std(x)[1::2] < 1e-3).all() and (minibatch_std(x)[::2] > 0.1).all()


def test_a_class_of_one_picture_shows_among_other_classes() -> None:
    weights = one_hot(0, 1, 0, 1, 1, 0, 1, 0)
    x = torch.randn(2, 3, 4, 4)[weights.argmax(1)]
    assert minibatch_std(x).min() > 0.1, "without classes it is hidden by their differences"
    assert minibatch_std(x, classes=weights).max() < 1e-3
    x[weights.argmax(1) == 1] = torch.randn(4, 3, 4, 4)
    spread = minibatch_std(x, classes=weights)[:, 0, 0, 0]
    assert (spread[weights.argmax(1) == 0] < 1e-3).all() and (spread[weights.argmax(1) == 1] > 0.1).all()


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 13), classes=st.integers(1, 5), seed=st.integers(0, 99))
def test_any_batch_has_a_finite_gradient(batch: int, classes: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    # For equal samples, the derivative of the square root must be finite.
    x = torch.zeros(batch, 2, 3, 3).requires_grad_()
    labels = torch.randint(classes, (batch,), generator=rng)
    for weights in (None, torch.eye(classes)[labels]):
        (gradient,) = torch.autograd.grad(minibatch_std(x, classes=weights).sum(), x)
        assert gradient.isfinite().all()


def test_critics_hear_of_it() -> None:
    torch.manual_seed(0)
    weights = one_hot(0, 1, 0, 1, 0, 1, 0, 1)
    same, different = torch.randn(2, 1, 32, 32)[weights.argmax(1)], torch.randn(8, 1, 32, 32)
    different[:2] = same[:2]
    critics = {
        "dcgan": DCGANCritic((1, 32, 32), classes=2, width=4, norm="none", minibatch_std=True),
        "dcgan without": DCGANCritic((1, 32, 32), classes=2, width=4, norm="none"),
        "stylegan": StyleGANCritic((1, 32, 32), classes=2, channel_base=128, channel_max=8),
    }
    change = {
        name: (net(same, classes=weights) - net(different, classes=weights))[:2].abs().min().item()
        for name, net in critics.items()
    }
    assert change["dcgan"] > 1e-3 and change["stylegan"] > 1e-4
    assert change["dcgan without"] < 1e-6
