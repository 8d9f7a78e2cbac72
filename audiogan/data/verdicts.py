"""`Scan`: the result of scanning a data folder, as a summary for the terminal and as a table of files."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from audiogan.data.kinds import is_image
from audiogan.data.labels import LIST
from audiogan.data.layout import layout_hints
from audiogan.data.walk import LEFT_OUT
from audiogan.errors import UserError
from audiogan.files import atomic_write
from audiogan.utils.text import escape_cell, printable

TABLE = "files.csv"
CSV_OPTIONS: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
REASONS = {
    "usable": "used for training",
    "silent": "range below -60 dBFS",
    "unreadable": "cannot be opened or decoded",
    "too short": "shorter than data.min_seconds",
    "non-finite": "NaN or infinite samples",
    "duplicate": "same decoded samples as an earlier file; the first is used",
    "no label": "in no class folder, or not in the label list",
    "missing": "in the label list, but not in the folder",
    "folder link": "symbolic link to a folder that is listed already",
    **LEFT_OUT,
    "misnamed": "sounds without the extension of a sound; rename them to use them",
    "not audio": "other kinds of files",
}
FLAGS = {
    "clipped": "used; 4 or more equal samples in a row at full scale",
    "truncated": "used as far as it can be decoded; cut off or damaged",
    "unfinished": "used to the end of the file; no length in the header, as after an interrupted recording",
    "rescaled": "used; float samples in units of integers, scaled to full scale 1",
    "out of phase": "used; the channels cancel out when mixed, so the loudest is used alone",
    "offset": "used; a constant offset was removed",
}
MAX_NAMES, MAX_NAME_LENGTH = 30, 60
"""Limits of the summary in the terminal: number of class names, and number of characters of a class name."""


@dataclass(frozen=True)
class Scan:
    """Result of scanning a data folder. Every file has one of `reasons`: ``usable``, or the reason why it is skipped.

    A usable file may have flags for problems such as clipping.

    Attributes:
        reasons: meaning of each reason, in the order of the summary.
        known_flags: meaning of each flag, in the order of the summary.
        noun: word for a file in messages.
        root: data folder.
        settings: decoding settings.
        folder: cache folder with the decoded clips, their index and the table of files.
        counts: number of files by reason.
        flags: number of usable files by flag.
        labels: names of the classes.
        class_counts: number of clips of each class.
        clips: number of clips in total.
        naming: source of the labels: ``auto``, ``folders``, ``none`` or, for a list, ``csv``.
        notes: remarks on reading the list of labels.
    """

    reasons: ClassVar[dict[str, str]] = REASONS
    known_flags: ClassVar[dict[str, str]] = FLAGS
    noun: ClassVar[str] = "sound file"

    root: Path
    settings: Any
    folder: Path
    counts: dict[str, int]
    flags: dict[str, int]
    labels: list[str]
    class_counts: list[int]
    clips: int
    naming: str = "auto"
    notes: Sequence[str] = ()

    @property
    def total(self) -> int:
        """Number of rows in the table: files, links to folders, hidden folders, and listed files that are missing."""
        return sum(self.counts.values())

    @property
    def usable(self) -> int:
        """Number of usable files."""
        return self.counts.get("usable", 0)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the row of each file in scan order, as a dict with the columns of the CSV that `write_csv` writes."""
        with open(self.folder / TABLE, **CSV_OPTIONS) as f:
            yield from csv.DictReader(f)

    @property
    def problems(self) -> list[tuple[str, str, str]]:
        """List of (path, reason, detail) of all files with a problem. For a flagged file, the reason is its flag."""
        rows = ((row["path"], row["flags"] or row["reason"], row["detail"]) for row in self.rows())
        return [row for row in rows if row[1] != "usable"]

    def summary(self, examples: int = 3) -> str:
        """Return the summary for the terminal: file counts by reason, with up to ``examples`` paths per reason."""
        classes = f", {len(self.labels)} classes" if self.labels else ", no labels"
        lines = [f"{self.root}: {self.total:,} files, {self.usable:,} usable -> {self._contents()}{classes}"]
        if self.labels:
            lines.append(f"  {format_class_counts(self.labels, self.class_counts)}")
        shown: dict[str, list[str]] = {}
        for row in self.rows():
            for reason in [row["reason"], *filter(None, row["flags"].split("+"))]:
                if reason != "usable" and len(shown.setdefault(reason, [])) < examples:
                    shown[reason].append(row["path"] + (f" ({row['detail']})" if row["detail"] else ""))
        for reason, meaning in {**self.reasons, **self.known_flags}.items():
            count = self.flags.get(reason, 0) if reason in self.known_flags else self.counts.get(reason, 0)
            if count and reason != "usable":
                more = "; ..." if count > examples else ""
                lines.append(f"  {count:,} {reason} ({meaning}): {'; '.join(shown[reason])}{more}")
        lines += [f"  {hint}" for hint in self.hints()]
        return "\n".join(map(printable, lines))

    def _contents(self) -> str:
        """Return a description of the usable contents, such as ``12 clips of 1.02 s at 16,000 Hz``."""
        seconds = self.settings.length / self.settings.sample_rate
        return f"{self.clips:,} clips of {seconds:.2f} s at {self.settings.sample_rate:,} Hz"

    def hints(self) -> list[str]:
        """Return hints about the usable files, for example about folders that are probably not classes."""
        rows = [row for row in self.rows() if row["reason"] == "usable"]
        paths = [row["path"] for row in rows]
        return [*self.notes, *layout_hints(self.root, self.naming, self.labels, paths), *self._about(rows)]

    def _about(self, rows: Sequence[dict[str, str]]) -> list[str]:
        """Return hints if most usable sounds are mono or have a low sample rate, but the settings ask for more."""
        mono = sum(row["channels"] == "1" for row in rows)
        low = sum(int(row["sample_rate"]) < self.settings.sample_rate for row in rows)
        said = []
        if self.settings.channels > 1 and 2 * mono > len(rows):
            said.append(f"{mono:,} of {len(rows):,} are mono; data.channels=1 trains faster")
        if 2 * low > len(rows):
            rate = f"data.sample_rate={self.settings.sample_rate}"
            said.append(f"{low:,} of {len(rows):,} have a lower rate than {rate} and no high frequencies")
        return said

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file with one row per file: path relative to the root, reason, flags, detail, label, clips, ...

        Cells are safe to open in a spreadsheet: formulas get a leading apostrophe, and control characters are escaped.
        """
        try:
            with (
                atomic_write(path) as temporary,
                open(self.folder / TABLE, **CSV_OPTIONS) as table,
                open(temporary, "w", **CSV_OPTIONS) as copy,
            ):
                csv.writer(copy).writerows(map(_cell, row) for row in csv.reader(table))
        except OSError as e:
            raise UserError(f"cannot write the report {path}: {e.strerror}") from e


def _cell(text: str) -> object:
    return escape_cell(re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda control: printable(control[0]), text))


def format_class_counts(labels: Sequence[str], counts: Sequence[int]) -> str:
    """Return the class counts as ``name count, name count, ...``. Long names and long lists are truncated."""
    names = (name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…" for name in labels)
    parts = [f"{name} {count:,}" for name, count in zip(names, counts, strict=False)][:MAX_NAMES]
    return ", ".join([*parts, *([f"and {len(labels) - MAX_NAMES:,} more"] if len(labels) > MAX_NAMES else [])])


def require_usable_files(scan: Scan) -> None:
    """Raise `UserError` with the file counts and advice if the scan found no usable file."""
    if scan.clips:
        return
    meaning = {reason: f" ({text})" for reason, text in LEFT_OUT.items()}
    counts = (f"{n:,} {reason}{meaning.get(reason, '')}" for reason, n in scan.counts.items())
    said = [", ".join(counts) or "the folder is empty"]
    rows = list(scan.rows())
    if scan.counts.get("no label") and scan.naming == LIST:
        listed = next((row["path"] for row in rows if row["reason"] == "missing"), None)
        file = next(row["path"] for row in rows if row["reason"] == "no label")
        names = f"the list names {listed}, but the folder has {file}"
        said.append(names if listed else f"the list has no label for {file}")
    elif scan.counts.get("no label"):
        said.append(f"labels=folders needs {scan.noun}s inside folders")
    images = sum(row["reason"] == "not audio" and is_image(row["path"]) for row in rows)
    if images:
        said.append(f"{images:,} are images: train on them with audiogan train images data.root=FOLDER")
    example = next((row for row in rows if row["reason"] in ("unreadable", "misnamed")), None)
    if example:
        said.append(f"for example {example['path']}: {example['detail']}")
    raise UserError(printable(f"no usable {scan.noun} in {scan.root}: {'; '.join(said)}"))
