"""Checks of output paths, made before the work of a command begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from audiogan.errors import UserError

LONGEST = 240
"""Bytes of a file name. File systems allow 255; the temporary name beside a file is longer than the file's."""


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
