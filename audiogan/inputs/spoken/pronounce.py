"""Conversion of a text to phonemes and punctuation marks, the input symbols of text to speech."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from audiogan.errors import UserError
from audiogan.inputs.spoken.english import pronounce_english
from audiogan.inputs.spoken.german import pronounce_german
from audiogan.inputs.spoken.normalise import spell_out

LONGEST_TEXT = 2_000
"""Largest number of characters of a text. They take about two and a half minutes to speak."""
PAUSES = " ,.?!"
"""Symbols that are not phonemes: the space between words, and punctuation marks."""
PHONEMES = (
    *("ɑ", "æ", "ʌ", "ɔ", "aʊ", "aɪ", "b", "tʃ", "d", "ð", "ɛ", "ɝ", "eɪ", "f", "ɡ", "h", "ɪ", "i", "dʒ", "k", "l"),
    *("m", "n", "ŋ", "oʊ", "ɔɪ", "p", "ɹ", "s", "ʃ", "t", "θ", "ʊ", "u", "v", "w", "j", "z", "ʒ"),
    *("a", "aː", "eː", "ɛː", "iː", "oː", "uː", "øː", "œ", "yː", "ʏ", "ə", "ɐ", "ɔʏ", "x", "ç", "ʁ", "pf", "ts"),
)
"""Phonemes in the International Phonetic Alphabet: those of English, then (last line) those of German alone."""
SYMBOLS = (*PAUSES, *PHONEMES)
"""All symbols of a text. The first has the index 1. Index 0 is padding at the end of short texts."""
LANGUAGES: dict[str, Callable[[str], list[str]]] = {"en": pronounce_english, "de": pronounce_german}
"""Function of each language that returns the phonemes of a word."""
_MARKS = {";": ",", ":": ",", "–": ",", "—": ",", "(": ",", ")": ",", "…": ".", "/": ","}
_IGNORED = "\"'’‘“”„«»‹›-_*[]{}#|\\"


def check_text(text: str) -> str:
    """Check that a text can be spoken, and return it with single spaces between words.

    Raises:
        UserError: the text is empty or too long, or has characters that cannot be pronounced, such as emoji.

    Examples:
        >>> from audiogan.inputs.spoken import check_text
        >>> check_text(" Hello,   world! ")
        'Hello, world!'
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if len(text) > LONGEST_TEXT:
        raise UserError(f"{len(text):,} characters; at most {LONGEST_TEXT:,} at a time; split the text")
    wrong = dict.fromkeys(c for c in text if not _speakable(c))
    if wrong:
        shown = " ".join(f"{c if c.isprintable() else '?'} (U+{ord(c):04X})" for c in list(wrong)[:5])
        raise UserError(f"characters that cannot be spoken: {shown}; write Latin letters, digits and punctuation marks")
    if not any(c.isalnum() or c in "€$£%&+=@§°" for c in text):
        raise UserError("the text is empty; write at least one word")
    return text


def _speakable(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    if character in "€£§°" or character in _MARKS or character in _IGNORED:
        return True
    return character in "ßæœøłđðþÆŒØŁĐÐÞ" or unicodedata.normalize("NFD", character)[0].isascii()


@lru_cache(maxsize=4096)
def pronounce(text: str, language: str) -> tuple[str, ...]:
    """Return the symbols of a text: phonemes, a space between words, and punctuation marks.

    The first symbol is a space, the last is a full stop, a question mark or an exclamation mark.

    Args:
        text: text that `check_text` accepts.
        language: ``en`` or ``de``.

    Raises:
        UserError: the language is unknown.

    Examples:
        >>> from audiogan.inputs.spoken import pronounce
        >>> "".join(pronounce("Guten Tag", "de"))
        ' ɡuːtən taːk.'
    """
    if language not in LANGUAGES:
        raise UserError(f"language {language!r}: choose one of {', '.join(LANGUAGES)}")
    out: list[str] = [" "]
    for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[,.?!;:–—()…/]", spell_out(text, language)):
        mark = _MARKS.get(word, word)
        if mark in PAUSES:
            out[-1] = mark if out[-1] in " ," else out[-1]
            continue
        out += [*LANGUAGES[language](word.replace("’", "'")), " "]
    while len(out) > 1 and out[-1] in " ,":
        out.pop()
    return (*out, ".") if out[-1] not in ".?!" or len(out) == 1 else tuple(out)
