"""The table of samples in a folder, ``samples.csv``. Several processes may add rows to it at the same time."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from audiogan.errors import UserError, wrap_os_errors
from audiogan.files import append_bytes, write_file
from audiogan.utils.text import detect_encoding, escape_cell, printable, unescape_cell

FIELDS = ("file", "seed", "class", "mixture", "knobs", "truncation", "checkpoint")
OPTIONAL = ("inputs", "generator")
"""Columns that ``samples.csv`` contains only if a sample has a value for them."""
REQUIRED = {"file", "seed"}
"""Columns that identify a CSV file as a list of samples."""
MAX_CELL_LENGTH = 1000
"""Maximum number of characters of a cell."""


class SampleList:
    """Reader and writer of the list of samples in ``samples.csv``.

    Lists edited in a spreadsheet are accepted: other encodings, separators, column orders and additional columns. No
    row or column is lost. Adding a row rewrites such a list in UTF-8 with commas.

    Args:
        folder: folder of ``samples.csv``. The file need not exist.

    Raises:
        UserError: ``samples.csv`` is not a list of samples, or cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "samples.csv"
        self._read_state: tuple[int, ...] | None = None
        self._header: list[str] = []
        self._columns: list[str] = []  # the header in lower case
        # Rows of the file, or empty if a row can be appended without rewriting the file.
        self._rows: list[list[str]] = []
        self._samples: dict[str, tuple[str, ...]] = {}  # Cells of each row by file name.
        self._canonical = False  # Whether the file has exactly the format that this class writes.
        self._read()

    def __contains__(self, file: str) -> bool:
        return file in self._samples

    def file_name(
        self,
        base_name: str,
        suffix: str,
        cells: Sequence[str],
        is_same_sample: Callable[[Path], bool] = lambda path: True,
    ) -> str:
        """Return the file name of a sample: the listed one if the sample is already in the list, or a new one.

        Args:
            base_name: file name without suffix. A number is appended if the name is taken.
            suffix: suffix of the file name, such as ".wav".
            cells: cells of the row, without the file name.
            is_same_sample: function that returns whether an existing file with an equal row contains this sample.

        Raises:
            UserError: too many files have this name.
        """
        cells = _pad_cells(cells)
        for attempt in range(1, 10_000):
            file = f"{base_name}{suffix}" if attempt == 1 else f"{base_name}-{attempt}{suffix}"
            listed = self._samples.get(file)
            if listed is None and not os.path.lexists(self.folder / file):
                return file
            equal = listed is not None and all(_same_value(a, b) for a, b in zip(listed, cells, strict=True))
            if equal and is_same_sample(self.folder / file):
                return file
        raise UserError(f"{self.folder}: too many files called {base_name}; choose another folder")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the list against other processes inside the block. Rows added by other processes are read first."""
        with _lock_folder(self.folder):
            if self._read_state != self._file_state():
                self._read()
            yield

    def add(self, file: str, cells: Sequence[str]) -> None:
        """Append a row for a sample unless the file is listed already. If writing fails, the list is unchanged.

        Args:
            file: file name of the sample.
            cells: cells of the row, without the file name.
        """
        if file in self._samples:
            return
        named = dict(zip((*FIELDS, *OPTIONAL), [file, *_pad_cells(cells)], strict=True))
        if missing := [name for name in OPTIONAL if named[name] and name not in self._columns]:
            self._read(missing)
        row = _csv_text([[escape_cell(named.get(name, "")) for name in self._columns]])
        if self._canonical:
            with wrap_os_errors(f"{self.path}: cannot be written"):
                append_bytes(os.path.realpath(self.path), row.encode())
        else:
            write_file(os.path.realpath(self.path), (self._text() + row).encode())
        self._canonical, self._rows, self._read_state = True, [], self._file_state()

    def _file_state(self) -> tuple[int, ...] | None:
        """Return values that change when another process writes the list, or None without a file."""
        with contextlib.suppress(OSError):
            status = os.stat(self.path)
            return status.st_ino, status.st_size, status.st_mtime_ns
        return None

    def _read(self, more: Sequence[str] = ()) -> None:
        """Read the list, and add the columns in ``more``."""
        self._read_state = self._file_state()
        self._header, self._rows, self._columns = list(FIELDS), [], list(FIELDS)
        content = _read_bytes(self.path)
        text = _decode(content, self.path)
        if text.strip():
            self._header, self._rows = _parse_table(text, self.path)
            self._columns = _column_names(self._header)
        for name in (*FIELDS, *more):
            if name not in self._columns:
                self._header.append(name)
                self._columns.append(name)
        known = (*FIELDS, *OPTIONAL)
        places = {name: self._columns.index(name) for name in known if name in self._columns}
        for row in self._rows:
            row += [""] * (len(self._columns) - len(row))
            for place in places.values():
                row[place] = unescape_cell(row[place])
        self._samples = {
            row[places["file"]]: tuple(row[places[name]] if name in places else "" for name in known[1:])
            for row in self._rows
        }
        self._canonical = content == self._text().encode()
        if self._canonical:
            self._rows = []  # New rows are appended, so old rows are not needed.

    def _text(self) -> str:
        own = {place for place, name in enumerate(self._columns) if name in (*FIELDS, *OPTIONAL)}
        safe = ([escape_cell(cell) if i in own else cell for i, cell in enumerate(row)] for row in self._rows)
        return _csv_text([self._header, *safe])


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:  # a folder that cannot be opened cannot be locked
        yield
        return
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _read_bytes(path: Path) -> bytes:
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


def _decode(content: bytes, path: Path) -> str:
    """Decode a list from one of the encodings that spreadsheets write."""
    known = detect_encoding(content)
    for encoding in (known,) if known else ("utf-8", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            return content.decode(encoding)
    raise _not_a_list(path, "it is not text")


def _parse_table(text: str, path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a list with any common column separator."""
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and rest:  # a hint for Excel, not part of the table
        text = rest
    head = text.splitlines()[0]
    try:
        for separator in ",;\t|":
            if set(_column_names(next(csv.reader([head], delimiter=separator)))) >= REQUIRED:
                table = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
                return table[0], [row for row in table[1:] if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _not_a_list(path, str(error)) from error
    raise _not_a_list(path, f"its first line is {printable(head[:60])}")


def _not_a_list(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a list of samples ({reason}); rename it, or choose another folder")


def _column_names(header: Sequence[str]) -> list[str]:
    """Return column names in lower case without surrounding spaces."""
    return [name.strip().lower() for name in header]


def _pad_cells(sample: Sequence[str]) -> list[str]:
    cells = [printable(cell)[:MAX_CELL_LENGTH] for cell in sample]
    return cells + [""] * (len(FIELDS) + len(OPTIONAL) - 1 - len(cells))


def _csv_text(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _same_value(a: str, b: str) -> bool:
    """Return whether two cells have the same value. Spreadsheets may write 0.5 as 0,50."""
    if a == b:
        return True
    with contextlib.suppress(ValueError):
        return float(a.replace(",", ".")) == float(b.replace(",", "."))
    return False
