"""Cache folders that are built atomically, so that a cached folder is always complete.

A folder is built under a temporary name. When it is complete, a file with the sizes and checksums of all files is added
(the *seal*), and the folder is renamed. The next build removes temporary folders that remain after a crash. If several
processes build the same folder, all of them use the folder that is finished first.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import time
import uuid
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from audiogan.errors import UserError
from audiogan.files import cache_dir

log = logging.getLogger("audiogan.data")
SEAL_FILE = "sealed.json"
FULL_CHECK_LIMIT = 1 << 24  # Size in bytes above which only some blocks of an unmodified file are checked.
BLOCK, BLOCKS = 1 << 18, 16  # Block size in bytes, and number of blocks checked in a large file.
# Age in seconds after which an unfinished build of another machine is removed as abandoned.
STALE_SECONDS = 7 * 24 * 3600


def open_or_build(cache_dir: Path, key: str, build: Callable[[Path], None]) -> Path:
    """Return the folder ``cache_dir/key``. Build it if it does not exist or is damaged.

    Args:
        cache_dir: parent folder. It is created if necessary.
        key: name of the folder, ``GROUP-CONTENT``. ``GROUP`` is a digest of the purpose and the settings, ``CONTENT`` a
            digest of the input data. After a build, other folders with the same ``GROUP`` are removed as outdated.
        build: function that fills the given empty folder.

    Raises:
        UserError: the folder cannot be written, for example because the disk is full.
    """
    final = cache_dir / key
    if is_intact(final):
        return final
    if final.exists():
        log.warning("the cache %s is damaged: building it again", final)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _remove_abandoned_builds(cache_dir)
        temporary = cache_dir / f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            build(temporary)
            _seal(temporary)
            _move_into_place(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _remove_outdated(cache_dir, final)
    except OSError as e:
        why = e.strerror or str(e)
        raise UserError(
            f"cannot write the cache in {cache_dir} ({why}): free disk space there or set AUDIOGAN_CACHE"
        ) from e
    return final


def is_intact(folder: Path) -> bool:
    """Return ``True`` if all files of a cache folder are as they were when the folder was built.

    For a large file with an unchanged modification time, only the size and the checksums of some blocks are compared
    with the stored values. All other files are read completely.
    """
    try:
        seal = json.loads((folder / SEAL_FILE).read_text())
        return bool(seal) and all(_unchanged(folder / name, *was) for name, was in seal.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _unchanged(path: Path, size: int, whole: int, sample: int, mtime_ns: int) -> bool:
    info = path.stat()
    if info.st_size != size:
        return False
    if size > FULL_CHECK_LIMIT and info.st_mtime_ns == mtime_ns:
        return _checksum(path, _blocks(size)) == sample
    return _checksum(path, range(0, size, BLOCK)) == whole


def _blocks(size: int) -> list[int]:
    """Return the offsets in bytes of the checked blocks of a large file, evenly spaced from the first to the last."""
    return [i * (size - BLOCK) // (BLOCKS - 1) for i in range(BLOCKS)]


def _checksum(path: Path, starts: Iterable[int]) -> int:
    crc = 0
    with open(path, "rb") as f:
        for start in starts:
            f.seek(start)
            crc = zlib.crc32(f.read(BLOCK), crc)
    return crc


def _seal(folder: Path) -> None:
    seal = {}
    for path in sorted(folder.iterdir()):
        with open(path, "rb+") as f:
            os.fsync(f.fileno())
        info = path.stat()
        whole = _checksum(path, range(0, info.st_size, BLOCK))
        sample = _checksum(path, _blocks(info.st_size)) if info.st_size > FULL_CHECK_LIMIT else whole
        seal[path.name] = [info.st_size, whole, sample, info.st_mtime_ns]
    with open(folder / SEAL_FILE, "w") as f:
        json.dump(seal, f)
        f.flush()
        os.fsync(f.fileno())


def _move_into_place(temporary: Path, final: Path) -> None:
    for _ in range(10):
        with contextlib.suppress(OSError):
            os.rename(temporary, final)  # Renaming fails if a folder `final` exists.
            return
        if is_intact(final):
            return
        if final.exists():
            aside = final.parent / f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
            os.rename(final, aside)
            shutil.rmtree(aside, ignore_errors=True)
    os.rename(temporary, final)


def _remove_abandoned_builds(cache_dir: Path) -> None:
    """Remove the temporary folders of builds whose process no longer runs."""
    for path in cache_dir.glob(".tmp-*"):
        host, pid, _ = path.name[len(".tmp-") :].rsplit("-", 2)
        try:
            dead = (
                not _alive(int(pid))
                if host == socket.gethostname()
                else time.time() - path.stat().st_mtime > STALE_SECONDS
            )
        except (OSError, ValueError):
            continue
        if dead:
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    if os.name == "nt":  # On Windows, os.kill(pid, 0) would end the process.
        return True
    try:
        os.kill(pid, 0)
    except OSError as e:
        return not isinstance(e, ProcessLookupError)
    return True


def _remove_outdated(cache_dir: Path, final: Path) -> None:
    group = final.name.rpartition("-")[0]
    for path in cache_dir.glob(f"{group}-*"):
        if path != final:
            shutil.rmtree(path, ignore_errors=True)


def downloads_folder() -> Path:
    """Return the folder into which ``audiogan data get`` downloads data sets by default."""
    return cache_dir("downloads")
