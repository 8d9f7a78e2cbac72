"""Reader of CSV files and similar tables, with column names in the first line and one row per step."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from audiogan.monitors.logs.numbers import MISSING, detect_decimal_mark, parse_number
from audiogan.monitors.logs.skipped import Skipped
from audiogan.utils.text import printable

DELIMITERS = "\t;|,"
COMMENTS = ("#", "//", "%")
SAMPLE, SAMPLE_CELLS = 500, 20_000
"""Largest numbers of lines (``SAMPLE``) and of cells (``SAMPLE_CELLS``) from which the decimal mark is inferred."""
Split = Callable[[str], list[str]]


def read_table(text: str, is_metric_name: Callable[[str], bool]) -> tuple[list[dict[str, float]], list[str], list[str]]:
    """Read a table with any common delimiter, decimal mark and thousands separator.

    Args:
        text: content of the file.
        is_metric_name: function that returns True for the names of metrics that the rules of the monitors use.

    Returns:
        The rows of metrics, the names of the columns, and messages about content that could not be read. There are no
        rows if the text is not a table.
    """
    lines = text.splitlines()
    cut = bool(lines) and not text.endswith(("\n", "\r"))
    delimiter, head, lines = _find_header(lines)
    if not head:
        return [], [], []
    split = _splitter(delimiter)
    mark = detect_decimal_mark(
        islice((cell for row in _spread_lines(lines) for cell in split(row)), SAMPLE_CELLS), delimiter
    )
    rows: list[dict[str, float]] = []
    long = Skipped("they have more cells than the first line has names")
    empty = Skipped("they contain no numbers")
    last = Skipped("")
    short, names = 0, dict.fromkeys(head)
    bad: dict[str, Skipped] = {}
    for i, line in enumerate(lines):
        if _is_comment(line):
            continue
        cells = split(line)
        if cells == head:  # A resumed run writes the column names again.
            continue
        if _is_header(cells, is_metric_name):
            head = cells
            names |= dict.fromkeys(head)
            continue
        while len(cells) > len(head) and not cells[-1]:
            cells.pop()
        if len(cells) > len(head):
            long.add(line)
            continue
        if len(cells) < len(head):
            if cut and i == len(lines) - 1:
                last = Skipped("it is cut off", 1, line)
                continue
            short += 1
        row: dict[str, float] = {}
        for name, cell in zip(head, cells, strict=False):
            value = parse_number(cell, mark)
            if value is not None:
                row.setdefault(name, value)
            elif name and cell.lower() not in MISSING:
                bad.setdefault(name, Skipped("")).add(cell)
        if row:
            rows.append(row)
        else:
            empty.add(line)
    remarks = [*long.remarks, *empty.remarks, *last.remarks]
    if short:
        remarks.append(f"{short:,} line{'s have' if short > 1 else ' has'} fewer cells than the first line has names")
    for name, cells_ in bad.items():
        if is_metric_name(name) or any(name in row for row in rows):
            example, count = printable(cells_.example)[:40], f"{cells_.count:,} cell{'s'[: cells_.count > 1]}"
            remarks.append(f"{count} of {printable(name)} could not be read as numbers, for example {example!r}")
    return rows, [name for name in names if name], remarks


def _find_header(lines: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Return the delimiter, the column names and the lines that follow. NumPy writes the names as a comment."""
    delimiter, comment, at = "", "", 0
    while at < len(lines):
        text = lines[at].strip()
        if re.fullmatch(r"sep=.", text):
            delimiter = text[-1]
        elif _is_comment(text):
            comment = text.lstrip("#/% ") or comment
        else:
            break
        at += 1
    if at == len(lines):
        return "", [], []
    following = next((line for line in lines[at + 1 :] if not _is_comment(line)), "")
    found = delimiter or _delimiter(lines[at], following)
    cells = _splitter(found)(lines[at])
    if any(_is_name(cell) for cell in cells):
        return found, cells, list(lines[at + 1 :])
    found = delimiter or _delimiter(comment, lines[at])
    names, cells = _splitter(found)(comment), _splitter(found)(lines[at])
    if len(names) == len(cells) > 1 and any(map(_is_name, names)):
        return found, names, list(lines[at:])
    return "", [], []


def _delimiter(head: str, line: str) -> str:
    """Return the delimiter of a table. One space means any white space; two spaces mean at least two."""
    for mark in DELIMITERS:
        if mark in head and (mark in line or not line):
            return mark
    pairs = [(mark, _splitter(mark)) for mark in ("  ", " ")]
    return next((mark for mark, split in pairs if len(split(head)) == len(split(line)) > 1), " ")


def _splitter(delimiter: str) -> Split:
    if delimiter == "  ":
        return lambda line: re.split(r"\s{2,}|\t", line.strip())
    if delimiter == " ":
        return str.split

    def split(line: str) -> list[str]:
        if delimiter == "|":
            line = line.strip().strip("|")
        # Each line is parsed separately, because an unclosed quotation mark must not consume the rest of the file.
        try:
            cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
        except csv.Error:
            return []
        return [cell.strip() for cell in cells]

    return split


def _is_comment(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith(COMMENTS) or bool(re.fullmatch(r"[|+:=\- ]+", text))


def _is_name(cell: str) -> bool:
    return cell.lower() not in MISSING and parse_number(cell) is None and parse_number(cell, ",") is None


def _is_header(cells: Sequence[str], is_metric_name: Callable[[str], bool]) -> bool:
    """Return whether a line replaces the column names: all cells are names, and at least one names a metric."""
    return len(cells) > 1 and all(map(_is_name, cells)) and any(map(is_metric_name, cells))


def _spread_lines(lines: Sequence[str]) -> Iterator[str]:
    """Return lines spread evenly over a file, without comments."""
    step = max(1, len(lines) // SAMPLE)
    return (line for line in lines[::step] if not _is_comment(line))
