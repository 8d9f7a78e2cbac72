"""Scan a folder of sounds: decode every file once into the cache and account for each by reason."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from tqdm import tqdm

from audiogan.data.cache import open_or_build
from audiogan.data.kinds import archive, look
from audiogan.data.labels import LabelRule
from audiogan.data.sounds.decode import Decoded, DecodeSettings, decode
from audiogan.data.verdicts import REASONS, TABLE, TEXT, Scan
from audiogan.data.walk import Entry, follows, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.utils.text import printable

VERSION = 2  # of the cache's content; raise it when decoding changes
LARGE = 1 << 16  # bytes; below, handing a file to a thread and waiting for the GIL costs more than it gains
CLIPS, INDEX, ABOUT = "clips.f32", "index.npy", "about.json"
INDEX_TYPE = np.dtype([("row", "<i8"), ("label", "<i4"), ("file", "<i4")])
S = TypeVar("S")
T = TypeVar("T")
COLUMNS = ("path", "reason", "flags", "detail", "label", "clips", "seconds", "sample_rate", "channels")


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
            one), `folders` (name of the first-level folder), `none`, or a CSV file with the columns path and label, or
            what other programs write (see `audiogan.data.label_list`).
        links: `follow` uses links that lead out of the folder, too; by default (`inside`) they are left out.
        cache: folder for the cache instead of `cache_dir()`.
        progress: show a progress bar while decoding.
        settings: see `DecodeSettings`.

    Raises:
        UserError: no such folder, a bad setting or label list, or a cache that cannot be written. A folder without a
            usable file is not an error here: the scan says so.
    """
    known = DecodeSettings.__dataclass_fields__
    for name in settings.keys() - known.keys():
        raise UserError(f"data.{name}: there is no such setting; there are {', '.join([*known, 'labels', 'links'])}")
    chosen, follow = DecodeSettings(**settings), follows(links)
    folder = data_folder(root)
    naming = LabelRule.parse(labels, folder, follow)
    group = hash_of(str(folder), repr(asdict(chosen)), naming.key, str(follow))[:16]
    print_of, total = _fingerprint(), 0
    for entry in _entries(folder, follow):
        entry.feed(print_of)
        total += entry.kind == "audio"
    build = partial(_build, folder, follow, chosen, naming, group, total, progress)
    place = open_or_build(cache_dir("audio", cache), f"{group}-{print_of.hexdigest()}", build)
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    return Scan(folder, chosen, place, naming=naming.mode, **about)


def data_folder(root: str | os.PathLike[str]) -> Path:
    """Return the real path of ``data.root``; UserError where it is no folder."""
    shown = printable(str(root))
    try:
        folder = Path(root).expanduser()
    except RuntimeError as e:
        raise UserError(f"data.root={shown}: {e}") from e
    if not str(root):
        raise UserError("data.root is empty; name a folder, or leave it out")
    if not folder.is_dir():
        what = "this is a file, not a folder" if folder.exists() else "no such folder"
        unpack = "; unpack the archive and give the folder" if folder.exists() and archive(folder.name) else ""
        raise UserError(f"data.root={shown}: {what}{unpack}")
    return folder.resolve()


def _entries(root: Path, follow: bool) -> Iterator[Entry]:
    """Entries of `walk`; files with an ambiguous name get their kind from their first bytes."""
    for entry in walk(root, follow):
        found = look(entry.path) if entry.kind == "not audio" else None
        yield replace(entry, kind=found[0], detail=found[1]) if found else entry


def _fingerprint() -> Any:
    """A digest of the entries of a folder. Caches of other versions are of the same group, so they are removed."""
    return hashlib.blake2b(str(VERSION).encode(), digest_size=16)


def hash_of(*parts: str) -> str:
    """Return a digest of texts, for names of folders in the cache."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


Tally = tuple[Counter[str], Counter[str]]
"""Number of files by reason and by flag."""


def write_about(
    folder: Path,
    naming: LabelRule,
    known: Iterable[str],
    tally: Tally,
    labels: list[str],
    targets: np.ndarray,
    **more: Any,
) -> None:
    """Write the totals of a scan into the cache."""
    counts, flags = tally
    about = {
        "counts": {reason: counts[reason] for reason in (*known, *counts) if counts[reason]},
        "flags": dict(flags),
        "labels": labels,
        "class_counts": np.bincount(targets, minlength=len(labels)).tolist(),
        "notes": naming.notes(),
    }
    (folder / ABOUT).write_text(json.dumps(about | more), encoding="utf-8")


def _large(entry: Entry) -> bool:
    return entry.kind == "audio" and entry.size >= LARGE


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
    root: Path, follow: bool, s: DecodeSettings, naming: LabelRule, group: str, total: int, progress: bool, folder: Path
) -> str:
    draft, print_of = _Draft(), _fingerprint()
    rough = folder / "draft.csv"
    with open(folder / CLIPS, "wb") as clips, open(rough, "w", **TEXT) as table:
        rows = csv.writer(table)
        bar = tqdm(
            total=total, desc=printable(f"decoding {root.name}"), unit="file", disable=None if progress else True
        )
        with bar:
            for entry, found in ahead(partial(_decoded, s=s), _entries(root, follow), 4, _large):
                entry.feed(print_of)
                bar.update(entry.kind == "audio")
                rows.writerow(_store(entry, found, clips, draft, naming, s))
        rows.writerows((path, "missing", "", why, label, 0, 0, 0, 0) for path, label, why in naming.missing())
    _settle(folder, rough, draft, naming)
    return f"{group}-{print_of.hexdigest()}"


def ahead(
    work: Callable[[S], T], items: Iterable[S], each: int = 16, threaded: Callable[[S], bool] = lambda item: True
) -> Iterator[tuple[S, T]]:
    """Yield items with the results of ``work``, in order. Threads work ahead, never far: decoding releases the GIL.

    Args:
        work: function of an item.
        items: what to work on.
        each: number of items that are taken ahead for each thread.
        threaded: whether an item is worth a thread; others are worked on when they are due.
    """
    workers, rest = min(4, os.cpu_count() or 1), iter(items)
    with ThreadPoolExecutor(workers) as pool:

        def submit(item: S) -> tuple[S, Future[T] | None]:
            return item, pool.submit(work, item) if threaded(item) else None

        queue = deque(map(submit, islice(rest, each * workers)))
        while queue:
            item, future = queue.popleft()
            queue.extend(map(submit, islice(rest, 1)))
            yield item, future.result() if future else work(item)


def _decoded(entry: Entry, s: DecodeSettings) -> Decoded:
    return decode(entry.path, s) if entry.kind == "audio" else Decoded(entry.kind, entry.detail)


def _store(e: Entry, found: Decoded, clips: BinaryIO, draft: _Draft, naming: LabelRule, s: DecodeSettings) -> list[Any]:
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


def _settle(folder: Path, rough: Path, draft: _Draft, naming: LabelRule) -> None:
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
    tally = _final_table(folder, rough, original, kept, labelled)
    rough.unlink()
    targets = index["label"] if labelled else index["label"][:0]
    write_about(folder, naming, REASONS, tally, names, targets, clips=len(index))


def _originals(draft: _Draft, eligible: np.ndarray) -> np.ndarray:
    """For each decoded file the first eligible one with the same digest; -1 where the file is not eligible."""
    result = np.full(len(eligible), -1, np.int64)
    where = np.nonzero(eligible)[0]
    if len(where):
        digests = np.frombuffer(bytes(draft.digests), "V16")[where]
        _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
        result[where] = where[first[inverse.reshape(-1)]]
    return result


def _final_table(folder: Path, rough: Path, original: np.ndarray, kept: np.ndarray, labelled: bool) -> Tally:
    tally: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    copied = set(original[~kept & (original >= 0)].tolist())
    paths: dict[int, str] = {}
    decoded = count()
    with open(rough, **TEXT) as source, open(folder / TABLE, "w", **TEXT) as target:
        out = csv.writer(target)
        out.writerow(COLUMNS)
        for row in csv.reader(source):
            i = next(decoded) if row[1] == "usable" else -1  # place among the decoded files
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
