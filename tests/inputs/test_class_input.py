"""Tests of the class input: names and mixtures, random classes, previews, export, target classes drawn in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiogan.data.columns import Labels, Signals
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import Classes, Seeded

NAMES = ["kick", "snare", "tom: low"]


def classes(*counts: int, **options: Any) -> Classes:
    return Classes(labels=NAMES, counts=counts, **options)


@settings(max_examples=40, deadline=None)
@given(weights=st.lists(st.floats(0, 1e6), min_size=3, max_size=3).filter(lambda w: sum(w) > 1e-3))
def test_mixtures_round_trip(weights: list[float]) -> None:
    given_classes = classes()
    x = given_classes.parse(dict(zip(NAMES, weights, strict=True)))
    assert x.shape == (3,) and float(x.sum()) == pytest.approx(1)
    torch.testing.assert_close(given_classes.from_json(given_classes.to_json(x)), x)
    torch.testing.assert_close(given_classes.parse(x), x)
    torch.testing.assert_close(given_classes.from_exported(given_classes.to_exported(x[None])), x[None])
    torch.testing.assert_close(given_classes.from_exported(7 * x[None]), x[None])


def test_what_people_write() -> None:
    assert classes().parse("snare").tolist() == [0, 1, 0]
    assert classes().parse("tom: low").tolist() == [0, 0, 1]
    assert classes().parse("kick:1,snare:3").tolist() == [0.25, 0.75, 0]
    assert classes().parse({"kick": np.float32(2), "snare": 2}).tolist() == [0.5, 0.5, 0]
    assert classes().to_json(torch.tensor([0.25, 0.75, 0])) == {"kick": 0.25, "snare": 0.75}


@pytest.mark.parametrize("text", ["hat_closed", "Hat_Closed", "closed hat", "hat closed", "Closed-Hat", "HATCLOSED"])
def test_case_separators_and_the_order_of_words_do_not_matter(text: str) -> None:
    drums = Classes(labels=["kick", "hat_closed", "hat_open"])
    assert drums.parse(text).tolist() == [0, 1, 0]
    assert drums.parse(f"Kick:1,{text}:3").tolist() == [0.25, 0.75, 0]
    assert drums.to_json(drums.parse({text: 1})) == {"hat_closed": 1.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kik", "no class 'kik'; did you mean 'kick'[?] It has kick, hat_closed"),
        ("closed hi-hat", "did you mean 'hat_closed'"),
        ({"kick": 1, "Kick": 1}, "'kick' is given twice"),
        ("gong", "no class 'gong'; it has kick, hat_closed"),
    ],
)
def test_a_near_miss_is_suggested(text: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Classes(labels=["kick", "hat_closed"]).parse(text)


def test_ambiguous_names_must_be_exact() -> None:
    numbers = Classes(labels=["0_1", "1_0", "A", "a"])
    assert numbers.parse("1_0").tolist() == [0, 1, 0, 0] and numbers.parse("a").tolist() == [0, 0, 0, 1]
    with pytest.raises(UserError, match="no class '1 0'"):
        numbers.parse("1 0")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("clap", "the model has no class 'clap'; it has kick, snare, tom: low"),
        ("kick:x", "class 'kick:x': write NAME or NAME:NUMBER"),
        ("kick:0.5,snare", "class 'snare': write NAME or NAME:NUMBER"),
        (3, "class 3: give a name, or a mapping of names to weights"),
        ({}, "the weights of a mixture must not all be 0"),
        ({"kick": 0}, "the weights of a mixture must not all be 0"),
        ({"kick": -1}, "class 'kick': its weight -1 must be from 0"),
        ({"kick": float("nan")}, "its weight nan must be from 0"),
        ({"kick": 1e39}, r"its weight 1e\+39 must be from 0 to 1e\+09"),
        ({"kick": 10**400}, "its weight 1000000"),
        ({"kick": True}, "its weight True must be"),
        ({"kick": "\x1b[2J"}, r"its weight '\\x1b\[2J' must be"),
        ({"\x1b[2J": 1}, r"no class '\\x1b\[2J'"),
        (torch.ones(2), r"classes: expected 3 numbers, got shape \[2\]"),
        (np.ones((2, 3)), r"classes: expected 3 numbers, got shape \[2, 3\]"),
    ],
)
def test_values_that_do_not_fit_are_one_line(value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        classes().parse(value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_draws_have_the_proportions_of_the_data() -> None:
    x = classes(1, 1, 8).draw(3000, Seeded(0))
    assert set(x.unique().tolist()) == {0.0, 1.0} and bool((x.sum(1) == 1).all())
    assert x.mean(0).tolist() == pytest.approx([0.1, 0.1, 0.8], abs=0.03)
    never = classes(1, 1, 8).draw(200, Seeded(0), odds={"classes": torch.tensor([1.0, 1.0, 0.0])})
    assert never.mean(0).tolist() == pytest.approx([0.5, 0.5, 0], abs=0.1)
    requested = torch.tensor([0.5, 0.5, 0])
    assert torch.equal(classes().draw(2, Seeded(0), requested), requested.expand(2, 3))


def test_each_sample_may_have_odds_of_its_own() -> None:
    odds = torch.eye(3)[[2, 0, 1, 1]]
    assert torch.equal(classes(1, 1, 8).draw(4, Seeded(0), odds={"classes": odds}), odds)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 40))
def test_previews_show_each_class_or_the_proportions(n: int) -> None:
    some = classes(2, 1, 1)
    assert some.balanced_values(n).argmax(1).tolist() == [i % 3 for i in range(n)]
    shares = some.proportional_values(n).sum(0)
    assert bool(((shares - n * torch.tensor([0.5, 0.25, 0.25])).abs() <= 1).all())


@settings(max_examples=40, deadline=None)
@given(labels=st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_batches(labels: list[int]) -> None:
    some, batch = classes(), {"x": torch.zeros(len(labels), 2), "label": torch.tensor(labels)}
    x = some.from_batch(batch, Seeded(0))
    assert torch.equal(some.to_batch(x)["label"], batch["label"])
    assert torch.equal(some.kind_indices(x), batch["label"]) and some.captions(x) == [NAMES[i] for i in labels]
    assert some.values_for_real_examples(batch) is None


def test_batches_without_labels_are_named() -> None:
    with pytest.raises(ValueError, match="the networks need 3 classes, but the data has no labels"):
        classes().from_batch({"x": torch.zeros(2, 2)}, Seeded(0))


def test_a_target_class_is_drawn_in_training_and_real_examples_keep_their_own() -> None:
    target = classes(1, 0, 1, column=None)
    batch = {"x": torch.zeros(400, 2), "label": torch.ones(400, dtype=torch.int64)}
    x = target.from_batch(batch, Seeded(0))
    assert x.mean(0).tolist() == pytest.approx([0.5, 0, 0.5], abs=0.1)
    real = target.values_for_real_examples(batch)
    assert real is not None and torch.equal(real.argmax(1), batch["label"])
    assert torch.equal(target.to_batch(x)["label"], x.argmax(1)), "a critic judges outputs with their target"


def test_other_values() -> None:
    some = classes()
    assert torch.equal(some.neutral_values(2), torch.full((2, 3), 1 / 3))
    assert torch.equal(some.example_values(3), torch.eye(3))
    free = some.to_parameter(torch.eye(3))
    assert bool((some.from_parameter(free).argmax(1) == torch.arange(3)).all())
    rounded = some.drop_negligible(torch.tensor([0.69, 0.3, 0.01]))
    assert rounded.tolist() == pytest.approx([0.69 / 0.99, 0.3 / 0.99, 0])
    assert some.mix(torch.eye(3)[0], torch.eye(3)[1], 0.25).tolist() == [0.75, 0.25, 0]
    assert "kick, snare" in some.describe()


def table(labelled: bool = True) -> Table:
    labels = {"label": Labels(np.array([0, 0, 1, 2, 2, 2]), NAMES)} if labelled else {}
    return Table({"x": Signals(np.zeros((6, 2), np.float32)), **labels}, 6)


def test_facts_about_the_data() -> None:
    assert Classes.data_facts(table()) == {"labels": NAMES, "counts": [2, 1, 3], "size": 3}
    assert Classes.data_facts(table(), column=None) == Classes.data_facts(table())
    none = {"labels": [], "counts": [], "size": 0}
    assert Classes.data_facts(table(False)) == none == Classes.data_facts(None) == Classes.data_facts(table(), use=0)
    with pytest.raises(UserError, match="classes=5, but the data has 3 labels"):
        Classes.data_facts(table(), use=5)


@pytest.mark.parametrize("counts", [[0, 0, 0], [1, -1, 1], [float("nan"), 1, 1]])
def test_stored_counts_are_checked(counts: list[float]) -> None:
    stored: Tensor = torch.tensor(counts)
    some = classes()
    some.load_state_dict({"counts": stored})
    with pytest.raises(UserError, match="classes: expected a count of at least 0"):
        some.check_buffers()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="0 counts for 0 labels"):
        Classes()
    with pytest.raises(ValueError, match="2 counts for 3 labels"):
        classes(1, 2)
