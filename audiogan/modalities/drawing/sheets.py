"""Contact sheets that a command may replace."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO

from audiogan.errors import UserError, wrap_os_errors
from audiogan.modalities.drawing.spectrograms import BACKGROUND

NAME = "contact-sheet.png"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def check_sheet(path: str | os.PathLike[str]) -> None:
    """Raise UserError if something other than a contact sheet of audiogan is at ``path``."""
    with wrap_os_errors(f"{path}: cannot be read"):
        if not os.path.lexists(path):
            return
        if Path(path).is_file():
            with open(path, "rb") as stream:
                if _first_pixel(stream) == bytes.fromhex(BACKGROUND[1:]):
                    return
    raise UserError(f"{path}: not a contact sheet of audiogan; rename it, or choose another folder")


def _first_pixel(stream: BinaryIO) -> bytes:
    """The top left pixel of an 8-bit RGB or RGBA PNG; empty for anything else."""
    head = stream.read(33)
    bits, colours, interlaced = head[24:25], head[25:26], head[28:29]
    if not head.startswith(SIGNATURE) or bits != b"\x08" or colours not in (b"\x02", b"\x06") or interlaced != b"\0":
        return b""
    while len(chunk := stream.read(8)) == 8:
        size = int.from_bytes(chunk[:4], "big")
        if chunk[4:] == b"IDAT":
            try:
                # A filter byte comes first. No filter changes the first pixel of the first row.
                return zlib.decompressobj().decompress(stream.read(min(size, 1 << 16)), 4)[1:]
            except zlib.error:
                return b""
        stream.seek(size + 4, os.SEEK_CUR)
    return b""
