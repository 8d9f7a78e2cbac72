"""Tests of the text input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiogan.data.columns import Signals, Texts
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs import Seeded, Text

ALPHABET = " abcdé"


def text() -> Text:
    return Text(alphabet=ALPHABET, length=8)


@settings(max_examples=40, deadline=None)
@given(value=st.text(ALPHABET, max_size=8))
def test_texts_round_trip(value: str) -> None:
    x = text().parse(value)
    assert x.shape == (8,) and x.dtype == torch.int64 and int(x.max()) <= len(ALPHABET)
    assert text().captions(x[None]) == [value] and text().to_json(x) == value
    assert torch.equal(text().from_json(text().to_json(x)), x)
    batch = text().to_batch(x[None])
    assert torch.equal(text().from_batch(batch, Seeded(0)), x[None])
    assert torch.equal(text().from_exported(text().to_exported(x[None])), x[None])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("abx\x1b", r"text: unknown characters '\\x1bx'; known are ' abcdé'"),
        ("a" * 9, "text: 9 characters; the model takes at most 8"),
        (3, "text: expected a text, got int"),
        (None, "text: expected a text, got NoneType"),
    ],
)
def test_values_that_do_not_fit_are_one_line(value: Any, said: str) -> None:
    for read in (text().parse, text().from_json):
        with pytest.raises(UserError, match=said) as caught:
            read(value)
        assert "\n" not in str(caught.value)


def test_it_cannot_be_drawn() -> None:
    with pytest.raises(UserError, match="the input 'text' cannot be drawn; give a value"):
        text().draw(2, Seeded(0))
    x = text().parse("ab")
    assert torch.equal(text().draw(2, Seeded(0), x), x.expand(2, 8))
    example = text().example_values(3)
    assert example.shape == (3, 8) and int(example.min()) >= 1 and int(example.max()) <= len(ALPHABET)


def test_a_morph_changes_the_text_halfway() -> None:
    a, b = text().parse("a"), text().parse("b")
    assert text().mix(a, b, 0.49) is a and text().mix(a, b, 0.5) is b


def test_facts_about_the_data() -> None:
    texts = Texts.from_strings(["ab", "", "cab"])
    data = Table({"x": Signals(np.zeros((3, 1), np.float32)), "text": texts}, 3)
    facts = Text.data_facts(data)
    assert facts == {"alphabet": "abc", "length": 3, "size": 4} and Text.data_facts(None).keys() == facts.keys()
    column = data.column("text", slice(None))
    assert Text(**facts).captions(column) == ["ab", "", "cab"]
    with pytest.raises(UserError, match="the data has no column 'words'"):
        Text.data_facts(data, column="words")
    with pytest.raises(ValueError, match="no column 'text' of texts"):
        Text()
