"""Files: checks of files that may come from strangers, and writing files that are never seen half-written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiogan.errors import UserError, reporting

FileName = str | os.PathLike[str]
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""Flags of `os.open`: fail at a symbolic link, do not wait for the other end of a FIFO."""
LONGEST = 240
"""Bytes of a file name. File systems allow 255; the temporary name beside a file is longer than the file's."""


def cache_dir(part: str = "", chosen: FileName | None = None) -> Path:
    """Return the folder for files that audiogan can make again. It may not exist yet.

    Args:
        part: subfolder of the user's cache folder for audiogan. The environment variable ``AUDIOGAN_CACHE`` replaces
            that folder.
        chosen: folder to return instead.
    """
    if chosen is not None:
        return Path(chosen).expanduser()
    if folder := os.environ.get("AUDIOGAN_CACHE"):
        return Path(folder).expanduser() / part
    from platformdirs import user_cache_path

    return user_cache_path("audiogan", appauthor=False) / part


def read_small(path: str | os.PathLike[str], largest: int, what: str) -> bytes:
    """A file of at most ``largest`` bytes. UserError for a larger one, as no ``what`` is, or one that is not there."""
    with reporting(f"{path}: cannot be read"), open(path, "rb") as stream:
        content = stream.read(largest + 1)
    if not content:
        raise UserError(f"{path}: cannot be read (an empty file)")
    if len(content) > largest:
        raise UserError(f"{path}: larger than {largest >> 20} MB; a {what} is not")
    return content


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise UserError with the reason unless ``path`` is a regular file that can be opened and is not empty."""
    reason = ""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            reason = "a folder; name a file"
        elif not stat.S_ISREG(status.st_mode):
            reason = "not a regular file"
        elif not status.st_size:
            reason = "an empty file"
        else:
            with open(path, "rb"):
                return
    except FileNotFoundError:
        reason = "a link to a file that does not exist" if os.path.lexists(path) else "no such file"
    except OSError as error:
        reason = error.strerror or str(error)
    raise UserError(f"{path}: cannot be read ({reason})")


def is_plain(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is a regular file, or a link to one.

    Opening a FIFO or a device can block forever, so files from strangers are checked first.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def append(path: str | os.PathLike[str], data: bytes) -> None:
    """Append `data` to a file: all of it or, if that fails, none of it. The file is created if it is missing.

    Raises:
        OSError: the file cannot be written, is a symbolic link, or is not a regular file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK | getattr(os, "O_BINARY", 0)
    file = os.open(path, flags, 0o666)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(file, left) :]
        except OSError:
            os.ftruncate(file, status.st_size)
            raise
    except OSError as error:
        raise _named(error, path) from error
    finally:
        os.close(file)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    Readers of `path` see the old file or the new one, never a part. Missing folders are created. A symbolic link at
    `path` is replaced, not followed. The new file has the permissions of any newly created file. If the block raises,
    the temporary file is deleted, and an `OSError` without a file name gets the name `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # Created here because some libraries create files that only their owner can read.
        with open(temporary, "xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            temporary.chmod(mode)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and str(error.filename) in ("None", str(temporary)):
            raise _named(error, path) from error
        raise


def _named(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """The same error about `path`."""
    return OSError(error.errno, error.strerror or os.strerror(error.errno or errno.EIO), str(path))


@contextlib.contextmanager
def working_folder(out: Path) -> Iterator[None]:
    """Make a folder; remove it again if the block raises and the folder is empty."""
    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        with reporting(f"{out}: cannot be written to"):
            out.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def write_file(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file, atomically; missing folders are made.

    Raises:
        UserError: it cannot be written, for example because the disk is full.
    """
    with reporting(f"{path}: cannot be written"), replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise UserError with the reason unless files can be written into the folder ``path``, which need not exist."""
    if reason := _unwritable(Path(path)):
        raise UserError(f"{path}: cannot be written to ({reason}); choose another folder")


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise UserError with the reason unless a file can be written at ``path``. An existing file may be replaced."""
    if os.path.isdir(path):
        raise UserError(f"{path}: a folder; name a file")
    if reason := _unwritable(Path(path).parent, Path(path)):
        raise UserError(f"{path}: cannot be written ({reason})")


def _unwritable(folder: Path, file: Path | None = None) -> str:
    """The reason why nothing can be written into a folder; empty if it can."""
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(folder if file is None else file.with_name(f".{file.name}.01234567.tmp"))  # as `replacing` writes
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            missing = folder.is_symlink() and not folder.exists()
            return f"{folder} is a link to a folder that does not exist" if missing else f"{folder} is not a folder"
        with tempfile.TemporaryFile(dir=folder):  # only the system knows
            return ""
    except OSError as error:
        return error.strerror or str(error)


def unwritable(path: str | os.PathLike[str]) -> str:
    """Return why no file can be written at ``path``, or an empty string. Missing folders can be made."""
    path = Path(path)
    if len(os.fsencode(path.name)) > LONGEST:
        return "its name is too long"
    try:
        if path.is_dir():
            return "it is a folder; give the name of a file"
        folder = path.absolute().parent
        while not os.path.lexists(folder):
            folder = folder.parent
    except OSError as error:
        return error.strerror or str(error)
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not writable"


def check_output(path: str | os.PathLike[str], flag: str, endings: Sequence[str]) -> None:
    """Check that a command can write the file that a flag names.

    Args:
        path: the value of the flag.
        flag: its name, for the error: ``--sheet``.
        endings: allowed endings of the name, in lower case; those of the path may be in any case.

    Raises:
        UserError: another ending, a folder, or a place where no file can be written.
    """
    reason = unwritable(path)
    if not reason and Path(path).suffix.lower() not in endings:
        reason = f"the name of this file must end in {' or '.join(endings)}"
    if reason:
        raise UserError(f"{flag} {path}: {reason}")
