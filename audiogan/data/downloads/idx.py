"""`IdxImages`: image data sets in gzipped IDX files (MNIST, Fashion-MNIST), converted to .npz files."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiogan.data.downloads.data_set import DataSet, File, check_written_by_audiogan
from audiogan.errors import UserError
from audiogan.files import atomic_write
from audiogan.utils.archives import open_zip

MAX_UNPACKED_BYTES = 256 << 20
"""Maximum unpacked size of a file in bytes. The largest published file has 47 MB."""
PARTS = {
    "train.npz": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test.npz": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
README = "README.md"


@dataclass(frozen=True)
class IdxImages(DataSet):
    """Data set stored as ``train.npz`` and ``test.npz`` with the arrays x (images) and y (classes), and ``README.md``.

    Attributes:
        about: description and licence, the text of ``README.md``.
        names: names of the classes. Empty: the classes are named by their numbers.
    """

    name: str
    parts: dict[str, tuple[File, ...]]
    about: str
    names: tuple[str, ...] = ()

    @staticmethod
    def from_description(name: str, entry: dict[str, Any]) -> IdxImages:
        """Return the data set described by an entry of `downloads.yaml`."""

        def file(name: str) -> File:
            return File(name, tuple(m + name for m in entry["mirrors"]), entry["max_bytes"], entry["sha256"][name])

        parts = {target: tuple(map(file, names)) for target, names in PARTS.items()}
        return IdxImages(name, parts, entry["about"], tuple(entry.get("names", ())))

    def check_folder(self, folder: Path) -> None:
        check_written_by_audiogan(folder / README, self.about.splitlines()[0])
        for target in self.parts:
            path = folder / target
            if path.exists() and not (folder / README).exists() and not _whole(path):
                raise UserError(f"{path}: not written by audiogan; move it or choose another folder")

    def is_complete(self, target: Path, files: tuple[File, ...]) -> bool:
        return _whole(target)

    def install(self, target: Path, paths: list[Path], progress: bool) -> None:
        x, y = (read_idx(path) for path in paths)
        if x.ndim != 3 or y.shape != x.shape[:1]:
            raise UserError(f"{self.name}: {list(x.shape)} images with {list(y.shape)} labels in {paths[0].name}")
        arrays: dict[str, Any] = {"x": x, "y": y} | ({"names": np.array(self.names)} if self.names else {})
        with atomic_write(target) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, **arrays)

    def text_files(self, folder: Path) -> dict[str, str]:
        if not any((folder / target).exists() for target in self.parts):
            return {}
        files = [file for part in self.parts.values() for file in part]
        mirror = files[0].urls[0].removesuffix(files[0].name)
        listed = "".join(f"- {file.name}: {file.sha256}\n" for file in files)
        origin = f"\nDownloaded from {mirror} or a mirror. SHA-256 of the published files:\n\n{listed}"
        return {README: self.about + origin}


def _whole(path: Path) -> bool:
    """Return ``True`` if a file is a readable .npz archive with the arrays x and y."""
    try:
        with open(path, "rb") as stream, open_zip(stream) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            return (
                {"x.npy", "y.npy"} <= sizes.keys()
                and sum(sizes.values()) <= MAX_UNPACKED_BYTES
                and archive.testzip() is None
            )
    except (OSError, zipfile.BadZipFile, EOFError, RuntimeError, zlib.error):
        return False


def read_idx(path: Path) -> np.ndarray:
    """Return the array of a gzipped IDX file of type uint8. Raise `UserError` if the file is malformed.

    Format: bytes 0, 0, 8, the number of dimensions, the size of each dimension as a big-endian 32-bit integer,
    and the data.
    """
    try:
        with gzip.open(path) as stream:
            data = stream.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise UserError(f"{path}: not a gzip file that can be read ({e})") from e
    if len(data) > MAX_UNPACKED_BYTES:
        raise UserError(f"{path}: unpacks to more than the allowed {MAX_UNPACKED_BYTES:,} bytes; download it again")
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise UserError(f"{path}: not an IDX file of type uint8")
    shape = np.frombuffer(data, ">u4", data[3], 4).astype(int)
    if len(data) != 4 + 4 * data[3] + math.prod(shape.tolist()):
        raise UserError(f"{path}: {len(data):,} bytes do not hold an array of shape {shape.tolist()}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
