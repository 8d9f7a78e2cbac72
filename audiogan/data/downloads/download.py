"""Download of data sets with checksums, size limits, resuming and credits.

`get_data_set` returns a data set by name, and `download` downloads it. `downloads.yaml` describes the data sets.
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
from audiogan.data.downloads.archive import ArchiveFiles
from audiogan.data.downloads.data_set import DataSet, File, read_descriptions
from audiogan.data.downloads.drum_kits import DrumKits
from audiogan.data.downloads.fetch import Progress, UnexpectedFile, failure_reason, fetch
from audiogan.data.downloads.idx import IdxImages
from audiogan.errors import UserError
from audiogan.files import FileName, atomic_write

MAX_FAILURES = 12
"""Number of consecutive connection failures after which a download gives up."""
THREADS = 4
"""Number of parallel downloads for data sets of many files."""


def get_data_set(name: str) -> DataSet:
    """Return the data set with the given name. Raise `UserError` for an unknown name."""
    found = read_descriptions()
    if name not in found:
        raise UserError(f"there is no data set '{name}'; there are: {', '.join(found)}")
    facts = found[name]
    if name == "drums":
        return DrumKits()
    return ArchiveFiles.from_description(name, facts) if "member" in facts else IdxImages.from_description(name, facts)


def download(
    data: DataSet, out: FileName | None = None, base_url: str | None = None, *, progress: bool = True, retries: int = 2
) -> Path:
    """Download a data set, or complete an earlier download.

    Complete files are not downloaded again. Files that audiogan did not write are never overwritten.

    Args:
        data: data set, see `get_data_set`.
        out: target folder. Default: ``downloads_folder() / data.name``.
        base_url: URL of a mirror to use instead of the original servers.
        progress: show a progress bar.
        retries: number of additional attempts per file, for data sets of many files.

    Returns:
        The target folder.

    Raises:
        UserError: ``out`` cannot be written, the download would overwrite other files, or it failed.
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
        raise UserError(f"cannot write {where}: {why}; free disk space or choose another folder") from error
    finally:
        _remove_leftovers(data, parts)
        if new:
            with suppress(OSError):  # rmdir fails if the folder is missing or not empty.
                folder.rmdir()
    if failed:
        name, why = next(iter(failed.items()))
        what, first = (
            (f"{len(failed)} of {len(data.parts)} files", f"first: {name}: ") if data.many_files else (name, "")
        )
        raise UserError(f"{what} could not be downloaded ({first}{why}); repeat the command to resume")
    return folder


def _remove_leftovers(data: DataSet, parts: Path) -> None:
    """Remove incomplete files that cannot be resumed, and folders that are empty."""
    files = [file for part in data.parts.values() for file in part]
    with suppress(OSError):
        for file in files:
            if data.many_files or file.sha256 is None:
                for name in (file.name, f"{file.name}.part"):
                    (parts / name).unlink(missing_ok=True)
    for folder in (*{(parts / file.name).parent for file in files} - {parts}, parts):
        with suppress(OSError):  # rmdir fails if the folder is missing or not empty.
            folder.rmdir()


def _fetch_all(
    data: DataSet, folder: Path, parts: Path, base_url: str | None, progress: bool, retries: int
) -> dict[str, str]:
    """Download the missing files and create their parts. Return the reason of each failure, by file name."""
    from concurrent.futures import ThreadPoolExecutor

    from requests.exceptions import ConnectionError, RequestException, Timeout
    from tqdm import tqdm

    stop, lost, many = threading.Event(), 0, data.many_files

    def fetch_file(file: File) -> str:
        """Download one file. Return the reason of a failure, or an empty string."""
        nonlocal lost  # No lock is needed, because the count of failures may be inexact.
        path, why, dead = parts / file.name, "", False
        if path.is_file() and file.sha256 in (None, file_hash(path)):
            return ""
        urls = file.urls if base_url is None else (f"{base_url.rstrip('/')}/{file.mirror_path or file.name}",)
        for attempt in range(1 + retries if many else 1):
            stop.wait(attempt)
            reasons = []
            for url in urls:
                if stop.is_set() or lost >= MAX_FAILURES:
                    return "not tried because the network seems to be down"
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with bar_of(many, desc=file.name, unit="B", unit_scale=True) as bar:
                        fetch(url, path, file.max_bytes, file.sha256, resume=not many, progress=show(bar))
                    lost = 0
                    return ""
                except (RequestException, UnexpectedFile) as error:
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
            # Large files are downloaded in the main thread, where Ctrl-C ends a download at once.
            for why in pool.map(make, data.parts.items()) if many else map(make, data.parts.items()):
                failed |= why
                bar.update()
        except BaseException:  # Start no further downloads after Ctrl-C or a full disk.
            stop.set()
            raise
    return failed
