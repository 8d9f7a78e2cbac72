"""Encode pictures of 8 or 16 bits as files."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import numpy as np

from audiogan.errors import UserError
from audiogan.reading.pictures import Picture, opened

SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
"""Suffixes of the pictures that can be written, with Pillow's names of the formats."""
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}
"""Most pixels a side."""
DESCRIPTION, SOFTWARE = 0x010E, 0x0131
"""EXIF and TIFF tags."""
KEY = "Comment"
"""Keyword of the text in PNG files."""
BAND = 64
"""Rows that are compressed at a time."""


def encode_picture(picture: Picture, format: str, note: str = "") -> bytes:
    """Return the content of a file.

    PNG and TIFF keep 16 bits; other formats get 8. JPEG and BMP have no transparency: the picture is put on white. JPEG
    and WebP are written with a quality of 95.

    Args:
        picture: the picture.
        format: one of the values of `SUFFIXES`.
        note: ASCII text that is kept in the file, except in BMP files; see `read_note`.

    Raises:
        UserError: the format does not allow pictures of this size.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    height, width = picture.pixels.shape[1:]
    if max(height, width) > LONGEST_SIDE.get(format, 1 << 31):
        raise UserError(f"{width:,} x {height:,} pixels; {format} allows {LONGEST_SIDE[format]:,} a side: choose PNG")
    pixels, alpha = picture.pixels, picture.alpha
    if pixels.dtype == np.uint16 and format not in ("PNG", "TIFF"):
        pixels, alpha = _eight(pixels), None if alpha is None else _eight(alpha)
    if alpha is not None and format in ("JPEG", "BMP"):
        share = alpha.astype(np.float32) / np.float32(255)
        pixels, alpha = np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8), None
    layers = pixels if alpha is None else np.concatenate([pixels, alpha[None]])
    layout = np.ascontiguousarray(layers.transpose(1, 2, 0))
    if layout.dtype == np.uint16:
        return (_png if format == "PNG" else _tiff)(layout, picture.profile, note)
    image = Image.fromarray(layout[..., 0] if layout.shape[2] == 1 else layout)
    options: dict[str, Any] = {}
    if picture.profile and format != "BMP" and not (format == "WEBP" and len(pixels) == 1):  # WebP has no grey
        options["icc_profile"] = picture.profile
    if format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt(KEY, note)
    elif format == "TIFF":
        options |= {"compression": "tiff_adobe_deflate", "tiffinfo": {DESCRIPTION: note, SOFTWARE: "audiogan"}}
    elif format in ("JPEG", "WEBP"):
        exif = Image.Exif()
        exif[DESCRIPTION], exif[SOFTWARE] = note, "audiogan"
        options |= {"quality": 95, "exif": exif, **({"subsampling": 0} if format == "JPEG" else {"exact": True})}
    content = io.BytesIO()
    image.save(content, format, **options)
    return content.getvalue()


def read_note(path: Any) -> dict[str, Any]:
    """Return the note in a picture that `encode_picture` wrote, parsed as JSON; empty for other files."""
    try:
        with opened(path) as picture:
            text = picture.info.get(KEY) or picture.getexif().get(DESCRIPTION) or ""
            found = json.loads(text) if len(text) < 1 << 16 else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _eight(pixels: np.ndarray) -> np.ndarray:
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _png(layout: np.ndarray, profile: bytes | None, note: str) -> bytes:
    """PNG of 16 bits (ISO/IEC 15948), with the filter "Up". Pillow writes colour with 8 bits only."""
    height, width, channels = layout.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = [b"\x89PNG\r\n\x1a\n", _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))]
    if profile:
        parts.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    parts.append(_chunk(b"iTXt", KEY.encode() + b"\0\0\0\0\0" + note.encode()))
    compressor, above = zlib.compressobj(6), np.zeros((1, 2 * width * channels), np.uint8)
    for start in range(0, height, BAND):
        rows = layout[start : start + BAND].astype(">u2").reshape(-1, width * channels).view(np.uint8)
        lines = np.full((len(rows), 1 + rows.shape[1]), 2, np.uint8)
        lines[:, 1:] = rows - np.concatenate([above, rows[:-1]])
        parts.append(_chunk(b"IDAT", compressor.compress(lines.tobytes())))
        above = rows[-1:]
    return b"".join([*parts, _chunk(b"IDAT", compressor.flush()), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _tiff(layout: np.ndarray, profile: bytes | None, note: str) -> bytes:
    """TIFF of 16 bits (TIFF 6.0), one strip compressed with deflate: Pillow writes colour with 8 bits only."""
    if layout.shape[2] == 2:  # Pillow does not read grey with transparency
        layout = layout[..., [0, 0, 0, 1]]
        profile = None
    height, width, channels = layout.shape
    strip = zlib.compress(layout.astype("<u2").tobytes(), 6)
    text, software = note.encode() + b"\0", b"audiogan\0"
    short, long = "<H", "<I"
    fields: list[tuple[int, int, bytes]] = [  # tag, type, values
        (256, 4, struct.pack(long, width)),
        (257, 4, struct.pack(long, height)),
        (258, 3, struct.pack(short, 16) * channels),
        (259, 3, struct.pack(short, 8)),
        (262, 3, struct.pack(short, 2 if channels > 2 else 1)),
        (DESCRIPTION, 2, text),
        (273, 4, b""),
        (277, 3, struct.pack(short, channels)),
        (278, 4, struct.pack(long, height)),
        (279, 4, struct.pack(long, len(strip))),
        (SOFTWARE, 2, software),
        *([(338, 3, struct.pack(short, 2))] if channels == 4 else []),
        *([(34675, 7, profile)] if profile else []),
    ]
    position = 8 + 2 + 12 * len(fields) + 4
    large, entries = b"", []
    for tag, kind, values in fields:
        if len(values) > 4:
            entries.append((tag, kind, values, struct.pack(long, position + len(large))))
            large += values + b"\0" * (len(values) % 2)
        else:
            entries.append((tag, kind, values, values.ljust(4, b"\0")))
    start = struct.pack(long, position + len(large))
    sizes = {2: 1, 3: 2, 4: 4, 7: 1}
    table = b"".join(
        struct.pack("<HHI", tag, kind, max(1, len(values) // sizes[kind])) + (start if tag == 273 else held)
        for tag, kind, values, held in entries
    )
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + table + struct.pack(long, 0) + large + strip
