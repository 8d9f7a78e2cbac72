"""Tests of the image pool."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audiogan.core import Play
from audiogan.games.image_pool import ImagePool


class Fixed:
    """Source of random numbers that returns the given numbers, row by row."""

    def __init__(self, *rows: tuple[float, float]) -> None:
        self.rows = list(rows)

    def rand(self, *shape: int) -> Tensor:
        rows, self.rows = self.rows[: shape[0]], self.rows[shape[0] :]
        return torch.tensor(rows).reshape(shape)


def numbers(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def test_it_fills_first_and_then_trades_one_in_two() -> None:
    pool = ImagePool((1, 1, 1), size=2)
    new = (0.9, 0.0)
    assert torch.equal(pool(numbers(1), Fixed(new)), numbers(1))
    random = Fixed(new, (0.4, 0.6), (0.6, 0.6), (0.4, 0.6))
    assert torch.equal(pool(numbers(2, 3, 4, 5), random), numbers(2, 2, 4, 3))
    assert torch.equal(pool.stored, numbers(1, 5)) and int(pool.count) == 2


def context(step: int) -> Play:
    context = Play(step, seed=3)
    context.begin_move("critic")
    return context


def test_half_of_the_samples_are_older_ones() -> None:
    pool, old = ImagePool((2,), size=10), 0
    for step in range(200):
        x = torch.full((5, 2), float(step))
        changed = int((pool(x, context(step)) != x).any(1).sum())
        assert changed == 0 or step >= 2  # The pool is full after two batches.
        old += changed
    assert 0.42 < old / (200 * 5) < 0.55  # A stored sample can be from the same step.


def test_a_pool_from_a_state_dict_continues_exactly() -> None:
    data = torch.randn(30, 4, 1, 3, 3)
    whole = ImagePool((1, 3, 3), size=6)
    expected = [whole(x, context(i)) for i, x in enumerate(data)]
    for stop in (1, 17):  # The run stops while the pool is filling, and afterwards.
        first, second = ImagePool((1, 3, 3), size=6), ImagePool((1, 3, 3), size=6)
        found = [first(x, context(i)) for i, x in enumerate(data[:stop])]
        second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
        found += [second(x, context(i)) for i, x in enumerate(data[stop:], stop)]
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_what_is_returned_has_no_gradient_and_is_a_copy() -> None:
    pool = ImagePool((2,), size=1)
    x = torch.ones(3, 2, requires_grad=True)
    out = pool(x, context(0))
    assert not out.requires_grad and out.dtype == x.dtype
    out.zero_()
    assert torch.equal(x, torch.ones(3, 2)) and torch.equal(pool.stored, torch.ones(1, 2))
    assert pool(torch.ones(3, 2, dtype=torch.bfloat16), context(1)).dtype == torch.bfloat16


def test_without_room_it_returns_the_batch() -> None:
    x = torch.randn(3, 2)
    assert torch.equal(ImagePool((2,), size=0)(x, Fixed()), x)


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="size=-1"):
        ImagePool((1,), size=-1)
    with pytest.raises(ValueError, match=r"expected \[B, 3, 8, 8\], got \[2, 1, 8, 8\]"):
        ImagePool((3, 8, 8))(torch.zeros(2, 1, 8, 8), Fixed())
