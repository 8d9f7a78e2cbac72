"""Data sets from the net: fetched with checks, resumable, with credits beside them.

`downloads.yaml` describes the data sets: addresses, checksums, bounds of size, credits. `data_set` returns one of them,
`get` fetches it.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from pooch import file_hash

from audiogan.data.cache import downloads_folder
from audiogan.data.downloads.data_set import DataSet, File, read_descriptions
from audiogan.data.downloads.drum_kits import DrumKits
from audiogan.data.downloads.fetch import Progress, Unfit, failure_reason, fetch
from audiogan.data.downloads.idx import IdxImages
from audiogan.data.downloads.spoken_digits import SpokenDigits
from audiogan.errors import UserError
from audiogan.files import FileName, atomic_write

HOPELESS = 12
"""Lost connections in a row after which the network is taken for dead."""
THREADS = 4


def get_data_set(name: str) -> DataSet:
    """The data set of this name. Raises UserError for an unknown name."""
    found = read_descriptions()
    if name not in found:
        raise UserError(f"there is no data set '{name}'; there are: {', '.join(found)}")
    facts = found[name]
    if name == "drums":
        return DrumKits()
    return SpokenDigits.from_description(name, facts) if "member" in facts else IdxImages.from_description(name, facts)


def download(
    data: DataSet, out: FileName | None = None, base_url: str | None = None, *, progress: bool = True, retries: int = 2
) -> Path:
    """Download a data set into ``out``.

    Files that are complete are not fetched again, so the same call resumes a download. A download ends at `File.most`
    bytes. Files get their final name when they are complete, and files that audiogan did not write stay as they are.

    Args:
        data: see `data_set`.
        out: folder, default ``downloads() / data.name``.
        base_url: another server with the same files, used instead of the known addresses.
        progress: show a progress bar.
        retries: further attempts for each file of a data set of many files.

    Returns:
        The folder.

    Raises:
        UserError: ``out`` holds other files or cannot be written, or a file could not be downloaded.
    """
    folder = Path(os.path.abspath(downloads_folder() / data.name if out is None else Path(out).expanduser()))
    parts, new = data.download_folder(folder), not folder.exists()
    try:
        data.check_folder(folder)
        try:
            failed = _fetch_all(data, folder, parts, base_url, progress, retries)
        finally:
            for name, text in data.text_files(folder).items():
                with atomic_write(folder / name) as temporary:
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
        what, first = (
            (f"{len(failed)} of {len(data.parts)} files", f"first: {name}: ") if data.many_files else (name, "")
        )
        raise UserError(f"{what} could not be downloaded ({first}{why}); the same command again goes on from there")
    return folder


def _tidy(data: DataSet, parts: Path) -> None:
    """Remove the files of a download that cannot be resumed, and empty folders; nothing else."""
    files = [file for part in data.parts.values() for file in part]
    with suppress(OSError):
        for file in files:
            if data.many_files or file.sha256 is None:
                for name in (file.name, f"{file.name}.part"):
                    (parts / name).unlink(missing_ok=True)
    for folder in (*{(parts / file.name).parent for file in files} - {parts}, parts):
        with suppress(OSError):  # not there, or it holds files that can be resumed or of someone else
            folder.rmdir()


def _fetch_all(
    data: DataSet, folder: Path, parts: Path, base_url: str | None, progress: bool, retries: int
) -> dict[str, str]:
    """Fetch the missing files and make parts from them. Return the reason for each file that failed."""
    from concurrent.futures import ThreadPoolExecutor

    from requests.exceptions import ConnectionError, RequestException, Timeout
    from tqdm import tqdm

    stop, lost, many = threading.Event(), 0, data.many_files

    def fetch_file(file: File) -> str:
        """Return why the file failed, or an empty string."""
        nonlocal lost  # a race on this count only delays giving up
        path, why, dead = parts / file.name, "", False
        if path.is_file() and file.sha256 in (None, file_hash(path)):
            return ""
        urls = file.urls if base_url is None else (f"{base_url.rstrip('/')}/{file.address or file.name}",)
        for attempt in range(1 + retries if many else 1):
            stop.wait(attempt)
            reasons = []
            for url in urls:
                if stop.is_set() or lost >= HOPELESS:
                    return "not tried, the network seems to be down"
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with bar_of(many, desc=file.name, unit="B", unit_scale=True) as bar:
                        fetch(url, path, file.max_bytes, file.sha256, resume=not many, progress=show(bar))
                    lost = 0
                    return ""
                except (RequestException, Unfit) as error:
                    why = failure_reason(error)
                    reasons.append(why if many else f"{url.rpartition('/')[0]}: {why}")
                    dead = isinstance(error, ConnectionError | Timeout)
            why = "; ".join(reasons)
        lost += dead
        if many:
            tqdm.write(f"{file.name}: {why}", file=sys.stderr)
        return why

    def make(part: tuple[str, tuple[File, ...]]) -> dict[str, str]:
        target, files = folder / part[0], part[1]
        if not data.is_complete(target, files):
            for file in files:
                if why := fetch_file(file):
                    return {file.name: why}
            paths = [parts / file.name for file in files]
            data.install(target, paths, progress)
            for path in paths:
                path.unlink(missing_ok=True)
        return {}

    def bar_of(hidden: bool, **options: Any) -> tqdm:
        return tqdm(disable=hidden or not progress, **options)

    def show(bar: tqdm) -> Progress:
        def follow(size: int, expected: int) -> None:
            bar.total = expected or None
            bar.update(size - bar.n)

        return follow

    failed: dict[str, str] = {}
    bar = bar_of(not many, total=len(data.parts), unit="file", desc=data.name)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        try:
            # A large file is fetched in this thread, so that Ctrl-C ends its download at once.
            for why in pool.map(make, data.parts.items()) if many else map(make, data.parts.items()):
                failed |= why
                bar.update()
        except BaseException:  # Ctrl-C, a full disk: small files are finished, no other download begins
            stop.set()
            raise
    return failed
