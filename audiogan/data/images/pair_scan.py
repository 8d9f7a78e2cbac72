"""Scan of image pairs in two folders, in files with two images side by side, or in a CSV list."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from audiogan.data.images.decode import FLAGS as IMAGE_FLAGS
from audiogan.data.images.decode import DecodedImage
from audiogan.data.images.registration import PairShift, describe_shift, find_shift, usual_shift
from audiogan.data.images.scan import REASONS as IMAGE_REASONS
from audiogan.data.images.scan import (
    SUFFIXES,
    ImageScan,
    ImageSettings,
    Item,
    Job,
    build_images,
    classify_image_entries,
    replace_reason,
)
from audiogan.data.label_list import DELIMITERS, read_text
from audiogan.data.labels import LIST, NONE, LabelRule
from audiogan.data.scan import ABOUT, cached_scan, hash_texts, resolve_data_folder
from audiogan.data.verdicts import CSV_OPTIONS, TABLE
from audiogan.data.walk import Entry, parse_links
from audiogan.errors import UserError
from audiogan.files import FileName, cache_dir
from audiogan.utils.text import printable

VERSION = 2  # Version of the cached data. Increase it when decoding changes, to invalidate old caches.
SOURCES, TARGETS, CODES = "sources.u8", "targets.u8", "labels.npy"
FOLDERS, SIDE_BY_SIDE = LAYOUTS = ("folders", "side-by-side")
FORWARD, BACKWARD = DIRECTIONS = ("a-to-b", "b-to-a")
DEFAULTS = (("a", "b"), ("A", "B"))
"""Default names of the folders of sources and targets."""
REASONS = {
    **IMAGE_REASONS,
    "usable": "used for training, with its partner",
    "no partner": "the other image of the pair is missing",
    "partner unusable": "the other image of the pair cannot be used",
    "different size": "the two images of the pair differ in size",
    "duplicate": "both images have the same pixels as those of an earlier pair; the first pair is used",
    "missing": "in the list of pairs or labels, but not in the folder",
}
FLAGS = {
    **IMAGE_FLAGS,
    "identical": "used; both images of the pair have the same pixels",
    "misregistered": "used; the target is shifted, unlike in most pairs; the shift is in pixels after scaling",
}
TOLERANCE = 0.02  # Maximum relative difference between the aspect ratios of the images of a pair.


@dataclass(frozen=True)
class PairScan(ImageScan):
    """Result of scanning image pairs.

    Attributes:
        clips: number of pairs.
        shape: shape of a target, ``(C, H, W)``.
        source_shape: shape of a source, ``(C, H, W)``.
        shift: median shift of targets against their sources, to the right and down, in pixels of the decoded images.
    """

    reasons: ClassVar[dict[str, str]] = REASONS
    known_flags: ClassVar[dict[str, str]] = FLAGS

    source_shape: tuple[int, ...] = ()
    shift: Sequence[int] = (0, 0)

    def _contents(self) -> str:
        kinds = ("grey" if shape[0] == 1 else "colour" for shape in (self.source_shape, self.shape))
        return f"{self.clips:,} pairs, {self.shape[2]}x{self.shape[1]}, {' to '.join(kinds)}"

    def hints(self) -> list[str]:
        """Return remarks for the user: on the list of labels, and on targets that are shifted against their sources."""
        right, down = self.shift
        shifted = f"in most pairs the target is shifted against its source: {describe_shift((right, down))}"
        return [*self.notes, *([shifted] if right or down else [])]


def scan_pairs(
    root: FileName,
    size: int | None,
    channels: tuple[int | None, int | None],
    folders: tuple[str | None, str | None],
    layout: str,
    direction: str,
    pairs: FileName | None,
    labels: FileName | None,
    links: str | None,
    cache: FileName | None,
    progress: bool,
) -> PairScan:
    """Scan a folder of image pairs. Decode the pairs into the cache, or reuse the cached scan if nothing has changed.

    Args:
        channels: number of channels of the sources and of the targets.
        folders: names of the folders of sources and of targets.

    The other arguments are those of `audiogan.data.images.pairs.open_pairs`.

    Raises:
        UserError: no pair can be used, or a setting is invalid.
    """
    source_channels, target_channels = channels
    chosen, follow, folder = ImageSettings(size, target_channels), parse_links(links), resolve_data_folder(root)
    try:
        ImageSettings(None, source_channels)
    except UserError as e:
        raise UserError(str(e).replace("data.channels", "data.source_channels")) from e
    for key, value, known in (("layout", layout, LAYOUTS), ("direction", direction, DIRECTIONS)):
        if value not in known:
            raise UserError(f"data.{key}={value!r}: choose one of {', '.join(known)}")
    backward = direction == BACKWARD
    if pairs is not None:
        found = _from_list(folder, pairs, labels, follow, backward)
    elif layout == SIDE_BY_SIDE:
        found = _side_by_side(folder, labels, follow, backward)
    else:
        source, target = find_pair_folders(folder, *folders)[:: -1 if backward else 1]
        found = _two_folders(folder, source, target, labels, follow)
    items, names = [*found.pairs, *found.others], (SOURCES, TARGETS, CODES)
    check = _PairCheck(size is not None)
    job = Job(items, found.naming, size, channels, names, REASONS, "pair", check)
    group = hash_texts(
        str(folder), repr((size, target_channels, source_channels)), found.key, str(follow), str(VERSION)
    )
    build = partial(_build, job, check, folder.name, progress)
    place, about = cached_scan(cache_dir("pairs", cache), group, found.entries, build)
    scan = PairScan(folder, settings=chosen, folder=place, naming=found.naming.mode, **about)
    if scan.clips:
        return scan
    counts = ", ".join(f"{n:,} {reason}" for reason, n in scan.counts.items()) or "the folders are empty"
    order = ("no partner", "different size", "missing", "unreadable", "no label")
    examples = [(order.index(r), f"{p}: {r}" + (f", {d}" if d else "")) for p, r, d in scan.problems if r in order]
    hint = f"; for example {min(examples)[1]}" if examples else ""
    raise UserError(printable(f"no usable pair in {scan.root}: {counts}{hint}"))


class _PairCheck:
    """Check of the two decoded images of each pair, which also measures their shift.

    Args:
        sized: whether ``data.size`` is set, so that images of different size can be scaled to the same size.

    Attributes:
        shifts: shift of each usable pair, by the path of the target.
    """

    def __init__(self, sized: bool) -> None:
        self.sized = sized
        self.shifts: dict[str, PairShift] = {}

    def __call__(self, pair: Item, found: tuple[DecodedImage, ...]) -> tuple[DecodedImage, ...]:
        """Return both results of a pair, rejected if the partner is unusable or if the sizes do not match."""
        first, second = found
        if first.reason != "usable" or second.reason != "usable":
            sides = zip(found, pair.files[::-1], found[::-1], strict=True)
            return tuple(
                replace_reason([each], "partner unusable", f"{file.rel} is {other.reason}")[0]
                if each.reason == "usable"
                else each
                for each, file, other in sides
            )
        sizes = [f"{each.width}x{each.height}" for each in found]
        across, down = first.width * second.height, first.height * second.width
        if sizes[0] != sizes[1] and (not self.sized or abs(across - down) > TOLERANCE * max(across, down)):
            advice = "the proportions differ" if self.sized else "set data.size to scale both alike"
            return replace_reason(found, "different size", f"{sizes[0]} and {sizes[1]}; {advice}")
        if first.digest == second.digest:
            return tuple(_add_flag(each, "identical") for each in found)
        self.shifts[pair.files[-1].rel] = find_shift(first.pixels[0], second.pixels[0])
        return found


def _add_flag(found: DecodedImage, flag: str) -> DecodedImage:
    return replace(found, flags="+".join(filter(None, (found.flags, flag))))


def _build(job: Job, check: _PairCheck, name: str, progress: bool, folder: Path) -> None:
    """Decode pairs into the cache folder ``folder``. Then flag those that are shifted unlike the other pairs."""
    build_images(job, name, progress, folder)
    usual = usual_shift(check.shifts.values())
    shifted: dict[str, str] = {}
    for pair in job.items:
        found = check.shifts.get(pair.files[-1].rel)
        if found is not None and found.differs_from(usual):
            said = f"the target is shifted against its source: {describe_shift((found.right, found.down))}"
            shifted |= {file.rel: said for file in pair.files}
    with open(folder / TABLE, **CSV_OPTIONS) as table:
        header, *rows = csv.reader(table)
    count = 0
    for row in rows:
        path, reason, flags = row[:3]
        if path in shifted and reason == "usable":
            row[2:4], count = ["+".join(filter(None, (flags, "misregistered"))), shifted[path]], count + 1
    with open(folder / TABLE, "w", **CSV_OPTIONS) as table:
        csv.writer(table).writerows([header, *rows])
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    about |= {"shift": usual, "flags": about["flags"] | ({"misregistered": count} if count else {})}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


@dataclass
class _FoundPairs:
    """Pairs found in a folder.

    Attributes:
        naming: rule that assigns labels to pairs.
        key: digest of all settings that determine the pairs.
        pairs: pairs to decode.
        others: entries that belong to no pair.
        entries: all entries of the folder.
    """

    naming: LabelRule
    key: str
    pairs: list[Item] = field(default_factory=list)
    others: list[Item] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def leave_out(self, rel: str, reason: str, detail: str) -> None:
        self.others.append(Item((Entry("", rel, reason, detail),)))


def find_pair_folders(root: Path, source: str | None, target: str | None) -> tuple[str, str]:
    """Return the folder names of sources and targets: the given names, or the first pair in `DEFAULTS` that exists."""
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    more = ", ..." if len(names) > 10 else ""
    listing = f"it has the folders {', '.join(map(printable, names[:10]))}{more}" if names else "it has no folders"
    if given := check_folder_names(
        source, target, root, lambda name: (root / name).is_dir(), f"there is no such folder in {root}; {listing}"
    ):
        return given
    for pair in DEFAULTS:
        if all((root / name).is_dir() for name in pair):
            return pair
    raise UserError(
        f"data.root={root}: there are no folders a and b; {listing}; set data.a and data.b, choose "
        "data.layout=side-by-side, or set data.pairs to a CSV with the columns source and target"
    )


def check_folder_names(
    name_a: str | None, name_b: str | None, root: Path, is_valid_name: Callable[[str], bool], message: str
) -> tuple[str, str] | None:
    """Check the folder names in ``data.a`` and ``data.b``, and return them. Return ``None`` if neither is set.

    Args:
        name_a: value of ``data.a``.
        name_b: value of ``data.b``.
        root: data folder.
        is_valid_name: function that returns ``True`` if a folder name is valid.
        message: explanation in the error for an invalid name.

    Raises:
        UserError: only one name is set, a name is invalid, or both name the same folder.
    """
    if name_a is None and name_b is None:
        return None
    if name_a is None or name_b is None:
        raise UserError("data.a and data.b must be set together: set both or neither")
    for key, name in (("a", name_a), ("b", name_b)):
        if not is_valid_name(name):
            raise UserError(f"data.{key}={printable(name)}: {message}")
    if (root / name_a).resolve() == (root / name_b).resolve():
        raise UserError(f"data.a and data.b are the same folder: {printable(name_a)}")
    return name_a, name_b


def _two_folders(root: Path, source: str, target: str, labels: FileName | None, follow: bool) -> _FoundPairs:
    naming = LabelRule.parse(labels, (root / target).resolve(), follow, SUFFIXES)
    found = _FoundPairs(naming, hash_texts(FOLDERS, source, target, naming.key))
    sides: list[list[Entry]] = []
    for name in (source, target):
        entries = list(classify_image_entries((root / name).resolve(), follow))
        found.entries += [_below(name, entry) for entry in entries]
        sides.append([entry for entry in entries if entry.kind == "image"])
    found.others = [Item((entry,)) for entry in found.entries if entry.kind != "image"]
    partner = _partners(*sides)
    for entry in sides[1]:
        if other := partner.get(entry.rel):
            found.pairs.append(Item((_below(source, other), _below(target, entry)), naming.get_label(entry)))
    used = ({entry.rel for entry in partner.values()}, partner.keys())
    for name, other_name, side, taken in zip((source, target), (target, source), sides, used, strict=True):
        for entry in side:
            if entry.rel not in taken:
                found.leave_out(f"{name}/{entry.rel}", "no partner", f"no file of this name in {other_name}")
    return found


def _below(folder: str, entry: Entry) -> Entry:
    return replace(entry, rel=f"{folder}/{entry.rel}")


def _partners(sources: Sequence[Entry], targets: Sequence[Entry]) -> dict[str, Entry]:
    """Return the source of each target by the target's path. The paths must be equal, ignoring the extension."""
    exact = {entry.rel: entry for entry in sources}
    partner = {entry.rel: exact.pop(entry.rel) for entry in targets if entry.rel in exact}
    stems: dict[str, tuple[list[Entry], list[Entry]]] = defaultdict(lambda: ([], []))
    rest = [entry for entry in targets if entry.rel not in partner]
    for side, entries in enumerate((exact.values(), rest)):
        for entry in entries:
            stems[os.path.splitext(entry.rel)[0]][side].append(entry)
    return partner | {two[1][0].rel: two[0][0] for two in stems.values() if len(two[0]) == len(two[1]) == 1}


def _side_by_side(root: Path, labels: FileName | None, follow: bool, backward: bool) -> _FoundPairs:
    naming = LabelRule.parse(labels, root, follow, SUFFIXES)
    found = _FoundPairs(
        naming, hash_texts(SIDE_BY_SIDE, str(backward), naming.key), entries=list(classify_image_entries(root, follow))
    )
    half = "right" if backward else "left"
    found.pairs = [
        Item((entry, entry), naming.get_label(entry), half) for entry in found.entries if entry.kind == "image"
    ]
    found.others = [Item((entry,)) for entry in found.entries if entry.kind != "image"]
    return found


def _from_list(root: Path, listed: FileName, labels: FileName | None, follow: bool, backward: bool) -> _FoundPairs:
    where = f"data.pairs={printable(str(listed))}"
    if labels not in (None, "none", "auto"):
        raise UserError(f"data.labels={printable(str(labels))}: with data.pairs choose auto or none")
    path = Path(listed).expanduser()
    path = path if path.is_file() else root / path
    if not path.is_file():
        raise UserError(f"{where}: no such file, also not in {root}")
    text = read_text(path, where)[0]
    rows, content = _rows(text, where), hash_texts(text)
    labelled = labels == "auto" and any(label for *_, label in rows)
    base = Path(os.path.relpath(path.resolve().parent, root)).as_posix()
    naming = LabelRule(LIST if labelled else NONE, content, root)
    found = _FoundPairs(naming, hash_texts("list", str(labelled), str(backward), base, content))
    found.entries = list(classify_image_entries(root, follow))
    by_path = {entry.rel: entry for entry in found.entries if entry.kind in ("image", "unreadable")}
    used = set()
    for line, *names, label in rows:
        places = [[os.path.normpath(p).replace(os.sep, "/") for p in (name, f"{base}/{name}")] for name in names]
        files = [next((by_path[place] for place in two if place in by_path), None) for two in places]
        pair = tuple(file for file in (reversed(files) if backward else files) if file)
        if len(pair) == 2:
            used |= {file.rel for file in pair}
            found.pairs.append(Item(pair, label if labelled else ""))
        for name, file in zip(names, files, strict=True):
            if file is None:
                found.leave_out(name, "missing", f"line {line} of the list")
    for entry in found.entries:
        if entry.kind != "image":
            found.others += [Item((entry,))] if entry.rel not in used else []
        elif entry.rel not in used:
            found.leave_out(entry.rel, "no partner", "not in the list, or its partner is missing")
    return found


def _rows(text: str, where: str) -> list[tuple[int, str, str, str]]:
    """Return (line, source, target, label) for each row of a CSV list of pairs. The column label is optional."""
    text, rows = text.removeprefix("\ufeff"), []
    for delimiter in DELIMITERS:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        try:
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            if not {"source", "target"} <= set(reader.fieldnames):
                continue
            for row in reader:
                source, target, label = ((row.get(name) or "").strip() for name in ("source", "target", "label"))
                if not any((source, target, label)):
                    continue
                if not source or not target:
                    raise UserError(f"{where}, line {reader.line_num}: source or target is empty")
                rows.append((reader.line_num, source.replace("\\", "/"), target.replace("\\", "/"), label))
        except csv.Error as e:
            raise UserError(f"{where}, line {reader.line_num}: {e}") from e
        if not rows:
            raise UserError(f"{where}: no row names a pair; add one row per pair")
        return rows
    head = printable(text.split("\n", 1)[0].strip())[:80]
    raise UserError(f"{where}: the first line must name the columns source and target (found: {head})")
