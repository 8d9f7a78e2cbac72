"""Data sets for image translation: image pairs, and two domains without pairs."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from audiogan.data.columns import Column, Labels, Mirror, Signals
from audiogan.data.images.folder import image_table
from audiogan.data.images.pair_scan import (
    CODES,
    FOLDERS,
    FORWARD,
    SIDE_BY_SIDE,
    SOURCES,
    TARGETS,
    check_folder_names,
    scan_pairs,
)
from audiogan.data.images.scan import PIXELS, SUFFIXES, scan_images
from audiogan.data.images.scan import TARGETS as IMAGE_LABELS
from audiogan.data.scan import resolve_data_folder
from audiogan.data.table import Table, describe_table
from audiogan.data.toys.shapes import open_shapes
from audiogan.data.walk import LEFT_OUT, parse_links, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.modalities.image import Image
from audiogan.utils.text import printable

TRAINING = ("trainA", "trainB")
"""Names of the training folders in the data sets of CycleGAN."""

PARTS = {"test", "val", "validation"}
"""Names of the held-out folders of a data set, in lower case."""


def open_pairs(
    root: str | os.PathLike[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    source_channels: int | None = None,
    mirror: bool = False,
    a: str | None = None,
    b: str | None = None,
    layout: str = FOLDERS,
    direction: str = FORWARD,
    pairs: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = "auto",
    links: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Table:
    """Return a table of image pairs with the columns ``source`` and ``x`` (the target), both ``[C, size, size]``.

    Duplicate pairs are removed. The scan reports files without a partner.

    Args:
        root: folder with two sub-folders, ``a`` (sources) and ``b`` (targets). Files with equal paths in these folders,
            ignoring the extension, form a pair. Default: drawn figures, see `audiogan.data.open_shapes`.
        size: side length in pixels. The central square of each image is resized. Default: the most
            frequent value of min(height, width) of the targets, at most 256. With this default, the source of a pair
            must have the same size as its target.
        channels: channels of the targets: 1 (grey) or 3 (RGB). Default: 1 if all targets are grey, else 3.
        source_channels: channels of the sources: 1 (grey) or 3 (RGB). Default: 1 if all sources are grey, else 3.
        mirror: flip each pair of a training batch horizontally with probability 1/2.
        a: name of the folder of sources. Default: ``a`` or ``A``.
        b: name of the folder of targets. Default: ``b`` or ``B``.
        layout: ``folders``, or ``side-by-side`` for files with both images, the source on the left, as in the data sets
            of pix2pix. If ``root`` has a sub-folder train and a sub-folder test or val, only train is used.
        direction: ``a-to-b``, or ``b-to-a`` to swap sources and targets.
        pairs: CSV file that lists the pairs, with the columns ``source``, ``target`` and optionally ``label``. If it is
            set, ``layout`` is ignored. Its paths are relative to ``root`` or to the folder of the CSV file. All images
            must be inside ``root``.
        labels: source of the classes of pairs: ``auto`` or ``folders`` (first-level folders in ``b``), ``none``, or a
            CSV file with the columns path and label. With ``pairs``: ``auto`` or ``none``.
        links: ``follow`` uses links that lead out of the folder. Default: such links are skipped.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.

    Raises:
        UserError: no pair can be used, or a setting is invalid.

    Examples:
        >>> from audiogan.data import open_pairs
        >>> table = open_pairs(size=32)  # drawn figures
        >>> {name: tuple(column.shape) for name, column in table.batch([0, 1]).items()}
        {'source': (2, 1, 32, 32), 'x': (2, 3, 32, 32)}
    """
    if root is None:
        _refuse(a=a, b=b, pairs=pairs)
        return open_shapes(size=size, channels=channels, source_channels=source_channels, mirror=mirror)
    if layout == SIDE_BY_SIDE and pairs is None:
        root = _training_part(resolve_data_folder(root))
    depths, folders = (source_channels, channels), (a, b)
    scan = scan_pairs(root, size, depths, folders, layout, direction, pairs, labels, links, cache, progress)
    columns: dict[str, Column] = {}
    for name, file, shape in (("source", SOURCES, scan.source_shape), ("x", TARGETS, scan.shape)):
        columns[name] = Signals(np.memmap(scan.folder / file, np.uint8, "r").reshape(-1, *shape), Image(), group="x")
    if scan.labels:
        columns["label"] = Labels(np.load(scan.folder / CODES), scan.labels)
    noun = f"pairs of {scan.shape[2]}x{scan.shape[1]} images"
    source = partial(describe_table, total=scan.clips, noun=noun, origin=printable(str(scan.root)))
    return Table(columns, scan.clips, source=source, scan=scan, augment={"x": Mirror()} if mirror else None)


def _refuse(**given: object) -> None:
    """Raise `UserError` if one of the given settings is not ``None``, because it requires ``data.root``."""
    for key, value in given.items():
        if value is not None:
            raise UserError(f"data.{key}={printable(str(value))} needs data.root=FOLDER")


def _training_part(root: Path) -> Path:
    """Return the sub-folder train if ``root`` has train and a held-out folder, otherwise ``root``."""
    parts = {path.name.lower(): path for path in root.iterdir() if path.is_dir()}
    return parts["train"] if "train" in parts and parts.keys() & PARTS else root


def open_domains(
    root: str | os.PathLike[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    mirror: bool = False,
    a: str | None = None,
    b: str | None = None,
    links: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Table:
    """Return images of two domains, without pairs, as one table with one class per domain.

    Args:
        root: folder with two sub-folders of images, such as ``apples`` and ``tomatoes``. If it contains ``trainA`` and
            ``trainB``, all other folders are ignored. Default: drawn figures, see
            `audiogan.data.toys.shapes.open_shapes`.
        size: side length in pixels. The central square of each image is resized. Default: the most
            frequent value of min(height, width) of the files, at most 256.
        channels: 1 (grey) or 3 (RGB). Default: 1 if all files are grey, else 3.
        mirror: flip each image of a training batch horizontally with probability 1/2.
        a: name of the folder of the first domain. Default: the first folder in alphabetical order.
        b: name of the folder of the second domain. Default: the second folder in alphabetical order.
        links: ``follow`` uses links that lead out of the folder. Default: such links are skipped.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.

    Raises:
        UserError: the two folders cannot be determined, or one of them contains no usable image.

    Examples:
        >>> from audiogan.data import open_domains
        >>> open_domains(size=32).labels  # drawn figures
        ['dotted', 'striped']
    """
    if root is None:
        _refuse(a=a, b=b)
        return open_shapes(size=size, kind="domains", channels=channels, mirror=mirror)
    names = _domains(resolve_data_folder(root), a, b, parse_links(links))
    cache = cache_dir("domains", cache)
    scan = scan_images(
        root,
        size=size,
        channels=channels,
        labels="folders",
        links=links,
        cache=cache,
        progress=progress,
        subfolders=names,
    )
    labels = [unicodedata.normalize("NFC", name) for name in names]
    for name, label in zip(names, labels, strict=True):
        if label not in scan.labels:
            found = Counter(row["reason"] for row in scan.rows() if row["path"].split("/", 1)[0] == name)
            counts = ", ".join(f"{n:,} {reason}" for reason, n in found.items()) or "nothing"
            raise UserError(printable(f"no usable image in {scan.root}/{name}: {counts}"))
    places = np.array([labels.index(label) for label in scan.labels], np.int64)
    pixels = np.memmap(scan.folder / PIXELS, np.uint8, "r").reshape(-1, *scan.shape)
    codes = places[np.load(scan.folder / IMAGE_LABELS)]
    return image_table(pixels, codes, labels, origin=printable(str(scan.root)), mirror=mirror, scan=scan)


def _domains(root: Path, a: str | None, b: str | None, follow: bool) -> tuple[str, str]:
    """Return the names of the two folders of the domains. Raise `UserError` if they cannot be determined."""
    held = {
        entry.rel.split("/", 1)[0]
        for entry in walk(root, follow)
        if "/" in entry.rel and entry.kind not in LEFT_OUT and os.path.splitext(entry.rel)[1].lower() in SUFFIXES
    }
    found = ", ".join(map(printable, sorted(held)[:10])) or "none"
    if given := check_folder_names(
        a, b, root, lambda name: name in held, f"no folder of images in {root}; there are: {found}"
    ):
        return given
    if set(TRAINING) <= held:
        return TRAINING
    if len(held) == 2 and not {name.lower() for name in held} <= {"train", *PARTS}:
        first, second = sorted(held)
        return first, second
    where = f"data.root={printable(str(root))}"
    if held and {name.lower() for name in held} <= {"train", *PARTS}:
        raise UserError(
            f"{where}: {found.replace(', ', ' and ')} are parts of a data set, not domains; use one as data.root, or "
            "set data.a and data.b"
        )
    raise UserError(f"{where}: needs two folders of images, found {len(held)}: {found}; set data.a, data.b")
