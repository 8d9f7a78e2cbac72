"""Read a list of labels as spreadsheets and data sets write it, and find the files that it names."""

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

LARGEST = 1 << 28  # bytes
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
"""Names of columns, in lower case without spaces and signs; the first that is there counts."""
KNOWN = "path, file, filename, fname, slice_file_name, wav, audio, image, ... and label, class, category, target, tag"


@dataclass(frozen=True)
class Row:
    """A line of the list: the file as it is written there, its label, and the number of the line."""

    name: str
    label: str
    line: int


def read_text(path: Path, where: str) -> tuple[str, bytes, list[str]]:
    """Return the text of a list, the content of the file, and remarks on its encoding.

    The encoding is detected: UTF-8, UTF-16, else Windows-1252.

    Args:
        path: the file.
        where: what errors begin with, such as ``data.labels=list.csv``.

    Raises:
        UserError: the file cannot be read, or is no text.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{where}: larger than {LARGEST >> 20} MB; a list is not")
        data = path.read_bytes()
    except OSError as e:
        raise UserError(f"{where}: {e.strerror or e}") from e
    text, notes = _decode(data, where)
    return text, data, notes


def _decode(data: bytes, where: str) -> tuple[str, list[str]]:
    if data.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        raise UserError(f"{where}: a workbook or an archive, not a list; save it as CSV (UTF-8)")
    encoding = detect_encoding(data)
    notes: list[str] = []
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as e:
        if encoding:
            name = encoding.upper().removesuffix("-SIG")
            raise UserError(f"{where}: damaged {name} text (byte {e.start}); save it as CSV (UTF-8)") from e
        text = data.decode("cp1252", "replace") if b"\x81" not in data else data.decode("latin-1")
        notes.append(f"{where} is not UTF-8 (byte {e.start}): read as Windows-1252")
    if "\0" in text:
        raise UserError(f"{where}: not a text file")
    return text, notes


def read_rows(text: str, where: str, notes: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a list; the delimiter and the columns are detected.

    Args:
        text: content of the list.
        where: prefix of errors, such as ``data.labels=list.csv``.
        notes: receives a remark if the list has columns that are not read.

    Raises:
        UserError: the list has no column of files or of labels.
    """
    text, delimiters = text.removeprefix("\ufeff"), DELIMITERS
    separator = re.match(r'"?sep=(.)"?[ ,;\t]*(\r\n|\r|\n)', text, re.IGNORECASE)  # the first line that Excel obeys
    if separator:
        text, delimiters = text[separator.end() :], separator[1]
    skipped = 1 if separator else 0
    while text.startswith("#") and not any(_columns(_head(text, delimiter)) for delimiter in delimiters):
        text, skipped = text.partition("\n")[2], skipped + 1  # a comment
    heads = {delimiter: _head(text, delimiter) for delimiter in delimiters}
    found = {delimiter: columns for delimiter, head in heads.items() if (columns := _columns(head))}
    if not found:
        head = max(heads.values(), key=len)
        shown = ", ".join(printable(name.strip())[:40] for name in head[:10]) or "nothing"
        raise UserError(
            f"{where}: the first line must name the columns path and label (found: {shown}); known names are {KNOWN}"
        )
    delimiter, (file_column, label_column) = next(iter(found.items()))
    head = heads[delimiter]
    unread = [name.strip() for i, name in enumerate(head) if i not in (file_column, label_column) and name.strip()]
    if notes is not None and unread:
        used, shown = (printable(", ".join(names))[:120] for names in ([head[file_column], head[label_column]], unread))
        notes.append(f"{where}: only the columns {used} are read, not {shown}")
    quote = "'" if all(re.fullmatch(r"\s*'.*'\s*", name) for name in head) else '"'
    stream = io.StringIO(text, newline="")
    reader = csv.reader(stream, delimiter=delimiter, quotechar=quote, skipinitialspace=True)
    count, past_head = 0, False
    try:
        for cells in reader:
            if past_head and len(cells) > file_column and (name := cells[file_column].strip()):
                if "\n" in name:
                    start = printable(name.splitlines()[0])[:40]
                    raise UserError(f"{where}: the quotation mark before {start} is not closed")
                label = cells[label_column].strip() if len(cells) > label_column else ""
                yield Row(name, unicodedata.normalize("NFC", label), reader.line_num + skipped)
                count += 1
            past_head = past_head or any(cell.strip() for cell in cells)
    except csv.Error as e:
        raise UserError(f"{where}, line {reader.line_num + skipped}: {e}") from e
    if not count:
        raise UserError(f"{where}: there is no row with a file in it")


def _head(text: str, delimiter: str) -> list[str]:
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        return next((cells for cells in lines if any(cell.strip() for cell in cells)), [])
    except csv.Error:
        return []


def _columns(head: Sequence[str]) -> tuple[int, int] | None:
    """Return the places of the columns of files and of labels; the one of two columns that is not files is labels."""
    names = [re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKC", name).casefold()) for name in head]
    file = next((names.index(name) for name in PATH_COLUMNS if name in names), None)
    label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
    if file is not None and label is None and len(names) == 2 and names[1 - file]:
        label = 1 - file
    return None if file is None or label is None else (file, label)


def _composed(rel: str) -> str:
    """Return a path in composed letters (NFC); bytes that are not UTF-8 are read as Windows-1252."""
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


WAYS: dict[str, Callable[[str], str]] = {
    "by a name in another notation": _composed,
    "by a name in other case": _folded,
    "by a name without extension": lambda rel: _stem(_composed(rel)),
    "by a name without extension and in other case": lambda rel: _stem(_folded(rel)),
}
"""How a name may differ from the path of its file, from the least to the most."""


@dataclass
class Matches:
    """The labels of files by their path below the root, and the rows without a file."""

    labels: dict[str, str] = field(default_factory=dict)
    missing: list[tuple[Row, str]] = field(default_factory=list)  # with the reason, for people
    ways: Counter[str] = field(default_factory=Counter)


def match(
    rows: Sequence[Row], files: dict[str, str], suffixes: Collection[str], root: Path, beside: Path, where: str
) -> Matches:
    """Find the files that the rows name.

    A name is a path below the folder of the list, below the root or below the folder around the root. Where there is no
    such file, a file that differs in notation, case or extension counts, and a name without a folder counts for a file
    in any folder, if there is exactly one with one of the `suffixes`.

    Args:
        rows: of the list.
        files: path below the root -> real path of each file.
        suffixes: of the files that an inexact name may mean.
        root: the data folder. beside: the folder of the list.
        where: what errors begin with.

    Raises:
        UserError: a file has two labels.
    """
    found = Matches()
    known = set(files.values())
    unclear: list[tuple[Row, str]] = []  # with the reason if there is no such file
    label_of: dict[str, str] = {}  # by the real path
    for row in rows:
        names = dict.fromkeys((row.name.replace("\\", "/"), row.name))
        candidates = [os.path.join(base, name) for name in names for base in (beside, root, root.parent)]
        places = [os.path.realpath(path) for path in candidates if os.path.lexists(path)]
        place = next((place for place in places if place in known), None)
        if place is None:
            unclear.append((row, "in the label list; it is left out or outside" if places else "in the label list"))
        elif label_of.setdefault(place, row.label) != row.label:
            raise UserError(f"{where}, line {row.line}: {printable(row.name)} has two labels")
    if unclear:
        usable = {rel: place for rel, place in files.items() if os.path.splitext(rel)[1].lower() in suffixes}
        _match_unclear(unclear, rows, usable, label_of, found)
    found.labels = {rel: label_of[place] for rel, place in files.items() if place in label_of}
    return found


def _match_unclear(
    unclear: list[tuple[Row, str]], rows: Sequence[Row], files: dict[str, str], label_of: dict[str, str], found: Matches
) -> None:
    """Add the labels of rows with names that differ slightly from file names."""
    indices: list[tuple[str, dict[str, set[str]], dict[str, set[str]]]] = []
    for way, key in WAYS.items():
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
            several = f"in the label list; could be any of {len(places)} files"
            found.missing.append((row, several if len(places) > 1 else reason))
    for place, proposed in proposals.items():
        if len({row.label for row, _ in proposed}) > 1:
            why = "in the label list; another label is given for the same file"
            found.missing += [(row, why) for row, _ in proposed]
        else:
            label_of[place] = proposed[0][0].label
            found.ways.update(way for _, way in proposed)
    found.missing.sort(key=lambda pair: pair[0].line)


def _parts(name: str) -> list[str]:
    name = re.sub(r"""^(['"])(.*)\1$""", r"\2", name).replace("\\", "/")
    return [part for part in name.split("/") if part not in ("", ".")]


def _common(folders: list[list[str]]) -> int:
    """Return how many folders at the front are the same in all."""
    least, most = min(folders), max(folders)
    return next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))


def _find(
    parts: list[str], common: int, indices: list[tuple[str, dict[str, set[str]], dict[str, set[str]]]]
) -> tuple[set[str], str]:
    """Return the real paths of the files that a name may mean, and in which way.

    Args:
        parts: of the name.
        common: how many folders at the front of all names are the same: those of another place, perhaps.
        indices: for each way the files by their path and by their last part.
    """
    for way, whole, last in indices:
        key = WAYS[way]
        for start in range(min(common, len(parts) - 1) + 1):
            if places := whole.get(key("/".join(parts[start:]))):
                return places, way if start == 0 else "in another folder"
        if len(parts) == 1 and (places := last.get(key(parts[0]))):
            return places, "in sub-folders"
    return set(), ""
