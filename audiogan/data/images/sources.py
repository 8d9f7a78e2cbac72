"""Sources of images: a folder, an .npz file, a downloaded data set, or the digits of scikit-learn."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from audiogan.data.images.folder import convert_image, from_npz, image_table
from audiogan.data.images.scan import FILES, PIXELS, TARGETS, ImageSettings, scan_images
from audiogan.data.table import Table
from audiogan.data.toys.shapes import open_shapes
from audiogan.data.verdicts import require_usable_files
from audiogan.errors import UserError

DOWNLOADED = ("mnist", "fashion-mnist", "flowers", "pets")
"""Names of the image data sets that ``audiogan data get`` downloads."""


def open_images(
    root: str | os.PathLike[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    labels: str | os.PathLike[str] | None = "auto",
    mirror: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
    links: str | None = None,
    named: bool = False,
    tiles: int | None = None,
) -> Table:
    """Return a table of images from a folder, an ``.npz`` file, or a named data set.

    Args:
        root: folder of images, ``.npz`` file (format: `audiogan.data.images.folder.from_npz`), or name of a data set:
            ``mnist``, ``fashion-mnist`` (training images), ``flowers`` or ``pets``, after ``audiogan data get``, or
            ``digits`` (1,797 images of 8x8 pixels, shipped with scikit-learn). Default: ``mnist`` if it is
            downloaded, else ``digits``.
        size: side length in pixels, 4 to 4096. The central square of each image is resized. Default: the original
            size. For folders: the most frequent value of min(height, width) of the files, at most 256.
        channels: 1 (grey) or 3 (RGB). Default: the original channels, or for folders 1 if all files are grey, else 3.
        labels: source of the labels: ``auto`` or ``none``. Folders also accept ``folders`` (first-level folders) and
            the path of a CSV file with the columns path and label.
        mirror: flip each image of a training batch horizontally with probability 1/2.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.
        links: ``follow`` uses links that lead out of the folder. Default: such links are skipped.
        named: treat ``root`` as the name of a data set even if a file or folder of this name exists.
        tiles: for folders, largest number of squares of ``size`` pixels to cut from each image without resizing.
            `Table.split` keeps the squares of an image together. Images that are smaller than ``size`` are enlarged.
            Default: the resized central square.

    Raises:
        UserError: ``root`` contains no usable image, or a setting is invalid.

    Examples:
        >>> from audiogan.data import open_images
        >>> table = open_images("digits", size=16)
        >>> len(table), table.shape, table.labels[:3]
        (1797, (1, 16, 16), ['0', '1', '2'])
    """
    from audiogan.data.cache import downloads_folder

    settings = ImageSettings(size, channels, tiles)
    if root is None:
        root = "mnist" if (downloads_folder() / "mnist" / "train.npz").is_file() else "digits"
    path = Path(root).expanduser()
    if str(root) in (*DOWNLOADED, "digits") and (named or not path.exists()):
        if str(root) == "digits":
            return digits_table(settings, labels, mirror)
        path = downloads_folder() / str(root)
        if not any((path / name).is_file() for name in ("train.npz", "manifest.csv")):
            raise UserError(f"data.root={root}: not downloaded yet; run: audiogan data get {root}")
    if path.is_dir() and (path / "train.npz").is_file():  # `audiogan data get` writes folders with this file.
        path = path / "train.npz"
    if tiles is not None and not path.is_dir():
        raise UserError(f"data.tiles={tiles}: needs a folder of images as data.root")
    if path.suffix.lower() == ".npz" and not path.is_dir():
        return from_npz(path, settings, None if labels is None else os.fspath(labels), mirror, cache)
    scan = scan_images(
        path, size=size, channels=channels, labels=labels, links=links, cache=cache, progress=progress, tiles=tiles
    )
    require_usable_files(scan)
    pixels = np.memmap(scan.folder / PIXELS, np.uint8, "r").reshape(-1, *scan.shape)
    codes = np.load(scan.folder / TARGETS)
    files = np.load(scan.folder / FILES) if tiles else None
    return image_table(pixels, codes, scan.labels, origin=str(path), mirror=mirror, scan=scan, recordings=files)


def open_photos(
    root: str | os.PathLike[str] | None = None,
    size: int = 64,
    tiles: int | None = 16,
    channels: int | None = 3,
    labels: str | os.PathLike[str] | None = "none",
    mirror: bool = False,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
    links: str | None = None,
) -> Table:
    """Return a table of squares cut from photographs at their own resolution, for image restoration.

    Args:
        root: folder of photographs. Default: drawn figures, see `audiogan.data.open_shapes`.
        size: side length of a square in pixels.
        tiles: largest number of squares from each photograph. ``None``: the central square, resized to ``size`` pixels.
        channels: 1 (grey) or 3 (RGB).
        labels: source of the labels, see `open_images`.
        mirror: flip each square of a training batch horizontally with probability 1/2.
        cache: cache folder. Default: the cache folder of the user.
        progress: show a progress bar while decoding.
        links: ``follow`` uses links that lead out of the folder. Default: such links are skipped.

    Raises:
        UserError: ``root`` contains no usable image, or a setting is invalid.

    Examples:
        >>> from audiogan.data import open_photos
        >>> open_photos(size=32).shape  # drawn figures
        (3, 32, 32)
    """
    if root is None:
        return open_shapes(size=size, channels=channels, mirror=mirror).drop_column("source")
    return open_images(root, size, channels, labels, mirror, cache, progress, links, tiles=tiles)


def digits_table(
    settings: ImageSettings, labels: str | os.PathLike[str] | None = "auto", mirror: bool = False
) -> Table:
    """Return scikit-learn's handwritten digits: 1,797 grey images of 8x8 pixels with 10 classes.

    The original levels 0 to 16 are scaled to 0 to 255.

    Args:
        settings: size and channels of the images.
        labels: ``auto`` for the classes 0 to 9, or ``none``.
        mirror: flip each image of a training batch horizontally with probability 1/2.

    Source: Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998, test part.
    """
    if labels not in ("auto", "none", None):
        raise UserError(f"data.labels={os.fspath(labels)}: choose auto or none for the built-in digits")
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    if settings.size not in (None, 8) or settings.channels == 3:
        pixels = np.stack([convert_image(image, settings.size, settings.channels or 1) for image in pixels])
    named = [str(i) for i in range(10)] if labels == "auto" else []
    targets = found.target if named else np.empty(0, np.int64)
    return image_table(pixels, targets, named, origin="scikit-learn's digits", mirror=mirror)
