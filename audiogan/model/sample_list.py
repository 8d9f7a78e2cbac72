"""The list of the samples in a folder, ``samples.csv``. Several processes may add to it at the same time."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from audiogan.errors import UserError, reporting
from audiogan.files import append, write_file
from audiogan.utils.text import encoding_of, printable, table_cell, table_text

FIELDS = ("file", "seed", "class", "mixture", "knobs", "truncation", "checkpoint")
OPTIONAL = ("inputs", "generator")
"""Columns that a list has if one of its samples has a value for them."""
REQUIRED = {"file", "seed"}
"""Columns by which a table is recognised as a list of samples."""
LONGEST_CELL = 1000
"""Characters of a name in a cell."""


class SampleList:
    """The samples in ``folder``, as ``samples.csv`` lists them.

    A list that went through a spreadsheet is understood: another encoding or separator, columns in another order or
    columns of the person's own. No row and no column is lost; the list becomes UTF-8 with commas when a row is added.

    Raises:
        UserError: ``samples.csv`` is something else, or cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "samples.csv"
        self._state: tuple[int, ...] | None = None
        self._header: list[str] = []
        self._columns: list[str] = []  # the header, see `_named`
        self._rows: list[list[str]] = []  # until they are written in the usual form
        self._samples: dict[str, tuple[str, ...]] = {}  # the other cells, by file
        self._canonical = False
        self._read()

    def __contains__(self, file: str) -> bool:
        return file in self._samples

    def name(
        self, base: str, suffix: str, sample: Sequence[str], same: Callable[[Path], bool] = lambda path: True
    ) -> str:
        """Return a file name for a sample: its own if it is listed, else one that is not taken.

        Args:
            base: the name; a number follows if it is taken.
            suffix: end of the name.
            sample: the cells of its row, without the file.
            same: whether the file of an equal row holds this sample.
        """
        cells = _cells(sample)
        for attempt in range(1, 10_000):
            file = f"{base}{suffix}" if attempt == 1 else f"{base}-{attempt}{suffix}"
            listed = self._samples.get(file)
            if listed is None and not os.path.lexists(self.folder / file):
                return file
            equal = listed is not None and all(_equal(a, b) for a, b in zip(listed, cells, strict=True))
            if equal and same(self.folder / file):
                return file
        raise UserError(f"{self.folder}: too many files called {base}; choose another folder")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the list for a while; rows that they added are known then."""
        with _locked(self.folder):
            if self._state != self._now():
                self._read()
            yield

    def add(self, file: str, sample: Sequence[str]) -> None:
        """Append the row of a sample, unless it is listed. If there is no room for it, the list stays as it was."""
        if file in self._samples:
            return
        cells = dict(zip((*FIELDS, *OPTIONAL), [file, *_cells(sample)], strict=True))
        if missing := [name for name in OPTIONAL if cells[name] and name not in self._columns]:
            self._read(missing)
        row = _csv([[table_cell(cells.get(name, "")) for name in self._columns]])
        if self._canonical:
            with reporting(f"{self.path}: cannot be written"):
                append(os.path.realpath(self.path), row.encode())
        else:
            write_file(os.path.realpath(self.path), (self._text() + row).encode())
        self._canonical, self._rows, self._state = True, [], self._now()

    def _now(self) -> tuple[int, ...] | None:
        """What changes when another process writes the list."""
        with contextlib.suppress(OSError):
            status = os.stat(self.path)
            return status.st_ino, status.st_size, status.st_mtime_ns
        return None

    def _read(self, more: Sequence[str] = ()) -> None:
        """Read the list; ``more``: columns to add to it."""
        self._state = self._now()
        self._header, self._rows, self._columns = list(FIELDS), [], list(FIELDS)
        content = _content(self.path)
        text = _decoded(content, self.path)
        if text.strip():
            self._header, self._rows = _table(text, self.path)
            self._columns = _named(self._header)
        for name in (*FIELDS, *more):
            if name not in self._columns:
                self._header.append(name)
                self._columns.append(name)
        known = (*FIELDS, *OPTIONAL)
        places = {name: self._columns.index(name) for name in known if name in self._columns}
        for row in self._rows:
            row += [""] * (len(self._columns) - len(row))
            for place in places.values():
                row[place] = table_text(row[place])
        self._samples = {
            row[places["file"]]: tuple(row[places[name]] if name in places else "" for name in known[1:])
            for row in self._rows
        }
        self._canonical = content == self._text().encode()
        if self._canonical:
            self._rows = []  # not needed again

    def _text(self) -> str:
        own = {place for place, name in enumerate(self._columns) if name in (*FIELDS, *OPTIONAL)}
        safe = ([table_cell(cell) if i in own else cell for i, cell in enumerate(row)] for row in self._rows)
        return _csv([self._header, *safe])


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that cannot be listed
        yield
        return
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: not a file, so samples cannot be listed there; choose another folder")
        content = path.read_bytes()
    except FileNotFoundError as error:
        if os.path.lexists(path):
            raise UserError(f"{path}: a link to a file that does not exist; remove it") from error
        return b""
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not os.access(path, os.W_OK):
        raise UserError(f"{path}: is write-protected, so samples cannot be listed there; choose another folder")
    return content


def _decoded(content: bytes, path: Path) -> str:
    """The text of a list in one of the encodings of spreadsheets."""
    known = encoding_of(content)
    for encoding in (known,) if known else ("utf-8", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode(encoding)
    raise _foreign(path, "it is no text")


def _table(text: str, path: Path) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of a list, whatever separates its columns."""
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and rest:  # for spreadsheets, and not a part of the table
        text = rest
    head = text.splitlines()[0]
    try:
        for separator in ",;\t|":
            if set(_named(next(csv.reader([head], delimiter=separator)))) >= REQUIRED:
                table = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
                return table[0], [row for row in table[1:] if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _foreign(path, str(error)) from error
    raise _foreign(path, f"its first line is {printable(head[:60])}")


def _foreign(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a list of samples ({reason}); rename it, or choose another folder")


def _named(header: Sequence[str]) -> list[str]:
    """Column names in the form in which they are compared."""
    return [name.strip().lower() for name in header]


def _cells(sample: Sequence[str]) -> list[str]:
    cells = [printable(cell)[:LONGEST_CELL] for cell in sample]
    return cells + [""] * (len(FIELDS) + len(OPTIONAL) - 1 - len(cells))


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _equal(a: str, b: str) -> bool:
    """Whether two cells mean the same; spreadsheets write numbers in their own way, such as 0,50 for 0.5."""
    if a == b:
        return True
    with contextlib.suppress(ValueError):
        return float(a.replace(",", ".")) == float(b.replace(",", "."))
    return False
