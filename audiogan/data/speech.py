"""Spoken digits from the net: SC09 (the digits of Speech Commands) and FSDD, as folders `zero` to `nine` of WAV files.

Only what is expected is unpacked: members of another name, kind or size never reach the disk, whatever the archive
says. A folder appears under its final name when it is whole.
"""

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
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import soundfile

from audiogan.archives import open_zip
from audiogan.data.fetch import Unfit, digest, fetch, reason
from audiogan.errors import UserError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LARGEST = 1 << 20
"""Bytes of one recording, at most; the longest there is has 37 thousand."""
MOST = 100_000
"""Recordings of a set, at most; SC09 has 39 thousand."""
DRAFT, MARK = "unpacked", ".audiogan"
"""Beginning of the name of a folder to unpack into, and the file in it that says that audiogan made the folder."""
_COMMIT = "d6938f9bf1545aa66d8489fc9f1385a7abd64282"  # of the tag v1.0.10
# RuntimeError: encrypted, or a compression that zipfile does not know
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)


class Recording(NamedTuple):
    """A row of `manifest.csv`."""

    path: str
    label: str
    speaker: str


@dataclass(frozen=True)
class SpeechSet:
    """An archive of recordings and what is expected in it.

    Attributes:
        file: name of the archive: `.zip` or `.tar.gz`. urls: where it is, in the order in which they are asked.
        member: pattern of a recording's path in the archive with the groups `digit` (0 to 9, or the word), `name`
            (of the file) and `speaker`.
        sha256: of the archive; None where its bytes are nobody's promise. Then `names` and `sample_rate` are checked.
        names: of all recordings. sample_rate: of each, Hz.
        about: what it is, by whom, under which licence.
        most: upper bound of the size of the archive, in bytes.
    """

    file: str
    urls: tuple[str, ...]
    member: str
    about: str
    sha256: str | None = None
    names: frozenset[str] = frozenset()
    sample_rate: int | None = None
    most: int = 64 << 20


_SC09 = """\
# SC09: the ten digits of Speech Commands v0.02

One-second recordings of spoken English digits by many speakers, 16 kHz; a file's name begins with a code for its
speaker. The other words of the data set were left out; the files are as published.

Pete Warden (Google): Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition (2018, arXiv:1804.03209).
Licence: CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/): name the author where you pass the sounds on.
"""
_FSDD = f"""\
# Free Spoken Digit Dataset v1.0.10

3,000 recordings of spoken English digits by six speakers, trimmed, 8 kHz (so there is nothing above 4 kHz); files are
named digit_speaker_number. They are as published, sorted into folders.

Zohar Jackson and contributors, https://github.com/Jakobovski/free-spoken-digit-dataset (commit {_COMMIT}).
Licence: CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/): name the authors where you pass the sounds on,
and keep the licence.
"""
SETS = {
    "sc09": SpeechSet(
        file="speech_commands_v0.02.tar.gz",
        urls=(
            "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            "https://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        ),
        member=rf"(?:\./)?(?P<digit>{'|'.join(WORDS)})/(?P<name>(?P<speaker>[0-9a-z]+)_nohash_[0-9]+\.wav)",
        about=_SC09,
        sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",  # as torchaudio has it
        most=2_500_000_000,  # it has 2.43 GB
    ),
    "fsdd": SpeechSet(
        file="free-spoken-digit-dataset-1.0.10.zip",
        urls=(
            f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_COMMIT}.zip",
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
        ),
        member=r"[\w.-]+/recordings/(?P<name>(?P<digit>[0-9])_(?P<speaker>[a-z]+)_[0-9]+\.wav)",
        about=_FSDD,
        names=frozenset(
            f"{digit}_{speaker}_{i}.wav"
            for digit in range(10)
            for speaker in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
            for i in range(50)
        ),
        sample_rate=8000,
    ),
}


def get_speech(
    name: str,
    out: str | os.PathLike[str] | None = None,
    base_url: str | None = None,
    progress: bool = True,
    sets: Mapping[str, SpeechSet] = SETS,
) -> Path:
    """Download a set of spoken digits into ``out/{zero..nine}/*.wav``, with ``README.md`` and ``manifest.csv``.

    A set that is there already is left alone. An archive with a known SHA-256 (SC09: 2.3 GB) is fetched from where the
    last attempt ended. GitHub makes FSDD's archive (16 MB) on demand and promises no bytes, so its content is checked
    instead: the 3,000 names, and that each is mono, of 8 kHz, and can be decoded. A download ends at `SpeechSet.most`.

    Args:
        name: ``sc09`` or ``fsdd``.
        out: folder, new or empty; default ``downloads() / name``.
        base_url: a folder that holds the archive (`SpeechSet.file`), asked instead of the known addresses.
        progress: show progress bars.
        sets: other archives of the same kind.

    Returns:
        the folder.

    Raises:
        UserError: unknown name, no server has the archive, it is not what it should be, or ``out`` is not empty or
            cannot be written.
    """
    from audiogan.data.sources import downloads

    if name not in sets:
        raise UserError(f"there is no data set '{name}'; there are: {', '.join(sets)}")
    wanted = sets[name]
    folder = Path(os.path.abspath(downloads() / name if out is None else Path(out).expanduser()))
    parts = folder.with_name(f".{folder.name}.partial")
    done = False
    try:
        if _whole(folder):
            return folder
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder}: not empty, and not the whole of {name}; remove it or choose a new folder")
        urls = wanted.urls if base_url is None else (f"{base_url.rstrip('/')}/{wanted.file}",)
        archive = _fetch(wanted, urls, parts, progress)
        _install(wanted, archive, folder, parts, progress)
        done = True
    except OSError as e:
        raise UserError(f"cannot write {e.filename or folder}: {e.strerror or e}; make room or choose another") from e
    finally:
        _tidy(parts, wanted, done)
    return folder


def _whole(folder: Path) -> bool:
    """Whether every file of the list in the folder is there."""
    try:
        with open(folder / "manifest.csv", newline="", encoding="utf-8") as stream:
            rows = [row.get("path") for row in itertools.islice(csv.DictReader(stream), MOST)]
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError, csv.Error):
        return False
    return bool(rows) and all(path and (folder / path).is_file() for path in rows)


def _tidy(parts: Path, wanted: SpeechSet, done: bool) -> None:
    """Remove what audiogan made in the folder of parts, but keep an archive, or a part of it, that can be resumed."""
    with suppress(OSError):
        if done or wanted.sha256 is None:
            for name in (wanted.file, f"{wanted.file}.part"):
                (parts / name).unlink(missing_ok=True)
        for draft in parts.glob(f"{DRAFT}-*"):
            if (draft / MARK).is_file():
                shutil.rmtree(draft, ignore_errors=True)
        for path in (parts / DRAFT).glob("*/*.wav"):  # earlier versions left recordings here when they were killed
            if path.parent.name in WORDS:
                path.unlink()
    for folder in (*(parts / DRAFT / word for word in WORDS), parts / DRAFT, parts):
        with suppress(OSError):  # not there, or it holds files of someone else
            folder.rmdir()


def _fetch(wanted: SpeechSet, urls: tuple[str, ...], folder: Path, progress: bool) -> Path:
    """The archive, checked if it can be, from the first address that has it."""
    from requests.exceptions import RequestException
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / wanted.file
    if archive.is_file() and wanted.sha256 in (None, digest(archive)):
        return archive
    reasons = []
    for url in urls:
        with tqdm(unit="B", unit_scale=True, disable=not progress, desc=wanted.file) as bar:

            def show(size: int, total: int, bar: Any = bar) -> None:
                bar.total = total or None
                bar.update(size - bar.n)

            try:
                fetch(url, archive, most=wanted.most, sha256=wanted.sha256, resume=True, progress=show)
                return archive
            except (RequestException, Unfit) as error:
                reasons.append(f"{url}: {reason(error)}")
    again = "; the same command again goes on from there" if archive.with_name(f"{archive.name}.part").exists() else ""
    raise UserError(f"{wanted.file} could not be downloaded ({'; '.join(reasons)}){again}")


def _install(wanted: SpeechSet, archive: Path, folder: Path, parts: Path, progress: bool) -> None:
    """Unpack beside ``folder``, check, and put the whole in its place."""
    draft = parts / f"{DRAFT}-{secrets.token_hex(4)}"
    draft.mkdir()
    (draft / MARK).touch()
    found = _unpack(wanted, archive, draft, progress)
    _require(wanted, archive, found)
    _describe(wanted, archive, found, draft)
    if folder.exists():
        folder.rmdir()
    (draft / MARK).unlink()
    os.replace(draft, folder)


def _unpack(wanted: SpeechSet, archive: Path, draft: Path, progress: bool) -> list[Recording]:
    """Write the recordings below ``draft``; returns them, by path."""
    found: dict[str, Recording] = {}
    try:
        for member, size, data in _members(archive, progress):
            match = re.fullmatch(wanted.member, member)
            if match is None:
                continue
            word = WORDS[int(match["digit"])] if match["digit"].isdecimal() else match["digit"]
            row = Recording(f"{word}/{match['name']}", word, match["speaker"])
            if row.path in found or size > LARGEST or len(found) >= MOST:
                raise _unfit(archive, f"{member} is there twice, too large ({size:,} bytes) or one too many")
            target = draft / row.path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data.read())
            if wanted.sample_rate is not None:
                _listen(archive, member, target, wanted.sample_rate)
            found[row.path] = row
    except _DAMAGED as error:
        raise _unfit(archive, str(error) or type(error).__name__) from error
    return sorted(found.values())


def _require(wanted: SpeechSet, archive: Path, found: list[Recording]) -> None:
    """Every word is there, and of a set whose names are known, these and no others."""
    names = {row.path.partition("/")[2] for row in found}
    odd = sorted(wanted.names ^ names if wanted.names else set(WORDS) - {row.label for row in found})
    if odd:
        raise _unfit(archive, f"{len(found):,} recordings; missing or unknown: {', '.join(odd[:3])}")


def _members(archive: Path, progress: bool) -> Iterator[tuple[str, int, IO[bytes]]]:
    """(path, bytes, stream) of every regular file; each stream must be read before the next."""
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


def _listen(archive: Path, path: str, file: Path, sample_rate: int) -> None:
    """UserError unless the file is a mono sound of this rate."""
    try:
        wave, rate = soundfile.read(file, always_2d=True)
    except soundfile.SoundFileError as error:
        raise _unfit(archive, f"{path} cannot be decoded") from error
    if rate != sample_rate or wave.shape[1] != 1 or not len(wave):
        raise _unfit(archive, f"{path} has {len(wave)} samples, {wave.shape[1]} channels at {rate} Hz")


def _unfit(archive: Path, why: str) -> UserError:
    archive.unlink(missing_ok=True)
    return UserError(f"{archive.name}: not the archive it should be ({why}); it was thrown away, get it again")


def _describe(wanted: SpeechSet, archive: Path, found: list[Recording], draft: Path) -> None:
    """Write `manifest.csv` and `README.md`."""
    with open(draft / "manifest.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([Recording._fields, *found])
    counts = Counter(row.label for row in found)
    listed = "\n".join(f"- {word}: {counts[word]:,}" for word in WORDS)
    origin = f"Unpacked from {wanted.urls[0]} or a mirror;\nSHA-256 as it arrived: {digest(archive)}"
    page = f"{wanted.about}\n{len(found):,} recordings:\n\n{listed}\n\n{origin}\n"
    (draft / "README.md").write_text(page, encoding="utf-8")
