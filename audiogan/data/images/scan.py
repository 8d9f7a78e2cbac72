"""Scan of a folder of images: decode every file once into the cache and record the outcome of each file."""

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

from audiogan.data.images.decode import BITS, FLAGS, DecodedImage, decode, largest_pixel_value
from audiogan.data.kinds import IMAGE_SIDES, first_bytes, parse_suffixes
from audiogan.data.labels import LabelRule
from audiogan.data.scan import Ledger, cached_scan, hash_texts, prefetch_map, progress_bar, resolve_data_folder
from audiogan.data.verdicts import Scan
from audiogan.data.walk import LEFT_OUT, Entry, file_entry, parse_links, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.modalities.reading.pictures import CONVERSION_ADVICE

VERSION = 4  # Version of the cached data. Increase it when decoding changes, to invalidate old caches.
PIXELS, TARGETS, FILES = "pixels.u8", "targets.npy", "files.npy"
SUFFIXES = parse_suffixes("png jpg jpeg jpe jfif webp bmp gif tif tiff ppm pgm pbm pnm tga jp2 avif")
_RAW = "{} is a raw file of a camera: export it as JPEG or PNG"
_DRAWING = "{} is a drawing or a document: export it as PNG"
_VIDEO = "{} is a video: save its frames as PNG"
FOREIGN_IMAGES = {
    suffix: advice.format(suffix[1:].upper())
    for advice, words in {
        CONVERSION_ADVICE: "heic heif hif jxl jxr wdp exr hdr dds j2k jpf",
        _RAW: "cr2 cr3 crw nef nrw arw srf sr2 dng raf orf rw2 pef srw 3fr iiq x3f",
        _DRAWING: "psd psb xcf kra svg svgz ai eps ps pdf cdr indd sketch fig",
        _VIDEO: "mp4 mov avi mkv webm m4v mpg mpeg wmv flv 3gp",
    }.items()
    for suffix in parse_suffixes(words)
}
"""Advice for image files that Pillow cannot decode, by extension."""
_MAGIC = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
MAX_DEFAULT_SIDE = 256  # Maximum side length in pixels of images if data.size is not set.
MAX_TILES = 10_000  # Maximum value of data.tiles.
COLUMNS = ("path", "reason", "flags", "detail", "label", "width", "height")
REASONS = {
    "usable": "used for training",
    "unreadable": "cannot be opened or decoded",
    "duplicate": "same pixels as an earlier file; the first is used",
    "no label": "in no class folder, or not in the label list",
    "missing": "in the label list, but not in the folder",
    "folder link": "symbolic link to a folder that is listed already",
    **LEFT_OUT,
    "misnamed": "images without an extension; rename them to use them",
    "not an image": "other kinds of files",
}


@dataclass(frozen=True)
class ImageSettings:
    """Settings for decoding image files.

    Args:
        size: side length in pixels. The central square is resized (Lanczos). Default: the most frequent value of
            min(height, width) of the files, at most 256.
        channels: 1 (grey, ITU-R 601 luma) or 3 (RGB). Default: 1 if all files are grey, else 3.
        tiles: largest number of squares to cut from each file without resizing, see
            `audiogan.data.images.decode.cut_squares`. Default: one image per file, the resized central square.
    """

    size: int | None = None
    channels: int | None = None
    tiles: int | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.size, int) and not isinstance(self.size, bool)
        if self.size is not None and not (whole and IMAGE_SIDES[0] <= self.size <= IMAGE_SIDES[1]):
            low, high = IMAGE_SIDES
            raise UserError(f"data.size={self.size!r}: must be null or a whole number from {low} to {high:,}")
        if self.channels not in (None, 1, 3) or isinstance(self.channels, bool):
            raise UserError(f"data.channels={self.channels!r}: choose 1 (grey), 3 (RGB) or null")
        whole = isinstance(self.tiles, int) and not isinstance(self.tiles, bool)
        if self.tiles is not None and not (whole and 1 <= self.tiles <= MAX_TILES):
            raise UserError(f"data.tiles={self.tiles!r}: must be null or a whole number from 1 to {MAX_TILES:,}")


@dataclass(frozen=True)
class ImageScan(Scan):
    """Result of scanning a folder of images.

    Attributes:
        clips: number of images.
        shape: shape of an image, ``(C, H, W)``.
    """

    reasons: ClassVar[dict[str, str]] = REASONS
    known_flags: ClassVar[dict[str, str]] = FLAGS
    noun: ClassVar[str] = "image"

    settings: Any
    shape: tuple[int, ...] = ()

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
    subfolders: Sequence[str] = (),
    tiles: int | None = None,
) -> ImageScan:
    """Scan a folder of images. Decode the files into the cache, or reuse the cached scan if nothing has changed.

    Args:
        root: folder of images. Sub-folders are included.
        size: side length in pixels, see `ImageSettings`.
        channels: 1 (grey) or 3 (RGB), see `ImageSettings`.
        labels: source of the labels: ``folders`` (names of the first-level folders), ``none``, or a CSV file with the
            columns path and label. ``auto`` means ``folders`` if at least two first-level folders contain files and
            most files are in such folders, else ``none``.
        links: ``follow`` uses links that lead out of the folder. Default: ``inside``, which skips such links.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.
        subfolders: names of the first-level folders to use. Empty: the whole folder.
        tiles: largest number of squares to cut from each file, see `ImageSettings`.

    Returns:
        The scan. It may contain no usable file.

    Raises:
        UserError: the folder does not exist, a setting or the list of labels is invalid, or the cache cannot be
            written.
    """
    chosen, follow = ImageSettings(size, channels, tiles), parse_links(links)
    folder = resolve_data_folder(root)
    naming = LabelRule.parse(labels, folder, follow, SUFFIXES)
    entries = list(classify_image_entries(folder, follow))
    if subfolders:
        entries = [entry for entry in entries if entry.rel.split("/", 1)[0] in subfolders]
    items = [Item((entry,), naming.get_label(entry) if entry.kind == "image" else "") for entry in entries]
    job = Job(items, naming, size, (channels,), (PIXELS, TARGETS), REASONS, "image", tiles=tiles)
    group = hash_texts(str(folder), repr(asdict(chosen)), naming.key, str(follow), str(VERSION))
    build = partial(build_images, job, folder.name, progress)
    place, about = cached_scan(cache_dir("images", cache), group, entries, build)
    return ImageScan(folder, settings=chosen, folder=place, naming=naming.mode, **about)


def classify_image_entries(root: Path, follow_links: bool = False) -> Iterator[Entry]:
    """Yield the entries of a folder. The kind of an entry is ``image`` or the reason why the entry is not used."""
    for entry in walk(root, follow_links):
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
    """Item of an image scan: an image, a pair of source and target, or another file or folder.

    Attributes:
        files: one file, or the files of the source and of the target.
        label: label of the item, "" if it has none.
        half: position of the source in a side-by-side file, ``left`` or ``right``. "" for other files.
    """

    files: tuple[Entry, ...]
    label: str = ""
    half: str = ""


CheckFiles = Callable[[Item, tuple[DecodedImage, ...]], tuple[DecodedImage, ...]]


@dataclass(frozen=True)
class Job:
    """Description of an image scan for `build_images`.

    Attributes:
        items: items to scan, in the order of the table of files.
        naming: rule that assigns labels to items.
        size: side length in pixels. ``None``: the most frequent value of min(height, width) of the images (for pairs:
            of the targets), at most 256.
        channels: number of channels for each file of an item. ``None``: 1 if all files are grey, else 3.
        names: names of the cache files: one for the pixels of each file of an item, and one for the class indices.
        reasons: all outcomes of an item, ``usable`` or a reason to skip it, in the order of the summary.
        noun: word for an item in the progress bar.
        check_files: function that checks the decoded files of an item together and may reject them.
        tiles: largest number of squares to cut from each file, see `ImageSettings`.
    """

    items: Sequence[Item]
    naming: LabelRule
    size: int | None
    channels: tuple[int | None, ...]
    names: tuple[str, ...]
    reasons: Iterable[str]
    noun: str
    check_files: CheckFiles = lambda item, found: found
    tiles: int | None = None


def replace_reason(results: Iterable[DecodedImage], reason: str, detail: str = "") -> tuple[DecodedImage, ...]:
    """Return copies of the results with the given reason and detail, and without flags."""
    return tuple(replace(each, reason=reason, flags="", detail=detail) for each in results)


def build_images(job: Job, name: str, progress: bool, folder: Path) -> None:
    """Decode all images of a scan, and write them with the table of files into a cache folder.

    Args:
        job: description of the scan.
        name: name of the data folder, for the progress bar.
        progress: show a progress bar.
        folder: empty folder for the pixels, the class indices and the table of files.
    """
    pictures = [item for item in job.items if any(file.kind == "image" for file in item.files)]
    with _suppress_pillow_warnings(), contextlib.ExitStack() as stack:
        sides = [[item.files[i] for item in pictures] for i in range(len(job.channels))]
        size, last = _find_size_and_channels(sides[-1], ImageSettings(job.size, job.channels[-1]))
        rest = zip(sides[:-1], job.channels[:-1], strict=True)
        channels = [*(_find_size_and_channels(side, ImageSettings(size, wanted))[1] for side, wanted in rest), last]
        forms = [(size, c, _common_bit_depth(side), job.tiles) for c, side in zip(channels, sides, strict=True)]
        ledger = stack.enter_context(Ledger(folder, COLUMNS, job.naming, (item.label for item in pictures)))
        pixels = [stack.enter_context(open(folder / file, "wb")) for file in job.names[:-1]]
        decoded = prefetch_map(partial(_decoded, forms=forms), pictures)
        shown = stack.enter_context(progress_bar(name, len(pictures), job.noun, progress))
        for item in job.items:
            found = tuple(DecodedImage(file.kind, file.detail) for file in item.files)
            label = item.label if ledger.labelled else ""
            if any(file.kind == "image" for file in item.files):
                found = job.check_files(*next(decoded))
                shown.update()
            if all(each.reason == "usable" for each in found):
                digest = b"".join(each.digest for each in found)
                if refusal := ledger.rejection_reason(digest, label):
                    found = replace_reason(found, *refusal)
                else:
                    ledger.add_usable_file(digest, item.files[-1].rel, label, len(found[-1].pixels))
                    for file, each in zip(pixels, found, strict=True):
                        file.write(np.asarray(each.pixels).tobytes())
            if item.half:
                flags = dict.fromkeys(flag for each in found for flag in each.flags.split("+") if flag)
                found = (replace(found[-1], flags="+".join(flags), width=2 * found[-1].width),)
            for entry, each in zip(item.files, found, strict=False):
                ledger.write_row(entry.rel, each.reason, each.flags, each.detail, label, each.width, each.height)
        shapes = [[c, size, size] for c in reversed(channels)]
        targets, files = ledger.finish(job.reasons, **dict(zip(("shape", "source_shape"), shapes, strict=False)))
    np.save(folder / job.names[-1], targets if ledger.labelled else targets[:0])
    np.save(folder / FILES, files)


def _decoded(item: Item, forms: Sequence[tuple[int, int, int, int | None]]) -> tuple[DecodedImage, ...]:
    halves = {"": (None, None), "left": ("left", "right"), "right": ("right", "left")}[item.half]
    return tuple(
        decode(file, *form, half) if file.kind == "image" else DecodedImage(file.kind, file.detail)
        for file, form, half in zip(item.files, forms, halves, strict=False)
    )


@contextlib.contextmanager
def _suppress_pillow_warnings() -> Iterator[None]:
    """Suppress the warnings of Pillow, because they do not name the file."""
    from PIL import Image

    with warnings.catch_warnings():  # Warning filters also apply to the decoding threads.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _find_size_and_channels(images: list[Entry], s: ImageSettings) -> tuple[int, int]:
    """Return (size, channels) from the settings, or from the files if a setting is ``None``."""
    if s.size is not None and s.channels is not None:
        return s.size, s.channels
    heads = [head for _, head in prefetch_map(_read_header, images) if head]
    sides = Counter(side for side, _ in heads)
    common = max(sides, key=lambda side: (sides[side], side), default=MAX_DEFAULT_SIDE)
    grey = bool(heads) and all(each for _, each in heads)
    return s.size or min(MAX_DEFAULT_SIDE, max(IMAGE_SIDES[0], common)), s.channels or (1 if grey else 3)


def _read_header(entry: Entry) -> tuple[int, bool] | None:
    """Return (shorter side in pixels, is grey) from the header of an image file, or ``None`` if it is unreadable."""
    from PIL import Image

    try:
        with Image.open(entry.path) as picture:
            return min(picture.size), picture.mode in ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")
    except Exception:  # `decode` reports the error later.
        return None


def _common_bit_depth(images: list[Entry]) -> int:
    """Return the smallest bit depth that holds the values of all 16-bit images. One depth keeps levels comparable."""
    found = [value for _, value in prefetch_map(largest_pixel_value, images) if value is not None]
    return next(bits for bits in BITS if max(found, default=65535) < 2**bits)
