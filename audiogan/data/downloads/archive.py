"""`ArchiveFiles`: recordings or images in one archive, unpacked to a folder for each class."""

from __future__ import annotations

import csv
import gzip
import itertools
import os
import re
import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import soundfile
from pooch import file_hash

from audiogan.data.downloads.data_set import DataSet, File
from audiogan.errors import UserError
from audiogan.utils.archives import open_zip

MAX_FILE_BYTES = 8 << 20
"""Maximum size of an unpacked file in bytes."""
MAX_FILES = 100_000
"""Maximum number of files in an archive. The largest data set, SC09, has 39 thousand."""
MARKER_FILE = ".audiogan"
"""Name of the file that marks a temporary folder as created by audiogan, so that audiogan may delete it."""
# zipfile raises RuntimeError for encrypted files and for unknown compression methods.
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)


@dataclass(frozen=True)
class ArchiveFiles(DataSet):
    """Data set of the files in an archive (`.zip` or `.tar.gz`), with ``README.md`` and ``manifest.csv``.

    Only matching members of the archive are unpacked. The target folder appears only when it is complete.

    Attributes:
        archive: archive to download. Without a SHA-256, ``names`` and ``sample_rate`` are checked instead.
        member: regular expression for the paths of the files in the archive. Its groups are ``name`` (file name),
            ``label`` (name of the class, or index of the class in ``labels``), and optionally ``speaker``.
        about: description, author and licence.
        labels: expected classes. The archive must have files of each class.
        names: file names that the archive must contain. Empty: names are not checked.
        sample_rate: expected sample rate of recordings in Hz. ``None``: not checked.
    """

    name: str
    archive: File
    member: str
    about: str
    labels: tuple[str, ...]
    names: frozenset[str] = frozenset()
    sample_rate: int | None = None

    @staticmethod
    def from_description(name: str, entry: dict[str, Any]) -> ArchiveFiles:
        """Return the data set described by an entry of `downloads.yaml`."""
        archive = File(entry["file"], tuple(entry["urls"]), entry["max_bytes"], entry.get("sha256"))
        known = itertools.product(range(10), entry.get("speakers", ()), range(entry.get("takes", 0)))
        names = frozenset(f"{digit}_{speaker}_{take}.wav" for digit, speaker, take in known)
        labels = tuple(entry["labels"])
        return ArchiveFiles(name, archive, entry["member"], entry["about"], labels, names, entry.get("sample_rate"))

    @property
    def parts(self) -> dict[str, tuple[File, ...]]:  # type: ignore[override]
        return {"": (self.archive,)}

    def download_folder(self, folder: Path) -> Path:
        return folder.with_name(f".{folder.name}.partial")

    def check_folder(self, folder: Path) -> None:
        if folder.exists() and not self.is_complete(folder, ()) and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: not empty, and not a complete {self.name}; remove it or choose a new folder")

    def is_complete(self, target: Path, files: tuple[File, ...]) -> bool:
        """Return ``True`` if all files listed in ``manifest.csv`` exist."""
        try:
            with open(target / "manifest.csv", newline="", encoding="utf-8") as stream:
                rows = [row.get("path") for row in itertools.islice(csv.DictReader(stream), MAX_FILES)]
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, csv.Error):
            return False
        return bool(rows) and all(path and (target / path).is_file() for path in rows)

    def install(self, target: Path, paths: list[Path], progress: bool) -> None:
        """Unpack and check the archive in a temporary folder, and rename that folder to ``target``."""
        archive = paths[0]
        draft = archive.with_name(f"unpacked-{secrets.token_hex(4)}")
        draft.mkdir()
        (draft / MARKER_FILE).touch()
        try:
            found = self._unpack(archive, draft, progress)
            self._describe(archive, found, draft)
            if target.exists():
                target.rmdir()
            (draft / MARKER_FILE).unlink()
            os.replace(draft, target)
        finally:
            for left in archive.parent.glob("unpacked-*"):  # Also folders that killed processes have left.
                if (left / MARKER_FILE).is_file():
                    shutil.rmtree(left, ignore_errors=True)

    def _unpack(self, archive: Path, draft: Path, progress: bool) -> list[tuple[str, ...]]:
        """Unpack the files to the folder ``draft``. Return (path, label) or (path, label, speaker) of each, sorted."""
        found: dict[str, tuple[str, ...]] = {}
        try:
            for member, size, data in _members(archive, progress):
                match = re.fullmatch(self.member, member)
                if match is None:
                    continue
                label = self.labels[int(match["label"])] if match["label"].isdecimal() else match["label"]
                path = f"{label}/{match['name']}"
                if path in found or size > MAX_FILE_BYTES or len(found) >= MAX_FILES:
                    raise _unfit(
                        archive,
                        f"{member} is repeated, too large ({size:,} bytes), or beyond the limit of {MAX_FILES:,} files",
                    )
                (draft / label).mkdir(exist_ok=True)
                (draft / path).write_bytes(data.read())
                if self.sample_rate is not None:
                    _check_sound(archive, member, draft / path, self.sample_rate)
                found[path] = path, label, *(match.groupdict()[key] for key in self._columns()[2:])
        except _DAMAGED as error:
            raise _unfit(archive, str(error) or type(error).__name__) from error
        names = {path.partition("/")[2] for path in found}
        odd = sorted(
            self.names ^ names if self.names else set(self.labels) ^ {label for _, label, *_ in found.values()}
        )
        if odd:
            raise _unfit(archive, f"{len(found):,} files; missing or unknown: {', '.join(odd[:3])}")
        return sorted(found.values())

    def _columns(self) -> tuple[str, ...]:
        """Return the names of the columns of ``manifest.csv``."""
        return ("path", "label", *(name for name in re.compile(self.member).groupindex if name == "speaker"))

    def _describe(self, archive: Path, found: list[tuple[str, ...]], draft: Path) -> None:
        """Write ``manifest.csv`` and ``README.md`` to the folder ``draft``."""
        with open(draft / "manifest.csv", "w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([self._columns(), *found])
        counts = Counter(label for _, label, *_ in found)
        listed = "\n".join(f"- {label}: {counts[label]:,}" for label in self.labels)
        origin = f"Unpacked from {self.archive.urls[0]} or a mirror;\nSHA-256 of the download: {file_hash(archive)}"
        page = f"{self.about}\n{len(found):,} files:\n\n{listed}\n\n{origin}\n"
        (draft / "README.md").write_text(page, encoding="utf-8")


def _members(archive: Path, progress: bool) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield (path, size in bytes, stream) for each file of an archive. Read a stream before requesting the next."""
    from tqdm import tqdm

    bar = tqdm(total=archive.stat().st_size, unit="B", unit_scale=True, disable=not progress, desc="unpacking")
    with bar, open(archive, "rb") as stream:
        if archive.suffix == ".zip":
            with open_zip(stream) as packed:
                for info in packed.infolist():
                    bar.update(info.compress_size)
                    with packed.open(info) as data:
                        yield info.filename, info.file_size, data
            return
        with tarfile.open(fileobj=stream, mode="r|gz") as packed_tar:
            for member in packed_tar:
                bar.update(stream.tell() - bar.n)
                held = packed_tar.extractfile(member) if member.isreg() else None
                if held is not None:
                    yield member.name, member.size, held


def _check_sound(archive: Path, path: str, file: Path, sample_rate: int) -> None:
    """Raise `UserError` unless a file is a non-empty mono sound with the given sample rate."""
    try:
        wave, rate = soundfile.read(file, always_2d=True)
    except soundfile.SoundFileError as error:
        raise _unfit(archive, f"{path} cannot be decoded") from error
    if rate != sample_rate or wave.shape[1] != 1 or not len(wave):
        raise _unfit(archive, f"{path} has {len(wave)} samples, {wave.shape[1]} channels at {rate} Hz")


def _unfit(archive: Path, why: str) -> UserError:
    archive.unlink(missing_ok=True)
    return UserError(f"{archive.name}: not the expected archive ({why}); it was deleted, download it again")
