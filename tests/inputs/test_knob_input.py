"""Tests of the knob input: values from users, and random knobs that fit the class and the requested knobs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiogan.data.columns import Labels, Signals, Values
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import MAX_NORMAL_SCORE, Classes, Knobs, Scale, Seeded

N = 4000
NAMES = ("brightness", "decay")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scale(names: tuple[str, ...] = NAMES) -> Scale:
    return Scale(names, np.linspace(0, 1, 65)[None].repeat(len(names), 0))


def fitted(knobs: Tensor, targets: Tensor | None = None, labels: int = 0) -> tuple[Knobs, dict[str, Any]]:
    """Return knobs fitted to normal scores ``[N, 2]``, and all inputs of the generator."""
    columns: dict[str, Any] = {"x": Signals(np.zeros((len(knobs), 1), np.float32)), "knobs": Values(knobs.numpy())}
    inputs: dict[str, Any] = {"knobs": Knobs(scale=scale())}
    if targets is not None:
        names = [f"class {k}" for k in range(labels)]
        columns["label"] = Labels(targets.numpy(), names)
        inputs["classes"] = Classes(labels=names, counts=torch.bincount(targets, minlength=labels).tolist())
    for each in inputs.values():
        each.connect(inputs)
    inputs["knobs"].fit(Table(columns, len(knobs)))
    return inputs["knobs"], inputs


def drawn(
    inputs: dict[str, Any], n: int = N, weights: Tensor | None = None, **requested: float
) -> tuple[Tensor, Tensor]:
    """Return class weights and knobs that are drawn for requested normal scores of some knobs."""
    knobs, random = inputs["knobs"], Seeded(0)
    wanted, odds = None, {}
    if requested:
        wanted = torch.tensor([requested.get(name, torch.nan) for name in NAMES])
        odds = knobs.odds_for_other_inputs(wanted)
    values = {"classes": inputs["classes"].draw(n, random, weights, {}, odds)}
    return values["classes"], knobs.draw(n, random, wanted, values)


@pytest.fixture(scope="module")
def bright_and_dark() -> dict[str, Any]:
    """Class 0 is dark and class 1 bright. In both classes, the decay follows the brightness."""
    targets = torch.randint(2, (N,), generator=rng())
    first = (2.0 * targets - 1 + 0.5 * torch.randn(N, generator=rng(1))).clamp(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE)
    second = 0.8 * first + 0.3 * torch.randn(N, generator=rng(2))
    return fitted(torch.stack([first, second], 1), targets, 2)[1]


@pytest.fixture(scope="module")
def two_kinds() -> dict[str, Any]:
    """A class with two kinds of sounds, dark and short or bright and long, and a second class between them."""
    kind = torch.randint(2, (300,), generator=rng(4)) * 2.0 - 1
    first = torch.stack([kind, kind], 1) + 0.1 * torch.randn(300, 2, generator=rng(5))
    second = 0.2 * torch.randn(300, 2, generator=rng(6))
    return fitted(torch.cat([first, second]), torch.arange(2).repeat_interleave(300), 2)[1]


def test_without_requests_knobs_are_as_in_the_data(bright_and_dark: dict[str, Any]) -> None:
    weights, knobs = drawn(bright_and_dark)
    bright = weights[:, 1] == 1
    assert knobs[bright, 0].mean() == pytest.approx(1, abs=0.1)
    assert knobs[~bright, 0].mean() == pytest.approx(-1, abs=0.1)
    assert torch.corrcoef(knobs[bright].T)[0, 1] == pytest.approx(0.8, abs=0.1)
    assert knobs.abs().max() <= MAX_NORMAL_SCORE


def test_a_requested_knob_is_exact_and_the_others_fit_it(bright_and_dark: dict[str, Any]) -> None:
    weights, knobs = drawn(bright_and_dark, brightness=1.5)
    assert (knobs[:, 0] == 1.5).all()
    assert weights[:, 1].mean() > 0.95, "only the second class is so bright"
    assert knobs[:, 1].mean() == pytest.approx(0.8 * 1.5, abs=0.1)
    weights, knobs = drawn(bright_and_dark, weights=torch.tensor([1.0, 0.0]), brightness=0.0)
    assert (weights[:, 0] == 1).all() and (knobs[:, 0] == 0).all()


def test_each_sample_may_have_a_request_of_its_own(bright_and_dark: dict[str, Any]) -> None:
    knobs = bright_and_dark["knobs"]
    wanted = torch.tensor([[1.5, torch.nan], [-1.5, torch.nan], [torch.nan, torch.nan], [1.5, torch.nan]]).repeat(50, 1)
    odds = knobs.odds_for_other_inputs(wanted)
    assert odds["classes"].shape == (200, 2)
    weights = bright_and_dark["classes"].draw(200, Seeded(0), None, {}, odds)
    assert weights[0::4, 1].mean() > 0.9 and weights[1::4, 1].mean() < 0.1 and 0.2 < weights[2::4, 1].mean() < 0.8
    values = knobs.draw(200, Seeded(0), wanted, {"classes": weights})
    assert (values[0::4, 0] == 1.5).all() and (values[1::4, 0] == -1.5).all()
    assert values[0::4, 1].mean() > 0.8 > -0.8 > values[1::4, 1].mean()
    same = knobs.odds_for_other_inputs(wanted[:1].expand(3, 2))["classes"]
    assert torch.equal(same, knobs.odds_for_other_inputs(wanted[0])["classes"])
    assert knobs.odds_for_other_inputs(torch.full((2,), torch.nan)) == {}
    with pytest.raises(UserError, match="knobs: got 2 values for 5 samples"):
        knobs.draw(5, Seeded(0), wanted[:2])


def test_a_mixture_of_classes_has_knobs_between(bright_and_dark: dict[str, Any]) -> None:
    weights, knobs = drawn(bright_and_dark, weights=torch.tensor([0.5, 0.5]))
    assert (weights == 0.5).all() and knobs[:, 0].mean() == pytest.approx(0, abs=0.1)


def test_with_one_seed_all_classes_are_as_bright(bright_and_dark: dict[str, Any]) -> None:
    dark, bright = (drawn(bright_and_dark, 200, torch.eye(2)[k])[1][:, 0] for k in (0, 1))
    assert torch.corrcoef(torch.stack([dark, bright]))[0, 1] > 0.95


def test_a_class_of_two_kinds_has_nothing_between(two_kinds: dict[str, Any]) -> None:
    _, knobs = drawn(two_kinds, weights=torch.tensor([1.0, 0.0]))
    assert (knobs.abs() < 0.4).any(1).float().mean() < 0.05
    assert (knobs[:, 0].sign() == knobs[:, 1].sign()).float().mean() > 0.95
    assert knobs.std(0).tolist() == pytest.approx([1, 1], abs=0.1), "as spread as the examples, not more"


def test_requests_decide_the_kind_and_the_class(two_kinds: dict[str, Any]) -> None:
    _, knobs = drawn(two_kinds, weights=torch.tensor([1.0, 0.0]), brightness=0.9)
    assert knobs[:, 1].mean() == pytest.approx(1, abs=0.15) and (knobs[:, 1] > 0).float().mean() > 0.98
    assert drawn(two_kinds, brightness=1.0)[0][:, 0].mean() > 0.95
    assert drawn(two_kinds, brightness=0.0)[0][:, 1].mean() > 0.95, "no example of the first class is so"
    assert drawn(two_kinds, brightness=MAX_NORMAL_SCORE, decay=-MAX_NORMAL_SCORE)[1].isfinite().all()


def test_noise_of_training_is_added_again(two_kinds: dict[str, Any]) -> None:
    sharp = drawn(two_kinds, weights=torch.tensor([0.0, 1.0]))[1]
    knobs = two_kinds["knobs"]
    try:
        knobs.spread.fill_(0.5)
        wide = drawn(two_kinds, weights=torch.tensor([0.0, 1.0]))[1]
        exact = drawn(two_kinds, brightness=1.0)[1]
    finally:
        knobs.spread.fill_(0.0)
    assert sharp.std(0).tolist() == pytest.approx([0.2, 0.2], abs=0.03)
    assert wide.std(0).tolist() == pytest.approx([0.54, 0.54], abs=0.05)
    assert (exact[:, 0] == 1.0).all()


def test_a_class_without_examples_has_those_of_all() -> None:
    values = torch.randn(201, 2, generator=rng())
    _, inputs = fitted(values, torch.tensor([0] * 200 + [1]), 3)
    _, lone = drawn(inputs, weights=torch.tensor([0.0, 1.0, 0.0]))
    assert (lone == values[200]).all()
    _, none = drawn(inputs, weights=torch.tensor([0.0, 0.0, 1.0]))
    assert none.std(0).tolist() == pytest.approx([1, 1], abs=0.25)


def test_data_without_classes() -> None:
    knobs, _ = fitted(torch.randn(50, 2, generator=rng()) + 1)
    assert knobs.examples.shape[0] == 1 and knobs.odds_for_other_inputs(torch.zeros(2)) == {}
    assert knobs.draw(500, Seeded(0)).mean(0).tolist() == pytest.approx([1, 1], abs=0.3)


# Conversion of values from and for users.


@settings(max_examples=40, deadline=None)
@given(shares=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=2))
def test_shares_round_trip(shares: list[float]) -> None:
    knobs = Knobs(scale=scale())
    x = knobs.parse(dict(zip(NAMES, shares, strict=True)))
    stored = knobs.to_json(x)
    assert list(stored.values()) == pytest.approx(shares, abs=1e-6)
    torch.testing.assert_close(knobs.from_json(stored), x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(knobs.parse(torch.tensor(shares, dtype=torch.float64)), x)
    torch.testing.assert_close(knobs.from_exported(knobs.to_exported(x[None])), x[None], atol=1e-5, rtol=1e-5)
    batch = knobs.to_batch(x[None])
    assert torch.equal(knobs.from_batch(batch, Seeded(0)), x[None])


def test_what_people_write() -> None:
    knobs = Knobs(scale=scale())
    x = knobs.parse("decay=0.5")
    assert torch.isnan(x[0]) and x[1] == 0
    assert float(knobs.parse({"decay": np.float32(0.5)})[1]) == 0
    ends = knobs.parse({"brightness": 0, "decay": 1})
    assert ends.tolist() == pytest.approx([-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE]), "levels beyond 1 and 99 % are clipped"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"pitch": 0.5}, "the model has no knob 'pitch'; it has brightness, decay"),
        ({"decay": 1.5}, "knob decay=1.5 must be from 0 to 1"),
        ({"decay": float("nan")}, "knob decay=nan must be from 0 to 1"),
        ({"decay": True}, "knob decay=True must be from 0 to 1"),
        ({"decay": "\x1b[2J"}, r"knob decay='\\x1b\[2J' must be from 0 to 1"),
        ("decay", "knobs='decay': write NAME=NUMBER"),
        ("decay=x", "knobs='decay=x': write NAME=NUMBER"),
        (0.5, "knobs: give a mapping of names to numbers from 0 to 1"),
        (torch.zeros(3), r"knobs: expected 2 numbers, got shape \[3\]"),
    ],
)
def test_values_that_do_not_fit_are_one_line(value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        Knobs(scale=scale()).parse(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"decay": 0.5}, "the recipe has the knobs decay, but the model has brightness, decay"),
        (None, "the recipe has the knobs none"),
        ({"\x1b[2J": 0.5}, r"the recipe has the knobs \\x1b\[2J, but"),
        ({"brightness": "q", "decay": 1}, "knob brightness='q' must be"),
        ({"brightness": [1], "decay": 1}, r"knob brightness=\[1\] must be"),
        ({"brightness": float("nan"), "decay": 1}, "knob brightness=nan must be"),
        ({"brightness": 10**400, "decay": 1}, "knob brightness=1000"),
    ],
)
def test_stored_values_that_do_not_fit_are_one_line(stored: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        Knobs(scale=scale()).from_json(stored)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_morphs_go_by_shares_and_searches_stay_in_range() -> None:
    knobs = Knobs(scale=scale())
    a, b = knobs.parse({"brightness": 0.1, "decay": 0.2}), knobs.parse({"brightness": 0.5, "decay": 0.8})
    mixed = knobs.to_json(knobs.mix(a, b, 0.25))
    assert list(mixed.values()) == pytest.approx([0.2, 0.35], abs=1e-5)
    far = torch.tensor([[9.0, -9.0]])
    knobs.clip_parameter(far)
    assert far.tolist() == [pytest.approx([MAX_NORMAL_SCORE, -MAX_NORMAL_SCORE])]


def test_facts_and_scores_of_the_data() -> None:
    values = Values(np.random.default_rng(0).random((200, 2)).astype(np.float32) * 100, NAMES)
    data = Table({"x": Signals(np.zeros((200, 1), np.float32)), "knobs": values}, 200)
    facts = Knobs.data_facts(data)
    assert facts["size"] == 2 and tuple(facts["scale"]["names"]) == NAMES
    assert Knobs.data_facts(None) == {"scale": None, "size": 0} == Knobs.data_facts(data.drop_column("knobs"))
    knobs = Knobs(**facts)
    scores = knobs.prepare_table(data).column("knobs", slice(None))
    assert scores.abs().max() <= MAX_NORMAL_SCORE and scores.mean(0).tolist() == pytest.approx([0, 0], abs=0.05)
    with pytest.raises(ValueError, match="the scale of the knobs is missing"):
        Knobs()
    with pytest.raises(ValueError, match="the networks need 2 knobs, but the data has none"):
        knobs.from_batch({"x": torch.zeros(2, 1)}, Seeded(0))
