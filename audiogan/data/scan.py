"""Helpers shared by sound scans and image scans: the cache, the table of files, and threaded decoding."""

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
from audiogan.data.kinds import is_archive
from audiogan.data.labels import LabelRule
from audiogan.data.verdicts import CSV_OPTIONS, TABLE
from audiogan.data.walk import Entry
from audiogan.errors import UserError
from audiogan.utils.text import printable

ABOUT = "about.json"
"""Name of the JSON file with the totals of a cached scan."""
S = TypeVar("S")
T = TypeVar("T")


def cached_scan(
    cache: Path, group: str, entries: Iterable[Entry], build: Callable[[Path], None]
) -> tuple[Path, dict[str, Any]]:
    """Return the cache folder of a scan and its totals. Build the scan if it is not cached.

    Args:
        cache: parent folder of cached scans.
        group: digest of the path of the data folder and of all settings.
        entries: all entries of the data folder. A changed, added or removed entry invalidates the cached scan.
        build: function that decodes the files into the given empty folder.
    """
    digest = hashlib.blake2b(digest_size=16)
    for entry in entries:
        entry.update_digest(digest)
    place = open_or_build(cache, f"{group[:16]}-{digest.hexdigest()}", build)
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    return place, {key: tuple(value) if key.endswith("shape") else value for key, value in about.items()}


def resolve_data_folder(root: str | os.PathLike[str]) -> Path:
    """Return ``data.root`` as a path without symbolic links. Raise `UserError` if it is not a folder."""
    shown = printable(str(root))
    try:
        folder = Path(root).expanduser()
    except RuntimeError as e:
        raise UserError(f"data.root={shown}: {e}") from e
    if not str(root):
        raise UserError("data.root is empty; set it to a folder, or omit it")
    if not folder.is_dir():
        what = "this is a file, not a folder" if folder.exists() else "no such folder"
        unpack = "; unpack the archive and give the folder" if folder.exists() and is_archive(folder.name) else ""
        raise UserError(f"data.root={shown}: {what}{unpack}")
    return folder.resolve()


def hash_texts(*texts: str) -> str:
    """Return a hexadecimal digest of the given strings, used in the names of cache folders."""
    return hashlib.blake2b("\0".join(texts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class Ledger:
    """Writer of a scan's table of files. It also detects duplicates and collects the label of each example.

    Memory: about 250 bytes per file.

    Args:
        folder: cache folder of the scan.
        columns: columns of the table. The first five are path, reason, flags, detail and label.
        label_rule: rule that assigns labels to files.
        labels: label of each decodable file, "" if it has none. These labels determine whether the data set has
            classes.
    """

    def __init__(self, folder: Path, columns: Sequence[str], label_rule: LabelRule, labels: Iterable[str]) -> None:
        self.folder, self.columns, self.label_rule, self.labelled = (
            folder,
            columns,
            label_rule,
            label_rule.has_labels(labels),
        )
        self.counts: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self._kept: list[tuple[str, int]] = []  # Label and number of examples of each usable file.
        self._first: dict[bytes, str] = {}

    def __enter__(self) -> Ledger:
        self._table = open(self.folder / TABLE, "w", **CSV_OPTIONS)
        self._rows = csv.writer(self._table)
        self._rows.writerow(self.columns)
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()

    def rejection_reason(self, digest: bytes, label: str) -> tuple[str, str] | None:
        """Return (reason, detail) if a file must be rejected as unlabelled or duplicate, else ``None``."""
        if self.labelled and not label:
            return "no label", ""
        return ("duplicate", f"same as {self._first[digest]}") if digest in self._first else None

    def add_usable_file(self, digest: bytes, path: str, label: str, count: int = 1) -> None:
        """Record a usable file with its label and its number of examples."""
        self._first[digest] = path
        self._kept.append((label, count))

    def write_row(self, path: str, reason: str, flags: str, detail: str, label: str, *extra_cells: object) -> None:
        """Write the row of one file to the table and update the counts."""
        self.counts[reason] += 1
        self.flags.update(filter(None, flags.split("+")))
        self._rows.writerow((path, reason, flags, detail, label, *extra_cells))

    def finish(self, reasons: Iterable[str], **extra_totals: Any) -> tuple[np.ndarray, np.ndarray]:
        """Write the totals of the scan, and a row for each file that is in the list of labels but missing.

        Args:
            reasons: all outcomes of a file, ``usable`` or a reason to skip it, in the order of the summary.
            extra_totals: further totals to store in the JSON file `ABOUT`.

        Returns:
            The label index of each example (-1 for data without labels) and the index of its file, int64 ``[N]`` each.
        """
        for path, label, why in self.label_rule.missing_files():
            self.write_row(path, "missing", "", why, label, *[0] * (len(self.columns) - 5))
        labels = sorted({label for label, _ in self._kept}) if self.labelled else []
        codes = {label: i for i, label in enumerate(labels)}
        counts = np.array([count for _, count in self._kept], np.int64)
        targets = np.repeat(np.array([codes.get(label, -1) for label, _ in self._kept], np.int64), counts)
        about = {
            "counts": {reason: self.counts[reason] for reason in (*reasons, *self.counts) if self.counts[reason]},
            "flags": dict(self.flags),
            "labels": labels,
            "class_counts": np.bincount(targets, minlength=len(labels)).tolist() if labels else [],
            "notes": self.label_rule.notes(),
            "clips": len(targets),
        }
        (self.folder / ABOUT).write_text(json.dumps(about | extra_totals), encoding="utf-8")
        return targets, np.repeat(np.arange(len(counts)), counts)


def progress_bar(name: str, total: int, unit: str, progress: bool) -> tqdm:
    """Return a progress bar for decoding the folder ``name``."""
    return tqdm(total=total, desc=printable(f"decoding {name}"), unit=unit, disable=None if progress else True)


def prefetch_map(
    function: Callable[[S], T],
    items: Iterable[S],
    items_per_thread: int = 16,
    use_thread: Callable[[S], bool] = lambda item: True,
) -> Iterator[tuple[S, T]]:
    """Yield ``(item, function(item))`` in order, computed ahead in up to four threads.

    Args:
        function: function to apply to each item.
        items: items to process.
        items_per_thread: maximum number of prefetched items per thread, 1 or more.
        use_thread: predicate that selects the items to process in threads. Other items are processed when yielded.
    """
    workers, rest = min(4, os.cpu_count() or 1), iter(items)
    with ThreadPoolExecutor(workers) as pool:

        def submit(item: S) -> tuple[S, Future[T] | None]:
            return item, pool.submit(function, item) if use_thread(item) else None

        queue = deque(map(submit, islice(rest, items_per_thread * workers)))
        while queue:
            item, future = queue.popleft()
            queue.extend(map(submit, islice(rest, 1)))
            yield item, future.result() if future else function(item)
