"""Tests of pronunciation, and of the inputs for spoken texts and numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from audiogan.errors import UserError
from audiogan.inputs import Number, Seeded, SpokenText
from audiogan.inputs.spoken import LONGEST_TEXT, SYMBOLS, pronounce
from audiogan.inputs.spoken.normalise import number_words, spell_out


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("en", "Dr. Smith's no. 5 at 10:30", "doctor Smith's number five at ten thirty"),
        ("en", "$1,250.50 in 1984 & 50%", "one thousand two hundred fifty point five zero dollars in nineteen eighty "
         "four and fifty percent"),
        ("en", "the 3rd, 20th and 21st", "the third, twentieth and twenty first"),
        ("en", "007", "zero zero seven"),
        ("de", "z. B. Dr. Müller, 3,5 %", "zum Beispiel Doktor Müller, drei Komma fünf Prozent"),
        ("de", "am 3. Mai 1984, 1.250 Euro", "am dritten Mai neunzehnhundertvierundachtzig, eintausend "
         "zweihundert fünfzig Euro"),
        ("de", "um 10:30 usw.", "um zehn Uhr dreißig und so weiter."),
    ],
)  # fmt: skip
def test_numbers_and_abbreviations_become_words(language: str, text: str, spoken: str) -> None:
    assert spell_out(text, language) == spoken


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_number_has_words(language: str) -> None:
    numbers = [*range(0, 1200, 7), 10_001, 1_000_000, 21_000_021, 999_999_999]
    words = [number_words(number, language) for number in numbers]
    assert len(set(words)) == len(words) and not any(c.isdigit() for word in words for c in word)


@pytest.mark.parametrize(
    ("language", "text", "symbols"),
    [
        ("en", "Please try again.", " pliz tɹaɪ ʌɡɛn."),
        ("en", "voicemail? PBX", " vɔɪsmeɪl?pibiɛks."),
        ("de", "Straße, ich auch", " ʃtʁaːsə,ɪç aʊx."),
        ("de", "Können Sie schwimmen?", " kœnən ziː ʃvɪmən?"),
        ("de", "Café Noël", " kaːfeː noːəl."),
    ],
)
def test_pronunciation(language: str, text: str, symbols: str) -> None:
    found = pronounce(text, language)
    assert "".join(found) == symbols and set(found) <= set(SYMBOLS)


def test_each_language_has_a_row() -> None:
    text = SpokenText(languages=["en", "de", "en"])
    x = text.parse("  Der  Hund ")
    assert text.shape == (3, None) and x.shape[0] == 3 and x.dtype == torch.int64
    assert text.captions(x[None]) == ["Der Hund"] == [text.to_json(x)] and torch.equal(text.from_json("Der Hund"), x)
    assert not torch.equal(x[1], x[2]) and int(x[1:].max()) <= len(SYMBOLS)
    assert text.draw(2, Seeded(0), x).shape[0] == 2 and text.example_values(3).shape[:2] == (3, 3)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "text: the text is empty; write at least one word"),
        (" ... !", "text: the text is empty"),
        ("fine 😀", r"text: characters that cannot be spoken: 😀 \(U\+1F600\)"),
        ("Привет", "text: characters that cannot be spoken"),
        ("bell\x07", r"text: characters that cannot be spoken: \? \(U\+0007\)"),
        ("a" * 10_000, f"text: 10,000 characters; at most {LONGEST_TEXT:,} at a time; split the text"),
        (3, "text: expected a text, got int"),
    ],
)
def test_texts_that_cannot_be_spoken_are_one_line(value: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        SpokenText(languages=["en"]).parse(value)
    assert "\n" not in str(caught.value)


def test_number_input() -> None:
    speed = Number("speed", low=0.5, high=2, default=1)
    assert speed.draw(3, Seeded(0)).tolist() == [[1.0]] * 3 and speed.parse("1.5").tolist() == [1.5]
    assert torch.equal(speed.from_json(speed.to_json(speed.parse(2))), torch.tensor([2.0]))
    for value, said in (("fast", "speed='fast': write a number"), (3, "from 0.5 to 2"), ("nan", "from 0.5 to 2")):
        with pytest.raises(UserError, match=said):
            speed.parse(value)
    with pytest.raises(ValueError, match="default=3"):
        Number("speed", low=0.5, high=2, default=3)
