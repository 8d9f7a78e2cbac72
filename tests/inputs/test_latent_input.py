"""Tests of the latent input: values from users and recipes, random latents, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogan.errors import UserError
from audiogan.inputs import Latent, Seeded

numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6)


@settings(max_examples=40, deadline=None)
@given(values=numbers)
def test_recipes_keep_every_bit(values: list[float]) -> None:
    latent = Latent(shape=(2, 3))
    x = latent.parse(values)
    assert x.shape == (2, 3) and x.dtype == torch.float32
    back = latent.from_json(latent.to_json(x))
    assert back.numpy().tobytes() == x.numpy().tobytes()
    assert torch.equal(latent.parse(x), x) and torch.equal(latent.parse(x.numpy()), x)
    assert torch.equal(latent.from_exported(latent.to_exported(x[None])), x[None])


def test_values_from_the_command_line() -> None:
    assert Latent(shape=3).parse("1, -2.5,0").tolist() == [1, -2.5, 0]


@pytest.mark.parametrize("value", ["1,2", "1,2,x", [1, 2, 1e40], [1, 2, float("nan")], {"a": 1}, [[1], [2, 3]], None])
def test_values_that_do_not_fit_are_one_line(value: Any) -> None:
    with pytest.raises(UserError, match=r"^latent: expected [^\n]*3[^\n]*$"):
        Latent(shape=3).parse(value)


@pytest.mark.parametrize("stored", ["AAAA", 3, None, "é", ["AAAAAAAAAAA="], "A" * (1 << 24)])
def test_stored_values_that_do_not_fit_are_one_line(stored: Any) -> None:
    with pytest.raises(UserError, match=r"^latent: [^\n]*$"):
        Latent(shape=3).from_json(stored)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_draws(distribution: str) -> None:
    latent = Latent(shape=(2, 3), distribution=distribution)
    x = latent.draw(500, Seeded(1))
    assert x.shape == (500, 2, 3) and torch.equal(x, latent.draw(500, Seeded(1)))
    assert bool(x.abs().max() <= 1) == (distribution == "uniform")
    one = latent.draw(4, Seeded(1), requested=x[0])
    assert torch.equal(one, x[:1].expand(4, 2, 3))
    assert torch.equal(latent.draw(4, Seeded(1), requested=x[:4]), x[:4])
    with pytest.raises(UserError, match="got 2 values for 4 samples"):
        latent.draw(4, Seeded(1), requested=x[:2])
    assert torch.equal(latent.from_batch({"x": x[:, 0]}, Seeded(1)), x), "drawn in training too"
    assert latent.to_batch(x) == {} and latent.kind_indices(x) is None and latent.balanced_values(3) is None


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), share=st.floats(0, 1))
def test_morphs_follow_a_great_circle(seed: int, share: float) -> None:
    latent = Latent(shape=8)
    a, b = latent.draw(2, Seeded(seed))
    torch.testing.assert_close(latent.mix(a, b, 0.0), a)
    torch.testing.assert_close(latent.mix(a, b, 1.0), b)
    length = float((1 - share) * a.norm() + share * b.norm())
    assert float(latent.mix(a, b, share).norm()) == pytest.approx(length, rel=1e-4)


def test_a_search_stays_where_latents_are() -> None:
    latent, flat = Latent(shape=16), Latent(shape=4, distribution="uniform")
    far = torch.full((1, 16), 9.0)
    latent.clip_parameter(far)
    assert float(far.norm()) == pytest.approx(latent.max_norm, rel=1e-5)
    near = latent.to_parameter(torch.full((1, 16), 0.1))
    assert near is not None
    latent.clip_parameter(near)
    assert torch.equal(latent.from_parameter(near), torch.full((1, 16), 0.1))
    wide = torch.full((1, 4), 2.0)
    flat.clip_parameter(wide)
    assert torch.equal(wide, torch.ones(1, 4))


def test_settings_that_make_no_sense_are_refused() -> None:
    for shape in (0, [], [2, -1], [2, 0.5]):
        with pytest.raises(ValueError, match="must be whole numbers of at least 1"):
            Latent(shape=shape)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"distribution='round'.*normal, uniform"):
        Latent(distribution="round")
    assert "2 x 3" in Latent(shape=np.ones((2, 3)).shape).describe()
