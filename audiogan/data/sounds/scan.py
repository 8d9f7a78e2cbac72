"""Scan of a folder of sounds: decode every file once into the cache and record the outcome of each file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from audiogan.data.kinds import detect_kind_by_content
from audiogan.data.labels import LabelRule
from audiogan.data.scan import Ledger, cached_scan, hash_texts, prefetch_map, progress_bar, resolve_data_folder
from audiogan.data.sounds.decode import Decoded, DecodeSettings, decode
from audiogan.data.verdicts import REASONS, Scan
from audiogan.data.walk import Entry, parse_links, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir

VERSION = 3  # Version of the cached data. Increase it when decoding changes, to invalidate old caches.
# Minimum size in bytes of files decoded in threads. Smaller files gain nothing from threads.
MIN_THREADED_BYTES = 1 << 16
CLIPS, INDEX = "clips.f32", "index.npy"
INDEX_TYPE = np.dtype([("label", "<i4"), ("file", "<i4")])
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
    """Scan a folder of sounds. Decode the files into the cache, or reuse the cached scan if nothing has changed.

    Args:
        root: folder of sounds. Sub-folders are included.
        labels: source of the labels: ``folders`` (names of the first-level folders), ``none``, or a CSV file with the
            columns path and label. ``auto`` means ``folders`` if at least two first-level folders contain files and
            most files are in such folders, else ``none``.
        links: ``follow`` uses links that lead out of the folder. Default: ``inside``, which skips such links.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.
        settings: arguments of `DecodeSettings`.

    Returns:
        The scan. It may contain no usable file.

    Raises:
        UserError: the folder does not exist, a setting or the list of labels is invalid, or the cache cannot be
            written.
    """
    known = DecodeSettings.__dataclass_fields__
    for name in settings.keys() - known.keys():
        raise UserError(f"data.{name}: there is no such setting; there are {', '.join([*known, 'labels', 'links'])}")
    chosen, follow = DecodeSettings(**settings), parse_links(links)
    folder = resolve_data_folder(root)
    naming = LabelRule.parse(labels, folder, follow)
    entries = list(_entries(folder, follow))
    group = hash_texts(str(folder), repr(asdict(chosen)), naming.key, str(follow), str(VERSION))
    build = partial(_build, entries, chosen, naming, folder.name, progress)
    place, about = cached_scan(cache_dir("audio", cache), group, entries, build)
    return Scan(folder, chosen, place, naming=naming.mode, **about)


def _entries(root: Path, follow: bool) -> Iterator[Entry]:
    """Yield the entries of `walk`. The kind of files with an unknown extension is detected from their content."""
    for entry in walk(root, follow):
        found = detect_kind_by_content(entry.path) if entry.kind == "not audio" else None
        yield replace(entry, kind=found[0], detail=found[1]) if found else entry


def _build(
    entries: Sequence[Entry], s: DecodeSettings, naming: LabelRule, name: str, progress: bool, folder: Path
) -> None:
    sounds = [entry for entry in entries if entry.kind == "audio"]
    with (
        Ledger(folder, COLUMNS, naming, map(naming.get_label, sounds)) as ledger,
        open(folder / CLIPS, "wb") as clips,
        progress_bar(name, len(sounds), "file", progress) as shown,
    ):
        for entry, found in prefetch_map(partial(_decoded, s=s), entries, 4, _large):
            shown.update(entry.kind == "audio")
            _store(entry, found, clips, ledger, s)
        targets, files = ledger.finish(REASONS)
    index = np.empty(len(targets), INDEX_TYPE)
    index["label"], index["file"] = targets, files
    np.save(folder / INDEX, index)


def _large(entry: Entry) -> bool:
    return entry.kind == "audio" and entry.size >= MIN_THREADED_BYTES


def _decoded(entry: Entry, s: DecodeSettings) -> Decoded:
    return decode(entry.path, s) if entry.kind == "audio" else Decoded(entry.kind, entry.detail)


def _store(entry: Entry, found: Decoded, clips: BinaryIO, ledger: Ledger, s: DecodeSettings) -> None:
    """Write the clips of a usable file to the cache, and the row of the file to the table."""
    label = ledger.label_rule.get_label(entry) if ledger.labelled else ""
    written = 0
    if found.reason == "usable" and (refusal := ledger.rejection_reason(found.digest, label)):
        found = replace(found, reason=refusal[0], detail=refusal[1], flags=())
    if found.reason == "usable":
        start, source = clips.tell(), iter(found.clips)
        clip, error = _next(source)  # Long files are decoded lazily, so decoding may fail here.
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
        ledger.add_usable_file(found.digest, entry.rel, label, written)
    about = (written, round(found.seconds, 4), found.sample_rate, found.channels)
    ledger.write_row(entry.rel, found.reason, "+".join(found.flags), found.detail, label, *about)


def _next(clips: Iterator[np.ndarray]) -> tuple[np.ndarray | None, str]:
    try:
        return next(clips, None), ""
    except (OSError, RuntimeError, ValueError) as e:
        return None, str(e)
