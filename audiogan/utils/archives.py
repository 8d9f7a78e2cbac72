"""Safe opening of untrusted ZIP archives."""

from __future__ import annotations

import os
import zipfile
from typing import IO

MAX_DIRECTORY_BYTES = 4 << 20
"""Maximum size of the central directory of a ZIP archive, in bytes. It is enough for more than 20,000 files."""


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Open a ZIP archive for reading if its central directory is small.

    `zipfile` allocates about half a kilobyte for each directory entry, so a crafted directory could fill the memory.

    Raises:
        zipfile.BadZipFile: the file is not a ZIP archive, is damaged, or its directory exceeds `MAX_DIRECTORY_BYTES`.
    """
    bounded = _BoundedFile(file)
    archive = zipfile.ZipFile(bounded)
    bounded.largest = None
    return archive


class _BoundedFile:
    """A file that refuses to read more than ``largest`` bytes at once. `zipfile` reads the directory in one piece."""

    largest: int | None = MAX_DIRECTORY_BYTES

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.seek, self.tell, self.seekable, self.close = (
            file,
            file.seek,
            file.tell,
            file.seekable,
            file.close,
        )

    def read(self, n: int = -1) -> bytes:
        wanted = os.fstat(self.file.fileno()).st_size - self.file.tell() if n < 0 else n
        if self.largest is not None and wanted > self.largest:
            raise zipfile.BadZipFile(f"its directory is larger than {self.largest:,} bytes")
        return self.file.read(n)
