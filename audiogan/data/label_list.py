"""Lists of labels: read CSV files with a path column and a label column, and match their rows to files."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiogan.data.kinds import FOREIGN, IMAGES, READABLE
from audiogan.errors import UserError
from audiogan.utils.text import detect_encoding, printable

MAX_LIST_BYTES = 1 << 28  # Maximum size of a list in bytes.
DELIMITERS = ",;\t|"
_PATH_NAMES = """
    path file filename name filepath fname slicefilename relativepath relpath wav wavfile wavpath wavname wavfilename
    audio audiofile audiopath audioname audiofilename sound soundfile soundpath soundname image imagefile imagepath
    imagename imagefilename img imgpath imgname clip clippath clipname sample samplepath samplename recording track
    trackpath trackname id fileid audioid clipid imageid sampleid trackid uuid
"""
_LABEL_NAMES = """
    label class category labels classes labelname classname classlabel categoryname target targetname tag tags
    primarylabel genre instrument species emotion word digit classid labelid categoryid targetid y
"""
PATH_COLUMNS, LABEL_COLUMNS = tuple(_PATH_NAMES.split()), tuple(_LABEL_NAMES.split())
"""Recognised column names of CSV lists, normalised to lower-case letters and digits, in order of preference."""
KNOWN = "path, file, filename, fname, slice_file_name, wav, audio, image, ... and label, class, category, target, tag"


@dataclass(frozen=True)
class Row:
    """Row of a list of labels: file name as written in the list, label, and line number."""

    name: str
    label: str
    line: int


def read_text(path: Path, error_prefix: str) -> tuple[str, bytes, list[str]]:
    """Read a list of labels as text. The encoding is detected: UTF-8, UTF-16 with a byte order mark, or Windows-1252.

    Args:
        path: path of the list.
        error_prefix: beginning of error messages, such as ``data.labels=list.csv``.

    Returns:
        The text, the bytes of the file, and remarks on the encoding.

    Raises:
        UserError: the file cannot be read, or is not a text file.
    """
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise UserError(f"{error_prefix}: larger than {MAX_LIST_BYTES >> 20} MB; choose a list of labels")
        data = path.read_bytes()
    except OSError as e:
        raise UserError(f"{error_prefix}: {e.strerror or e}") from e
    text, notes = _decode(data, error_prefix)
    return text, data, notes


def _decode(data: bytes, error_prefix: str) -> tuple[str, list[str]]:
    if data.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        raise UserError(f"{error_prefix}: a workbook or an archive; save the list as CSV (UTF-8)")
    encoding = detect_encoding(data)
    notes: list[str] = []
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as e:
        if encoding:
            name = encoding.upper().removesuffix("-SIG")
            raise UserError(f"{error_prefix}: damaged {name} text (byte {e.start}); save it as CSV (UTF-8)") from e
        text = data.decode("cp1252", "replace") if b"\x81" not in data else data.decode("latin-1")
        notes.append(f"{error_prefix} is not UTF-8 (byte {e.start}); it is read as Windows-1252")
    if "\0" in text:
        raise UserError(f"{error_prefix}: not a text file")
    return text, notes


def read_rows(text: str, error_prefix: str, collected_remarks: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a list of labels. The delimiter and the two columns are detected.

    Args:
        text: content of the list.
        error_prefix: beginning of error messages, such as ``data.labels=list.csv``.
        collected_remarks: list to which a remark is appended if the CSV has more than these two columns.

    Raises:
        UserError: the list has no column of paths, no column of labels, or no rows.
    """
    text, delimiters = text.removeprefix("\ufeff"), DELIMITERS
    separator = re.match(r'"?sep=(.)"?[ ,;\t]*(\r\n|\r|\n)', text, re.IGNORECASE)
    if separator:
        text, delimiters = text[separator.end() :], separator[1]
    skipped = 1 if separator else 0
    while text.startswith("#") and not any(_columns(_head(text, delimiter)) for delimiter in delimiters):
        text, skipped = text.partition("\n")[2], skipped + 1
    heads = {delimiter: _head(text, delimiter) for delimiter in delimiters}
    found = {delimiter: columns for delimiter, head in heads.items() if (columns := _columns(head))}
    if not found:
        head = max(heads.values(), key=len)
        shown = ", ".join(printable(name.strip())[:40] for name in head[:10]) or "nothing"
        raise UserError(
            f"{error_prefix}: the first line must name the columns path and label (found: {shown}); "
            f"known names are {KNOWN}"
        )
    delimiter, (file_column, label_column) = next(iter(found.items()))
    head = heads[delimiter]
    unread = [name.strip() for i, name in enumerate(head) if i not in (file_column, label_column) and name.strip()]
    if collected_remarks is not None and unread:
        used, shown = (printable(", ".join(names))[:120] for names in ([head[file_column], head[label_column]], unread))
        collected_remarks.append(f"{error_prefix}: only the columns {used} are read, not {shown}")
    quote = "'" if all(re.fullmatch(r"\s*'.*'\s*", name) for name in head) else '"'
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    count, past_head = 0, False
    try:
        for cells in reader:
            if past_head and len(cells) > file_column and (name := cells[file_column].strip()):
                if "\n" in name:
                    start = printable(name.splitlines()[0])[:40]
                    raise UserError(f"{error_prefix}: the quotation mark before {start} is not closed")
                label = cells[label_column].strip() if len(cells) > label_column else ""
                yield Row(name, unicodedata.normalize("NFC", label), reader.line_num + skipped)
                count += 1
            past_head = past_head or any(cell.strip() for cell in cells)
    except csv.Error as e:
        raise UserError(f"{error_prefix}, line {reader.line_num + skipped}: {e}") from e
    if not count:
        raise UserError(f"{error_prefix}: no row names a file; add one row per file")


def _head(text: str, delimiter: str) -> list[str]:
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        return next((cells for cells in lines if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return []


def _columns(head: Sequence[str]) -> tuple[int, int] | None:
    """Return the indices of the path column and of the label column, or ``None`` if either is missing.

    If there are only two columns, the column beside the path column is the label column.
    """
    names = [re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", name).casefold()) for name in head]
    file = next((names.index(name) for name in PATH_COLUMNS if name in names), None)
    label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
    if file is not None and label is None and len(names) == 2 and names[1 - file]:
        label = 1 - file
    return None if file is None or label is None else (file, label)


def _composed(rel: str) -> str:
    """Return a path in Unicode NFC. A path that is not valid UTF-8 is decoded as Windows-1252."""
    try:
        rel.encode()
    except UnicodeEncodeError:
        rel = os.fsencode(rel).decode("cp1252", "replace")
    return unicodedata.normalize("NFC", rel)


def _folded(rel: str) -> str:
    return unicodedata.normalize("NFC", _composed(rel).casefold())


def _stem(rel: str) -> str:
    stem, suffix = os.path.splitext(rel)
    return stem if suffix.lower() in READABLE or suffix.lower() in FOREIGN or suffix.lower() in IMAGES else rel


NORMALISATIONS: dict[str, Callable[[str], str]] = {
    "by name, ignoring Unicode form": _composed,
    "by name, ignoring case": _folded,
    "by name, ignoring the extension": lambda rel: _stem(_composed(rel)),
    "by name, ignoring extension and case": lambda rel: _stem(_folded(rel)),
}
"""Ways to normalise a listed name and a path before comparing them, from the strictest to the loosest."""


@dataclass
class Matches:
    """Result of matching the rows of a list of labels to files.

    Attributes:
        labels: path of each matched file relative to the root -> its label.
        missing: rows without a file, each with the reason.
        ways: number of inexactly matched files for each key of `NORMALISATIONS`.
    """

    labels: dict[str, str] = field(default_factory=dict)
    missing: list[tuple[Row, str]] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)


def match_rows(
    rows: Sequence[Row],
    files: dict[str, str],
    suffixes: Collection[str],
    root: Path,
    list_folder: Path,
    error_prefix: str,
) -> Matches:
    """Match the rows of a list of labels to files.

    A listed name is a path relative to the folder of the list, to the root, or to the parent of the root. If no such
    file exists, names are compared without regard to Unicode form, case and extension, and a name without folders
    matches in any folder. Such an inexact match must be unique.

    Args:
        rows: rows of the list.
        files: path of each file relative to the root -> its real path.
        suffixes: extensions of the files that a name may match inexactly.
        root: data folder.
        list_folder: folder of the list.
        error_prefix: beginning of error messages, such as ``data.labels=list.csv``.

    Raises:
        UserError: the list gives a file two labels.
    """
    found = Matches()
    known = set(files.values())
    unclear: list[tuple[Row, str]] = []  # Rows without an exact match, each with the reason to report.
    label_of: dict[str, str] = {}  # Label by real path.
    for row in rows:
        names = dict.fromkeys((row.name.replace("\\", "/"), row.name))
        candidates = [os.path.join(base, name) for name in names for base in (list_folder, root, root.parent)]
        places = [os.path.realpath(path) for path in candidates if os.path.lexists(path)]
        place = next((place for place in places if place in known), None)
        if place is None:
            unclear.append((row, "in the label list; skipped or outside the folder" if places else "in the label list"))
        elif label_of.setdefault(place, row.label) != row.label:
            raise UserError(f"{error_prefix}, line {row.line}: {printable(row.name)} has two labels")
    if unclear:
        usable = {rel: place for rel, place in files.items() if os.path.splitext(rel)[1].lower() in suffixes}
        _match_unclear(unclear, rows, usable, label_of, found)
    found.labels = {rel: label_of[place] for rel, place in files.items() if place in label_of}
    return found


def _match_unclear(
    unclear: list[tuple[Row, str]], rows: Sequence[Row], files: dict[str, str], label_of: dict[str, str], found: Matches
) -> None:
    """Add the labels of rows with names that match a file only inexactly."""
    indices: list[tuple[str, dict[str, set[str]], dict[str, set[str]]]] = []
    for way, key in NORMALISATIONS.items():
        whole, last = defaultdict(set), defaultdict(set)
        for rel, place in files.items():
            whole[key(rel)].add(place)
            last[key(rel.rsplit("/", 1)[-1])].add(place)
        indices.append((way, whole, last))
    common = _common([_parts(row.name)[:-1] for row in rows])
    proposals: dict[str, list[tuple[Row, str]]] = defaultdict(list)
    for row, reason in unclear:
        places, way = _find(_parts(row.name), common, indices)
        if len(places) == 1 and next(iter(places)) not in label_of:
            proposals[next(iter(places))].append((row, way))
        else:
            several = f"in the label list; matches {len(places)} files"
            found.missing.append((row, several if len(places) > 1 else reason))
    for place, proposed in proposals.items():
        if len({row.label for row, _ in proposed}) > 1:
            why = "in the label list; another row gives the same file a different label"
            found.missing += [(row, why) for row, _ in proposed]
        else:
            label_of[place] = proposed[0][0].label
            found.ways.update(way for _, way in proposed)
    found.missing.sort(key=lambda pair: pair[0].line)


def _parts(name: str) -> list[str]:
    name = re.sub(r"""^(['"])(.*)\1$""", r"\2", name).replace("\\", "/")
    return [part for part in name.split("/") if part not in ("", ".")]


def _common(folders: list[list[str]]) -> int:
    """Return the number of leading folders that all paths share."""
    least, most = min(folders), max(folders)
    return next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))


def _find(
    parts: list[str], common: int, indices: list[tuple[str, dict[str, set[str]], dict[str, set[str]]]]
) -> tuple[set[str], str]:
    """Return the real paths of the files that a name matches inexactly, and the kind of match.

    Args:
        parts: components of the name.
        common: number of leading folders that all names share. They may be dropped, because the list may come from
            another computer.
        indices: for each normalisation, the files by normalised path and by normalised file name.
    """
    for way, whole, last in indices:
        key = NORMALISATIONS[way]
        for start in range(min(common, len(parts) - 1) + 1):
            if places := whole.get(key("/".join(parts[start:]))):
                return places, way if start == 0 else "in another folder"
        if len(parts) == 1 and (places := last.get(key(parts[0]))):
            return places, "in sub-folders"
    return set(), ""
