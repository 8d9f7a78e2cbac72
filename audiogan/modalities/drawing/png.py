"""Atomic writing of PNG files, and reading that limits the size of the picture."""

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
from audiogan.files import check_readable_file, write_file

MAX_CHUNK_BYTES = 1 << 30
"""Largest length of an ``IDAT`` chunk (pixel data) in PNG files that audiogan writes, in bytes."""


def save_png(path: str | os.PathLike[str], picture: Any, **options: Any) -> None:
    """Write a Pillow image as a PNG file, atomically.

    Args:
        path: the file. Missing folders are created.
        picture: ``PIL.Image.Image``.
        **options: options of the PNG writer of ``Image.save``, such as ``compress_level``.

    Raises:
        UserError: the file cannot be written.
    """
    # The file is encoded in memory first, because Pillow reports a full disk only as "encoder error".
    content = io.BytesIO()
    picture.save(content, "PNG", **options)
    write_file(path, content.getbuffer())


@contextmanager
def open_png(path: str | os.PathLike[str], max_pixels: int) -> Iterator[Any]:
    """Open a PNG file with Pillow if its header states at most ``max_pixels`` pixels.

    This is a context manager. Errors that Pillow raises inside the ``with`` block become `UserError`, too.

    Raises:
        UserError: the file is missing, damaged, too large or not a PNG file.
    """
    from PIL import Image, UnidentifiedImageError

    check_readable_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(path, formats=["PNG"])
        with picture:
            if picture.width * picture.height > max_pixels:
                size = f"{picture.width:,} x {picture.height:,} pixels"
                raise UserError(f"{path}: a picture of {size}; at most {max_pixels:,} pixels are read")
            yield picture
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: too many pixels; at most {max_pixels:,} are read") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a PNG file, or damaged") from error
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises any of these errors for a damaged file.
        raise UserError(f"{path}: damaged ({error})") from error


def encode_16_bits(pixels: NDArray[np.uint16]) -> bytes:
    """Encode 16-bit pixels ``[C, H, W]`` as a PNG file and return its bytes.

    The number of channels is 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha). Pillow is not used, because it
    writes colours with only 8 bits.

    Source: ISO/IEC 15948 (PNG specification).
    """
    channels, height, width = pixels.shape
    rows = np.ascontiguousarray(pixels.transpose(1, 2, 0), ">u2").reshape(height, -1).view(np.uint8)
    lines = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # First byte: filter 2, difference from the line above.
    lines[:, 1:] = np.diff(rows, axis=0, prepend=np.uint8(0))
    body = zlib.compress(lines.data)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, (0, 4, 2, 6)[channels - 1], 0, 0, 0))]
    parts = [body[start : start + MAX_CHUNK_BYTES] for start in range(0, len(body), MAX_CHUNK_BYTES)]
    chunks += [(b"IDAT", part) for part in parts] + [(b"IEND", b"")]
    whole = (len(x).to_bytes(4, "big") + kind + x + zlib.crc32(kind + x).to_bytes(4, "big") for kind, x in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)
