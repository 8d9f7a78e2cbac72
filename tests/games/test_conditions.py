"""Conditions: classes as often as in the data, knobs as they go with the class, and what was asked for exactly."""

from __future__ import annotations

import pytest
import torch
from audiogan.games.conditions import LIMIT, Conditions
from torch import Tensor

from audiogan.games import Sampling
from audiogan.networks.tonenoise import ToneNoiseGenerator
from audiogan.representations import Waveform

SMALL = {"n_fft": 256, "hop_length": 128, "latent_dim": 4, "width": 8, "blocks": 1, "classes": 2, "knobs": 2}

N = 4000


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def fitted() -> Conditions:
    """Class 0 is dark, class 1 bright (knob 0); knob 1 follows knob 0 in both."""
    targets = torch.randint(2, (N,), generator=rng())
    first = (2.0 * targets - 1 + 0.5 * torch.randn(N, generator=rng(1))).clamp(-LIMIT, LIMIT)
    second = 0.8 * first + 0.3 * torch.randn(N, generator=rng(2))
    conditions = Conditions(2, 2, [int((targets == k).sum()) for k in (0, 1)])
    conditions.fit(torch.stack([first, second], dim=1), targets)
    return conditions


def drawn(conditions: Conditions, n: int = N, **asked: object) -> tuple[Tensor, Tensor]:
    out = conditions.draw(n, rng(), **asked)  # type: ignore[arg-type]
    assert out is not None and out.shape == (n, conditions.size)
    return out[:, : conditions.classes], out[:, conditions.classes :]


def test_what_nobody_asks_for_is_as_in_the_data(fitted: Conditions) -> None:
    weights, knobs = drawn(fitted)
    assert set(weights.unique().tolist()) == {0.0, 1.0} and (weights.sum(1) == 1).all()
    bright = weights[:, 1] == 1
    assert knobs[bright, 0].mean() == pytest.approx(1, abs=0.1)
    assert knobs[~bright, 0].mean() == pytest.approx(-1, abs=0.1)
    assert torch.corrcoef(knobs[bright].T)[0, 1] == pytest.approx(0.8, abs=0.1)
    assert knobs.abs().max() <= LIMIT


def test_a_class_comes_as_often_as_in_the_data() -> None:
    weights, _ = drawn(Conditions(3, 0, [1, 1, 8]))
    assert weights.mean(0).tolist() == pytest.approx([0.1, 0.1, 0.8], abs=0.03)


def test_an_asked_knob_is_exact_and_the_rest_follows(fitted: Conditions) -> None:
    weights, knobs = drawn(fitted, asked={0: 1.5})
    assert (knobs[:, 0] == 1.5).all()
    assert weights[:, 1].mean() > 0.95, "only bright sounds are so bright"
    assert knobs[:, 1].mean() == pytest.approx(0.8 * 1.5, abs=0.1)
    weights, knobs = drawn(fitted, weights=torch.tensor([1.0, 0.0]), asked={0: 0.0})
    assert (weights[:, 0] == 1).all() and (knobs[:, 0] == 0).all()


def test_a_mixture_has_knobs_between(fitted: Conditions) -> None:
    weights, knobs = drawn(fitted, weights=torch.tensor([0.5, 0.5]))
    assert (weights == 0.5).all() and knobs[:, 0].mean() == pytest.approx(0, abs=0.1)


def test_the_same_seed_gives_the_same_conditions(fitted: Conditions) -> None:
    one, two = fitted.draw(5, rng(3)), fitted.draw(5, rng(3))
    assert one is not None and two is not None and torch.equal(one, two)


def test_networks_that_know_less() -> None:
    assert Conditions(0, 0).draw(3, rng()) is None and Conditions(0, 0).of(None) is None
    only = Conditions(0, 2)
    only.fit(torch.randn(50, 2, generator=rng()) + 1, torch.empty(0, dtype=torch.int64))
    out = only.draw(500, rng())
    assert out is not None and out.mean(0).tolist() == pytest.approx([1, 1], abs=0.3)
    knobs = torch.randn(4, 2)
    assert only.of(None, knobs) is knobs


@pytest.mark.parametrize(
    ("label", "knobs", "said"), [(None, torch.zeros(2, 1), "2 classes"), ([0, 1], None, "1 knobs")]
)
def test_data_that_lacks_what_networks_want(label: list[int] | None, knobs: Tensor | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Conditions(2, 1).of(None if label is None else torch.tensor(label), knobs)


@pytest.fixture(scope="module")
def two_kinds() -> Conditions:
    """One class of two kinds: dark and short, or bright and long; a second class in between."""
    kind = torch.randint(2, (300,), generator=rng(4)) * 2.0 - 1
    first = torch.stack([kind, kind], dim=1) + 0.1 * torch.randn(300, 2, generator=rng(5))
    conditions = Conditions(2, 2)
    conditions.fit(
        torch.cat([first, 0.2 * torch.randn(300, 2, generator=rng(6))]), torch.arange(2).repeat_interleave(300)
    )
    return conditions


def test_a_class_of_two_kinds_has_nothing_between(two_kinds: Conditions) -> None:
    _, knobs = drawn(two_kinds, weights=torch.tensor([1.0, 0.0]))
    assert (knobs.abs() < 0.4).any(1).float().mean() < 0.05
    assert (knobs[:, 0].sign() == knobs[:, 1].sign()).float().mean() > 0.95
    assert knobs.std(0).tolist() == pytest.approx([1, 1], abs=0.1), "as spread as the examples, not more"


def test_what_is_asked_for_decides_the_kind_and_the_class(two_kinds: Conditions) -> None:
    _, knobs = drawn(two_kinds, weights=torch.tensor([1.0, 0.0]), asked={0: 0.9})
    assert knobs[:, 1].mean() == pytest.approx(1, abs=0.15) and (knobs[:, 1] > 0).float().mean() > 0.98
    assert drawn(two_kinds, asked={0: 1.0})[0][:, 0].mean() > 0.95
    assert drawn(two_kinds, asked={0: 0.0})[0][:, 1].mean() > 0.95, "no example of the first class is so"
    assert drawn(two_kinds, asked={0: LIMIT, 1: -LIMIT})[1].isfinite().all()


def test_what_training_adds_is_added_again(two_kinds: Conditions) -> None:
    wide = Conditions(2, 2)
    wide.load_state_dict({**two_kinds.state_dict(), "spread": torch.tensor(0.5)})
    knobs, sharp = (drawn(c, weights=torch.tensor([0.0, 1.0]))[1] for c in (wide, two_kinds))
    assert sharp.std(0).tolist() == pytest.approx([0.2, 0.2], abs=0.03)
    assert knobs.std(0).tolist() == pytest.approx([0.54, 0.54], abs=0.05)
    assert (drawn(wide, asked={0: 1.0})[1][:, 0] == 1.0).all()


def test_states_of_before_have_normal_knobs(fitted: Conditions) -> None:
    state = {"conditions.class_counts": torch.tensor([1.0, 3.0]), "other": torch.zeros(2)}
    state["conditions.means"] = torch.tensor([[0.0, 0.0], [1.0, -1.0]])
    state["conditions.covariances"] = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(2, 1, 1) * 0.25
    game = Sampling(ToneNoiseGenerator(2048, **SMALL), Waveform(2048))
    now = game.completed(state)
    assert {name for name in now if name != "other"} == {f"conditions.{n}" for n in game.conditions.state_dict()}
    game.conditions.load_state_dict({n.removeprefix("conditions."): v for n, v in now.items() if n != "other"})
    _, knobs = drawn(game.conditions, weights=torch.tensor([0.0, 1.0]))
    assert knobs.mean(0).tolist() == pytest.approx([1, -1], abs=0.1)
    assert knobs.std(0).tolist() == pytest.approx([0.5, 0.5], abs=0.08)
    assert game.completed(game.state_dict()).keys() == game.state_dict().keys()


def test_a_class_without_examples_is_asked_for_what_others_have() -> None:
    conditions = Conditions(3, 2)
    knobs = torch.randn(201, 2, generator=rng())
    conditions.fit(knobs, torch.tensor([0] * 200 + [1]))
    _, lone = drawn(conditions, weights=torch.tensor([0.0, 1.0, 0.0]))
    assert (lone == knobs[200]).all()
    _, none = drawn(conditions, weights=torch.tensor([0.0, 0.0, 1.0]))
    assert none.std(0).tolist() == pytest.approx([1, 1], abs=0.25)


def test_of_one_seed_all_classes_are_as_bright(fitted: Conditions) -> None:
    dark, bright = (drawn(fitted, 200, weights=torch.eye(2)[k])[1][:, 0] for k in (0, 1))
    assert torch.corrcoef(torch.stack([dark, bright]))[0, 1] > 0.95
