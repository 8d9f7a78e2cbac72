"""Parsing of numbers in logs, such as ``1.5``, ``1,5``, ``1,234.5``, ``nan``, ``tensor(0.5)`` and ``50 %``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

MISSING = {"", "-", "--", "na", "n/a", "none", "null", "nil", "undefined", "<na>"}
"""Table cells, in lower case, that denote a missing value."""
_SPACES = re.compile(r"['\u2019_\s\u00a0\u2009\u202f]")
_WRAPPED = re.compile(r"(?:[A-Za-z_][\w.]*)?[(\[]+\s*([^,()\[\]]+)")
_NOT_FINITE = re.compile(r"([+-]?)(?:(nan)(?:\(\w*\))?|1\.#(?:q|s)?(nan|ind|inf)\w*|(inf(?:inity)?))")
_GROUPED = {mark: re.compile(rf"[+-]?\d{{1,3}}(?:\{mark}\d{{3}})+(?!\d)") for mark in ",."}
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?")
_ONE_MARK = re.compile(r"[+-]?(\d+)[.,](\d+)(?:e[+-]?\d+)?", re.IGNORECASE)


def parse_number(cell: str, decimal_mark: str = ".") -> float | None:
    """Parse the number in a table cell. Return ``None`` if the cell contains no number.

    Args:
        cell: text of the cell.
        decimal_mark: decimal mark, ``.`` or ``,``. The other character may separate thousands.
    """
    if decimal_mark == ".":
        try:  # nearly all cells
            return float(cell)
        except ValueError:
            pass
    text = cell.strip().strip("\"'").lower()
    if special := _NOT_FINITE.fullmatch(text):
        value = math.inf if special[4] or special[3] == "inf" else math.nan
        return -value if special[1] == "-" else value
    if (wrapped := _WRAPPED.match(text)) is not None:
        text = wrapped[1].strip()
    share = text.endswith("%")
    text = _SPACES.sub("", text.removesuffix("%"))
    other = "," if decimal_mark == "." else "."
    if _GROUPED[other].match(text):
        text = text.replace(other, "")
    text = text.replace(decimal_mark, ".", 1) if other not in text else text
    if not _PLAIN.fullmatch(text):
        return None
    return float(text) / 100 if share else float(text)


def detect_decimal_mark(cells: Iterable[str], delimiter: str) -> str:
    """Return the decimal mark of a table, ``.`` or ``,``, inferred from its cells.

    ``1,234`` is ambiguous, because the comma may separate thousands. ``0,5``, ``1,25`` and ``1.234,5`` are unambiguous.

    Args:
        cells: a sample of cells.
        delimiter: delimiter of the columns. If it is a comma, ambiguous cells are taken to use a decimal point.
    """
    votes = {".": 0, ",": 0}
    unclear = {".": 0, ",": 0}
    for cell in cells:
        text = cell.strip().strip("\"'")
        dot, comma = text.rfind("."), text.rfind(",")
        if (dot < 0 and comma < 0) or text[:1].strip("+-.,0123456789"):
            continue
        mark, other = (".", ",") if dot > comma else (",", ".")
        if dot >= 0 and comma >= 0:
            votes[mark] += 1
        elif text.count(mark) > 1:
            votes[other] += bool(_GROUPED[mark].fullmatch(text))
        elif one := _ONE_MARK.fullmatch(text):
            sure = len(one[2]) != 3 or len(one[1]) > 3 or one[1].startswith("0")
            (votes if sure else unclear)[mark] += 1
    if votes["."] != votes[","]:
        return "." if votes["."] > votes[","] else ","
    return "," if unclear[","] and delimiter != "," else "."
