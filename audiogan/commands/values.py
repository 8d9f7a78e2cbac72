"""Values on the command line that several commands take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from audiogan.errors import UserError

V = TypeVar("V")


def parse_class(text: str | None) -> str | dict[str, float] | None:
    """``kick`` or ``kick:0.7,tom:0.3``."""
    if text is None or ":" not in text:
        return text
    return parse_numbers(text.split(","), ":", "--class")


def parse_numbers(texts: Iterable[str], separator: str, flag: str) -> dict[str, float]:
    """``NAME=NUMBER`` for each name, at most once."""
    return _once((parse_number(text, separator, flag) for text in texts), flag)


def parse_inputs(texts: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` for each input, at most once; the inputs of the model parse the values."""
    return _once(map(_input, texts), "--input")


def parse_repeated_inputs(texts: Iterable[str]) -> dict[str, list[str]]:
    """``NAME=VALUE``, any number of times for each input."""
    found: dict[str, list[str]] = {}
    for name, value in map(_input, texts):
        found.setdefault(name, []).append(value)
    return found


def parse_integer(text: str, flag: str) -> int:
    """A whole number, such as ``1000`` or ``1e3``."""
    try:
        number = int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
        if len(text) > 30 or number != int(number):
            raise ValueError
        return int(number)
    except (ValueError, OverflowError):
        raise UserError(f"{flag} {text[:40]!r}: write a whole number") from None


def parse_number(text: str, separator: str, flag: str) -> tuple[str, float]:
    name, found, value = text.rpartition(separator)
    try:
        if not found:
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"{flag} {text!r}: write NAME{separator}NUMBER") from None


def _input(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise UserError(f"--input {text!r}: write NAME=VALUE")
    return name.strip(), value


def _once(named: Iterable[tuple[str, V]], flag: str) -> dict[str, V]:
    found: dict[str, V] = {}
    for name, value in named:
        if name in found:
            raise UserError(f"{flag}: {name} is given twice; leave out one of them")
        found[name] = value
    return found
