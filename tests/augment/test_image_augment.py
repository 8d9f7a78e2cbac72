"""Tests of augmentations of images: transformations, independence of the examples in a batch, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiogan.augment import (
    ADAPipeline,
    Contrast,
    DiffAugment,
    Flip,
    Hue,
    RandomBrightness,
    RandomScale,
    Rotate90,
    Saturation,
    Translate,
)

EVERY = [
    RandomBrightness(), RandomBrightness(0.2, gaussian=True), Saturation(), Saturation(1.0, gaussian=True), Contrast(),
    Contrast(0.5, gaussian=True), Hue(), Flip(), Rotate90(), Translate(), Translate(0.3, fill=None), RandomScale(),
]  # fmt: skip
NOTHING = [RandomBrightness(0), Saturation(0), Contrast(0, gaussian=True), Hue(0), Translate(0), RandomScale(0)]
ALMOST_ONE = 1 - 2**-24  # The largest value that `rand` can return.


def name(transform: nn.Module) -> str:
    return type(transform).__name__ + ("-normal" if getattr(transform, "normal", False) else "")


def seeded(seed: int = 0) -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(*shape, generator=generator)


def constant(value: float) -> Callable[..., Tensor]:
    return lambda *shape: torch.full(shape, value)


def pictures(n: int = 4, channels: int = 3, size: int = 12) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("transform", EVERY, ids=name)
class TestEvery:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    def test_keeps_shape_and_dtype(self, transform: nn.Module, dtype: torch.dtype) -> None:
        x = pictures().to(dtype)
        y = transform(x, seeded())
        assert y.shape == x.shape and y.dtype == dtype and not torch.equal(y, x)

    def test_draws_for_each_picture_and_from_rand_alone(self, transform: nn.Module) -> None:
        same = pictures(1).expand(16, -1, -1, -1)
        y = transform(same, seeded())
        assert len({tuple(picture.flatten().tolist()) for picture in y}) > 1
        assert torch.equal(transform(same, seeded()), y) and not torch.equal(transform(same, seeded(1)), y)
        other = same.clone()
        other[1:] = 0
        assert torch.equal(transform(other, seeded())[0], y[0])

    @pytest.mark.parametrize("value", [0.0, 0.5, ALMOST_ONE])
    def test_survives_the_ends_of_rand(self, transform: nn.Module, value: float) -> None:
        assert torch.isfinite(transform(pictures(), constant(value))).all()

    def test_gradients_of_both_orders(self, transform: nn.Module) -> None:
        x = pictures(2, 3, 5).double().requires_grad_()
        assert torch.autograd.gradcheck(lambda v: transform(v, seeded()), x)
        (gradient,) = torch.autograd.grad(transform(x, seeded()).square().sum(), x, create_graph=True)
        gradient.square().sum().backward()
        assert x.grad is not None and x.grad.abs().sum() > 0


@pytest.mark.parametrize("transform", NOTHING, ids=name)
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_asked_is_the_identity(transform: nn.Module, channels: int) -> None:
    x = pictures(channels=channels)
    assert torch.allclose(transform(x, seeded()), x, atol=1e-6)


@pytest.mark.parametrize(("normal", "spread"), [(False, 0.5 / 3**0.5), (True, 0.5)])
def test_brightness_has_the_spread_it_says(normal: bool, spread: float) -> None:
    added = RandomBrightness(0.5, gaussian=normal)(torch.zeros(8000, 1, 1, 1), seeded()).flatten()
    assert added.mean().abs() < 0.02 and added.std() == pytest.approx(spread, rel=0.03)
    assert normal or added.abs().max() <= 0.5


def test_contrast_and_saturation_scale_around_their_means() -> None:
    x = pictures(2000)
    for transform, axes in ((Contrast(0.5), (1, 2, 3)), (Saturation(0.5), (1,))):
        y = transform(x, seeded())
        assert torch.allclose(y.mean(axes), x.mean(axes), atol=1e-5)
        factor = (y - x.mean(axes, keepdim=True)).flatten(1).norm(dim=1) / (x - x.mean(axes, keepdim=True)).flatten(
            1
        ).norm(dim=1)
        assert factor.min() == pytest.approx(0.5, abs=0.01) and factor.max() == pytest.approx(1.5, abs=0.01)
    grey = pictures(channels=1)
    assert torch.allclose(Saturation()(grey, seeded()), grey)


def test_log_normal_factors_have_their_octaves() -> None:
    y = Contrast(0.5, gaussian=True)(torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).expand(8000, -1, -1, -1), seeded())
    octaves = y[:, 0, 0, 1].log2()
    assert octaves.mean().abs() < 0.02 and octaves.std() == pytest.approx(0.5, rel=0.03)


def test_hue_turns_colours_around_grey() -> None:
    x = pictures()
    third = Hue(2 / 3)(x, constant(ALMOST_ONE))  # A third of a turn permutes red, green and blue.
    assert torch.allclose(third, x.roll(1, 1), atol=1e-5) or torch.allclose(third, x.roll(-1, 1), atol=1e-5)
    y = Hue()(x, seeded())
    assert torch.allclose(y.mean(1), x.mean(1), atol=1e-5) and torch.allclose(y.norm(dim=1), x.norm(dim=1), atol=1e-5)
    grey = pictures(channels=1)
    assert torch.equal(Hue()(grey, seeded()), grey)


def test_flips_and_turns_are_the_four_of_each_alike() -> None:
    x = pictures(1, 1, 5).expand(2000, -1, -1, -1)
    flipped = (Flip()(x, seeded()) == x.flip(-1)).flatten(1).all(1)
    assert 900 < flipped.sum() < 1100
    y = Rotate90()(x, seeded())
    counts = [(y == torch.rot90(x, k, (-2, -1))).flatten(1).all(1).sum() for k in range(4)]
    assert sum(counts) == 2000 and min(counts) > 400


def test_translation_is_uniform_in_whole_pixels_and_fills() -> None:
    x = torch.zeros(4000, 1, 8, 8)
    x[..., 4, 4] = 1
    y = Translate(0.25, fill=-1.0)(x, seeded())
    places = (y == 1).flatten(1).long().argmax(1)
    rows, columns = places // 8 - 4, places % 8 - 4
    assert rows.unique().tolist() == columns.unique().tolist() == [-2, -1, 0, 1, 2]
    assert torch.stack([rows, columns]).float().corrcoef()[0, 1].abs() < 0.05
    assert torch.equal((y == -1).flatten(1).sum(1), 64 - (8 - rows.abs()) * (8 - columns.abs()))
    mirrored = Translate(0.25, fill=None)(torch.arange(8.0).expand(1, 1, 8, 8), constant(ALMOST_ONE))
    assert mirrored[0, 0, 0].tolist() == [2, 1, 0, 1, 2, 3, 4, 5]


def test_scale_enlarges_around_the_centre() -> None:
    ramp = torch.linspace(-1, 1, 33).expand(2000, 1, 33, 33)
    y = RandomScale(0.2)(ramp, seeded())
    slope = (y[:, 0, 16, 24] - y[:, 0, 16, 8]) / (16 * 2 / 32)
    octaves = -slope.log2()
    assert octaves.mean().abs() < 0.02 and octaves.std() == pytest.approx(0.2, rel=0.06)
    assert y[:, 0, 16, 16].abs().max() < 1e-5  # the centre stays
    flat = RandomScale(1.0)(torch.full((64, 1, 9, 9), 0.7), seeded())
    assert torch.allclose(flat, torch.tensor(0.7), atol=1e-5)


def test_diffaugment_is_always_on_and_the_papers_in_size() -> None:
    x = torch.full((2000, 1, 16, 16), 0.25)
    y = DiffAugment(colour=False, fill=-1.0)(x, seeded())
    gone = (y == -1).float().mean((1, 2, 3))
    # The cutout covers at most half of each side, and the translation shifts in at most two of sixteen pixels.
    assert gone.max() <= 0.25 + 1 - (14 / 16) ** 2 and gone.mean() > 0.2
    coloured = DiffAugment(translation=0, cutout=0)(pictures(500), seeded())
    assert (coloured != pictures(500)).flatten(1).any(1).all()


def test_ada_starts_as_the_identity_and_acts_with_its_p() -> None:
    x = pictures(256)
    augment = ADAPipeline()
    assert torch.equal(augment(x, seeded()), x)
    augment.p.fill_(0.8)
    y = augment(x, seeded())
    assert torch.isfinite(y).all() and (y != x).flatten(1).any(1).float().mean() > 0.95
    places = ADAPipeline(colour=False, translation=0, scale=0, p=1.0)(x, seeded())
    assert torch.allclose(places.flatten(1).sort(1).values, x.flatten(1).sort(1).values, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: RandomBrightness(-1), "amount=-1"),
        (lambda: Translate(2), "ratio=2"),
        (lambda: RandomScale(math.nan), "std=nan"),
        (lambda: DiffAugment(p=2), "p=2"),
        (lambda: Rotate90()(torch.zeros(1, 1, 4, 5), seeded()), r"square.*\[1, 1, 4, 5\]"),
    ],
)
def test_wrong_use_is_named(make: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()
