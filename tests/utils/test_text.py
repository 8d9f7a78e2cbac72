"""Tests of untrusted text: no terminal sequences, and no formulas in spreadsheets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiogan.utils.text import escape_cell, printable, unescape_cell


def test_control_sequences_become_visible() -> None:
    assert printable("s/\x1b]0;owned\a.wav") == "s/\\x1b]0;owned\\x07.wav"
    assert printable("a\nb\r\u202egpj\u2028") == "a\\x0ab\\x0d\\u202egpj\\u2028"


def test_letters_of_all_languages_stay() -> None:
    assert printable("Größe 太鼓 ё — é") == "Größe 太鼓 ё — é"


@pytest.mark.parametrize("text", ["=1+1", "+49", "-x", "@cmd", "\tx", "\rx", "'=quoted"])
def test_formulas_become_text(text: str) -> None:
    cell = escape_cell(text)
    assert text == "+49" or (cell == f"'{text}" and unescape_cell(cell) == text)


def test_numbers_and_words_stay() -> None:
    assert [escape_cell(v) for v in (-0.5, 3, "-0.5", "kick", "", None)] == [-0.5, 3, "-0.5", "kick", "", None]


@given(st.text())
def test_no_cell_begins_with_a_formula_and_the_text_comes_back(text: str) -> None:
    cell = escape_cell(text)
    assert isinstance(cell, str)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) or cell == text
    assert unescape_cell(cell) == text


@given(st.text())
def test_nothing_printable_has_control_characters(text: str) -> None:
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in printable(text))
