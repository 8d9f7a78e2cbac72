"""The parts that scans of sounds and scans of images share: the cache, the table of files, decoding in threads."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from audiogan.data.cache import open_or_build
from audiogan.data.kinds import archive
from audiogan.data.labels import LabelRule
from audiogan.data.verdicts import TABLE, TEXT
from audiogan.data.walk import Entry
from audiogan.errors import UserError
from audiogan.utils.text import printable

ABOUT = "about.json"
"""Name of the file with the totals of a scan."""
S = TypeVar("S")
T = TypeVar("T")


def cached_scan(
    cache: Path, group: str, entries: Iterable[Entry], build: Callable[[Path], None]
) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a scan in the cache and its totals. Build it unless it exists.

    Args:
        cache: folder of the cache.
        group: digest of the data folder and of all settings.
        entries: everything in the data folder. A change to any of them makes the cached scan outdated.
        build: function that decodes the files into an empty folder.
    """
    digest = hashlib.blake2b(digest_size=16)
    for entry in entries:
        entry.feed(digest)
    place = open_or_build(cache, f"{group[:16]}-{digest.hexdigest()}", build)
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    return place, {key: tuple(value) if key.endswith("shape") else value for key, value in about.items()}


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


def hash_of(*parts: str) -> str:
    """Return a digest of texts, for names of folders in the cache."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class Ledger:
    """Writer of the table of files in a cached scan. It finds duplicates and remembers the label of each example.

    It keeps about 250 bytes a file, and no examples.

    Args:
        folder: the scan.
        columns: columns of the table; the first five are path, reason, flags, detail and label.
        naming: how files are labelled.
        labels: label of each decodable file. They decide whether the data set has labels.
    """

    def __init__(self, folder: Path, columns: Sequence[str], naming: LabelRule, labels: Iterable[str]) -> None:
        self.folder, self.columns, self.naming, self.labelled = folder, columns, naming, naming.applies(labels)
        self.counts: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self._kept: list[tuple[str, int]] = []  # label and number of examples of each file
        self._first: dict[bytes, str] = {}

    def __enter__(self) -> Ledger:
        self._table = open(self.folder / TABLE, "w", **TEXT)
        self._rows = csv.writer(self._table)
        self._rows.writerow(self.columns)
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def refusal(self, digest: bytes, label: str) -> tuple[str, str] | None:
        """Return reason and detail if a decoded file cannot be used, else ``None``."""
        if self.labelled and not label:
            return "no label", ""
        return ("duplicate", f"same as {self._first[digest]}") if digest in self._first else None

    def keep(self, digest: bytes, path: str, label: str, count: int = 1) -> None:
        """Note that a file gave ``count`` examples."""
        self._first[digest] = path
        self._kept.append((label, count))

    def write(self, path: str, reason: str, flags: str, detail: str, label: str, *more: object) -> None:
        """Write the verdict on a file."""
        self.counts[reason] += 1
        self.flags.update(filter(None, flags.split("+")))
        self._rows.writerow((path, reason, flags, detail, label, *more))

    def finish(self, reasons: Iterable[str], **more: Any) -> tuple[np.ndarray, np.ndarray]:
        """Write the listed files that are missing, and the totals.

        Args:
            reasons: all reasons, in the order of the summary.
            more: further totals.

        Returns:
            For each example the index of its label (-1 without labels), and the number of its file.
        """
        for path, label, why in self.naming.missing():
            self.write(path, "missing", "", why, label, *[0] * (len(self.columns) - 5))
        labels = sorted({label for label, _ in self._kept}) if self.labelled else []
        codes = {label: i for i, label in enumerate(labels)}
        counts = np.array([count for _, count in self._kept], np.int64)
        targets = np.repeat(np.array([codes.get(label, -1) for label, _ in self._kept], np.int64), counts)
        about = {
            "counts": {reason: self.counts[reason] for reason in (*reasons, *self.counts) if self.counts[reason]},
            "flags": dict(self.flags),
            "labels": labels,
            "class_counts": np.bincount(targets, minlength=len(labels)).tolist() if labels else [],
            "notes": self.naming.notes(),
            "clips": len(targets),
        }
        (self.folder / ABOUT).write_text(json.dumps(about | more), encoding="utf-8")
        return targets, np.repeat(np.arange(len(counts)), counts)


def bar(name: str, total: int, unit: str, progress: bool) -> tqdm:
    """Return the progress bar for decoding the folder ``name``."""
    return tqdm(total=total, desc=printable(f"decoding {name}"), unit=unit, disable=None if progress else True)


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
