"""What a scan found: the verdict on every file, as lines for the terminal and as a table."""

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
TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
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
    "unfinished": "used to the end of the file; no length in the header, as of a recording that was interrupted",
    "rescaled": "used; float samples in units of integers, scaled to full scale 1",
    "out of phase": "used; the channels cancel out when mixed, so the loudest is used alone",
    "offset": "used; a constant offset was removed",
}
MOST_NAMES, LONGEST_NAME = 30, 60
"""Classes that the terminal lists, and characters of a name there."""


@dataclass(frozen=True)
class Scan:
    """What a folder holds. Every file has exactly one reason; a usable file may have flags.

    Attributes:
        reasons, known_flags: all reasons and flags of such files, with their meaning, in the order of the summary.
        noun: word for a file.
    """

    reasons: ClassVar[dict[str, str]] = REASONS
    known_flags: ClassVar[dict[str, str]] = FLAGS
    noun: ClassVar[str] = "sound file"

    root: Path
    settings: Any  # how files are decoded
    folder: Path  # the cache: clips, index and the table of files
    counts: dict[str, int]  # reason -> files
    flags: dict[str, int]  # flag -> usable files that have it
    labels: list[str]
    class_counts: list[int]  # clips a label
    clips: int
    naming: str = "auto"  # `auto`, `folders`, `none` or, for a list, `csv`
    notes: Sequence[str] = ()  # remarks on how the list of labels was read

    @property
    def total(self) -> int:
        """Files in the folder, plus links to folders, hidden folders and listed files that are missing."""
        return sum(self.counts.values())

    @property
    def usable(self) -> int:
        return self.counts.get("usable", 0)

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the verdict on each file, in the order of the scan: a dict with the columns of `write`."""
        with open(self.folder / TABLE, **TEXT) as f:
            yield from csv.DictReader(f)

    @property
    def problems(self) -> list[tuple[str, str, str]]:
        """(path, reason, detail) of every file that is not plainly used; for a flagged one the flag is the reason."""
        rows = ((row["path"], row["flags"] or row["reason"], row["detail"]) for row in self.rows())
        return [row for row in rows if row[1] != "usable"]

    def summary(self, examples: int = 3) -> str:
        """A few lines for the terminal: counts by reason with `examples` paths each."""
        classes = f", {len(self.labels)} classes" if self.labels else ", no labels"
        lines = [f"{self.root}: {self.total:,} files, {self.usable:,} usable -> {self._contents()}{classes}"]
        if self.labels:
            lines.append(f"  {class_line(self.labels, self.class_counts)}")
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
        """The clips, in words."""
        seconds = self.settings.length / self.settings.sample_rate
        return f"{self.clips:,} clips of {seconds:.2f} s at {self.settings.sample_rate:,} Hz"

    def hints(self) -> list[str]:
        """Return remarks on the usable files as a whole, such as folders that are probably not classes."""
        rows = [row for row in self.rows() if row["reason"] == "usable"]
        paths = [row["path"] for row in rows]
        return [*self.notes, *layout_hints(self.root, self.naming, self.labels, paths), *self._about(rows)]

    def _about(self, rows: Sequence[dict[str, str]]) -> list[str]:
        """Return remarks on the usable sounds: most are mono while stereo is requested, or have a lower rate."""
        mono = sum(row["channels"] == "1" for row in rows)
        low = sum(int(row["sample_rate"]) < self.settings.sample_rate for row in rows)
        said = []
        if self.settings.channels > 1 and 2 * mono > len(rows):
            said.append(f"{mono:,} of {len(rows):,} are mono; stereo makes them no wider: data.channels=1 is less work")
        if 2 * low > len(rows):
            rate = f"data.sample_rate={self.settings.sample_rate}"
            said.append(f"{low:,} of {len(rows):,} have a lower rate than {rate}, which cannot make them brighter")
        return said

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV with one line for every file: path below the root, reason, flags, detail, label, clips, ...

        A cell that a spreadsheet would run as a formula gets an apostrophe in front (`escape_cell`), and
        control characters are written as escapes.
        """
        try:
            with (
                atomic_write(path) as temporary,
                open(self.folder / TABLE, **TEXT) as table,
                open(temporary, "w", **TEXT) as copy,
            ):
                csv.writer(copy).writerows(map(_cell, row) for row in csv.reader(table))
        except OSError as e:
            raise UserError(f"cannot write the report {path}: {e.strerror}") from e


def _cell(text: str) -> object:
    return escape_cell(re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda control: printable(control[0]), text))


def class_line(labels: Sequence[str], counts: Sequence[int]) -> str:
    """Return ``name count, name count, …`` for the terminal; long names and long lists are cut."""
    names = (name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in labels)
    parts = [f"{name} {count:,}" for name, count in zip(names, counts, strict=False)][:MOST_NAMES]
    return ", ".join([*parts, *([f"and {len(labels) - MOST_NAMES:,} more"] if len(labels) > MOST_NAMES else [])])


def require_usable(scan: Scan) -> None:
    """Raise a UserError that says what was found, and what to do, if no file can be used."""
    if scan.clips:
        return
    meaning = {reason: f" ({text})" for reason, text in LEFT_OUT.items()}
    counts = (f"{n:,} {reason}{meaning.get(reason, '')}" for reason, n in scan.counts.items())
    said = [", ".join(counts) or "the folder is empty"]
    rows = list(scan.rows())
    if scan.counts.get("no label") and scan.naming == LIST:
        listed = next((row["path"] for row in rows if row["reason"] == "missing"), None)
        file = next(row["path"] for row in rows if row["reason"] == "no label")
        names = f"the list names {listed}, " if listed else "the list gives no label to the files of the folder, "
        said.append(f"{names}the folder has {file}")
    elif scan.counts.get("no label"):
        said.append(f"labels=folders needs {scan.noun}s inside folders")
    images = sum(row["reason"] == "not audio" and is_image(row["path"]) for row in rows)
    if images:
        said.append(f"{images:,} are images: train on them with audiogan train images data.root=FOLDER")
    example = next((row for row in rows if row["reason"] in ("unreadable", "misnamed")), None)
    if example:
        said.append(f"for example {example['path']}: {example['detail']}")
    raise UserError(printable(f"no usable {scan.noun} in {scan.root}: {'; '.join(said)}"))
