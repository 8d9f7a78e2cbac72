"""Base class of data sets that can be downloaded, and their description in `downloads.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from audiogan.errors import UserError


@dataclass(frozen=True)
class File:
    """A file on the net.

    Attributes:
        name: its path in the folder of parts.
        urls: its addresses, in the order to try.
        most: upper bound of its size in bytes.
        sha256: None where the publisher does not fix the bytes.
        address: its path on another server (default: ``name``).
    """

    name: str
    urls: tuple[str, ...]
    max_bytes: int
    sha256: str | None = None
    address: str = ""


class DataSet:
    """The files of a data set and how they are laid down.

    Attributes:
        name: of the data set.
        parts: for each path in the folder of the data set, the files from which it is made.
        many: whether it has many small files. Several are fetched at a time, and each is tried again. Otherwise a file
            is resumed where its download broke off.
    """

    name: str
    parts: Mapping[str, tuple[File, ...]]
    many_files = False

    def download_folder(self, folder: Path) -> Path:
        """The folder for files that are not laid down yet."""
        return folder / ".partial"

    def check_folder(self, folder: Path) -> None:
        """Raise UserError if something in the folder would be replaced that audiogan did not write."""

    def is_complete(self, target: Path, files: tuple[File, ...]) -> bool:
        """Whether a part is there and whole."""
        raise NotImplementedError

    def install(self, target: Path, paths: list[Path], progress: bool) -> None:
        """Make a part from its files."""
        raise NotImplementedError

    def text_files(self, folder: Path) -> dict[str, str]:
        """The texts to write beside the parts (credits, lists), by name of the file."""
        return {}


def read_descriptions() -> dict[str, Any]:
    """The descriptions of all data sets."""
    return yaml.safe_load(Path(__file__).with_name("downloads.yaml").read_text(encoding="utf-8"))


def check_own_file(path: Path, prefix: str) -> None:
    """Raise UserError if ``path`` is there and does not begin as the file that audiogan writes does."""
    try:
        with open(path, "rb") as stream:
            found = stream.read(len(prefix.encode()))
    except FileNotFoundError:
        return
    if found != prefix.encode():
        raise UserError(f"{path}: not written by audiogan, but would be replaced; move it or choose another folder")
