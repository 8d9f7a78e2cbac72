"""Tests of the kinds of class conditioning in critics."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.heads import CONDITIONINGS, Head


def logits(head: Head, h: Tensor, weights: Tensor | None) -> Tensor:
    out = head(h, classes=weights)
    x = out.logits if isinstance(out, CriticOutput) else out
    assert isinstance(x, Tensor)
    return x


def test_projection_is_equation_3() -> None:
    torch.manual_seed(0)
    head, h, y = Head(6, 3), torch.randn(5, 6), torch.rand(5, 3)
    assert head.embed is not None
    v, psi = head.embed.weight.T, head.score  # [classes, features]
    expected = [psi(h[i])[0] + sum(y[i, k] * (v[k] @ h[i]) for k in range(3)) for i in range(5)]
    assert torch.allclose(head(h, y), torch.stack(expected), atol=1e-6)


@pytest.mark.parametrize("conditioning", ["projection", "embedding"])
def test_a_conditional_logit_depends_on_the_class(conditioning: str) -> None:
    torch.manual_seed(0)
    head, h = Head(8, 3, conditioning), torch.randn(1, 8).expand(3, -1)
    values = logits(head, h, torch.eye(3))
    assert values.shape == (3,) and values.std() > 1e-3


def test_an_auxiliary_head_guesses_the_class_and_hides_it_from_the_logit() -> None:
    torch.manual_seed(0)
    head, h = Head(8, 3, "auxiliary"), torch.randn(4, 8)
    score, guess, _ = head(h, classes=torch.eye(3)[[0, 1, 2, 0]])
    other, unasked, _ = head(h)
    assert score.shape == (4,) and guess.shape == (4, 3)
    assert torch.equal(score, other) and torch.equal(guess, unasked)


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_every_weight_of_a_head_is_used(conditioning: str) -> None:
    head = Head(8, 3, conditioning)
    out: Any = head(torch.randn(6, 8), classes=torch.eye(3).repeat(2, 1))
    loss = out[0].sum() + F.cross_entropy(out[1], torch.arange(6) % 3) if isinstance(out, CriticOutput) else out.sum()
    loss.backward()
    for name, weight in head.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("conditioning", ["projection", "embedding"])
def test_a_head_learns_which_class_a_sample_is_not(conditioning: str) -> None:
    """Real pairs have the class that the hidden layer shows, fake pairs another class. Only the pair distinguishes
    them."""
    torch.manual_seed(0)
    head = Head(4, 4, conditioning)
    optimizer = torch.optim.Adam(head.parameters(), 0.03)
    label = torch.arange(64) % 4
    h, eye = torch.eye(4)[label], torch.eye(4)
    for step in range(150):
        real = logits(head, h, eye[label])
        fake = logits(head, h, eye[(label + 1 + step % 3) % 4])
        loss = F.softplus(-real).mean() + F.softplus(fake).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for shift in (1, 2, 3):
        assert (logits(head, h, eye[label]) > 1).all() and (logits(head, h, eye[(label + shift) % 4]) < -1).all()


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_without_classes_all_heads_are_one_dense_layer(conditioning: str) -> None:
    head = Head(8, 0, conditioning)
    h = torch.randn(3, 8)
    assert torch.equal(head(h), head.score(h)[:, 0]) and sum(p.numel() for p in head.parameters()) == 9


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match=r"conditioning='concat' must be one of projection, embedding, auxiliary"):
        Head(8, 3, "concat")
    with pytest.raises(ValueError, match="classes=-1"):
        Head(8, -1)
    with pytest.raises(ValueError, match=r"expected \[B, 8\], got \[2, 7\]"):
        Head(8, 3)(torch.zeros(2, 7), classes=torch.eye(3)[:2])
    with pytest.raises(ValueError, match="Head takes the inputs: classes; got: none"):
        Head(8, 3)(torch.zeros(2, 8))
    with pytest.raises(ValueError, match="Head takes the inputs: none; got: classes"):
        Head(8, 0)(torch.zeros(2, 8), classes=torch.eye(3)[:2])
    with pytest.raises(ValueError, match=r"classes: expected \[B, 3\], got \[2\]"):
        Head(8, 3)(torch.zeros(2, 8), classes=torch.tensor([0, 1]))  # Class indices are not class weights.
    with pytest.raises(ValueError, match="classes of 1 samples for 2 samples"):
        Head(8, 3)(torch.zeros(2, 8), classes=torch.eye(3)[:1])
