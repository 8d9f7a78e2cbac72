"""`LabelRule`: labels of files, taken from first-level folders or from a CSV list."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from audiogan.data.kinds import READABLE
from audiogan.data.label_list import Matches, Row, match_rows, read_rows, read_text
from audiogan.data.walk import Entry, walk
from audiogan.errors import UserError
from audiogan.utils.text import printable

FOLDERS, AUTO, NONE, LIST = "folders", "auto", "none", "csv"


@dataclass
class LabelRule:
    """Rule that assigns labels to the files of a data folder. Create it with `parse`.

    Attributes:
        mode: source of the labels: ``auto``, ``folders``, ``none``, or ``csv`` for a list.
        key: digest of the rule. It changes whenever the labels may change.
        root: data folder.
        follow_links: ``True`` to use links that lead out of the data folder.
        path: path of the CSV list.
        rows: rows of the CSV list.
        remarks: remarks on reading the list.
        suffixes: extensions of the files that a name in the list may match inexactly.
    """

    mode: str
    key: str
    root: Path
    follow_links: bool = False
    path: Path = Path()
    rows: Sequence[Row] = ()
    remarks: Sequence[str] = ()
    suffixes: Collection[str] = READABLE

    @classmethod
    def parse(
        cls, labels: str | os.PathLike[str] | None, root: Path, follow_links: bool, suffixes: Collection[str] = READABLE
    ) -> LabelRule:
        """Return the rule for a value of ``data.labels``. Raise `UserError` if the list cannot be read.

        Args:
            labels: ``auto``, ``folders``, ``none``, or the path of a CSV list.
            root: data folder.
            follow_links: use links that lead out of the data folder.
            suffixes: extensions of the files that a name in the list may match inexactly.
        """
        labels = NONE if labels is None else str(labels)
        if labels in (AUTO, FOLDERS, NONE):
            return cls(labels, labels, root, follow_links)
        where = f"data.labels={printable(labels)}"
        try:
            path = Path(labels).expanduser()
        except RuntimeError as e:
            raise UserError(f"{where}: {e}") from e
        if not path.is_file() and (root / path).is_file():
            path = root / path
        if not path.is_file():
            raise UserError(f"{where}: no such CSV file; choose a CSV file, auto, folders or none")
        text, data, notes = read_text(path, where)
        key = hashlib.blake2b(data, digest_size=16).hexdigest() + str(path.resolve())
        return cls(LIST, key, root, follow_links, path, list(read_rows(text, where, notes)), notes, suffixes)

    @cached_property
    def _matches(self) -> Matches:
        files, real = dict[str, str](), cache(os.path.realpath)
        for entry in walk(self.root, self.follow_links):
            if not os.path.islink(entry.path):
                folder, name = os.path.split(entry.path)
                files[entry.rel] = os.path.join(real(folder), name)
            elif not os.path.isdir(entry.path):
                files[entry.rel] = os.path.realpath(entry.path)
        where = f"data.labels={printable(self.path)}"
        return match_rows(self.rows, files, self.suffixes, self.root, self.path.resolve().parent, where)

    def get_label(self, entry: Entry) -> str:
        """Return the label of a file, or "" if the file has no label."""
        if self.mode == LIST:
            return self._matches.labels.get(entry.rel, "")
        return "" if self.mode == NONE or "/" not in entry.rel else _text(entry.rel.split("/", 1)[0])

    def missing_files(self) -> Iterator[tuple[str, str, str]]:
        """Yield (path, label, reason) for each row of the label list without a matching file."""
        if self.mode == LIST:
            for row, reason in self._matches.missing:
                yield row.name, row.label, reason

    def notes(self) -> list[str]:
        """Return remarks on reading the list, such as ignored columns and inexact matches."""
        if self.mode != LIST:
            return []
        ways, total = self._matches.ways.most_common(), len(self.rows)
        found = ", ".join(f"{count:,} of {total:,} files were found {way}" for way, count in ways)
        return [*self.remarks, *([f"{self.path.name}: {found}"] if found else [])]

    def has_labels(self, labels: Iterable[str]) -> bool:
        """Return ``True`` if the data set has labels.

        In the mode ``auto``, at least two labels must occur and more than half of the files must have a label.

        Args:
            labels: label of each decodable file, "" if it has none.
        """
        if self.mode != AUTO:
            return self.mode != NONE
        counts = Counter(labels)
        without = counts.pop("", 0)
        return len(counts) >= 2 and counts.total() > without


def _text(name: str) -> str:
    """Return the name of a folder as NFC-normalised text. Bytes that are not valid UTF-8 become escapes."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
