"""Functions that write numbers, symbols and abbreviations of English and German texts as words."""

from __future__ import annotations

import re

_SMALL = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
}
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_SYMBOLS = {
    "en": {"%": " percent", "&": " and ", "+": " plus ", "=": " equals ", "@": " at ", "€": " euros", "£": " pounds",
           "$": " dollars", "§": " section ", "°": " degrees"},
    "de": {"%": " Prozent", "&": " und ", "+": " plus ", "=": " gleich ", "@": " ät ", "€": " Euro", "£": " Pfund",
           "$": " Dollar", "§": " Paragraf ", "°": " Grad"},
}  # fmt: skip
_ABBREVIATIONS = {
    "en": {"mr": "mister", "mrs": "missis", "ms": "miz", "dr": "doctor", "st": "saint", "vs": "versus",
           "etc": "et cetera", "e.g": "for example", "i.e": "that is", "no": "number", "jr": "junior"},
    "de": {"dr": "Doktor", "z. b": "zum Beispiel", "z.b": "zum Beispiel", "d. h": "das heißt", "d.h": "das heißt",
           "usw": "und so weiter", "u. a": "unter anderem", "u.a": "unter anderem", "bzw": "beziehungsweise",
           "nr": "Nummer", "ca": "circa", "prof": "Professor", "st": "Sankt", "vgl": "vergleiche", "evtl": "eventuell",
           "ggf": "gegebenenfalls", "hr": "Herr", "fr": "Frau"},
}  # fmt: skip
_MONTHS = "Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"


def spell_out(text: str, language: str) -> str:
    """Return a text in which numbers, symbols and abbreviations are written as words.

    Args:
        text: text with digits, symbols and abbreviations.
        language: ``en`` or ``de``.

    Examples:
        >>> from audiogan.inputs.spoken.normalise import spell_out
        >>> spell_out("Dr. Smith pays $20 on the 3rd.", "en")
        'doctor Smith pays twenty dollars on the third.'
    """
    names = "|".join(re.escape(name) for name in sorted(_ABBREVIATIONS[language], key=len, reverse=True))
    text = re.sub(rf"\b({names})\.(?=\s*\S|$)", lambda m: _abbreviation(m, language), text, flags=re.IGNORECASE)
    text = re.sub(r"([$€£])\s?(\d[\d.,]*\d|\d)", r"\2\1", text)
    if language == "de":
        text = re.sub(rf"\b(\d{{1,2}})\.(?=\s+(?:{_MONTHS})\b)", lambda m: f"{_german_ordinal(int(m[1]))}n", text)
    else:
        text = re.sub(r"\b(\d+)(st|nd|rd|th)\b", lambda m: _ordinal(number_words(int(m[1][:9]), "en")), text)
    mark, point = (",", ".") if language == "en" else (".", ",")
    groups = rf"\b\d{{1,3}}(?:\{mark}\d{{3}})+(?!\d)(\{point}\d+)?"
    text = re.sub(groups, lambda m: _grouped(m[0].replace(mark, ""), language), text)
    text = re.sub(r"\b(\d{1,2}):(\d\d)\b", lambda m: _clock(int(m[1]), int(m[2]), language), text)
    text = re.sub(r"(?<!\w)-(?=\d)", "minus ", text)
    text = re.sub(rf"\d+(?:\{point}\d+)?", lambda m: f" {_number(m[0], language)} ", text)
    for symbol, words in _SYMBOLS[language].items():
        text = text.replace(symbol, words)
    return re.sub(r"\s+(?=[,.?!;:])", "", " ".join(text.split()))


def _abbreviation(match: re.Match[str], language: str) -> str:
    """Return an abbreviation in words. A full stop at the end of the text is kept.

    The English word "no" counts as an abbreviation (number) only if a digit follows.
    """
    words = _ABBREVIATIONS[language][match[1].lower()]
    rest = match.string[match.end() :].lstrip()
    if match[1].lower() == "no" and not rest[:1].isdigit():
        return match[0]
    return f"{words}{'' if rest else '.'}"


def number_words(number: int, language: str) -> str:
    """Return a whole number, 0 to 999,999,999, in words.

    Examples:
        >>> from audiogan.inputs.spoken.normalise import number_words
        >>> number_words(1234, "en"), number_words(1234, "de")
        ('one thousand two hundred thirty four', 'eintausend zweihundert vierunddreißig')
    """
    small, tens = _SMALL[language].split(), _TENS[language].split()
    if number < 20:
        return small[number]
    english = language == "en"
    for size, name in (
        (1_000_000, " million" if english else " Millionen"),
        (1000, " thousand" if english else "tausend"),
    ):
        if number >= size:
            front, rest = divmod(number, size)
            start = number_words(front, language)
            if not english and start.endswith("eins"):
                start = start[:-1] if size == 1000 else start[:-1] + "e"
            name = " Million" if not english and size > 1000 and front == 1 else name
            return f"{start}{name}" + (f" {number_words(rest, language)}" if rest else "")
    if number >= 100:
        front, rest = divmod(number, 100)
        start = f"{small[front]} hundred" if english else f"{'ein' if front == 1 else small[front]}hundert"
        return start + (f" {number_words(rest, language)}" if rest else "")
    ten, one = divmod(number, 10)
    if not one:
        return tens[ten - 2]
    return f"{tens[ten - 2]} {small[one]}" if english else f"{'ein' if one == 1 else small[one]}und{tens[ten - 2]}"


def _grouped(text: str, language: str) -> str:
    """Return a number that was written with thousands separators, in words. It is never read as a year."""
    return text if "." in text or "," in text or len(text) > 9 else f" {number_words(int(text), language)} "


def _number(text: str, language: str) -> str:
    """Return a number in words. A number of four digits can be a year. Long numbers are read digit by digit."""
    whole, _, decimals = text.replace(",", ".").partition(".")
    digits = " ".join(number_words(int(d), language) for d in decimals)
    if len(whole) > 9 or (len(whole) > 1 and whole[0] == "0"):
        front = " ".join(number_words(int(d), language) for d in whole)
    elif len(whole) == 4 and not decimals and (1100 <= int(whole) < 2000 or (language == "en" and int(whole) >= 2010)):
        front = _year(int(whole), language)
    else:
        front = number_words(int(whole), language)
    return f"{front} {'point' if language == 'en' else 'Komma'} {digits}" if decimals else front


def _year(year: int, language: str) -> str:
    front, rest = divmod(year, 100)
    if language == "de":
        return f"{number_words(front, 'de')}hundert{number_words(rest, 'de') if rest else ''}"
    between = "oh " if 0 < rest < 10 else ""
    return f"{number_words(front, 'en')} {between}{number_words(rest, 'en') if rest else 'hundred'}"


def _clock(hour: int, minute: int, language: str) -> str:
    if language == "de":
        return f"{number_words(hour, 'de')} Uhr" + (f" {number_words(minute, 'de')}" if minute else "")
    return number_words(hour, "en") + (
        f" {'oh ' if minute < 10 else ''}{number_words(minute, 'en')}" if minute else " o'clock"
    )


def _ordinal(words: str) -> str:
    """Return the English ordinal of a number in words, such as "twenty first" of "twenty one"."""
    front, _, last = words.rpartition(" ")
    last = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return f"{front} {last}".strip()


def _german_ordinal(number: int) -> str:
    known = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}
    return known.get(number) or number_words(number, "de") + ("te" if number < 20 else "ste")
