"""Search for sounds or images below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from audiogan.utils.text import printable


class Listing(NamedTuple):
    """Signals, unreadable signals and other files below a folder.

    Attributes:
        names: relative paths of the signals.
        errors: one line of text for each signal that cannot be read.
        others: relative paths of other files.
    """

    names: list[str]
    errors: list[str]
    others: list[str]


def list_signals(source: Path, is_sound: bool, excluded_folder: Path) -> Listing:
    """List the sounds or images below a folder.

    Args:
        source: folder to search.
        is_sound: whether to search for sounds. False searches for images.
        excluded_folder: folder to leave out, such as the output folder inside ``source``.
    """
    from audiogan.data.images.scan import classify_image_entries
    from audiogan.data.walk import HIDDEN, OUTSIDE, walk

    inside, whole = excluded_folder.resolve(), source.resolve().is_relative_to(excluded_folder.resolve())
    listing = Listing([], [], [])
    for entry in walk(source) if is_sound else classify_image_entries(source):
        if not whole and inside in Path(entry.path).parents:
            continue
        if entry.kind in ("audio", "image"):
            listing.names.append(entry.rel)
        elif entry.kind in ("unreadable", OUTSIDE):
            reason = entry.kind if entry.kind == OUTSIDE else "cannot be read"
            listing.errors.append(f"{printable(source / entry.rel)}: {reason} ({printable(entry.detail)})")
        elif entry.kind not in (HIDDEN, "folder link"):
            listing.others.append(entry.rel)
    return listing
