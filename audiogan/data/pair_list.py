"""Find the pairs of a data set: two folders with matching names, side-by-side pictures, or a list of pairs."""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audiogan.data.image_scan import SUFFIXES, image_entries
from audiogan.data.label_list import DELIMITERS, LARGEST, _decode
from audiogan.data.labels import Labels
from audiogan.data.scan import hash_of
from audiogan.data.walk import Entry
from audiogan.errors import UserError
from audiogan.text import printable

FOLDERS, SIDE_BY_SIDE = "folders", "side-by-side"
LAYOUTS = (FOLDERS, SIDE_BY_SIDE)
FORWARD, BACKWARD = "a-to-b", "b-to-a"
DIRECTIONS = (FORWARD, BACKWARD)
DEFAULTS = (("a", "b"), ("A", "B"))
"""Names of the two folders that are found without being given."""


@dataclass(frozen=True)
class Pair:
    """Two files that belong together, or one file with both pictures, the source in its ``half``."""

    source: Entry
    target: Entry
    label: str = ""
    half: str | None = None


@dataclass
class Pairs:
    """The pairs of a data set.

    Attributes:
        pairs: the pairs, in a fixed order.
        others: (path, reason, detail) of files that are not in a pair.
        entries: everything that was found in the folders, for the fingerprint.
        key: changes whenever the outcome may, given the same files.
        naming: how the targets are labelled.
    """

    pairs: list[Pair] = field(default_factory=list)
    others: list[tuple[str, str, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    key: str = ""
    naming: Labels | None = None


def find_pairs(
    root: Path,
    a: str | None,
    b: str | None,
    layout: str,
    direction: str,
    listed: str | os.PathLike[str] | None,
    labels: str | os.PathLike[str] | None,
    follow: bool,
) -> Pairs:
    """Find the pairs below ``root``; see `audiogan.data.pairs.open_pairs`."""
    if layout not in LAYOUTS:
        raise UserError(f"data.layout={layout!r}: choose one of {', '.join(LAYOUTS)}")
    if direction not in DIRECTIONS:
        raise UserError(f"data.direction={direction!r}: choose one of {', '.join(DIRECTIONS)}")
    if listed is not None:
        return _from_list(root, listed, labels, follow, direction == BACKWARD)
    if layout == SIDE_BY_SIDE:
        return _side_by_side(root, labels, follow, direction == BACKWARD)
    return _two_folders(root, *two_folders(root, a, b), labels, follow, direction == BACKWARD)


def two_folders(root: Path, a: str | None, b: str | None) -> tuple[str, str]:
    """Return the names of the two folders of pairs: those given, else the first of `DEFAULTS` that exist.

    Raises:
        UserError: only one name is given, both are the same folder, or there is no such folder.
    """
    if (a is None) != (b is None):
        raise UserError("data.a and data.b belong together: give both names, or neither")
    if a is not None and b is not None:
        for key, name in (("a", a), ("b", b)):
            if not (root / name).is_dir():
                raise UserError(f"data.{key}={printable(name)}: there is no such folder in {root}; {_folders(root)}")
        if (root / a).resolve() == (root / b).resolve():
            raise UserError(f"data.a and data.b are the same folder: {printable(a)}")
        return a, b
    for pair in DEFAULTS:
        if all((root / name).is_dir() for name in pair):
            return pair
    raise UserError(
        f"data.root={root}: there are no folders a and b; {_folders(root)}; name two with data.a and data.b, or choose "
        "data.layout=side-by-side, or give a CSV with the columns source and target as data.pairs"
    )


def _folders(root: Path) -> str:
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    more = ", ..." if len(names) > 10 else ""
    return f"it has the folders {', '.join(map(printable, names[:10]))}{more}" if names else "it has no folders"


def _two_folders(
    root: Path, a: str, b: str, labels: str | os.PathLike[str] | None, follow: bool, backward: bool
) -> Pairs:
    source, target = (b, a) if backward else (a, b)
    naming = Labels.parse(labels, (root / target).resolve(), follow, SUFFIXES)
    found = Pairs(key=hash_of(FOLDERS, source, target, naming.key), naming=naming)
    sides: list[list[Entry]] = []
    for name in (source, target):
        entries = list(image_entries((root / name).resolve(), follow))
        found.entries += [replace(entry, rel=f"{name}/{entry.rel}") for entry in entries]
        sides.append(entries)
        found.others += [(f"{name}/{e.rel}", e.kind, e.detail) for e in entries if e.kind != "image"]
    sources, targets = ([e for e in side if e.kind == "image"] for side in sides)
    partner = _partners(sources, targets)
    for entry in targets:
        if other := partner.get(entry.rel):
            pair = Pair(_below(source, other), _below(target, entry), naming.of(entry))
            found.pairs.append(pair)
    matched, used = partner.keys(), {entry.rel for entry in partner.values()}
    for name, other_name, side, taken in ((source, target, sources, used), (target, source, targets, matched)):
        why = f"no file of this name in {other_name}"
        found.others += [(f"{name}/{e.rel}", "no partner", why) for e in side if e.rel not in taken]
    return found


def _below(folder: str, entry: Entry) -> Entry:
    return replace(entry, rel=f"{folder}/{entry.rel}")


def _partners(sources: Iterable[Entry], targets: Iterable[Entry]) -> dict[str, Entry]:
    """Return the source of each target, by its path: of the same path, else of the same path but for the extension."""
    exact = {entry.rel: entry for entry in sources}
    partner = {entry.rel: exact.pop(entry.rel) for entry in targets if entry.rel in exact}
    stems: dict[str, list[Entry]] = defaultdict(list)
    for entry in exact.values():
        stems[os.path.splitext(entry.rel)[0]].append(entry)
    rest: dict[str, list[Entry]] = defaultdict(list)
    for entry in targets:
        if entry.rel not in partner:
            rest[os.path.splitext(entry.rel)[0]].append(entry)
    for stem, entries in rest.items():
        if len(entries) == 1 and len(stems[stem]) == 1:
            partner[entries[0].rel] = stems[stem][0]
    return partner


def _side_by_side(root: Path, labels: str | os.PathLike[str] | None, follow: bool, backward: bool) -> Pairs:
    naming = Labels.parse(labels, root, follow, SUFFIXES)
    found = Pairs(key=hash_of(SIDE_BY_SIDE, str(backward), naming.key), naming=naming)
    found.entries = list(image_entries(root, follow))
    half = "right" if backward else "left"
    for entry in found.entries:
        if entry.kind == "image":
            found.pairs.append(Pair(entry, entry, naming.of(entry), half))
        else:
            found.others.append((entry.rel, entry.kind, entry.detail))
    return found


def _from_list(
    root: Path,
    listed: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None,
    follow: bool,
    backward: bool,
) -> Pairs:
    where = f"data.pairs={printable(str(listed))}"
    if labels not in (None, "none", "auto"):
        raise UserError(f"data.labels={printable(str(labels))}: the list of pairs has the labels; choose auto or none")
    path = Path(listed).expanduser()
    path = path if path.is_file() else root / path
    if not path.is_file():
        raise UserError(f"{where}: no such file, neither as it is nor in {root}")
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{where}: larger than {LARGEST >> 20} MB; a list of pairs is not")
        data = path.read_bytes()
    except OSError as e:
        raise UserError(f"{where}: {e.strerror or e}") from e
    text = _decode(data, where)[0]
    rows, content = list(_rows(text, where)), hash_of(text)
    labelled = labels == "auto" and any(label for *_, label in rows)
    naming = Labels("csv" if labelled else "none", content, root)
    base = Path(os.path.relpath(path.resolve().parent, root)).as_posix()
    found = Pairs(key=hash_of("list", str(labelled), str(backward), base, content), naming=naming)
    found.entries = list(image_entries(root, follow))
    by_path = {entry.rel: entry for entry in found.entries}
    used = set()
    for line, source, target, label in rows:
        files = [_file(by_path, base, name) for name in ((target, source) if backward else (source, target))]
        missing = [name for name, file in zip((source, target), files, strict=True) if file is None]
        first, second = files
        if first is None or second is None:
            found.others += [(name, "missing", f"line {line} of the list") for name in missing]
            continue
        used |= {first.rel, second.rel}
        found.pairs.append(Pair(first, second, label if labelled else ""))
    for entry in found.entries:
        if entry.kind != "image":
            found.others.append((entry.rel, entry.kind, entry.detail))
        elif entry.rel not in used:
            found.others.append((entry.rel, "no partner", "not in the list, or its partner is missing"))
    return found


def _file(by_path: dict[str, Entry], base: str, name: str) -> Entry | None:
    """Return the picture that a list names: a path below the root or below the folder of the list."""
    name = name.replace("\\", "/")
    for path in (name, f"{base}/{name}"):
        entry = by_path.get(os.path.normpath(path).replace(os.sep, "/"))
        if entry is not None and entry.kind in ("image", "unreadable"):
            return entry
    return None


def _rows(text: str, where: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield (line, source, target, label) of each row of a CSV with these columns; the label may be left out."""
    text = text.removeprefix("\ufeff")
    head = text.split("\n", 1)[0]
    names: Sequence[str] = []
    for delimiter in DELIMITERS:
        names = [name.strip().strip('"').lower() for name in head.split(delimiter)]
        if {"source", "target"} <= set(names):
            break
    else:
        raise UserError(
            f"{where}: the first line must name the columns source and target (found: {printable(head.strip())[:80]})"
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    places = [names.index(name) if name in names else len(names) for name in ("source", "target", "label")]
    count = 0
    try:
        for cells in reader:
            if reader.line_num == 1 or not any(cell.strip() for cell in cells):
                continue
            source, target, label = (cells[i].strip() if i < len(cells) else "" for i in places)
            if not source or not target:
                raise UserError(f"{where}, line {reader.line_num}: source or target is empty")
            yield reader.line_num, source, target, label
            count += 1
    except csv.Error as e:
        raise UserError(f"{where}, line {reader.line_num}: {e}") from e
    if not count:
        raise UserError(f"{where}: there is no row with a pair in it")
