"""Data sets from the net: fetched with checks, resumable, with credits beside them.

`downloads.yaml` describes the data sets: addresses, checksums, bounds of size, credits. `data_set` returns one of them,
`get` fetches it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from audiogan.data.fetch import Unfit, digest, fetch, reason
from audiogan.data.sounds.sources import downloads
from audiogan.errors import UserError
from audiogan.files import FileName, replacing

HOPELESS = 12
"""Lost connections in a row after which the network is taken for dead."""
THREADS = 4


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
    most: int
    sha256: str | None = None
    address: str = ""


class DataSet:
    """The files of a data set and how they are laid down.

    Attributes:
        name: of the data set.
        parts: for each path in the folder of the data set, the files from which it is made.
        many: many small files. Several are fetched at a time, each is tried again, and failures do not stop the others.
            Otherwise the first failure ends the download, and a large file goes on where it broke off.
    """

    name: str
    parts: Mapping[str, tuple[File, ...]]
    many = False

    def partial(self, folder: Path) -> Path:
        """The folder for files that are not laid down yet."""
        return folder / ".partial"

    def check(self, folder: Path) -> None:
        """Raise UserError if something in the folder would be replaced that audiogan did not write."""

    def has(self, target: Path, files: tuple[File, ...]) -> bool:
        """Whether a part is there and whole."""
        raise NotImplementedError

    def lay(self, target: Path, paths: list[Path], progress: bool) -> None:
        """Make a part from its files."""
        raise NotImplementedError

    def pages(self, folder: Path) -> dict[str, str]:
        """The texts to write beside the parts (credits, lists), by name of the file."""
        return {}


def described() -> dict[str, Any]:
    """The descriptions of all data sets."""
    return yaml.safe_load(Path(__file__).with_name("downloads.yaml").read_text(encoding="utf-8"))


def data_set(name: str) -> DataSet:
    """The data set of this name. Raises UserError for an unknown name."""
    from audiogan.data.drum_kits import DrumKits
    from audiogan.data.idx import IdxImages
    from audiogan.data.spoken_digits import SpokenDigits

    found = described()
    if name not in found:
        raise UserError(f"there is no data set '{name}'; there are: {', '.join(found)}")
    facts = found[name]
    if name == "drums":
        return DrumKits()
    return SpokenDigits.described(name, facts) if "member" in facts else IdxImages.described(name, facts)


def get(
    data: DataSet, out: FileName | None = None, base_url: str | None = None, *, progress: bool = True, retries: int = 2
) -> Path:
    """Download a data set into ``out``.

    What is there already and whole is not fetched again, so the same call resumes. A download ends at `File.most`
    bytes, and nothing half-written stands under its final name. Files that audiogan did not write stay as they are.

    Args:
        data: see `data_set`.
        out: folder, default ``downloads() / data.name``.
        base_url: another server with the same files, asked instead of the known addresses.
        progress: show a progress bar.
        retries: further attempts for each file of a data set of many files.

    Returns:
        the folder.

    Raises:
        UserError: ``out`` holds other files, cannot be written, or a file could not be had.
    """
    folder = Path(os.path.abspath(downloads() / data.name if out is None else Path(out).expanduser()))
    parts, new = data.partial(folder), not folder.exists()
    try:
        data.check(folder)
        try:
            failed = _fetch_all(data, folder, parts, base_url, progress, retries)
        finally:
            for name, text in data.pages(folder).items():
                with replacing(folder / name) as temporary:
                    temporary.write_bytes(text.encode())
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise UserError(f"cannot write {where}: {why}; make room or choose another folder") from error
    finally:
        _tidy(data, parts)
        if new:
            with suppress(OSError):  # not there, or not empty
                folder.rmdir()
    if failed:
        name, why = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(data.parts)} files could not be downloaded into {folder} (first: {name}: {why}); "
            "the same command again fetches what is missing"
        )
    return folder


def _tidy(data: DataSet, parts: Path) -> None:
    """Remove the files of a download that cannot be resumed, and empty folders; nothing else."""
    files = [file for part in data.parts.values() for file in part]
    with suppress(OSError):
        for file in files:
            if data.many or file.sha256 is None:
                for name in (file.name, f"{file.name}.part"):
                    (parts / name).unlink(missing_ok=True)
    for folder in (*{(parts / file.name).parent for file in files} - {parts}, parts):
        with suppress(OSError):  # not there, or it holds files that can be resumed or of someone else
            folder.rmdir()


def _fetch_all(
    data: DataSet, folder: Path, parts: Path, base_url: str | None, progress: bool, retries: int
) -> dict[str, str]:
    """Fetch and lay down what is missing. Returns the reason for each part that could not be had."""
    from concurrent.futures import ThreadPoolExecutor

    from requests.exceptions import ConnectionError, RequestException, Timeout
    from tqdm import tqdm

    stop, lock, lost = threading.Event(), threading.Lock(), 0
    arrived: Counter[str] = Counter()
    announced = Counter({file.name: file.most for part in data.parts.values() for file in part} if data.many else {})

    def show(file: File, size: int, expected: int) -> None:
        with lock:
            expected = expected or announced[file.name]
            bar.total = ((bar.total or 0) + expected - announced[file.name]) or None
            bar.update(size - arrived[file.name])
            announced[file.name], arrived[file.name] = expected, size

    def fetch_file(file: File) -> str:
        """Why the file could not be had, or an empty string."""
        nonlocal lost  # a race on this count only delays giving up
        path, why, dead = parts / file.name, "", False
        if path.is_file() and file.sha256 in (None, digest(path)):
            return ""
        urls = file.urls if base_url is None else (f"{base_url.rstrip('/')}/{file.address or file.name}",)
        for attempt in range(1 + retries if data.many else 1):
            stop.wait(attempt)
            reasons, dead = [], False
            for url in urls:
                if stop.is_set() or lost >= HOPELESS:
                    return "not tried, the network seems to be down"
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    follow = partial(show, file)
                    fetch(url, path, most=file.most, sha256=file.sha256, resume=not data.many, progress=follow)
                    lost = 0
                    return ""
                except (RequestException, Unfit) as error:
                    reasons.append(reason(error) if data.many else f"{url.rpartition('/')[0]}: {reason(error)}")
                    dead = isinstance(error, ConnectionError | Timeout)
            why = "; ".join(reasons)
        lost += dead
        if not data.many:
            rest = path.with_name(f"{path.name}.part").exists()
            again = "goes on from there" if rest else "fetches what is missing"
            raise UserError(f"{file.name} could not be downloaded ({why}); the same command again {again}")
        tqdm.write(f"{file.name}: {why}", file=sys.stderr)
        return why

    def make(part: tuple[str, tuple[File, ...]]) -> str:
        target, files = folder / part[0], part[1]
        if data.has(target, files):
            bar.update(sum(announced[file.name] for file in files))
            return ""
        why = next((why for file in files if (why := fetch_file(file))), "")
        if not why:
            paths = [parts / file.name for file in files]
            data.lay(target, paths, progress)
            for path in paths:
                path.unlink(missing_ok=True)
        return why

    total = sum(announced.values()) or None
    bar = tqdm(total=total, unit="B", unit_scale=True, disable=not progress, desc=data.name)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        made = pool.map(make, data.parts.items()) if data.many else map(make, data.parts.items())
        try:
            return {target: why for target, why in zip(data.parts, made, strict=True) if why}
        except BaseException:  # Ctrl-C, a full disk: files on their way are finished, no other is begun
            stop.set()
            raise


def check_own(path: Path, beginning: str) -> None:
    """Raise UserError if ``path`` is there and does not begin as the file that audiogan writes does."""
    try:
        with open(path, "rb") as stream:
            found = stream.read(len(beginning.encode()))
    except FileNotFoundError:
        return
    if found != beginning.encode():
        raise UserError(f"{path}: not written by audiogan, but would be replaced; move it or choose another folder")
