"""Tests of augmentations of sounds: transformations, independence of the examples in a batch, gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.augment import Augment, Cutout, Shift

WAVE = [Shift(20), Shift(20, min_samples=0)]
PICTURE = [Cutout(0.5)]
IDENTITY = [Shift(0), Cutout(0)]


def seeded(seed: int = 0) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(*shape, generator=generator)


def constant(value: float) -> Callable[..., Tensor]:
    return lambda *shape: torch.full(shape, value)


ALMOST_ONE = 1 - 2**-24  # The largest value that `rand` can return.


def example(transform: nn.Module, n: int = 4, dtype: torch.dtype = torch.float32) -> Tensor:
    shape = (n, 2, 300) if isinstance(transform, Shift) else (n, 2, 24, 30)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("transform", WAVE + PICTURE, ids=lambda t: type(t).__name__)
class TestEvery:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    def test_keeps_shape_and_dtype(self, transform: nn.Module, dtype: torch.dtype) -> None:
        x = example(transform, dtype=dtype)
        y = transform(x, seeded())
        assert y.shape == x.shape and y.dtype == dtype and not torch.equal(y, x)

    def test_follows_rand_alone(self, transform: nn.Module) -> None:
        x = example(transform, 8)
        assert torch.equal(transform(x, seeded(3)), transform(x, seeded(3)))
        assert not torch.equal(transform(x, seeded(3)), transform(x, seeded(4)))

    def test_draws_for_each_clip(self, transform: nn.Module) -> None:
        same = example(transform, 1).expand(16, *example(transform).shape[1:])
        y = transform(same, seeded())
        assert len({tuple(clip.flatten().tolist()) for clip in y}) > 1
        # The random numbers of one clip do not depend on the other clips.
        other = same.clone()
        other[1:] = 0
        assert torch.equal(transform(other, seeded())[0], y[0])

    @pytest.mark.parametrize("value", [0.0, 0.5, ALMOST_ONE])
    def test_survives_the_ends_of_rand(self, transform: nn.Module, value: float) -> None:
        assert torch.isfinite(transform(example(transform), constant(value))).all()

    def test_gradient(self, transform: nn.Module) -> None:
        x = example(transform, 2, torch.float64)
        x = (x[..., :30] if x.dim() == 3 else x[..., :9, :7]).contiguous().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: transform(v, seeded()), x)
        y = transform(x, seeded())
        (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        gradient.square().sum().backward()  # Second derivatives, as for gradient penalties.


@pytest.mark.parametrize("transform", IDENTITY, ids=lambda t: type(t).__name__)
def test_nothing_asked_is_the_identity(transform: nn.Module) -> None:
    x = example(transform)
    assert torch.allclose(transform(x, seeded()), x, atol=1e-7)


@pytest.mark.parametrize(("value", "moved"), [(0.0, -2), (0.25, -1), (0.5, 0), (0.7, 1), (ALMOST_ONE, 2)])
def test_shift_moves_by_whole_samples_without_wrapping(value: float, moved: int) -> None:
    x = torch.arange(1.0, 7.0).expand(1, 2, 6)
    expected = torch.zeros(6)
    expected[max(0, moved) : 6 + min(0, moved)] = x[0, 0, max(0, -moved) : 6 - max(0, moved)]
    assert torch.equal(Shift(2)(x, constant(value)), expected.expand(1, 2, 6))


def test_shift_is_uniform_and_may_exceed_the_clip() -> None:
    x = torch.zeros(7000, 1, 7)
    x[:, :, 3] = 1
    places = Shift(3)(x, seeded()).argmax(-1).flatten()
    assert places.bincount(minlength=7).min() > 850
    assert Shift(100)(torch.ones(1, 1, 5), constant(0.0)).sum() == 0


@pytest.mark.parametrize(("low", "high"), [(0, 4), (-1, 3), (2, 2), (-3, 0)])
def test_shift_is_uniform_between_two_limits(low: int, high: int) -> None:
    x = torch.zeros(400 * (high - low + 1), 1, 13)
    x[:, :, 6] = 1
    moved = Shift(high, min_samples=low)(x, seeded()).argmax(-1).flatten() - 6
    assert int(moved.min()) == low and int(moved.max()) == high
    assert (moved - low).bincount(minlength=high - low + 1).min() > 340


def test_later_only_keeps_the_attack() -> None:
    x = torch.arange(1.0, 9.0).expand(50, 1, 8)
    for clip in Shift(3, min_samples=0)(x, seeded()):
        assert torch.equal(clip[clip > 0], x[0, 0, : int((clip > 0).sum())])
    with pytest.raises(ValueError, match=r"min_samples=5 must not exceed max_samples=3"):
        Shift(3, min_samples=5)


def test_cutout_is_a_rectangle() -> None:
    y = Cutout(0.5)(torch.ones(2000, 1, 10, 20), seeded())
    removed = y[:, 0] == 0
    rows, columns = removed.any(2).sum(1), removed.any(1).sum(1)
    assert torch.equal(removed.sum((1, 2)), rows * columns)
    assert rows.max() == 5 and columns.max() == 10 and removed.any(0).all()


def test_augment_acts_on_each_clip_with_probability_p() -> None:
    x = torch.randn(4000, 1, 3)
    for p in (0.0, 0.3, 1.0):
        changed = (Augment([Shift(1, min_samples=1)], p=p)(x, seeded()) != x).flatten(1).any(1).float().mean()
        assert changed == pytest.approx(p, abs=0.03 if 0 < p < 1 else 0)


def test_augment_draws_for_each_transform_and_keeps_p_in_the_checkpoint() -> None:
    x = torch.eye(9)[2].expand(4000, 1, 9)
    moved = Augment([Shift(1, min_samples=1), Shift(3, min_samples=3)], p=0.5)(x, seeded()).argmax(-1) - 2
    # Four combinations of two transformations, each with probability 1/4.
    assert (moved.flatten().bincount(minlength=5)[[0, 1, 3, 4]] > 900).all()
    augment = Augment([Shift(3)], p=0.0)
    augment.load_state_dict({"p": torch.tensor(1.0)})
    impulse = torch.eye(9)[4].expand(1, 1, 9)
    assert augment(impulse, constant(0.0)).argmax() == 1  # p of 1, moved by -3


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Shift(-1), "max_samples=-1"),
        (lambda: Augment([], p=1.5), "p=1.5"),
        (lambda: Cutout(2), "ratio=2"),
    ],
)
def test_wrong_use_is_named(make: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()
