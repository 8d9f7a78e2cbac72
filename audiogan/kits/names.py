"""Conversion of untrusted kit names to display text and file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_STEM_LENGTH, MAX_STEM_BYTES = 60, 150
"""Maximum numbers of characters and of UTF-8 bytes of a file name without suffix. File systems allow 255 bytes
altogether.
"""
JOINERS = "\u200c\u200d"
"""Zero-width joiners. They are kept although they are not printable, because Persian words and many emoji need them."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in "123456789¹²³")}
"""File names that Windows reserves for devices, with any suffix."""


def single_line(text: str) -> str:
    """Return a name as one line of text. Line breaks and other unprintable characters become spaces."""
    shown = "".join(c if c.isprintable() or c in JOINERS else " " for c in text)
    return " ".join(shown.split())


def file_stem(text: str, *, ascii_only: bool = False, default: str = "kit") -> str:
    """Return a name as a file name without suffix that is valid on all systems.

    Letters, digits, spaces, ``_``, ``-`` and ``.`` are kept. If other characters were replaced or the name was cut, a
    short hash is appended, so that different names give different files.

    Args:
        text: the name.
        ascii_only: keep ASCII characters only, for formats with an undefined encoding of file names.
        default: file name used if no character of the name can be kept.
    """
    whole = unicodedata.normalize("NFC", text)
    stem = ascii_stem(whole) if ascii_only else re.sub("\0+", "-", "".join(c if _is_kept(c) else "\0" for c in whole))
    stem = stem[:MAX_STEM_LENGTH].encode()[:MAX_STEM_BYTES].decode(errors="ignore").strip(" .-")
    if stem.split(".")[0].strip().casefold() in RESERVED:
        stem = f"{default}-{stem}"
    if stem and stem == whole:
        return stem
    if not whole:
        return default
    digest = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
    return f"{stem or default}-{digest}"


def ascii_stem(text: str) -> str:
    """Return the ASCII letters, digits, spaces, ``_`` and ``-`` of a text for use in a file name. The result may be
    empty."""
    ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_ -]+", "-", ascii_).strip(" -")[:MAX_STEM_LENGTH].strip(" -")


def _is_kept(character: str) -> bool:
    return character in " _-." or unicodedata.category(character)[0] in "LMN"
