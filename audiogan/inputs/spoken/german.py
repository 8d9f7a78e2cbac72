"""Pronunciation of German words by letter-to-sound rules."""

from __future__ import annotations

import re
import unicodedata

_VOWELS = "aeiouäöüy"
_LONG = {"a": "aː", "e": "eː", "i": "iː", "o": "oː", "u": "uː", "ä": "ɛː", "ö": "øː", "ü": "yː", "y": "yː"}
_SHORT = {"a": "a", "e": "ɛ", "i": "ɪ", "o": "ɔ", "u": "ʊ", "ä": "ɛ", "ö": "œ", "ü": "ʏ", "y": "ʏ"}
_PAIRS = {"ei": "aɪ", "ai": "aɪ", "ey": "aɪ", "ay": "aɪ", "au": "aʊ", "eu": "ɔʏ", "äu": "ɔʏ", "ie": "iː", "aa": "aː"}
_PAIRS |= {"ee": "eː", "oo": "oː"}
_CLUSTERS = (  # groups of consonants, and their phonemes
    ("tsch", "tʃ"), ("sch", "ʃ"), ("chs", "k s"), ("ck", "k"), ("qu", "k v"), ("pf", "pf"), ("ph", "f"), ("th", "t"),
    ("tz", "ts"), ("zz", "ts"), ("dt", "t"), ("ss", "s"), ("ng", "ŋ"), ("nk", "ŋ k"), ("bb", "b"), ("dd", "d"),
    ("ff", "f"), ("gg", "ɡ"), ("kk", "k"), ("ll", "l"), ("mm", "m"), ("nn", "n"), ("pp", "p"), ("rr", "ʁ"),
    ("tt", "t"), ("rh", "ʁ"),
)  # fmt: skip
_CONSONANTS = {
    "b": "b", "c": "k", "d": "d", "f": "f", "g": "ɡ", "j": "j", "k": "k", "l": "l", "m": "m", "n": "n", "p": "p",
    "t": "t", "w": "v", "x": "k s", "z": "ts", "ß": "s",
}  # fmt: skip
_DEVOICED = {"b": "p", "d": "t", "ɡ": "k", "z": "s", "v": "f"}
_EXCEPTIONS = {
    "der": "d eː ɐ", "er": "eː ɐ", "wer": "v eː ɐ", "mehr": "m eː ɐ", "das": "d a s", "was": "v a s", "es": "ɛ s",
    "an": "a n", "am": "a m", "ab": "a p", "in": "ɪ n", "im": "ɪ m", "um": "ʊ m", "zum": "ts ʊ m", "mit": "m ɪ t",
    "bis": "b ɪ s", "man": "m a n", "hat": "h a t", "von": "f ɔ n", "vom": "f ɔ m", "ob": "ɔ p", "des": "d ɛ s",
    "bin": "b ɪ n", "weg": "v ɛ k", "nach": "n aː x", "hoch": "h oː x", "buch": "b uː x", "sprach": "ʃ p ʁ aː x",
    "erst": "eː ɐ s t", "vom ": "f ɔ m", "wurde": "v ʊ ɐ d ə", "wurden": "v ʊ ɐ d ə n", "und": "ʊ n t",
    "city": "s ɪ t i", "team": "t iː m", "computer": "k ɔ m p j uː t ɐ",
}  # fmt: skip
"""Words that the rules do not pronounce correctly."""
_PREFIXES = (("ver", "f ɛ ɐ"), ("zer", "ts ɛ ɐ"), ("ent", "ɛ n t"), ("be", "b ə"), ("ge", "ɡ ə"))
_SUFFIXES = (
    ("heit", "h aɪ t"), ("heiten", "h aɪ t ə n"), ("haft", "h a f t"), ("chen", "ç ə n"), ("tion", "ts j oː n"),
    ("tionen", "ts j oː n ə n"), ("stadt", "ʃ t a t"), ("straße", "ʃ t ʁ aː s ə"),
)  # fmt: skip
_LETTER_NAMES = {
    "b": "b eː", "c": "ts eː", "d": "d eː", "f": "ɛ f", "g": "ɡ eː", "h": "h aː", "j": "j ɔ t", "k": "k aː",
    "l": "ɛ l", "m": "ɛ m", "n": "ɛ n", "p": "p eː", "q": "k uː", "r": "ɛ ɐ", "s": "ɛ s", "t": "t eː",
    "v": "f aʊ", "w": "v eː", "x": "ɪ k s", "y": "ʏ p s ɪ l ɔ n", "z": "ts ɛ t", "ß": "ɛ s ts ɛ t",
}  # fmt: skip
"""Phonemes of the names of the letters, for abbreviations that are spelled."""
_FOREIGN = {"é": "eh", "æ": "ä", "œ": "ö", "ø": "ö", "å": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "t"}


def pronounce_german(word: str) -> list[str]:
    """Return the phonemes of a German word.

    The rules know neither the parts of compounds nor the stress, so lengths of vowels are sometimes wrong. A word is
    spelled letter by letter if it has only one letter, has no vowel, or has at most four letters, all of them capital.

    Examples:
        >>> from audiogan.inputs.spoken.german import pronounce_german
        >>> " ".join(pronounce_german("Straßen"))
        'ʃ t ʁ aː s ə n'
    """
    plain = "".join(_FOREIGN.get(c) or _letter(c) for c in unicodedata.normalize("NFC", word.lower()) if c != "'")
    if plain in _EXCEPTIONS:
        return _EXCEPTIONS[plain].split()
    if len(plain) == 1 or (not set(plain) & set(_VOWELS)) or (word.isupper() and len(plain) <= 4):
        return " ".join(_LETTER_NAMES.get(c) or _LONG.get(c, "") for c in plain).split()
    out: list[str] = []
    for prefix, phonemes in _PREFIXES:
        rest = plain[len(prefix) :]
        if plain.startswith(prefix) and len(rest) >= 4 and re.match(r"[^aeiouäöüy][^\W]*[aeiouäöü]", rest):
            if prefix in ("be", "ge") and re.match(r"([bdfgklmnprst])\1|[iu]|rn|rl|st|ss|rg|ck|tt", rest):
                continue
            out, plain = phonemes.split(), rest
            break
    for suffix, phonemes in sorted(_SUFFIXES, key=lambda each: -len(each[0])):
        front = plain[: -len(suffix)]
        if plain.endswith(suffix) and len(front) >= 2 and not front.endswith(("s", "t")):
            if suffix == "chen" and re.search("[aou]$", front):
                continue
            return [*out, *_stem(front), *phonemes.split()]
    return out + _stem(plain)


def _letter(character: str) -> str:
    """Return a letter without its accent, except for the German letters ä, ö and ü."""
    return character if character in "äöüß" else unicodedata.normalize("NFD", character)[0]


def _stem(word: str) -> list[str]:
    """Return the phonemes of a word without its prefix and suffix.

    Voiced consonants are devoiced at the end and before voiceless consonants.
    """
    out: list[str] = []
    place, vowels = 0, 0
    while place < len(word):
        rest, before = word[place:], word[place - 1] if place else ""
        if word[place] in _VOWELS:
            size, phonemes = _vowel(word, place, vowels)
            vowels += 1
        else:
            size, phonemes = _consonant(word, place, rest, before)
        out += phonemes.split()
        place += size
    for i, phoneme in enumerate(out):
        last = i == len(out) - 1
        if phoneme in _DEVOICED and (last or out[i + 1] in ("s", "t", "k", "p", "f", "ʃ")) and phoneme != "v":
            out[i] = _DEVOICED[phoneme]
    return out


def _vowel(word: str, place: int, count: int) -> tuple[int, str]:
    """Return the number of letters and the phonemes of the vowel at a place. ``count``: number of vowels before it."""
    rest, letter = word[place:], word[place]
    if rest[:2] in _PAIRS and rest[:3] not in ("ieu", "eei"):
        size = 3 if rest[2:3] == "h" and rest[:2] in ("ie", "ei", "au") and rest[3:4] not in tuple("aou") else 2
        return size, _PAIRS[rest[:2]]
    if rest[1:2] == "h" and (len(rest) == 2 or rest[2] not in "aou") and letter != "y":
        return 2, _LONG[letter]
    if letter == "e" and count:
        if rest == "er" or rest in ("ers", "ern", "erns", "ert", "erte", "erten"):
            return 2, "ɐ"
        if re.fullmatch(r"e(n|l|m|s|t|nd|st|ns|ln|lt|nde|nden|ste|sten|te|ten|lte|lten|ne|nen|re|ren|le)?", rest):
            return 1, "ə"
    following = re.match(r"[^aeiouäöüy]*", rest[1:])
    consonants = following[0] if following else ""
    after = rest[1 + len(consonants) :]
    if not consonants:
        return 1, _LONG[letter] if not after or count == 0 else _SHORT[letter]
    if consonants[0] == "ß":
        return 1, _LONG[letter]
    single = len(consonants) == 1 and consonants not in "xz"
    single = single or (len(consonants) == 2 and consonants[1] in "rl" and consonants[0] in "bdgpt" and bool(after))
    if single and (after or (count == 0 and consonants in "bdglmnrst")):
        return 1, _LONG[letter]
    return 1, _SHORT[letter]


def _consonant(word: str, place: int, rest: str, before: str) -> tuple[int, str]:
    """Return the number of letters and the phonemes of the consonant at a place."""
    if rest.startswith("ch") and not rest.startswith("chs"):
        if not place:
            return 2, "k" if re.match("ch[aolr]", rest) else "ç"
        return 2, "x" if before in "aou" and word[place - 2 : place] not in ("eu", "äu") else "ç"
    if not place and rest[:2] in ("st", "sp"):
        return 1, "ʃ"
    if rest == "ig":
        return 2, "ɪ ç"
    for letters, phonemes in _CLUSTERS:
        if rest.startswith(letters):
            return len(letters), phonemes
    letter, following = rest[0], rest[1:2]
    if letter == "s":
        voiced = bool(following) and following in _VOWELS and (not before or before in _VOWELS or before in "lmnr")
        return 1, "z" if voiced else "s"
    if letter == "r":
        coda = bool(before) and before in _VOWELS and (not following or following not in _VOWELS)
        return 1, "ɐ" if coda else "ʁ"
    if letter == "v":
        return 1, "f" if not place and not re.match("v[aiy][^e]|vel|ven", rest) else "v" if following else "f"
    if letter == "h":
        return 1, "" if before and before in _VOWELS and not following else "h"
    if letter == "c":
        return 1, "ts" if following and following in "eiäy" else "k"
    if letter == "g" and word[place - 1 : place + 1] == "ig" and not following:
        return 1, "ç"
    return 1, _CONSONANTS.get(letter, "")
