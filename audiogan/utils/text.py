"""Functions that make untrusted text, such as file names and labels, safe to print or to write to a table."""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""Characters at the start of a cell that make a spreadsheet run the cell as a formula."""

_BYTE_ORDER_MARKS = {
    **{codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig"},
    **{codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"},
}
"""Encodings by byte order mark. UTF-32 precedes UTF-16, because its mark starts with that of UTF-16."""


def printable(text: object) -> str:
    r"""Return `text` with control and direction characters replaced by escape sequences.

    The result cannot move the cursor, break the line or change the writing direction. Letters of all languages are
    kept.

    Examples:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    return "".join(_escaped(c) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(text))


def join_names(names: Sequence[str], max_names: int, separator: str = ", ") -> str:
    """Return names joined in one line. Names beyond the first `max_names` are only counted.

    Examples:
        >>> join_names(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - max_names:,} more" if len(names) > max_names else ""
    return separator.join(names[:max_names]) + more


def shorten_text(text: str, max_length: int) -> str:
    """Return `text` cut to `max_length` characters. A text that is cut ends in three dots."""
    return text if len(text) <= max_length else f"{text[: max_length - 3]}..."


def parse_json_object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in `text`, or None if `text` is not a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def detect_encoding(data: bytes) -> str | None:
    """Return the encoding of text, detected by its byte order mark or its zero bytes. None if there is neither."""
    found = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    even, odd = data[:1000:2].count(0), data[1:1000:2].count(0)
    # In UTF-16, each Latin letter has a zero byte: the second in little-endian order, the first in big-endian.
    if found is None and 4 * max(even, odd) > len(data[:1000]):
        return "utf-16-le" if odd > even else "utf-16-be"
    return found


def escape_cell(value: object) -> object:
    """Return `value` as a CSV cell that a spreadsheet does not run as a formula.

    A string that starts with a formula character gets a leading apostrophe. Numbers and other values are returned
    unchanged. `unescape_cell` is the inverse.

    Examples:
        >>> escape_cell("=1+1")
        "'=1+1"
    """
    if not isinstance(value, str) or not value.startswith((*FORMULA_STARTS, "'")) or _is_number(value):
        return value
    return f"'{value}"


def unescape_cell(cell: str) -> str:
    """Return the string that `escape_cell` converted into `cell`."""
    return cell[1:] if cell.startswith(tuple(f"'{c}" for c in (*FORMULA_STARTS, "'"))) else cell


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
