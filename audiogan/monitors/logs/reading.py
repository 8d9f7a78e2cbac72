"""Functions that find a log, detect its format and read it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiogan.errors import UserError, wrap_os_errors
from audiogan.files import read_small_file
from audiogan.monitors.history import STEP_NAMES, canonical_name, parse_partial_critic_loss, split_words
from audiogan.monitors.logs.events import EVENT_FILE_MARK, is_event_file, read_events
from audiogan.monitors.logs.lines import has_metrics_in_lines, read_lines
from audiogan.monitors.logs.numbers import parse_number
from audiogan.monitors.logs.skipped import Skipped
from audiogan.monitors.logs.tables import read_table
from audiogan.utils.text import detect_encoding, parse_json_object

LOG_NAMES = (
    *("metrics.jsonl", "stats.jsonl", "metrics.csv", "log.csv", "history.csv", "metrics.json", "log.json"),
    *("history.json", "loss_log.txt", "log.txt", "wandb-history.jsonl", "trainer_state.json"),
)
MAX_LOG_BYTES = 1 << 28
"""Largest text log that is read, in bytes."""
SUPPORTED_FORMATS = (
    "JSON lines, JSON, CSV and similar tables, printed lines of names and values, and TensorBoard event files"
)
UNSUPPORTED_FORMATS = {  # Advice for files in other formats, by the first bytes of the file.
    b"PK": "a ZIP archive or a workbook; save it as CSV",
    b"\x1f\x8b": "compressed; unpack it first",
    b"\x93NUMPY": "a NumPy array; save it as CSV",
    **{
        bytes([0x80, protocol]): "a pickle, which may run code and is not opened; save it as JSON or CSV"
        for protocol in range(2, 6)
    },
    b"\x89HDF": "an HDF5 file; save it as CSV",
    b"SQLite": "a database; save it as CSV",
    b":W&B": "a Weights & Biases log in its own format; download its history as CSV",
}
Rows = list[dict[str, Any]]


@dataclass
class Log:
    """Content of a training log.

    Attributes:
        path: the file, or the folder of event files.
        rows: names and values of each row.
        names: names of all metrics.
        remarks: messages about content that could not be read.
    """

    path: Path
    rows: Rows
    names: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find_log(path: Path) -> Path:
    """Return the log in a folder. A file is returned unchanged.

    If the only log is in TensorBoard event files, the folder of the event files is returned.

    Raises:
        UserError: ``path`` does not exist, contains no log, or contains event files of several runs.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        reason = "not a regular file" if path.exists() else "no such run folder or log"
        raise UserError(f"{path}: {reason}")
    if (found := next((path / name for name in LOG_NAMES if (path / name).is_file()), None)) is not None:
        return found
    folders = sorted({file.parent for file in path.rglob(f"*{EVENT_FILE_MARK}*") if file.is_file()})
    if path in folders:
        return path
    # Keras writes separate event files for training and validation.
    folders = [folder for folder in folders if folder.name != "validation"]
    if len(folders) == 1:
        return folders[0]
    if folders:
        some = ", ".join(str(folder.relative_to(path)) for folder in folders[:5])
        raise UserError(f"{path}: contains event files of {len(folders)} runs ({some}); give the folder of one run")
    raise UserError(f"{path}: contains no log; doctor looks for {', '.join(LOG_NAMES)}, or give the file itself")


def read_log(path: Path) -> Log:
    """Read a log in any of the formats that `SUPPORTED_FORMATS` lists. The format is detected from the content.

    Raises:
        UserError: the file cannot be read, or its format is not supported.
    """
    if path.is_dir():
        files = sorted(file for file in path.glob(f"*{EVENT_FILE_MARK}*") if file.is_file())
        rows, remarks = read_events(files)
        return _make_log(path, rows, [], remarks)
    with wrap_os_errors(f"{path}: cannot be read"), open(path, "rb") as file:
        start = file.read(64)
    if is_event_file(path, start):
        rows, remarks = read_events([path])
        return _make_log(path, rows, [], remarks)
    content = read_small_file(path, MAX_LOG_BYTES, "log")
    for magic, advice in UNSUPPORTED_FORMATS.items():
        if content.startswith(magic):
            raise UserError(f"{path}: {advice}")
    text = _decode_text(path, content)
    del content
    if text.lstrip()[:1] in ("{", "["):
        found = _read_json(path, text)
        if found is not None:
            return _make_log(path, *found)
    if has_metrics_in_lines(text, _is_known_metric):
        return _make_log(path, *read_lines(text, _is_known_metric))
    table = read_table(text, _is_known_metric)
    if table[0] and any(map(_is_known_metric, table[1])):
        return _make_log(path, *table)
    lines = read_lines(text, _is_known_metric)
    if lines[0]:
        return _make_log(path, *lines)
    if not table[0] and table[2]:
        raise UserError(f"{path}: {table[2][0]}")
    return _make_log(path, *table)


def _make_log(path: Path, rows: Rows, names: Iterable[str], remarks: list[str]) -> Log:
    names = list(dict.fromkeys([*names, *(name for row in rows for name in row)]))
    if not any(map(_is_known_metric, names)):  # Columns D and G are losses if no column is a known metric.
        bare = {
            name: f"loss_{name}" for name in names if _is_known_metric(f"loss_{name}") and len(split_words(name)) <= 2
        }
        rows = [{bare.get(name, name): value for name, value in row.items()} for row in rows]
    _make_steps_increase(rows)
    return Log(path, rows, names, remarks)


def _is_known_metric(name: str) -> bool:
    return canonical_name(name) is not None or parse_partial_critic_loss(name) is not None


def _decode_text(path: Path, content: bytes) -> str:
    """Decode the text of a file as UTF-8, UTF-16 or UTF-32, or else as Windows-1252."""
    encoding = detect_encoding(content)
    try:
        text = content.decode(encoding or "utf-8", "replace" if encoding else "strict")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    if "\0" in text[:1000]:
        raise UserError(f"{path}: not text; doctor reads {SUPPORTED_FORMATS}")
    return text


def _read_json(path: Path, text: str) -> tuple[Rows, list[str], list[str]] | None:
    """Return rows, names and messages of a JSON or JSON lines file, or ``None`` if the file is neither."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = _read_json_lines(text)
        if not lines[0] and text.lstrip().startswith("[") and not re.match(r"\s*\[[^\]\n]*\]", text):
            raise UserError(f"{path}: not valid JSON ({error})") from error
        return lines if lines[0] else None
    skipped = Skipped("they are not objects")
    if isinstance(whole, dict):
        rows = _find_rows(whole) or [whole]
    else:
        rows = [row for row in whole if isinstance(row, dict)]
        for row in whole:
            if not isinstance(row, dict):
                skipped.add(json.dumps(row))
        if not rows and skipped.count:
            return None
    return [_flatten(row) for row in rows], [], skipped.remarks


def _read_json_lines(text: str) -> tuple[Rows, list[str], list[str]]:
    rows: Rows = []
    skipped = Skipped("they are not JSON")
    for line in text.splitlines():
        if not line.strip():
            continue
        # A JSON list that was cut off is invalid, but each of its lines is still an object followed by a comma.
        row = parse_json_object(re.sub(r"^\[?(\{.*\}),?\]?$", r"\1", line.strip()))
        if row is not None:
            rows.append(_flatten(row))
        else:
            skipped.add(line)
    # Printed Python dictionaries are not JSON. `read_lines` reads them.
    return (rows, [], skipped.remarks) if len(rows) >= skipped.count else ([], [], [])


def _find_rows(whole: dict[str, Any], depth: int = 3) -> Rows:
    """Return the rows of an object that contains columns or rows.

    Examples are the history of Keras, a pandas table, and a training state that contains a list of rows.
    """
    columns = {name: value for name, value in whole.items() if isinstance(value, list) and _is_number_list(value)}
    longest = max(map(len, columns.values()), default=0)
    outer = [{name: column[i] for name, column in columns.items() if i < len(column)} for i in range(longest)]
    if any(map(_is_known_metric, columns)):
        return outer
    tables = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if tables:
        return [row for row in max(tables, key=len) if isinstance(row, dict)]
    inner = {name: value for name, value in whole.items() if isinstance(value, dict) and value}
    if inner and len(inner) == len(whole):
        if all(_is_index(name) for name in inner):
            return [{"step": int(name), **row} for name, row in inner.items()]
        if all(_is_index(name) for value in inner.values() for name in value):
            rows: dict[str, dict[str, Any]] = {}
            for name, column in inner.items():
                for index, value in column.items():
                    rows.setdefault(index, {"step": int(index)})[name] = value
            return list(rows.values())
    found = max((_find_rows(value, depth - 1) for value in inner.values()), key=len, default=[]) if depth else []
    if len(found) == len(outer):  # Keras stores the epoch numbers beside the history, not inside it.
        return [{**one, **other} for one, other in zip(outer, found, strict=True)]
    return found or outer


def _is_number_list(values: list[Any]) -> bool:
    """Return whether a list holds numbers. Some may be missing."""
    kinds = {type(value) for value in values} - {type(None)}
    return bool(kinds) and kinds <= {int, float, str} and (str not in kinds or all(map(_is_number, values)))


def _is_number(value: Any) -> bool:
    return value is None or parse_number(str(value)) is not None


def _is_index(name: str) -> bool:
    return name.isdecimal() and name.isascii() and len(name) < 16


def _flatten(row: Mapping[str, Any], before: str = "", depth: int = 3) -> dict[str, Any]:
    """Flatten nested objects; keys are joined by a slash. StyleGAN's ``{"num", "mean", "std"}`` stays one metric."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping) and "mean" not in value and depth:
            flat |= _flatten(value, f"{before}{name}/", depth - 1)
        elif isinstance(value, str):
            amount = parse_number(value)
            flat[f"{before}{name}"] = value if amount is None else amount
        else:
            flat[f"{before}{name}"] = value
    return flat


def _make_steps_increase(rows: Rows) -> None:
    """Make steps increase over the whole run if they restart in every epoch, so that no row replaces another."""
    epoch = _column(rows, lambda words: words[-1:] == ["epoch"])
    inner = _column(rows, lambda words: bool(words) and words[-1] in set(STEP_NAMES) - {"epoch", "kimg"})
    if epoch is None or inner is None:
        return
    starts: dict[float, float] = {}
    now, last, gap, renewed = None, 0.0, 1.0, False
    steps: list[tuple[dict[str, Any], float]] = []
    for row in rows:
        at, step = row.get(epoch), row.get(inner)
        if not isinstance(at, int | float) or not isinstance(step, int | float):
            continue
        if now is None or at not in starts:
            anew = now is not None and step <= last
            renewed = renewed or anew
            starts[at] = starts.get(now, 0.0) + (last + gap if anew else 0.0) if now is not None else 0.0
        elif at == now and step > last:
            gap = step - last
        now, last = at, step
        steps.append((row, starts[at] + step))
    if renewed:
        for row, step in steps:
            row["step"] = step


def _column(rows: Rows, fits: Callable[[list[str]], bool]) -> str | None:
    """Return the first name in the first five rows that ``fits`` accepts."""
    return next((name for row in rows[:5] for name in row if fits(split_words(name))), None)
