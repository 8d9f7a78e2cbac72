"""Scan pairs of pictures: decode both pictures of each pair into the cache and account for every file by reason."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, ClassVar, TextIO

import numpy as np
from tqdm import tqdm

from audiogan.data import cache_dir
from audiogan.data.cache import open_or_build
from audiogan.data.image_decode import Found, decode
from audiogan.data.image_scan import COLUMNS, ImageScan, Settings, _ahead, _bits, _quiet, _shape
from audiogan.data.image_scan import REASONS as IMAGE_REASONS
from audiogan.data.pair_list import FOLDERS, FORWARD, Pair, Pairs, find_pairs
from audiogan.data.scan import ABOUT, data_folder, hash_of
from audiogan.data.verdicts import _TEXT, TABLE
from audiogan.data.walk import follows
from audiogan.errors import UserError
from audiogan.text import printable

VERSION = 1  # of the cache's content; raise it when decoding changes
SOURCES, TARGETS, CODES = "sources.u8", "targets.u8", "labels.npy"
REASONS = {
    **IMAGE_REASONS,
    "usable": "used for training, with its partner",
    "no partner": "the other picture of the pair is not there",
    "partner unusable": "the other picture of the pair cannot be used",
    "different size": "the two pictures of the pair differ in size",
    "duplicate": "both pictures have the same pixels as those of an earlier pair; the first is used",
    "missing": "in the list of pairs or labels, but not in the folder",
}
TOLERANCE = 0.02  # difference of the proportions of two pictures that show the same


@dataclass(frozen=True)
class PairScan(ImageScan):
    """What a folder of pairs holds: `ImageScan`, where `clips` counts pairs and `shape` is that of the targets."""

    reasons: ClassVar[dict[str, str]] = REASONS

    source_shape: tuple[int, ...] = ()  # of a source, (C, H, W)

    def _contents(self) -> str:
        kinds = ("grey" if shape[0] == 1 else "colour" for shape in (self.source_shape, self.shape))
        return f"{self.clips:,} pairs, {self.shape[2]}x{self.shape[1]}, {' to '.join(kinds)}"

    def hints(self) -> list[str]:
        """Return remarks on how labels were read."""
        return list(self.notes)


def scan_pairs(
    root: str | os.PathLike[str],
    *,
    size: int | None = None,
    channels: int | None = None,
    source_channels: int | None = None,
    a: str | None = None,
    b: str | None = None,
    layout: str = FOLDERS,
    direction: str = FORWARD,
    pairs: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = "auto",
    links: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> PairScan:
    """Scan ``root``, decoding it into the cache unless an intact cache of the same files and settings is there.

    The arguments are those of `audiogan.data.pairs.open_pairs`.

    Raises:
        UserError: no such folder, a bad setting or list, or a cache that cannot be written. A folder without a usable
            pair is not an error here: the scan says so.
    """
    chosen, of_sources, follow = Settings(size, channels), _source_settings(source_channels), follows(links)
    folder = data_folder(root)
    found = find_pairs(folder, a, b, layout, direction, pairs, labels, follow)
    settings = repr((size, channels, source_channels))
    group = hash_of(str(folder), settings, found.key, str(follow), str(VERSION))[:16]
    print_of = hashlib.blake2b(digest_size=16)
    for entry in found.entries:
        entry.feed(print_of)
    key = f"{group}-{print_of.hexdigest()}"
    home = Path(cache).expanduser() if cache is not None else cache_dir() / "pairs"
    build = partial(_build, folder.name, found, chosen, of_sources, key, progress)
    place = open_or_build(home, key, build)
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    about["shape"], about["source_shape"] = tuple(about["shape"]), tuple(about["source_shape"])
    naming = found.naming.mode if found.naming else "none"
    return PairScan(folder, settings=chosen, folder=place, naming=naming, **about)


def require_pairs(scan: PairScan) -> None:
    """Raise a UserError that says what was found when no pair can be used."""
    if scan.clips:
        return
    counts = ", ".join(f"{n:,} {reason}" for reason, n in scan.counts.items()) or "the folders are empty"
    wanted = ("no partner", "different size", "missing", "unreadable", "no label")
    order = {reason: i for i, reason in enumerate(wanted)}
    examples = [(order[r], p, r, d) for p, r, d in scan.problems if r in order]
    example = min(examples, default=None)
    hint = f"; for example {example[1]}: {example[2]}" + (f", {example[3]}" if example[3] else "") if example else ""
    raise UserError(printable(f"no usable pair in {scan.root}: {counts}{hint}"))


def _source_settings(channels: int | None) -> Settings:
    try:
        return Settings(None, channels)
    except UserError as e:
        raise UserError(str(e).replace("data.channels", "data.source_channels")) from e


@dataclass(frozen=True)
class _Form:
    """How pictures of one side are decoded."""

    size: int
    channels: int
    bits: int


def _decode_pair(pair: Pair, source: _Form, target: _Form) -> tuple[Found, Found]:
    other = None if pair.half is None else "left" if pair.half == "right" else "right"
    return (
        decode(pair.source, source.size, source.channels, source.bits, pair.half),
        decode(pair.target, target.size, target.channels, target.bits, other),
    )


def _judge(pair: Pair, both: tuple[Found, Found], sized: bool, labelled: bool) -> tuple[Found, Found]:
    """Return the verdict on both files of a pair."""
    first, second = both
    if first.reason != "usable" and second.reason == "usable":
        why = f"{pair.source.rel} is {first.reason}"
        return first, replace(second, reason="partner unusable", flags="", detail=why)
    if first.reason == "usable" and second.reason != "usable":
        why = f"{pair.target.rel} is {second.reason}"
        return replace(first, reason="partner unusable", flags="", detail=why), second
    if first.reason != "usable":
        return both
    sizes = [f"{each.width}x{each.height}" for each in both]
    across, down = first.width * second.height, first.height * second.width
    if sizes[0] != sizes[1] and (not sized or abs(across - down) > TOLERANCE * max(across, down)):
        advice = "the proportions differ" if sized else "data.size scales both alike"
        detail = f"{sizes[0]} and {sizes[1]}; {advice}"
        return (
            replace(first, reason="different size", flags="", detail=detail),
            replace(second, reason="different size", flags="", detail=detail),
        )
    if labelled and not pair.label:
        return replace(first, reason="no label", flags=""), replace(second, reason="no label", flags="")
    return both


class _Ledger:
    """Write pixels, and the verdict on each file. Keeps about 100 bytes a pair."""

    def __init__(self, sources: BinaryIO, targets: BinaryIO, table: TextIO) -> None:
        self.files, self.rows = (sources, targets), csv.writer(table)
        self.rows.writerow(COLUMNS)
        self.counts: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.kept: list[str] = []  # label of each pair
        self._first: dict[bytes, str] = {}

    def pair(self, pair: Pair, both: tuple[Found, Found]) -> None:
        if all(found.reason == "usable" for found in both):
            digest = hashlib.blake2b(both[0].digest + both[1].digest, digest_size=16).digest()
            if digest in self._first:
                detail = f"same as {self._first[digest]}"
                both = (
                    replace(both[0], reason="duplicate", flags="", detail=detail),
                    replace(both[1], reason="duplicate", flags="", detail=detail),
                )
            else:
                self._first[digest] = pair.target.rel
                for file, found in zip(self.files, both, strict=True):
                    assert found.pixels is not None
                    file.write(found.pixels.tobytes())
                self.kept.append(pair.label)
        if pair.half is None:
            self.file(pair.source.rel, both[0], pair.label)
            self.file(pair.target.rel, both[1], pair.label)
        else:
            flags = "+".join(dict.fromkeys(flag for found in both for flag in found.flags.split("+") if flag))
            self.file(pair.target.rel, replace(both[1], flags=flags, width=2 * both[1].width), pair.label)

    def file(self, rel: str, found: Found, label: str = "") -> None:
        self.counts[found.reason] += 1
        self.flags.update(filter(None, found.flags.split("+")))
        self.rows.writerow([rel, found.reason, found.flags, found.detail, label, found.width, found.height])


def _build(name: str, found: Pairs, s: Settings, of_sources: Settings, key: str, progress: bool, folder: Path) -> str:
    with _quiet():
        _fill(name, found, s, of_sources, progress, folder)
    return key


def _fill(name: str, found: Pairs, s: Settings, of_sources: Settings, progress: bool, folder: Path) -> None:
    sources, targets = [pair.source for pair in found.pairs], [pair.target for pair in found.pairs]
    size, channels = _shape(targets, s)
    source_channels = _shape(sources, Settings(size, of_sources.channels))[1]
    source, target = _Form(size, source_channels, _bits(sources)), _Form(size, channels, _bits(targets))
    codes = {label: i for i, label in enumerate(sorted({pair.label for pair in found.pairs} - {""}))}
    per_pair = np.array([codes.get(pair.label, -1) for pair in found.pairs], np.int32)
    labelled = found.naming is not None and found.naming.applies(per_pair)
    bar = tqdm(
        total=len(found.pairs), desc=printable(f"decoding {name}"), unit="pair", disable=None if progress else True
    )
    with (
        bar,
        open(folder / SOURCES, "wb") as source_file,
        open(folder / TARGETS, "wb") as target_file,
        open(folder / TABLE, "w", **_TEXT) as table,
    ):
        ledger = _Ledger(source_file, target_file, table)
        decoded = _ahead(partial(_decode_pair, source=source, target=target), found.pairs)
        for pair, both in zip(found.pairs, decoded, strict=True):
            pair = pair if labelled else replace(pair, label="")
            ledger.pair(pair, _judge(pair, both, s.size is not None, labelled))
            bar.update()
        for path, reason, detail in found.others:
            ledger.file(path, Found(reason, detail))
        for path, label, why in found.naming.missing() if found.naming else ():
            ledger.file(path, Found("missing", why), label)
    _write_about(folder, found, ledger, labelled, (channels, size, size), (source_channels, size, size))


def _write_about(
    folder: Path, found: Pairs, ledger: _Ledger, labelled: bool, shape: Sequence[int], source_shape: Sequence[int]
) -> None:
    names = sorted(set(ledger.kept)) if labelled else []
    place = {label: i for i, label in enumerate(names)}
    codes = np.array([place[label] for label in ledger.kept] if labelled else [], np.int64)
    np.save(folder / CODES, codes)
    about = {
        "counts": {reason: ledger.counts[reason] for reason in REASONS if ledger.counts[reason]},
        "flags": dict(ledger.flags),
        "labels": names,
        "class_counts": np.bincount(codes, minlength=len(names)).tolist(),
        "clips": len(ledger.kept),
        "notes": found.naming.notes() if found.naming else [],
        "shape": list(shape),
        "source_shape": list(source_shape),
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
