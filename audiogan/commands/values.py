"""Values on the command line that several commands take."""

from __future__ import annotations

from collections.abc import Iterable

from audiogan.errors import UserError


def mixture(text: str | None) -> str | dict[str, float] | None:
    """``kick`` or ``kick:0.7,tom:0.3``."""
    if text is None or ":" not in text:
        return text
    return pairs(text.split(","), ":", "--class")


def pairs(texts: Iterable[str], separator: str, flag: str) -> dict[str, float]:
    """``NAME=NUMBER`` for each name, at most once."""
    found: dict[str, float] = {}
    for name, value in (pair(text, separator, flag) for text in texts):
        if name in found:
            raise UserError(f"{flag}: {name} is given twice; leave out one of them")
        found[name] = value
    return found


def inputs(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` for each input, at most once; the inputs of the model parse the values."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name:
            raise UserError(f"--input {text!r}: write NAME=VALUE")
        if name in found:
            raise UserError(f"--input: {name} is given twice; leave out one of them")
        found[name] = value
    return found


def repeated_inputs(texts: Iterable[str]) -> dict[str, list[str]]:
    """``NAME=VALUE``, any number of times for each input."""
    found: dict[str, list[str]] = {}
    for text in texts:
        for name, value in inputs([text]).items():
            found.setdefault(name, []).append(value)
    return found


def whole(text: str, flag: str) -> int:
    """A whole number, such as ``1000`` or ``1e3``."""
    try:
        if len(text) > 30:
            raise ValueError
        return int(text) if text.strip().lstrip("+-").isdecimal() else _exact(float(text))
    except (ValueError, OverflowError):
        raise UserError(f"{flag} {text[:40]!r}: write a whole number") from None


def _exact(number: float) -> int:
    if number != int(number):
        raise ValueError
    return int(number)


def pair(text: str, separator: str, flag: str) -> tuple[str, float]:
    name, found, value = text.rpartition(separator)
    try:
        if not found:
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"{flag} {text!r}: write NAME{separator}NUMBER") from None
