"""Where images come from: a folder, an .npz file, a download, or the digits that come with scikit-learn."""

from __future__ import annotations

import gzip
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiogan.archives import open_zip
from audiogan.data.fetch import Unfit, check_own, digest, fetch, reason
from audiogan.data.image import from_folder, from_npz, image_table, resized
from audiogan.data.image_scan import Settings
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.files import replacing


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
        root: a folder of images (see `audiogan.data.image_scan.scan_images`), an ``.npz`` file (see
            `audiogan.data.image.from_npz`), or the name of a data set: ``mnist``, ``fashion-mnist`` (their training
            images, if they were downloaded) or ``digits`` (1,797 of 8x8 pixels; needs no network).
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
    from audiogan.data.sources import downloads

    settings = Settings(size, channels)
    if root is None:
        root = "mnist" if (downloads() / "mnist" / "train.npz").is_file() else "digits"
    path = Path(root).expanduser()
    if str(root) in (*SOURCES, "digits") and (named or not path.exists()):
        if str(root) == "digits":
            return digits(settings, labels, mirror)
        path = downloads() / str(root) / "train.npz"
        if not path.is_file():
            raise UserError(f"data.root={root}: not downloaded yet; run: audiogan data get {root}")
    elif path.is_dir() and (path / "train.npz").is_file():  # what `get_images` leaves
        path = path / "train.npz"
    if path.suffix.lower() == ".npz" and not path.is_dir():
        return from_npz(path, settings, None if labels is None else os.fspath(labels), mirror, cache)
    return from_folder(path, settings, labels, mirror, cache, progress, links)


def digits(settings: Settings, labels: str | os.PathLike[str] | None = "auto", mirror: bool = False) -> Table:
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


UNPACKED = 256 << 20
"""Bytes that a file of a data set may unpack to; the largest has 47 MB."""


@dataclass(frozen=True)
class Source:
    """A data set in the four gzipped IDX files that MNIST introduced."""

    mirrors: tuple[str, ...]
    sha256: Mapping[str, str]  # of each file, as published
    about: str
    names: tuple[str, ...] = ()
    most: int = 32 << 20  # upper bound of each file in bytes; the largest has 26 MB


FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
_MNIST = """\
# MNIST

Handwritten digits, 28x28 grey. Yann LeCun, Corinna Cortes, Christopher J. C. Burges: The MNIST database of handwritten
digits (1998), made from NIST's Special Databases 1 and 3.

Yann LeCun and Corinna Cortes hold the copyright. Licence: CC BY-SA 3.0
(https://creativecommons.org/licenses/by-sa/3.0/): name them where you pass the images on, and keep the licence.
"""
_FASHION_MNIST = """\
# Fashion-MNIST

Articles of clothing, 28x28 grey. Han Xiao, Kashif Rasul, Roland Vollgraf: Fashion-MNIST: a Novel Image Dataset for
Benchmarking Machine Learning Algorithms (2017, arXiv:1708.07747).

The MIT License (MIT)

Copyright © 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
SOURCES = {
    "mnist": Source(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        _MNIST,
    ),
    "fashion-mnist": Source(
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        _FASHION_MNIST,
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}


def get_images(
    name: str,
    out: str | os.PathLike[str] | None = None,
    base_url: str | None = None,
    progress: bool = True,
    *,
    sources: Mapping[str, Source] = SOURCES,
) -> Path:
    """Download a data set as ``train.npz`` and ``test.npz`` (arrays x, y) with ``README.md`` (credits, licence).

    What arrives is checked against the SHA-256 of the published files, and a download ends at `Source.most` bytes. What
    is there already is not fetched again, so the same call resumes. Files that audiogan did not write are not replaced.

    Args:
        name: ``mnist`` or ``fashion-mnist``.
        out: folder, default ``downloads() / name``.
        base_url: a folder of the four files, used instead of the known mirrors.
        progress: show progress bars.
        sources: other data sets of the same format.

    Returns:
        the folder.

    Raises:
        UserError: unknown name, no mirror has the file, or ``out`` cannot be written.
    """
    from audiogan.data.sources import downloads

    if name not in sources:
        raise UserError(f"there is no data set '{name}'; there are: {', '.join(sources)}")
    source, folder = sources[name], Path(out).expanduser() if out is not None else downloads() / name
    mirrors = source.mirrors if base_url is None else (base_url.rstrip("/") + "/",)
    parts = folder / ".partial"
    heading, new = source.about.splitlines()[0], not folder.exists()
    try:
        check_own(folder / "README.md", heading)
        for part, files in FILES.items():
            target = folder / f"{part}.npz"
            if _whole(target):
                continue
            if target.exists() and not (folder / "README.md").exists():
                raise UserError(f"{target}: not written by audiogan; move it away or choose another folder")
            paths = [_fetch(file, source, mirrors, parts, progress) for file in files]
            x, y = (read_idx(path) for path in paths)
            if x.ndim != 3 or y.shape != x.shape[:1]:
                raise UserError(f"{name}: {list(x.shape)} images with {list(y.shape)} labels in {paths[0].name}")
            arrays: dict[str, Any] = {"x": x, "y": y} | ({"names": np.array(source.names)} if source.names else {})
            with replacing(target) as temporary, open(temporary, "wb") as stream:
                np.savez_compressed(stream, **arrays)
            for path in paths:
                path.unlink()
        with replacing(folder / "README.md") as temporary:
            listed = "".join(f"- {file}: {sha256}\n" for file, sha256 in source.sha256.items())
            origin = f"\nFetched from {mirrors[0]} or a mirror; SHA-256 of the files as published:\n\n{listed}"
            temporary.write_text(source.about + origin, encoding="utf-8")
    except OSError as e:
        raise UserError(f"cannot write {e.filename or folder}: {e.strerror or e}; make room or choose another") from e
    finally:
        with suppress(OSError):  # not there, or it holds files that are fetched already or of someone else
            parts.rmdir()
            if new and not any(folder.iterdir()):
                folder.rmdir()
    return folder


def _whole(path: Path) -> bool:
    """Whether a file is an archive of arrays x and y that can be read."""
    try:
        with open(path, "rb") as stream, open_zip(stream) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            return {"x.npy", "y.npy"} <= sizes.keys() and sum(sizes.values()) <= UNPACKED and archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, zlib.error):
        return False


def _fetch(file: str, source: Source, mirrors: tuple[str, ...], folder: Path, progress: bool) -> Path:
    """The file, checked, from the first mirror that has it."""
    from requests.exceptions import RequestException
    from tqdm import tqdm

    path, sha256 = folder / file, source.sha256[file]
    if path.is_file() and digest(path) == sha256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for mirror in mirrors:
        with tqdm(unit="B", unit_scale=True, disable=not progress, desc=file) as bar:

            def show(size: int, total: int, bar: Any = bar) -> None:
                bar.total = total or None
                bar.update(size - bar.n)

            try:
                fetch(mirror + file, path, most=source.most, sha256=sha256, progress=show)
                return path
            except (RequestException, Unfit) as error:
                reasons.append(f"{mirror.rstrip('/')}: {reason(error)}")
    tried = "; ".join(reasons)
    raise UserError(f"{file} could not be downloaded ({tried}); the same command again fetches what is missing")


def read_idx(path: Path) -> np.ndarray:
    """Array of a gzipped IDX file of bytes: 0, 0, 8, number of dimensions, their sizes (4 bytes, high first), data."""
    try:
        with gzip.open(path) as stream:
            data = stream.read(UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise UserError(f"{path}: not a gzip file that can be read ({e})") from e
    if len(data) > UNPACKED:
        raise UserError(f"{path}: unpacks to more than {UNPACKED:,} bytes; not a file of such a data set")
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise UserError(f"{path}: not an IDX file of bytes")
    shape = np.frombuffer(data, ">u4", data[3], 4).astype(int)
    if len(data) != 4 + 4 * data[3] + math.prod(shape.tolist()):
        raise UserError(f"{path}: {len(data):,} bytes do not hold an array of shape {shape.tolist()}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
