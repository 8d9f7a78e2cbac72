"""`DataSet`: base class of downloadable data sets. `downloads.yaml` describes each data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from audiogan.errors import UserError


@dataclass(frozen=True)
class File:
    """File to download.

    Attributes:
        name: path of the file relative to the folder for incomplete downloads.
        urls: URLs of the file, tried in this order.
        max_bytes: maximum size of the file in bytes.
        sha256: expected SHA-256. ``None``: not checked, because the publisher may change the file.
        mirror_path: path of the file on a mirror set by ``base_url``. Default: ``name``.
    """

    name: str
    urls: tuple[str, ...]
    max_bytes: int
    sha256: str | None = None
    mirror_path: str = ""


class DataSet:
    """Base class of downloadable data sets. A data set has one or more parts, each a file or a folder.

    Attributes:
        name: name of the data set.
        parts: path of each part, relative to the folder of the data set -> files from which the part is created.
        many_files: ``True`` for data sets of many small files, which are downloaded in parallel with retries.
            ``False``: an interrupted download is resumed.
    """

    name: str
    parts: Mapping[str, tuple[File, ...]]
    many_files = False

    def download_folder(self, folder: Path) -> Path:
        """Return the folder for incomplete downloads."""
        return folder / ".partial"

    def check_folder(self, folder: Path) -> None:
        """Raise `UserError` if the download would overwrite a file that audiogan did not write."""

    def is_complete(self, target: Path, files: tuple[File, ...]) -> bool:
        """Return ``True`` if the part of the data set at ``target`` exists and is complete."""
        raise NotImplementedError

    def install(self, target: Path, paths: list[Path], progress: bool) -> None:
        """Create a part of the data set from its downloaded files.

        Args:
            target: path of the part.
            paths: paths of the downloaded files.
            progress: show a progress bar.
        """
        raise NotImplementedError

    def text_files(self, folder: Path) -> dict[str, str]:
        """Return the texts to write to the folder, such as credits: a dict from file name to content."""
        return {}


def read_descriptions() -> dict[str, Any]:
    """Return the content of `downloads.yaml`: a dict from the name of each data set to its description."""
    return yaml.safe_load(Path(__file__).with_name("downloads.yaml").read_text(encoding="utf-8"))


def check_written_by_audiogan(path: Path, prefix: str) -> None:
    """Raise `UserError` if a file exists but does not begin with ``prefix``, the mark of files written by audiogan."""
    try:
        with open(path, "rb") as stream:
            found = stream.read(len(prefix.encode()))
    except FileNotFoundError:
        return
    if found != prefix.encode():
        raise UserError(f"{path}: not written by audiogan, and would be overwritten; move it or choose another folder")
