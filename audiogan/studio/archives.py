"""Packing of files into ZIP archives."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

ARCHIVE_TIME = (2020, 1, 1, 0, 0, 0)
"""Modification time of the files in an archive. It is constant, so that exports of the same kit are identical byte for
byte.
"""


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive of files, given their contents by path. The same files always give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, ARCHIVE_TIME), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
