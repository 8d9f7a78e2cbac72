"""The label of a file: its first-level folder, a row of a CSV, or none."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audiogan.data.walk import Entry
from audiogan.errors import UserError

FOLDERS, AUTO, NONE = "folders", "auto", "none"
PATH_COLUMNS = ("path", "file", "filename", "file_name", "name")
LABEL_COLUMNS = ("label", "class", "category")


@dataclass
class Labels:
    """How files are labelled. `key` changes whenever the outcome may."""

    mode: str
    key: str
    listed: dict[str, str] = field(default_factory=dict)  # real path -> label
    written: dict[str, str] = field(default_factory=dict)  # real path -> path as the CSV writes it

    @classmethod
    def parse(cls, labels: str | os.PathLike[str] | None, root: Path) -> Labels:
        """`auto`, `folders`, `none`, or the path of a CSV (UserError if it cannot be read)."""
        labels = NONE if labels is None else os.fspath(labels)
        if labels in (AUTO, FOLDERS, NONE):
            return cls(labels, labels)
        path = Path(labels).expanduser()
        if not path.is_file() and (root / path).is_file():
            path = root / path
        if not path.is_file():
            raise UserError(f"data.labels={labels}: not auto, folders or none, and there is no such CSV file")
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig")
        except OSError as e:
            raise UserError(f"data.labels={labels}: {e.strerror}") from e
        except UnicodeDecodeError as e:
            raise UserError(f"data.labels={labels}: not UTF-8 text (byte {e.start})") from e
        listed, written = _rows(text, path, root)
        return cls("csv", hashlib.blake2b(data, digest_size=16).hexdigest() + str(path.resolve()), listed, written)

    def of(self, entry: Entry) -> str:
        """The label of a listed file, "" for none. Call it once for every file."""
        if self.mode == "csv":
            place = os.path.realpath(entry.path)
            self.written.pop(place, None)
            return self.listed.get(place, "")
        return "" if self.mode == NONE or "/" not in entry.rel else _text(entry.rel.split("/", 1)[0])

    def unseen(self) -> Iterator[tuple[str, str]]:
        """(path, label) of the CSV's rows whose file did not turn up."""
        return ((path, self.listed[place]) for place, path in self.written.items())

    def applies(self, codes: np.ndarray) -> bool:
        """Whether the data set has labels, given the code of each decodable file (-1: none)."""
        if self.mode == AUTO:
            inside = int((codes >= 0).sum())
            return len(np.unique(codes[codes >= 0])) >= 2 and 2 * inside > len(codes)
        return self.mode != NONE


def _text(name: str) -> str:
    """Return a folder's name as text that can be written as UTF-8; bytes of other encodings become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _rows(text: str, path: Path, root: Path) -> tuple[dict[str, str], dict[str, str]]:
    lines = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    columns = {name.strip().lower(): name for name in lines.fieldnames or () if name}
    file_column = next((columns[c] for c in PATH_COLUMNS if c in columns), None)
    label_column = next((columns[c] for c in LABEL_COLUMNS if c in columns), None)
    if file_column is None or label_column is None:
        found = ", ".join(columns) or "nothing"
        raise UserError(f"data.labels={path}: the first line must name the columns path and label (found: {found})")
    # Lists are written from inside the folder, beside it, or from where the list itself lies.
    bases = (path.resolve().parent, root, root.parent)
    listed: dict[str, str] = {}
    written: dict[str, str] = {}
    for row in _checked(lines, path):
        name, label = (row[file_column] or "").strip(), (row[label_column] or "").strip()
        if not name:
            continue
        candidates = [os.path.join(base, name.replace("\\", "/")) for base in bases]
        place = os.path.realpath(next((c for c in candidates if os.path.lexists(c)), candidates[0]))
        if listed.setdefault(place, label) != label:
            raise UserError(f"data.labels={path}, line {lines.line_num}: {name} has two labels")
        written[place] = name
    return listed, written


def _checked(lines: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from lines
    except csv.Error as e:
        raise UserError(f"data.labels={path}, line {lines.line_num}: {e}") from e
