"""Parse command-line values that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TypeVar

from audiogan.errors import UserError

V = TypeVar("V")


def add_sampling_arguments(parser: argparse.ArgumentParser, input_help: str) -> None:
    """Add the arguments that choose classes, knobs, other inputs, the generator network and the truncation.

    Args:
        parser: parser of a command.
        input_help: help text of ``--input``.
    """
    parser.add_argument("--class", dest="label", help="class of all samples, or a mixture such as kick:0.7,tom:0.3")
    parser.add_argument(
        "--knob",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a knob, 0 to 1, such as brightness=0.9; can be repeated",
    )
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help=input_help)
    parser.add_argument(
        "--generator", metavar="NAME", help="name or target class of the generator, for models with several generators"
    )
    parser.add_argument(
        "--truncation", type=float, help="truncation of the latent: below 1 more typical samples, above 1 more variety"
    )


def parse_class(text: str | None) -> str | dict[str, float] | None:
    """Parse the value of ``--class``: a class such as ``kick``, or a mixture such as ``kick:0.7,tom:0.3``."""
    if text is None or ":" not in text:
        return text
    return parse_numbers(text.split(","), ":", "--class")


def parse_numbers(texts: Iterable[str], separator: str, flag: str) -> dict[str, float]:
    """Parse texts such as ``NAME=NUMBER`` into a dict. Each name may occur once.

    Args:
        texts: values of the flag.
        separator: character between name and number.
        flag: name of the flag, for messages.
    """
    return _reject_duplicates((parse_number(text, separator, flag) for text in texts), flag)


def parse_inputs(texts: Iterable[str]) -> dict[str, str]:
    """Parse texts such as ``NAME=VALUE`` into a dict. Each input name may occur once. The values remain text."""
    return _reject_duplicates(map(_split_input, texts), "--input")


def parse_repeated_inputs(texts: Iterable[str]) -> dict[str, list[str]]:
    """Parse texts such as ``NAME=VALUE`` into a dict from input names to lists of values."""
    found: dict[str, list[str]] = {}
    for name, value in map(_split_input, texts):
        found.setdefault(name, []).append(value)
    return found


def parse_integer(text: str, flag: str) -> int:
    """Parse an integer, such as ``1000`` or ``1e3``. ``flag`` is the name of the option, for messages."""
    try:
        number = int(text) if text.strip().lstrip("+-").isdecimal() else float(text)
        if len(text) > 30 or number != int(number):
            raise ValueError
        return int(number)
    except (ValueError, OverflowError):
        raise UserError(f"{flag} {text[:40]!r}: write a whole number") from None


def parse_number(text: str, separator: str, flag: str) -> tuple[str, float]:
    """Parse a text such as ``NAME=NUMBER``, and return name and number."""
    name, found, value = text.rpartition(separator)
    try:
        if not found:
            raise ValueError
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"{flag} {text!r}: write NAME{separator}NUMBER") from None


def _split_input(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise UserError(f"--input {text!r}: write NAME=VALUE")
    return name.strip(), value


def _reject_duplicates(named: Iterable[tuple[str, V]], flag: str) -> dict[str, V]:
    found: dict[str, V] = {}
    for name, value in named:
        if name in found:
            raise UserError(f"{flag}: {name} is given twice; remove one of them")
        found[name] = value
    return found
