"""Atomic writing, and checks of files and folders before they are read or written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from audiogan.errors import UserError, wrap_os_errors

FileName = str | os.PathLike[str]
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""Flags of `os.open` that make it fail at a symbolic link and return at once for a FIFO."""
MAX_NAME_BYTES = 240
"""Maximum length of a file name, in bytes. File systems allow 255, and `atomic_write` adds up to 14 for its temporary
file."""


def cache_dir(subfolder: str = "", replacement: FileName | None = None) -> Path:
    """Return the path of a cache folder: its files can be deleted, because audiogan can create them again. The folder
    may not exist yet.

    Args:
        subfolder: name of a folder inside the user's cache folder for audiogan. The environment variable
            ``AUDIOGAN_CACHE`` replaces the cache folder.
        replacement: folder to return instead. None selects the cache folder.
    """
    if replacement is not None:
        return Path(replacement).expanduser()
    if folder := os.environ.get("AUDIOGAN_CACHE"):
        return Path(folder).expanduser() / subfolder
    from platformdirs import user_cache_path

    return user_cache_path("audiogan", appauthor=False) / subfolder


def read_small_file(path: str | os.PathLike[str], max_bytes: int, content_kind: str) -> bytes:
    """Return the content of a file after checking its size.

    Args:
        path: the file.
        max_bytes: maximum size, in bytes.
        content_kind: kind of the content for the error message, such as "pattern".

    Raises:
        UserError: the file cannot be read, is empty, or is larger than ``max_bytes``.
    """
    with wrap_os_errors(f"{path}: cannot be read"), open(path, "rb") as stream:
        content = stream.read(max_bytes + 1)
    if not content:
        raise UserError(f"{path}: cannot be read (an empty file)")
    if len(content) > max_bytes:
        raise UserError(f"{path}: larger than {max_bytes >> 20} MB, the limit for a {content_kind}")
    return content


def check_readable_file(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` with the reason unless `path` is a non-empty regular file that can be opened."""
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


def is_regular_file(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is a regular file or a link to one.

    Opening a FIFO or a device can block forever, so untrusted paths are checked first.
    """
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def append_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Append `data` to a file, or leave the file unchanged if writing fails. A missing file is created.

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
        raise _with_path(error, path) from error
    finally:
        os.close(file)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to `path`. Rename it to `path` if the block ends without an error.

    Other processes see either the old file or the complete new one. Missing folders are created. A symbolic link at
    `path` is replaced, not followed. The new file has the default permissions of a newly created file. If the block
    raises, the temporary file is deleted, and an `OSError` about the temporary file is raised again with the name
    `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # The file is created here to learn the default permissions, because some libraries create files that only their
        # owner can read.
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
            raise _with_path(error, path) from error
        raise


def _with_path(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """Return a copy of the error with the file name `path`."""
    return OSError(error.errno, error.strerror or os.strerror(error.errno or errno.EIO), str(path))


@contextlib.contextmanager
def create_folder(folder: Path) -> Iterator[None]:
    """Context manager that creates a folder and its parents. If the ``with`` block raises, new empty folders are
    removed."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with wrap_os_errors(f"{folder}: cannot be written to"):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def write_file(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a file atomically and create missing folders.

    Raises:
        UserError: the file cannot be written, for example because the disk is full.
    """
    with wrap_os_errors(f"{path}: cannot be written"), atomic_write(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def check_writable_folder(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` with the reason unless files can be written into the folder `path`, which need not exist."""
    if reason := _unwritable_folder_reason(Path(path)):
        raise UserError(f"{path}: cannot be written to ({reason}); choose another folder")


def check_writable_file(path: str | os.PathLike[str]) -> None:
    """Raise `UserError` with the reason unless a file can be written at `path`. An existing file may be replaced."""
    if os.path.isdir(path):
        raise UserError(f"{path}: a folder; name a file")
    if reason := _unwritable_folder_reason(Path(path).parent, Path(path)):
        raise UserError(f"{path}: cannot be written ({reason})")


def _unwritable_folder_reason(folder: Path, file: Path | None = None) -> str:
    """Return the reason why nothing can be written into a folder, or an empty string."""
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(folder if file is None else file.with_name(f".{file.name}.01234567.tmp"))  # as in `atomic_write`
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            missing = folder.is_symlink() and not folder.exists()
            return f"{folder} is a link to a folder that does not exist" if missing else f"{folder} is not a folder"
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell whether writing works
            return ""
    except OSError as error:
        return error.strerror or str(error)


def unwritable_reason(path: str | os.PathLike[str]) -> str:
    """Return the reason why no file can be written at `path`, or an empty string. Missing parent folders are
    not an error."""
    path = Path(path)
    if len(os.fsencode(path.name)) > MAX_NAME_BYTES:
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


def check_output(path: str | os.PathLike[str], flag: str, suffixes: Sequence[str]) -> None:
    """Check that a command can write the output file given by a flag.

    Args:
        path: value of the flag.
        flag: name of the flag for the error message, such as ``--sheet``.
        suffixes: allowed suffixes of the file name, in lower case. The case of the suffix of `path` is ignored.

    Raises:
        UserError: the suffix is not allowed, `path` is a folder, or no file can be written there.
    """
    reason = unwritable_reason(path)
    if not reason and Path(path).suffix.lower() not in suffixes:
        reason = f"the name of this file must end in {' or '.join(suffixes)}"
    if reason:
        raise UserError(f"{flag} {path}: {reason}")
