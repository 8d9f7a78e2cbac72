"""Names of kits in text and in file names. A name may come from a stranger."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST_STEM, MOST_BYTES = 60, 150
"""Characters and UTF-8 bytes of a file name before its suffix. File systems accept 255 bytes with the suffix."""
JOINERS = "\u200c\u200d"
"""Persian words and many emoji contain them. They are not printable, but harmless."""
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in "123456789¹²³")}
"""Windows does not accept files of these names, whatever their suffix."""


def title(text: str) -> str:
    """Return a name as one line of text: what is not printable, such as a line break, becomes a space."""
    shown = "".join(c if c.isprintable() or c in JOINERS else " " for c in text)
    return " ".join(shown.split())


def file_stem(text: str, *, ascii_only: bool = False, default: str = "kit") -> str:
    """Return a name as a file name without suffix that all systems accept.

    Letters, digits, spaces, and ``_``, ``-`` and ``.`` stay. Where anything else had to be replaced or cut, a short
    hash of the name follows, so that different names give different files.

    Args:
        text: the name.
        ascii_only: for formats with readers that disagree on the encoding of file names.
        default: used where nothing of the name can stay.
    """
    whole = unicodedata.normalize("NFC", text)
    stem = safe(whole) if ascii_only else re.sub("\0+", "-", "".join(c if _kept(c) else "\0" for c in whole))
    stem = stem[:LONGEST_STEM].encode()[:MOST_BYTES].decode(errors="ignore").strip(" .-")
    if stem.split(".")[0].strip().casefold() in RESERVED:
        stem = f"{default}-{stem}"
    if stem and stem == whole:
        return stem
    if not whole:
        return default
    digest = hashlib.blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
    return f"{stem or default}-{digest}"


def safe(text: str) -> str:
    """Return ASCII letters, digits, spaces, ``_`` and ``-`` of a text, as a part of a file name; it may be empty."""
    ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_ -]+", "-", ascii_).strip(" -")[:LONGEST_STEM].strip(" -")


def _kept(character: str) -> bool:
    return character in " _-." or unicodedata.category(character)[0] in "LMN"
