"""Where images come from: a folder, an .npz file, a download, or the digits that come with scikit-learn."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from audiogan.data.images.folder import from_npz, image_table, resized
from audiogan.data.images.scan import PIXELS, TARGETS, ImageSettings, scan_images
from audiogan.data.table import Table
from audiogan.data.verdicts import require_usable
from audiogan.errors import UserError

DOWNLOADED = ("mnist", "fashion-mnist")
"""Data sets of images that ``audiogan data get`` downloads."""


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
) -> Table:
    """Images of ``root``; without it what ``audiogan data get mnist`` downloaded, else scikit-learn's digits.

    Args:
        root: a folder of images (see `audiogan.data.images.scan.scan_images`), an ``.npz`` file (see
            `audiogan.data.images.folder.from_npz`), or the name of a data set: ``mnist``, ``fashion-mnist`` (their
            training images, if they were downloaded) or ``digits`` (1,797 of 8x8 pixels; needs no network).
        size: pixels a side: the middle square, scaled. None: as they are (of a folder: the most common smaller
            side, at most 256).
        channels: 1 (grey) or 3 (RGB); None: as they are (of a folder: 1 if every file is grey, else 3).
        labels: ``auto``, ``none``; for a folder also ``folders`` or a CSV file with the columns path and label.
        mirror: flip half of the images of each batch left to right.
        cache: folder for the cache instead of the user's. progress: show a progress bar while decoding.
        links: ``follow`` uses links that lead out of a folder, too; None or ``inside`` leaves them out.
        named: ``root`` is the name of a data set, even if there is a file or folder of this name.

    Raises:
        UserError: nothing usable at ``root``, or a setting out of range.
    """
    from audiogan.data.cache import downloads

    settings = ImageSettings(size, channels)
    if root is None:
        root = "mnist" if (downloads() / "mnist" / "train.npz").is_file() else "digits"
    path = Path(root).expanduser()
    if str(root) in (*DOWNLOADED, "digits") and (named or not path.exists()):
        if str(root) == "digits":
            return digits(settings, labels, mirror)
        path = downloads() / str(root) / "train.npz"
        if not path.is_file():
            raise UserError(f"data.root={root}: not downloaded yet; run: audiogan data get {root}")
    elif path.is_dir() and (path / "train.npz").is_file():  # what `audiogan data get` leaves
        path = path / "train.npz"
    if path.suffix.lower() == ".npz" and not path.is_dir():
        return from_npz(path, settings, None if labels is None else os.fspath(labels), mirror, cache)
    scan = scan_images(path, size=size, channels=channels, labels=labels, links=links, cache=cache, progress=progress)
    require_usable(scan)
    pixels = np.memmap(scan.folder / PIXELS, np.uint8, "r").reshape(-1, *scan.shape)
    return image_table(pixels, np.load(scan.folder / TARGETS), scan.labels, origin=str(path), mirror=mirror, scan=scan)


def digits(settings: ImageSettings, labels: str | os.PathLike[str] | None = "auto", mirror: bool = False) -> Table:
    """The test part of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak, UCI 1998), from scikit-learn.

    1,797 grey images of 8x8 pixels; their levels 0 ... 16 become -1 ... 1 to the nearest 1/255.
    """
    if labels not in ("auto", "none", None):
        raise UserError(f"data.labels={os.fspath(labels)}: the built-in digits know auto or none")
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    if settings.size not in (None, 8) or settings.channels == 3:
        pixels = np.stack([resized(image, settings.size, settings.channels or 1) for image in pixels])
    named = [str(i) for i in range(10)] if labels == "auto" else []
    targets = found.target if named else np.empty(0, np.int64)
    return image_table(pixels, targets, named, origin="scikit-learn's digits", mirror=mirror)
