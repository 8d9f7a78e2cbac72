"""The label of a file: its first-level folder, a row of a CSV, or none."""

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
    """How files are labelled. `key` changes whenever the outcome may."""

    mode: str
    key: str
    root: Path
    follow_links: bool = False
    path: Path = Path()  # of the list
    rows: Sequence[Row] = ()
    remarks: Sequence[str] = ()  # on reading the list
    suffixes: Collection[str] = READABLE

    @classmethod
    def parse(
        cls, labels: str | os.PathLike[str] | None, root: Path, follow_links: bool, suffixes: Collection[str] = READABLE
    ) -> LabelRule:
        """`auto`, `folders`, `none`, or the path of a list (UserError if it cannot be read).

        Args:
            labels: as in ``data.labels``.
            root: the data folder. follow: whether links that lead out of it are used.
            suffixes: of the files that an inexact name may mean.
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
            raise UserError(f"{where}: not auto, folders or none, and there is no such CSV file")
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

    def label_of(self, entry: Entry) -> str:
        """The label of a listed file, "" for none."""
        if self.mode == LIST:
            return self._matches.labels.get(entry.rel, "")
        return "" if self.mode == NONE or "/" not in entry.rel else _text(entry.rel.split("/", 1)[0])

    def missing_files(self) -> Iterator[tuple[str, str, str]]:
        """(path, label, reason) of the list's rows without a file."""
        if self.mode == LIST:
            for row, reason in self._matches.missing:
                yield row.name, row.label, reason

    def notes(self) -> list[str]:
        """Return remarks on how the list was read."""
        if self.mode != LIST:
            return []
        ways, total = self._matches.ways.most_common(), len(self.rows)
        found = ", ".join(f"{count:,} of {total:,} files were found {way}" for way, count in ways)
        return [*self.remarks, *([f"{self.path.name}: {found}"] if found else [])]

    def has_labels(self, labels: Iterable[str]) -> bool:
        """Return whether the data set has labels, given the label of each decodable file ("" for none)."""
        if self.mode != AUTO:
            return self.mode != NONE
        counts = Counter(labels)
        without = counts.pop("", 0)
        return len(counts) >= 2 and counts.total() > without


def _text(name: str) -> str:
    """Return a folder's name as text in composed letters (NFC), as people type it.

    Bytes of other encodings than UTF-8 become escapes.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
