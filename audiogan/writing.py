"""Files and folders to which commands write: checked before the work, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from audiogan.errors import UserError, reporting
from audiogan.files import replacing


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
