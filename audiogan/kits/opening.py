"""Reading of kits from files: ``kit.json``, or a ZIP archive that contains it. The files may be untrusted."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO

from audiogan.errors import UserError

KIT = "kit.json"
MAX_KIT_BYTES = 1 << 24
"""Maximum size of ``kit.json``, in bytes."""
MAX_DIRECTORY_BYTES = 1 << 22
"""Maximum size of the list of files in a ZIP archive, in bytes. A kit of 2,048 files needs less than 0.3 MB."""
END, END_SIZE = b"PK\5\6", 22
"""Signature and size in bytes of the last record of a ZIP archive, without the comment of the archive."""


def read_kit_file(stream: IO[bytes], max_bytes: int = MAX_KIT_BYTES) -> bytes:
    """Return the content of ``kit.json``, which is the stream itself or a file in a ZIP archive.

    No file is extracted from the archive, and at most ``max_bytes`` are decompressed. If the archive contains several
    files of this name, the one in the uppermost folder is read.

    Args:
        stream: seekable binary stream with the content of the file.
        max_bytes: maximum size of ``kit.json``, in bytes.

    Raises:
        UserError: ``kit.json`` is too large, missing or damaged.
    """
    start = stream.read(4)
    stream.seek(0)
    if start not in (b"PK\3\4", END):
        content = stream.read(max_bytes + 1)
        if not content:
            raise UserError("an empty file")
    else:
        content = _unzip(stream, max_bytes)
    if len(content) > max_bytes:
        raise UserError(f"its {KIT} is larger than {max_bytes >> 20} MB, the limit")
    return content


def _unzip(stream: IO[bytes], max_bytes: int) -> bytes:
    try:
        _check_directory(stream)
        with zipfile.ZipFile(stream) as archive:
            found = [name for name in archive.namelist() if name.replace("\\", "/").rpartition("/")[2] == KIT]
            if not found:
                raise UserError(f"the archive has no {KIT}; only kits that audiogan wrote have one")
            with archive.open(min(found, key=lambda name: (name.count("/"), name))) as file:
                return file.read(max_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise UserError(f"a damaged ZIP archive ({' '.join(str(error).split())[:100]})") from error
    except (NotImplementedError, RuntimeError) as error:  # An unknown method of compression, or a password.
        raise UserError(f"a ZIP archive that cannot be read ({' '.join(str(error).split())[:100]})") from error


def _check_directory(stream: IO[bytes]) -> None:
    """Raise `UserError` if the list of files is too large, because `zipfile` reads it whole."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - END_SIZE - 0xFFFF))
    tail = stream.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + END_SIZE:
        raise UserError("a damaged ZIP archive (its end is missing)")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > MAX_DIRECTORY_BYTES:
        raise UserError("the archive contains too many files for a kit")
    stream.seek(0)
