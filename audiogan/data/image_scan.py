"""Scan a folder of images: decode every file once into the cache and account for each by reason."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import stat
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TextIO, TypeVar

import numpy as np
from tqdm import tqdm

from audiogan.data import cache_dir
from audiogan.data.cache import open_or_build
from audiogan.data.image_decode import BITS, FLAGS, Found, decode, highest
from audiogan.data.labels import Labels
from audiogan.data.scan import ABOUT, hash_of
from audiogan.data.verdicts import _TEXT, TABLE, Scan
from audiogan.data.walk import LEFT_OUT, Entry, _suffixes, follows, stamp, walk
from audiogan.errors import UserError
from audiogan.reading.pictures import PHOTO
from audiogan.text import printable

VERSION = 3  # of the cache's content; raise it when decoding changes
PIXELS, TARGETS = "pixels.u8", "targets.npy"
SUFFIXES = _suffixes("png jpg jpeg jpe jfif webp bmp gif tif tiff ppm pgm pbm pnm tga jp2 avif")
_RAW = "{} is a camera's raw file: export it as JPEG or PNG"
_DRAWING = "{} is a drawing or a document: export it as PNG"
_VIDEO = "{} is a video: save its frames as PNG"
FOREIGN_IMAGES = {
    suffix: advice.format(suffix[1:].upper())
    for advice, words in {
        PHOTO: "heic heif hif jxl jxr wdp exr hdr dds j2k jpf",
        _RAW: "cr2 cr3 crw nef nrw arw srf sr2 dng raf orf rw2 pef srw 3fr iiq x3f",
        _DRAWING: "psd psb xcf kra svg svgz ai eps ps pdf cdr indd sketch fig",
        _VIDEO: "mp4 mov avi mkv webm m4v mpg mpeg wmv flv 3gp",
    }.items()
    for suffix in _suffixes(words)
}
"""Pictures that Pillow cannot decode, with what to do: the user should not find them among text files."""
_MAGIC = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
LARGEST = 256  # pixels a side, unless more is asked for
LIMITS = (4, 4096)  # pixels a side
COLUMNS = ("path", "reason", "flags", "detail", "label", "width", "height")
REASONS = {
    "usable": "used for training",
    "unreadable": "cannot be opened or decoded",
    "duplicate": "same pixels as an earlier file; the first is used",
    "no label": "in no class folder, or not in the label list",
    "missing": "in the label list, but not in the folder",
    "folder link": "symbolic link to a folder that is listed already",
    **LEFT_OUT,
    "misnamed": "images without the extension of one; rename them to use them",
    "not an image": "other kinds of files",
}


@dataclass(frozen=True)
class Settings:
    """How a file becomes an image.

    Args:
        size: pixels a side; the middle square is scaled to it (Lanczos). None: the most common smaller side of the
            folder, at most 256.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB). None: 1 if every file is grey, else 3.
    """

    size: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.size, int) and not isinstance(self.size, bool)
        if self.size is not None and not (whole and LIMITS[0] <= self.size <= LIMITS[1]):
            low, high = LIMITS
            raise UserError(f"data.size={self.size!r}: must be null or a whole number from {low} to {high:,}")
        if self.channels not in (None, 1, 3) or isinstance(self.channels, bool):
            raise UserError(f"data.channels={self.channels!r}: choose 1 (grey), 3 (RGB) or null")


@dataclass(frozen=True)
class ImageScan(Scan):
    """What a folder holds: `Scan` for images, where `clips` counts images."""

    reasons: ClassVar[dict[str, str]] = REASONS
    known_flags: ClassVar[dict[str, str]] = FLAGS

    settings: Any
    shape: tuple[int, ...] = ()  # of an image, (C, H, W)

    def _contents(self) -> str:
        channels, height, width = self.shape
        return f"{self.clips:,} images, {width}x{height} {'grey' if channels == 1 else 'colour'}"

    def _about(self, rows: Sequence[dict[str, str]]) -> list[str]:
        return []


def scan_images(
    root: str | os.PathLike[str],
    *,
    size: int | None = None,
    channels: int | None = None,
    labels: str | os.PathLike[str] | None = "auto",
    links: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
    only: Sequence[str] = (),
) -> ImageScan:
    """Scan `root`, decoding it into the cache unless an intact cache of the same files and settings is there.

    Args:
        root: folder, searched with all its sub-folders.
        size, channels: see `Settings`.
        labels: `auto` (folders, where at least two first-level folders hold image files and most image files are in
            one), `folders` (name of the first-level folder), `none`, or a CSV file with the columns path and label.
        links: `follow` uses links that lead out of the folder, too; by default (`inside`) they are left out.
        cache: folder for the cache instead of `cache_dir()`. progress: show a progress bar while decoding.
        only: names of first-level folders; the rest of the folder is ignored. Empty: the whole folder.

    Raises:
        UserError: no such folder, a bad setting or label list, or a cache that cannot be written. A folder without a
            usable file is not an error here: the scan says so.
    """
    chosen, follow = Settings(size, channels), follows(links)
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(f"data.root={root}: {'not a folder or .npz file' if folder.exists() else 'no such folder'}")
    folder = folder.resolve()
    naming = Labels.parse(labels, folder, follow, SUFFIXES)
    group = hash_of(str(folder), repr(asdict(chosen)), naming.key, str(follow), str(VERSION))[:16]
    entries = list(image_entries(folder, follow))
    print_of = hashlib.blake2b(digest_size=16)
    if only:
        entries = [entry for entry in entries if entry.rel.split("/", 1)[0] in only]
    for entry in entries:
        entry.feed(print_of)
    key = f"{group}-{print_of.hexdigest()}"
    home = Path(cache).expanduser() if cache is not None else cache_dir() / "images"
    place = open_or_build(home, key, partial(_build, folder, entries, chosen, naming, key, progress))
    about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
    about["shape"] = tuple(about["shape"])
    return ImageScan(folder, settings=chosen, folder=place, naming=naming.mode, **about)


def require_usable(scan: ImageScan) -> None:
    """Raise a UserError that says what was found when nothing can be used."""
    if not scan.clips:
        found = ", ".join(f"{n:,} {reason}" for reason, n in scan.counts.items()) or "the folder is empty"
        need = " (labels=folders needs images inside folders)" if scan.counts.get("no label") else ""
        example = next(((p, d) for p, r, d in scan.problems if r == "unreadable"), None)
        hint = f"; for example {example[0]}: {example[1]}" if example else ""
        raise UserError(f"no usable image in {scan.root}: {found}{need}{hint}")


def image_entries(root: Path, follow: bool = False) -> Iterator[Entry]:
    """What `walk` finds, with the kinds that matter here: "image", or the reason why it is none."""
    for entry in walk(root, follow):
        if entry.kind in ("folder link", *LEFT_OUT) or entry.detail.startswith("folder: "):
            yield entry
        elif (suffix := os.path.splitext(entry.path)[1].lower()) in FOREIGN_IMAGES:
            yield replace(entry, kind="unreadable", detail=FOREIGN_IMAGES[suffix])
        elif suffix not in SUFFIXES:
            misnamed = not suffix and _looks_like_an_image(entry.path)
            yield replace(entry, kind="misnamed" if misnamed else "not an image", detail="")
        else:
            try:
                info = os.stat(entry.path)
            except OSError as e:
                why = "broken link" if os.path.islink(entry.path) else e.strerror or str(e)
                yield replace(entry, kind="unreadable", detail=why)
                continue
            if stat.S_ISREG(info.st_mode):
                yield Entry(entry.path, entry.rel, "image", "", info.st_size, stamp(info))
            else:
                yield replace(entry, kind="unreadable", detail="not a regular file")


def _looks_like_an_image(path: str) -> bool:
    """Whether a file without an extension begins as an image does."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return file.read(8).startswith(_MAGIC)
    except OSError:
        return False


T = TypeVar("T")
Item = TypeVar("Item")


def _ahead(work: Callable[[Item], T], entries: Iterable[Item]) -> Iterator[T]:
    """`map`, in threads (decoding gives up the interpreter lock), never far ahead of what is consumed."""
    workers, rest = min(4, os.cpu_count() or 1), iter(entries)
    with ThreadPoolExecutor(workers) as pool:
        futures = deque(pool.submit(work, entry) for entry in islice(rest, 16 * workers))
        while futures:
            result = futures.popleft().result()
            futures.extend(pool.submit(work, entry) for entry in islice(rest, 1))
            yield result


class _Ledger:
    """What is written of each file, and what is counted: about 150 bytes a file, no pixels."""

    def __init__(self, pixels: BinaryIO, table: TextIO) -> None:
        self.pixels, self.rows = pixels, csv.writer(table)
        self.rows.writerow(COLUMNS)
        self.counts: Counter[str] = Counter()
        self.flags: Counter[str] = Counter()
        self.kept: list[str] = []  # label of each image
        self._first: dict[bytes, str] = {}

    def add(self, rel: str, label: str, found: Found) -> None:
        if found.reason == "usable" and self._first.setdefault(found.digest, rel) != rel:
            found = replace(found, reason="duplicate", flags="", detail=f"same as {self._first[found.digest]}")
        if found.reason == "usable" and found.pixels is not None:
            self.pixels.write(found.pixels.tobytes())
            self.kept.append(label)
            self.flags.update(filter(None, found.flags.split("+")))
        self.counts[found.reason] += 1
        self.rows.writerow([rel, found.reason, found.flags, found.detail, label, found.width, found.height])


def _build(
    root: Path, entries: list[Entry], s: Settings, naming: Labels, key: str, progress: bool, folder: Path
) -> str:
    with _quiet():
        return _filled(root, entries, s, naming, key, progress, folder)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings, which name no file, from the terminal; `decode` judges the size itself."""
    from PIL import Image

    with warnings.catch_warnings():  # of the whole process; the threads that decode end inside the block
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _filled(
    root: Path, entries: list[Entry], s: Settings, naming: Labels, key: str, progress: bool, folder: Path
) -> str:
    images = [e for e in entries if e.kind == "image"]
    size, channels = _shape(images, s)
    label_of = {e.rel: naming.of(e) for e in images}
    codes = {name: i for i, name in enumerate(sorted(set(label_of.values()) - {""}))}
    labelled = naming.applies(np.array([codes.get(label_of[e.rel], -1) for e in images], np.int32))
    decoded = _ahead(partial(decode, size=size, channels=channels, bits=_bits(images)), images)
    bar = tqdm(
        total=len(images), desc=printable(f"decoding {root.name}"), unit="image", disable=None if progress else True
    )
    with bar, open(folder / PIXELS, "wb") as pixels, open(folder / TABLE, "w", **_TEXT) as table:
        ledger = _Ledger(pixels, table)
        for entry in entries:
            label, found = "", Found(entry.kind, entry.detail)
            if entry.kind == "image":
                label, found = label_of[entry.rel] if labelled else "", next(decoded)
                bar.update()
                if found.reason == "usable" and labelled and not label:
                    found = replace(found, reason="no label", flags="")
            ledger.add(entry.rel, label, found)
        for path, label, why in naming.missing():
            ledger.add(path, label, Found("missing", why))
    names = sorted(set(ledger.kept)) if labelled else []
    place = {name: i for i, name in enumerate(names)}
    targets = np.array([place[label] for label in ledger.kept] if labelled else [], np.int64)
    np.save(folder / TARGETS, targets)
    about = {
        "counts": {reason: ledger.counts[reason] for reason in REASONS if ledger.counts[reason]},
        "flags": dict(ledger.flags),
        "labels": names,
        "class_counts": np.bincount(targets, minlength=len(names)).tolist(),
        "clips": len(ledger.kept),
        "notes": naming.notes(),
        "shape": [channels, size, size],
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return key


def _shape(images: list[Entry], s: Settings) -> tuple[int, int]:
    """(size, channels) as asked for, or as the files have it."""
    if s.size is not None and s.channels is not None:
        return s.size, s.channels
    heads = [head for head in _ahead(_head, images) if head]
    sides = Counter(side for side, _ in heads)
    common = max(sides, key=lambda side: (sides[side], side), default=LARGEST)
    grey = bool(heads) and all(each for _, each in heads)
    return s.size or min(LARGEST, max(LIMITS[0], common)), s.channels or (1 if grey else 3)


def _head(entry: Entry) -> tuple[int, bool] | None:
    """(smaller side, grey) of a file, by its header alone; None if it is no image."""
    from PIL import Image

    try:
        with Image.open(entry.path) as picture:
            return min(picture.size), picture.mode in ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
    except Exception:  # the decoder will say what is wrong
        return None


def _bits(images: list[Entry]) -> int:
    """Return the number of bits that the 16-bit files of a folder use. One number for all keeps them comparable."""
    found = [value for value in _ahead(highest, images) if value is not None]
    return next(bits for bits in BITS if max(found, default=65535) < 2**bits)
