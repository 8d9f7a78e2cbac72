"""Scan a folder of sounds: decode every file once into the cache and account for each by reason."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from audiogan.data import cache_dir
from audiogan.data.cache import open_or_build
from audiogan.data.decode import Decoded, Settings, decode
from audiogan.data.labels import Labels
from audiogan.data.walk import OUTSIDE, Entry, follows, walk
from audiogan.errors import UserError
from audiogan.text import printable, table_cell

VERSION = 2  # of the cache's content; raise it when decoding changes
LARGE = (
    1 << 16
)  # bytes; below, handing a file to a thread and waiting for the interpreter lock costs more than it gains
CLIPS, INDEX, TABLE, ABOUT = "clips.f32", "index.npy", "files.csv", "about.json"
_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
INDEX_TYPE = np.dtype([("row", "<i8"), ("label", "<i4"), ("file", "<i4")])
COLUMNS = ("path", "reason", "flags", "detail", "label", "clips", "seconds", "sample_rate", "channels")
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
    OUTSIDE: "symbolic link out of the folder; data.links=follow uses it",
    "not audio": "other kinds of files",
}
FLAGS = {
    "clipped": "used; 4 or more equal samples in a row at full scale",
    "truncated": "used; ends before its header says",
}


@dataclass(frozen=True)
class Scan:
    """What a folder holds. Every file has exactly one reason; `clipped` and `truncated` are flags of usable ones."""

    root: Path
    settings: Settings
    folder: Path  # the cache: clips, index and the table of files
    counts: dict[str, int]  # reason -> files
    flags: dict[str, int]  # flag -> usable files that have it
    labels: list[str]
    class_counts: list[int]  # clips a label
    clips: int

    @property
    def total(self) -> int:
        """Files in the folder, plus links to folders and listed files that are missing."""
        return sum(self.counts.values())

    @property
    def usable(self) -> int:
        return self.counts.get("usable", 0)

    def files(self) -> Iterator[dict[str, str]]:
        """The verdict on every file, in the order of the scan: a dict with the columns of `write`."""
        with open(self.folder / TABLE, **_TEXT) as f:
            yield from csv.DictReader(f)

    @property
    def problems(self) -> list[tuple[str, str, str]]:
        """(path, reason, detail) of every file that is not plainly used; for a flagged one the flag is the reason."""
        rows = ((row["path"], row["flags"] or row["reason"], row["detail"]) for row in self.files())
        return [row for row in rows if row[1] != "usable"]

    def summary(self, examples: int = 3) -> str:
        """A few lines for the terminal: counts by reason with `examples` paths each."""
        seconds = self.settings.length / self.settings.sample_rate
        classes = f", {len(self.labels)} classes" if self.labels else ", no labels"
        head = f"{self.root}: {self.total:,} files, {self.usable:,} usable -> {self.clips:,} clips of {seconds:.2f} s"
        lines = [f"{head} at {self.settings.sample_rate:,} Hz{classes}"]
        if self.labels:
            lines.append(f"  {class_line(self.labels, self.class_counts)}")
        shown: dict[str, list[str]] = {}
        for row in self.files():
            for reason in [row["reason"], *filter(None, row["flags"].split("+"))]:
                if reason != "usable" and len(shown.setdefault(reason, [])) < examples:
                    shown[reason].append(row["path"] + (f" ({row['detail']})" if row["detail"] else ""))
        for reason, meaning in {**REASONS, **FLAGS}.items():
            count = self.flags.get(reason, 0) if reason in FLAGS else self.counts.get(reason, 0)
            if count and reason != "usable":
                more = "; ..." if count > examples else ""
                lines.append(f"  {count:,} {reason} ({meaning}): {'; '.join(shown[reason])}{more}")
        lines += [f"  {hint}" for hint in self.hints()]
        return "\n".join(map(printable, lines))

    def hints(self) -> list[str]:
        """What to know of the usable files as a whole: most are mono where stereo is asked for, or of a lower rate."""
        rows = [row for row in self.files() if row["reason"] == "usable"]
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

        A cell that a spreadsheet would run as a formula gets an apostrophe in front (`audiogan.text.table_cell`).
        """
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(self.folder / TABLE, **_TEXT) as table, open(temporary, "w", **_TEXT) as copy:
                csv.writer(copy).writerows(map(table_cell, row) for row in csv.reader(table))
                copy.flush()
                os.fsync(copy.fileno())
            os.replace(temporary, path)
        except OSError as e:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise UserError(f"cannot write the report {path}: {e.strerror}") from e


def class_line(labels: Sequence[str], counts: Sequence[int], most: int = 30, longest: int = 60) -> str:
    """Return ``name count, name count, …`` for the terminal; long names and long lists are cut."""
    names = (name if len(name) <= longest else f"{name[: longest - 1]}…" for name in labels)
    parts = [f"{name} {count:,}" for name, count in zip(names, counts, strict=False)][:most]
    return ", ".join([*parts, *([f"and {len(labels) - most:,} more"] if len(labels) > most else [])])


def scan_folder(
    root: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = "auto",
    links: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **settings: Any,
) -> Scan:
    """Scan `root`, decoding it into the cache unless an intact cache of the same files and settings is there.

    Args:
        root: folder, searched with all its sub-folders.
        labels: `auto` (folders, where at least two first-level folders hold usable files and most usable files are in
            one), `folders` (name of the first-level folder), `none`, or a CSV file with the columns path and label.
        links: `follow` uses links that lead out of the folder, too; by default (`inside`) they are left out.
        cache: folder for the cache instead of `cache_dir()`.
        progress: show a progress bar while decoding.
        settings: see `Settings`.

    Raises:
        UserError: no such folder, a bad setting or label list, or a cache that cannot be written. A folder without a
            usable file is not an error here: the scan says so.
    """
    chosen, follow = Settings(**settings), follows(links)
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.root={root}: {'this is a file, not a folder' if folder.exists() else 'no such folder'}")
    folder = folder.resolve()
    naming = Labels.parse(labels, folder)
    group = _hash(str(folder), repr(asdict(chosen)), naming.key, str(follow), str(VERSION))[:16]
    print_of, total = hashlib.blake2b(digest_size=16), 0
    for entry in walk(folder, follow):
        entry.feed(print_of)
        total += entry.kind == "audio"
    home = Path(cache).expanduser() if cache is not None else cache_dir() / "audio"
    build = partial(_build, folder, follow, chosen, naming, group, total, progress)
    place = open_or_build(home, f"{group}-{print_of.hexdigest()}", build)
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    return Scan(folder, chosen, place, **about)


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class _Draft:
    """What is kept of every decodable file until labels and duplicates are settled: 28 bytes a file."""

    def __init__(self) -> None:
        self.digests, self.codes, self.first, self.count = bytearray(), array("i"), array("q"), array("i")
        self.names: dict[str, int] = {}

    def add(self, digest: bytes, label: str, first: int, count: int) -> None:
        self.digests += digest
        self.codes.append(self.names.setdefault(label, len(self.names)) if label else -1)
        self.first.append(first)
        self.count.append(count)


def _build(
    root: Path, follow: bool, s: Settings, naming: Labels, group: str, total: int, progress: bool, folder: Path
) -> str:
    draft, print_of = _Draft(), hashlib.blake2b(digest_size=16)
    rough = folder / "draft.csv"
    with open(folder / CLIPS, "wb") as clips, open(rough, "w", **_TEXT) as table:
        rows = csv.writer(table)
        bar = tqdm(
            total=total, desc=printable(f"decoding {root.name}"), unit="file", disable=None if progress else True
        )
        with bar:
            for entry, found in _decoded(walk(root, follow), s):
                entry.feed(print_of)
                bar.update(entry.kind == "audio")
                rows.writerow(_store(entry, found, clips, draft, naming, s))
        rows.writerows((path, "missing", "", "in the label list", label, 0, 0, 0, 0) for path, label in naming.unseen())
    _settle(folder, rough, draft, naming)
    return f"{group}-{print_of.hexdigest()}"


def _decoded(entries: Iterator[Entry], s: Settings) -> Iterator[tuple[Entry, Decoded]]:
    """Entries with what they gave, in order. Large files are decoded ahead in threads."""
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:

        def submit(entry: Entry) -> tuple[Entry, Future[Decoded] | None]:
            large = entry.kind == "audio" and entry.size >= LARGE
            return entry, pool.submit(decode, entry.path, s) if large else None

        ahead = deque(submit(e) for e in islice(entries, 4 * workers))
        while ahead:
            entry, future = ahead.popleft()
            ahead.extend(submit(e) for e in islice(entries, 1))
            if future:
                yield entry, future.result()
            else:
                yield entry, decode(entry.path, s) if entry.kind == "audio" else Decoded(entry.kind, entry.detail)


def _store(e: Entry, found: Decoded, clips: BinaryIO, draft: _Draft, naming: Labels, s: Settings) -> list[Any]:
    label = naming.of(e)
    size = 4 * s.channels * s.length
    start = clips.tell()
    written = 0
    if found.reason == "usable":
        source = iter(found.clips)
        clip, error = _next(source)  # a long file is read only now; a failure to write is not the file's fault
        while clip is not None:
            clips.write(clip.data)
            written += 1
            clip, error = _next(source)
        if error:
            clips.seek(start)
            clips.truncate()
            found, written = Decoded("unreadable", error), 0
        elif not written:
            found = Decoded("silent", "every slice is silent")
        elif found.windows > 1:
            quiet = f", {found.windows - written} more are silent" if written < found.windows else ""
            found.detail = "; ".join(filter(None, [found.detail, f"{written} slices{quiet}"]))
    if written:
        draft.add(found.digest, label, start // size, written)
    seconds = round(found.seconds, 4)
    flags = "+".join(found.flags)
    return [e.rel, found.reason, flags, found.detail, label, written, seconds, found.sample_rate, found.channels]


def _next(clips: Iterator[np.ndarray]) -> tuple[np.ndarray | None, str]:
    try:
        return next(clips, None), ""
    except (OSError, RuntimeError, ValueError) as e:
        return None, str(e)


def _settle(folder: Path, rough: Path, draft: _Draft, naming: Labels) -> None:
    """Decide labels and duplicates, write the index and the final table."""
    codes = np.asarray(draft.codes, np.int32)
    labelled = naming.applies(codes)
    eligible = codes >= 0 if labelled else np.ones(len(codes), bool)
    original = _originals(draft, eligible)
    kept = original == np.arange(len(codes))
    used = set(codes[kept].tolist()) if labelled else set()
    names = sorted(name for name, code in draft.names.items() if code in used)
    code_to_label = np.full(len(draft.names) + 1, -1, np.int32)  # the last entry serves code -1
    for i, name in enumerate(names):
        code_to_label[draft.names[name]] = i
    counts = np.asarray(draft.count, np.int64)[kept]
    index = np.zeros(int(counts.sum()), INDEX_TYPE)
    offset = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
    index["row"] = np.repeat(np.asarray(draft.first, np.int64)[kept], counts) + offset
    index["label"] = np.repeat(code_to_label[codes[kept]], counts)
    index["file"] = np.repeat(np.nonzero(kept)[0], counts)
    np.save(folder / INDEX, index)
    tally, flags = _final_table(folder, rough, original, kept, labelled)
    rough.unlink()
    about = {
        "counts": {reason: tally[reason] for reason in REASONS if tally[reason]},
        "flags": dict(flags),
        "labels": names,
        "class_counts": np.bincount(index["label"], minlength=len(names)).tolist() if labelled else [],
        "clips": len(index),
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def _originals(draft: _Draft, eligible: np.ndarray) -> np.ndarray:
    """For each decoded file the first eligible one with the same digest; -1 where the file is not eligible."""
    result = np.full(len(eligible), -1, np.int64)
    where = np.nonzero(eligible)[0]
    if len(where):
        digests = np.frombuffer(bytes(draft.digests), "V16")[where]
        _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
        result[where] = where[first[inverse.reshape(-1)]]
    return result


def _final_table(
    folder: Path, rough: Path, original: np.ndarray, kept: np.ndarray, labelled: bool
) -> tuple[Counter[str], Counter[str]]:
    tally: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    copied = set(original[~kept & (original >= 0)].tolist())
    paths: dict[int, str] = {}
    with open(rough, **_TEXT) as source, open(folder / TABLE, "w", **_TEXT) as target:
        out = csv.writer(target)
        out.writerow(COLUMNS)
        for row, i in _numbered(csv.reader(source)):
            if i >= 0 and not kept[i]:
                row[1], row[2], row[5] = ("duplicate", "", "0") if original[i] >= 0 else ("no label", "", "0")
                row[3] = f"same as {paths[original[i]]}" if original[i] >= 0 else ""
            elif i in copied:
                paths[i] = row[0]
            if not labelled:
                row[4] = ""
            out.writerow(row)
            tally[row[1]] += 1
            flagged.update(row[2].split("+") if row[2] and row[1] == "usable" else ())
    return tally, flagged


def _numbered(rows: Iterable[list[str]]) -> Iterator[tuple[list[str], int]]:
    """Rows with their place among the decoded files, -1 for the others."""
    decoded = count()
    for row in rows:
        yield row, next(decoded) if row[1] == "usable" else -1


def require_usable(scan: Scan) -> None:
    """Raise a UserError that says what was found when nothing can be used."""
    if not scan.clips:
        found = ", ".join(f"{n:,} {reason}" for reason, n in scan.counts.items()) or "the folder is empty"
        need = " (labels=folders needs sound files inside folders)" if scan.counts.get("no label") else ""
        example = next(((p, d) for p, r, d in scan.problems if r == "unreadable"), None)
        hint = f"; for example {example[0]}: {example[1]}" if example else ""
        raise UserError(printable(f"no usable sound file in {scan.root}: {found}{need}{hint}"))
