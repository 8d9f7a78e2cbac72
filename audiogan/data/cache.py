"""A folder that is either whole or not there.

Built under a temporary name beside its place, sealed with the size and checksum of its files, then renamed. A crash
leaves only a temporary folder, swept by the next build; of several processes that build at once the first to finish
wins and the others use its result.
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
SEAL = "sealed.json"
CHECKED = 1 << 24  # bytes; larger files are not read through just to open the folder, unless their time changed
BLOCK, BLOCKS = 1 << 18, 16  # bytes read at a time; how many of them are checked of a large file
STALE = 7 * 24 * 3600  # seconds after which another machine's unfinished build is taken for dead


def open_or_build(cache_dir: Path, key: str, build: Callable[[Path], None]) -> Path:
    """Return the intact folder `cache_dir/key`; build it if it does not exist.

    Args:
        cache_dir: parent of such folders; created.
        key: `group-content`. Once built, other contents of the same group are removed: they cannot be asked for again.
        build: function that fills the empty folder it is given.

    Raises:
        UserError: the folder cannot be written (no space, no permission).
    """
    final = cache_dir / key
    if intact(final):
        return final
    if final.exists():
        log.warning("the cache %s is damaged: building it again", final)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        _sweep(cache_dir)
        temporary = cache_dir / f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            build(temporary)
            _seal(temporary)
            _place(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        _forget_older(cache_dir, final)
    except OSError as e:
        why = e.strerror or str(e)
        raise UserError(f"cannot write the cache in {cache_dir} ({why}): make room there or set AUDIOGAN_CACHE") from e
    return final


def intact(folder: Path) -> bool:
    """Return whether every file is as it was when the folder was sealed.

    A large file with the time of change that it had then is judged by its size and a checksum of some blocks. Every
    other file is read through.
    """
    try:
        seal = json.loads((folder / SEAL).read_text())
        return bool(seal) and all(_unchanged(folder / name, *was) for name, was in seal.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _unchanged(path: Path, size: int, whole: int, sample: int, mtime_ns: int) -> bool:
    info = path.stat()
    if info.st_size != size:
        return False
    if size > CHECKED and info.st_mtime_ns == mtime_ns:
        return _checksum(path, _blocks(size)) == sample
    return _checksum(path, range(0, size, BLOCK)) == whole


def _blocks(size: int) -> list[int]:
    """Return where the checked blocks of a large file begin: evenly spaced, the first and the last included."""
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
        sample = _checksum(path, _blocks(info.st_size)) if info.st_size > CHECKED else whole
        seal[path.name] = [info.st_size, whole, sample, info.st_mtime_ns]
    with open(folder / SEAL, "w") as f:
        json.dump(seal, f)
        f.flush()
        os.fsync(f.fileno())


def _place(temporary: Path, final: Path) -> None:
    for _ in range(10):
        with contextlib.suppress(OSError):
            os.rename(temporary, final)  # fails where a folder with content is already there
            return
        if intact(final):
            return
        if final.exists():
            aside = final.parent / f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
            os.rename(final, aside)
            shutil.rmtree(aside, ignore_errors=True)
    os.rename(temporary, final)


def _sweep(cache_dir: Path) -> None:
    """Remove what builders that died left behind."""
    for path in cache_dir.glob(".tmp-*"):
        host, pid, _ = path.name[len(".tmp-") :].rsplit("-", 2)
        try:
            dead = not _alive(int(pid)) if host == socket.gethostname() else time.time() - path.stat().st_mtime > STALE
        except (OSError, ValueError):
            continue
        if dead:
            shutil.rmtree(path, ignore_errors=True)


def _alive(pid: int) -> bool:
    if os.name == "nt":  # os.kill would end the process there
        return True
    try:
        os.kill(pid, 0)
    except OSError as e:
        return not isinstance(e, ProcessLookupError)
    return True


def _forget_older(cache_dir: Path, final: Path) -> None:
    group = final.name.rpartition("-")[0]
    for path in cache_dir.glob(f"{group}-*"):
        if path != final:
            shutil.rmtree(path, ignore_errors=True)


def downloads() -> Path:
    """Return the folder into which ``audiogan data get`` downloads data sets by default."""
    return cache_dir("downloads")
