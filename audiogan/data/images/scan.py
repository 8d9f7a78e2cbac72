"""Scan a folder of images: decode every file once into the cache and account for each by reason."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from audiogan.data.images.decode import BITS, FLAGS, Found, decode, highest
from audiogan.data.kinds import IMAGE_SIDES, first_bytes, suffix_set
from audiogan.data.labels import LabelRule
from audiogan.data.scan import Ledger, ahead, bar, cached_scan, data_folder, hash_of
from audiogan.data.verdicts import Scan
from audiogan.data.walk import LEFT_OUT, Entry, file_entry, follows, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.modalities.reading.pictures import PHOTO

VERSION = 3  # of the cache's content; raise it when decoding changes
PIXELS, TARGETS = "pixels.u8", "targets.npy"
SUFFIXES = suffix_set("png jpg jpeg jpe jfif webp bmp gif tif tiff ppm pgm pbm pnm tga jp2 avif")
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
    for suffix in suffix_set(words)
}
"""Pictures that Pillow cannot decode, with what to do: the user should not find them among text files."""
_MAGIC = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
LARGEST = 256  # pixels a side, unless more is asked for
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
class ImageSettings:
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
        if self.size is not None and not (whole and IMAGE_SIDES[0] <= self.size <= IMAGE_SIDES[1]):
            low, high = IMAGE_SIDES
            raise UserError(f"data.size={self.size!r}: must be null or a whole number from {low} to {high:,}")
        if self.channels not in (None, 1, 3) or isinstance(self.channels, bool):
            raise UserError(f"data.channels={self.channels!r}: choose 1 (grey), 3 (RGB) or null")


@dataclass(frozen=True)
class ImageScan(Scan):
    """What a folder holds: `Scan` for images, where `clips` counts images."""

    reasons: ClassVar[dict[str, str]] = REASONS
    known_flags: ClassVar[dict[str, str]] = FLAGS
    noun: ClassVar[str] = "image"

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
        size, channels: see `ImageSettings`.
        labels: `auto` (folders, where at least two first-level folders hold image files and most image files are in
            one), `folders` (name of the first-level folder), `none`, or a CSV file with the columns path and label.
        links: `follow` uses links that lead out of the folder, too; by default (`inside`) they are left out.
        cache: folder for the cache instead of `cache_dir()`. progress: show a progress bar while decoding.
        only: names of first-level folders; the rest of the folder is ignored. Empty: the whole folder.

    Raises:
        UserError: no such folder, a bad setting or label list, or a cache that cannot be written. A folder without a
            usable file is not an error here: the scan says so.
    """
    chosen, follow = ImageSettings(size, channels), follows(links)
    folder = data_folder(root)
    naming = LabelRule.parse(labels, folder, follow, SUFFIXES)
    entries = list(image_entries(folder, follow))
    if only:
        entries = [entry for entry in entries if entry.rel.split("/", 1)[0] in only]
    items = [Item((entry,), naming.of(entry) if entry.kind == "image" else "") for entry in entries]
    job = Job(items, naming, size, (channels,), (PIXELS, TARGETS), REASONS, "image")
    group = hash_of(str(folder), repr(asdict(chosen)), naming.key, str(follow), str(VERSION))
    build = partial(build_images, job, folder.name, progress)
    place, about = cached_scan(cache_dir("images", cache), group, entries, build)
    return ImageScan(folder, settings=chosen, folder=place, naming=naming.mode, **about)


def image_entries(root: Path, follow: bool = False) -> Iterator[Entry]:
    """What `walk` finds, with the kinds that matter here: "image", or the reason why it is none."""
    for entry in walk(root, follow):
        if entry.kind in ("folder link", *LEFT_OUT) or entry.detail.startswith("folder: "):
            yield entry
        elif (suffix := os.path.splitext(entry.path)[1].lower()) in FOREIGN_IMAGES:
            yield replace(entry, kind="unreadable", detail=FOREIGN_IMAGES[suffix])
        elif suffix not in SUFFIXES:
            misnamed = not suffix and first_bytes(entry.path).startswith(_MAGIC)
            yield replace(entry, kind="misnamed" if misnamed else "not an image", detail="")
        else:
            yield file_entry(entry.path, entry.rel, "image")


@dataclass(frozen=True, slots=True)
class Item:
    """Files that are used together: one picture, or a source and a target; or a file that is no picture.

    ``half``: of one file with both pictures side by side, the half with the source, ``left`` or ``right``.
    """

    files: tuple[Entry, ...]
    label: str = ""
    half: str = ""


Judge = Callable[[Item, tuple[Found, ...]], tuple[Found, ...]]


@dataclass(frozen=True)
class Job:
    """What to decode, and how.

    Attributes:
        items: in the order of the table of files.
        naming: how items are labelled.
        size: pixels a side; ``None``: by the last file of each item.
        channels: of each file of an item; ``None``: by the files.
        names: file in the cache for the pixels of each file of an item, and for the classes.
        reasons: all reasons, in the order of the summary.
        noun: of an item, for the progress bar.
        judge: the verdict on the files of an item together.
    """

    items: Sequence[Item]
    naming: LabelRule
    size: int | None
    channels: tuple[int | None, ...]
    names: tuple[str, ...]
    reasons: Iterable[str]
    noun: str
    judge: Judge = lambda item, found: found


def rejected(found: Iterable[Found], reason: str, detail: str = "") -> tuple[Found, ...]:
    """Return the verdicts with another reason."""
    return tuple(replace(each, reason=reason, flags="", detail=detail) for each in found)


def build_images(job: Job, name: str, progress: bool, folder: Path) -> None:
    """Decode the items of a job into a folder. ``name`` is that of the data folder, for the progress bar."""
    pictures = [item for item in job.items if any(file.kind == "image" for file in item.files)]
    with _quiet(), contextlib.ExitStack() as stack:
        sides = [[item.files[i] for item in pictures] for i in range(len(job.channels))]
        size, last = _shape(sides[-1], ImageSettings(job.size, job.channels[-1]))
        rest = zip(sides[:-1], job.channels[:-1], strict=True)
        channels = [*(_shape(side, ImageSettings(size, wanted))[1] for side, wanted in rest), last]
        forms = [(size, c, _bits(side)) for c, side in zip(channels, sides, strict=True)]
        ledger = stack.enter_context(Ledger(folder, COLUMNS, job.naming, (item.label for item in pictures)))
        pixels = [stack.enter_context(open(folder / file, "wb")) for file in job.names[:-1]]
        decoded = ahead(partial(_decoded, forms=forms), pictures)
        shown = stack.enter_context(bar(name, len(pictures), job.noun, progress))
        for item in job.items:
            found = tuple(Found(file.kind, file.detail) for file in item.files)
            label = item.label if ledger.labelled else ""
            if any(file.kind == "image" for file in item.files):
                found = job.judge(*next(decoded))
                shown.update()
            if all(each.reason == "usable" for each in found):
                digest = b"".join(each.digest for each in found)
                if refusal := ledger.refusal(digest, label):
                    found = rejected(found, *refusal)
                else:
                    ledger.keep(digest, item.files[-1].rel, label)
                    for file, each in zip(pixels, found, strict=True):
                        file.write(np.asarray(each.pixels).tobytes())
            if item.half:  # one file
                flags = dict.fromkeys(flag for each in found for flag in each.flags.split("+") if flag)
                found = (replace(found[-1], flags="+".join(flags), width=2 * found[-1].width),)
            for entry, each in zip(item.files, found, strict=False):
                ledger.write(entry.rel, each.reason, each.flags, each.detail, label, each.width, each.height)
        shapes = [[c, size, size] for c in reversed(channels)]
        targets, _ = ledger.finish(job.reasons, **dict(zip(("shape", "source_shape"), shapes, strict=False)))
    np.save(folder / job.names[-1], targets if ledger.labelled else targets[:0])


def _decoded(item: Item, forms: Sequence[tuple[int, int, int]]) -> tuple[Found, ...]:
    halves = {"": (None, None), "left": ("left", "right"), "right": ("right", "left")}[item.half]
    return tuple(
        decode(file, *form, half) if file.kind == "image" else Found(file.kind, file.detail)
        for file, form, half in zip(item.files, forms, halves, strict=False)
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pillow's warnings, which name no file, from the terminal; `decode` judges the size itself."""
    from PIL import Image

    with warnings.catch_warnings():  # of the whole process; the threads that decode end inside the block
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _shape(images: list[Entry], s: ImageSettings) -> tuple[int, int]:
    """(size, channels) as asked for, or as the files have it."""
    if s.size is not None and s.channels is not None:
        return s.size, s.channels
    heads = [head for _, head in ahead(_head, images) if head]
    sides = Counter(side for side, _ in heads)
    common = max(sides, key=lambda side: (sides[side], side), default=LARGEST)
    grey = bool(heads) and all(each for _, each in heads)
    return s.size or min(LARGEST, max(IMAGE_SIDES[0], common)), s.channels or (1 if grey else 3)


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
    found = [value for _, value in ahead(highest, images) if value is not None]
    return next(bits for bits in BITS if max(found, default=65535) < 2**bits)
