"""Text from strangers, such as file names, labels and metadata, made safe to print and to write to a table."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins with one of these characters as a formula."""


def printable(text: object) -> str:
    """Return ``text`` with control and direction characters written as escapes.

    Terminal control sequences, line breaks and characters that change the writing direction cannot take effect.
    Letters of all languages stay as they are.

    Example:
        >>> printable("a\\x1b[2Jb")
        'a\\\\x1b[2Jb'
    """
    return "".join(_escaped(c) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(text))


def one_line(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """Return names in one line, at most ``most`` of them.

    Example:
        >>> one_line(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return separator.join(names[:most]) + more


def shortened(text: str, most: int) -> str:
    """Return ``text``, cut to ``most`` characters; the last three are then dots."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def json_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object that ``text`` holds, None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def table_cell(value: object) -> object:
    """Return ``value`` as a CSV cell that a spreadsheet does not run as a formula.

    A string that begins with a formula character gets an apostrophe in front. Other values and plain numbers are
    returned unchanged. `table_text` undoes it.

    Example:
        >>> table_cell("=1+1")
        "'=1+1"
    """
    if not isinstance(value, str) or not value.startswith((*FORMULA, "'")) or _is_number(value):
        return value
    return f"'{value}"


def table_text(cell: str) -> str:
    """Return the string from which `table_cell` made ``cell``."""
    return cell[1:] if cell.startswith(tuple(f"'{c}" for c in (*FORMULA, "'"))) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
