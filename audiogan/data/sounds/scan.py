"""Scan a folder of sounds: decode every file once into the cache and account for each by reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from audiogan.data.kinds import look
from audiogan.data.labels import LabelRule
from audiogan.data.scan import Ledger, ahead, bar, cached_scan, data_folder, hash_of
from audiogan.data.sounds.decode import Decoded, DecodeSettings, decode
from audiogan.data.verdicts import REASONS, Scan
from audiogan.data.walk import Entry, follows, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir

VERSION = 3  # of the cache's content; raise it when decoding changes
LARGE = 1 << 16  # bytes; below, handing a file to a thread and waiting for the GIL costs more than it gains
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
    entries = list(_entries(folder, follow))
    group = hash_of(str(folder), repr(asdict(chosen)), naming.key, str(follow), str(VERSION))
    build = partial(_build, entries, chosen, naming, folder.name, progress)
    place, about = cached_scan(cache_dir("audio", cache), group, entries, build)
    return Scan(folder, chosen, place, naming=naming.mode, **about)


def _entries(root: Path, follow: bool) -> Iterator[Entry]:
    """Entries of `walk`; files with an ambiguous name get their kind from their first bytes."""
    for entry in walk(root, follow):
        found = look(entry.path) if entry.kind == "not audio" else None
        yield replace(entry, kind=found[0], detail=found[1]) if found else entry


def _build(
    entries: Sequence[Entry], s: DecodeSettings, naming: LabelRule, name: str, progress: bool, folder: Path
) -> None:
    sounds = [entry for entry in entries if entry.kind == "audio"]
    with (
        Ledger(folder, COLUMNS, naming, map(naming.of, sounds)) as ledger,
        open(folder / CLIPS, "wb") as clips,
        bar(name, len(sounds), "file", progress) as shown,
    ):
        for entry, found in ahead(partial(_decoded, s=s), entries, 4, _large):
            shown.update(entry.kind == "audio")
            _store(entry, found, clips, ledger, s)
        targets, files = ledger.finish(REASONS)
    index = np.empty(len(targets), INDEX_TYPE)
    index["label"], index["file"] = targets, files
    np.save(folder / INDEX, index)


def _large(entry: Entry) -> bool:
    return entry.kind == "audio" and entry.size >= LARGE


def _decoded(entry: Entry, s: DecodeSettings) -> Decoded:
    return decode(entry.path, s) if entry.kind == "audio" else Decoded(entry.kind, entry.detail)


def _store(entry: Entry, found: Decoded, clips: BinaryIO, ledger: Ledger, s: DecodeSettings) -> None:
    """Write the clips of a file, unless it cannot be used, and the verdict on it."""
    label = ledger.naming.of(entry) if ledger.labelled else ""
    written = 0
    if found.reason == "usable" and (refusal := ledger.refusal(found.digest, label)):
        found = replace(found, reason=refusal[0], detail=refusal[1], flags=())
    if found.reason == "usable":
        start, source = clips.tell(), iter(found.clips)
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
        ledger.keep(found.digest, entry.rel, label, written)
    about = (written, round(found.seconds, 4), found.sample_rate, found.channels)
    ledger.write(entry.rel, found.reason, "+".join(found.flags), found.detail, label, *about)


def _next(clips: Iterator[np.ndarray]) -> tuple[np.ndarray | None, str]:
    try:
        return next(clips, None), ""
    except (OSError, RuntimeError, ValueError) as e:
        return None, str(e)
