"""PNG files: written whole or not at all, opened with care."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import check_file, write_file

CHUNK = 1 << 30
"""Most bytes of a chunk of PNG files that are written."""


def save_png(path: str | os.PathLike[str], picture: Any, **options: Any) -> None:
    """Write a Pillow image, atomically. UserError if the file cannot be written; ``options`` as of `Image.save`."""
    content = io.BytesIO()  # of a full disk, Pillow says only "encoder error"
    picture.save(content, "PNG", **options)
    write_file(path, content.getbuffer())


@contextmanager
def open_png(path: str | os.PathLike[str], largest: int) -> Iterator[Any]:
    """Open a PNG of at most ``largest`` pixels with Pillow. The header decides, before pixels are decoded.

    Raises:
        UserError: no such file, not a PNG, damaged (also if that shows in the block only), or more pixels.
    """
    from PIL import Image, UnidentifiedImageError

    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=["PNG"])
        with picture:
            if picture.width * picture.height > largest:
                size = f"{picture.width:,} x {picture.height:,} pixels"
                raise UserError(f"{path}: a picture of {size}; at most {largest:,} pixels are read")
            yield picture
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels; at most {largest:,} are read") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG file, or damaged") from error
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all of these for damaged files
        raise UserError(f"{path}: damaged ({error})") from error


def encode_16_bits(pixels: NDArray[np.uint16]) -> bytes:
    """Return the PNG (ISO/IEC 15948) of ``[C, H, W]``, C = 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha).

    Pillow writes colours with 8 bits only.
    """
    channels, height, width = pixels.shape
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0), ">u2").reshape(height, -1).view(np.uint8)
    lines = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # each begins with the number of its filter: 2, "Up"
    lines[:, 1:] = np.diff(rows, axis=0, prepend=np.uint8(0))
    body = zlib.compress(lines.data)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0))]
    chunks += [(b"IDAT", body[start : start + CHUNK]) for start in range(0, len(body), CHUNK)] + [(b"IEND", b"")]
    whole = (len(x).to_bytes(4, "big") + kind + x + zlib.crc32(kind + x).to_bytes(4, "big") for kind, x in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)
