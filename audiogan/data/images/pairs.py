"""Data of image translation: pairs of pictures, and two domains without pairs."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from audiogan.data.columns import Column, Labels, Mirror, Signals
from audiogan.data.images.folder import image_table
from audiogan.data.images.pair_scan import CODES, FOLDERS, FORWARD, SIDE_BY_SIDE, SOURCES, TARGETS, both, scan_pairs
from audiogan.data.images.scan import PIXELS, SUFFIXES, scan_images
from audiogan.data.images.scan import TARGETS as IMAGE_LABELS
from audiogan.data.scan import data_folder
from audiogan.data.table import Table, counted
from audiogan.data.toys.shapes import open_shapes
from audiogan.data.walk import LEFT_OUT, follows, walk
from audiogan.errors import UserError
from audiogan.files import cache_dir
from audiogan.modalities.image import Image
from audiogan.utils.text import printable

TRAINING = ("trainA", "trainB")
"""Folders of the data sets of CycleGAN; testA and testB beside them are not used."""

PARTS = {"test", "val", "validation"}
"""Parts of a data set beside train, in lower case."""


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
    """Return a table of pairs of pictures: ``source`` and ``x``, the target, both ``[C, size, size]``.

    Without ``root``, drawn figures: see `audiogan.data.open_shapes`. A pair is a duplicate, and removed, if both its
     pictures have the same pixels as those of an earlier pair. The scan reports files without a partner.

    Args:
        root: a folder with two folders of pictures, ``a`` (the sources) and ``b`` (the targets). Two files of the same
            path below these folders are a pair; the extension may differ.
        size: pixels a side: the middle square of both pictures, scaled. ``None``: the most common smaller side of the
            targets, at most 256; then both pictures of a pair must have the same size.
        channels, source_channels: of targets and sources: 1 (grey), 3 (RGB); ``None``: 1 if all are grey, else 3.
        mirror: flip half of the pairs of each batch left to right, both pictures alike.
        a, b: names of the folders of sources and of targets; ``None``: ``a`` and ``b``, or ``A`` and ``B``.
        layout: ``folders``, or ``side-by-side``: each file holds both pictures, the source on the left, as in the data
            sets of pix2pix. Where the folder has parts named train and test or val, only train is used.
        direction: ``a-to-b``, or ``b-to-a`` to swap sources and targets.
        pairs: a CSV with the columns ``source``, ``target`` and optionally ``label``, in place of ``layout``. Its paths
            start at ``root`` or at the folder of the CSV; the files must be below ``root``.
        labels: classes of the pairs, by the targets: ``auto`` or ``folders`` (the first folder below ``b``), ``none``,
            or a CSV with the columns path and label. With ``pairs``: ``auto`` or ``none``.
        links, cache, progress: see `audiogan.data.images.sources.open_images`.

    Raises:
        UserError: no usable pair, or a setting out of range.
    """
    if root is None:
        _refuse(a=a, b=b, pairs=pairs)
        return open_shapes(size=size, channels=channels, source_channels=source_channels, mirror=mirror)
    if layout == SIDE_BY_SIDE and pairs is None:
        root = _training_part(data_folder(root))
    depths, folders = (source_channels, channels), (a, b)
    scan = scan_pairs(root, size, depths, folders, layout, direction, pairs, labels, links, cache, progress)
    columns: dict[str, Column] = {}
    for name, file, shape in (("source", SOURCES, scan.source_shape), ("x", TARGETS, scan.shape)):
        columns[name] = Signals(np.memmap(scan.folder / file, np.uint8, "r").reshape(-1, *shape), Image(), group="x")
    if scan.labels:
        columns["label"] = Labels(np.load(scan.folder / CODES), scan.labels)
    things = f"pairs of {scan.shape[2]}x{scan.shape[1]} pictures"
    source = partial(counted, total=scan.clips, things=things, origin=printable(str(scan.root)))
    return Table(columns, scan.clips, source=source, scan=scan, augment={"x": Mirror()} if mirror else None)


def _refuse(**given: object) -> None:
    """Raise a UserError if a setting is given that needs a folder."""
    for key, value in given.items():
        if value is not None:
            raise UserError(f"data.{key}={printable(str(value))} needs data.root=FOLDER")


def _training_part(root: Path) -> Path:
    """Return the folder train of a folder with the parts of a data set, otherwise the folder itself."""
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
    """Return pictures of two domains, without pairs, as one table with two labels.

    Without ``root``, drawn figures in warm stripes and with cold dots: see `audiogan.data.toys.shapes.open_shapes`.

    Args:
        root: a folder with two folders of pictures, such as ``apples`` and ``tomatoes``. With ``trainA`` and ``trainB``
            these two are used, and others, such as ``testA``, are not.
        size, channels, mirror, links, cache, progress: see `audiogan.data.images.sources.open_images`.
        a: name of the folder of the first label; ``None``: the first of two in alphabetical order.
        b: name of the folder of the second label.

    Raises:
        UserError: there are not exactly two folders of pictures, or one of them has no usable picture.
    """
    if root is None:
        _refuse(a=a, b=b)
        return open_shapes(size=size, kind="domains", channels=channels, mirror=mirror)
    names = _domains(data_folder(root), a, b, follows(links))
    cache = cache_dir("domains", cache)
    scan = scan_images(
        root, size=size, channels=channels, labels="folders", links=links, cache=cache, progress=progress, only=names
    )
    labels = [unicodedata.normalize("NFC", name) for name in names]
    for name, label in zip(names, labels, strict=True):
        if label not in scan.labels:
            found = Counter(row["reason"] for row in scan.rows() if row["path"].split("/", 1)[0] == name)
            counts = ", ".join(f"{n:,} {reason}" for reason, n in found.items()) or "nothing"
            raise UserError(printable(f"no usable picture in {scan.root}/{name}: {counts}"))
    places = np.array([labels.index(label) for label in scan.labels], np.int64)
    pixels = np.memmap(scan.folder / PIXELS, np.uint8, "r").reshape(-1, *scan.shape)
    codes = places[np.load(scan.folder / IMAGE_LABELS)]
    return image_table(pixels, codes, labels, origin=printable(str(scan.root)), mirror=mirror, scan=scan)


def _domains(root: Path, a: str | None, b: str | None, follow: bool) -> tuple[str, str]:
    """Return the names of the two first-level folders that are the domains."""
    held = {
        entry.rel.split("/", 1)[0]
        for entry in walk(root, follow)
        if "/" in entry.rel and entry.kind not in LEFT_OUT and os.path.splitext(entry.rel)[1].lower() in SUFFIXES
    }
    found = ", ".join(map(printable, sorted(held)[:10])) or "none"
    if given := both(a, b, root, lambda name: name in held, f"no folder of pictures in {root}; there are: {found}"):
        return given
    if set(TRAINING) <= held:
        return TRAINING
    if len(held) == 2 and not {name.lower() for name in held} <= {"train", *PARTS}:
        first, second = sorted(held)
        return first, second
    where = f"data.root={printable(str(root))}"
    if held and {name.lower() for name in held} <= {"train", *PARTS}:
        raise UserError(
            f"{where}: {found.replace(', ', ' and ')} are parts of a data set, not domains; give the folder inside, or "
            "name two folders with data.a and data.b"
        )
    raise UserError(
        f"{where}: two folders of pictures are needed, found {len(held)}: {found}; name two with data.a and data.b"
    )
