"""Files of signals below a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from audiogan.files import is_plain


def entries(source: Path, sound: bool, out: Path | None = None) -> Iterator[tuple[Path, str, str | None]]:
    """Yield the files below a folder: path, name below the folder, and ``None``, the reason against it, or "".

    Args:
        source: the folder.
        sound: look for sounds; otherwise for pictures. "" marks files that are neither by their names.
        out: a folder that is left out, such as that of the results.
    """
    from audiogan.data.image_scan import FOREIGN_IMAGES
    from audiogan.data.image_scan import SUFFIXES as READ
    from audiogan.data.walk import HIDDEN, OUTSIDE, walk

    inside = None if out is None else out.resolve()
    apart = inside is not None and inside not in source.resolve().parents
    for entry in walk(source):
        path = source / entry.rel
        if apart and inside in path.resolve().parents:
            continue
        suffix = path.suffix.lower()
        if entry.kind in (HIDDEN, "folder link"):
            continue
        if entry.kind == OUTSIDE:
            yield path, entry.rel, f"symbolic link out of the folder ({entry.detail})"
        elif entry.detail.startswith("folder: "):
            yield path, entry.rel, entry.detail.removeprefix("folder: ")
        elif sound:
            kind = None if entry.kind == "audio" else entry.detail if entry.kind == "unreadable" else ""
            yield path, entry.rel, kind
        elif suffix in FOREIGN_IMAGES:
            yield path, entry.rel, FOREIGN_IMAGES[suffix]
        elif suffix in READ:
            broken = "broken link" if not path.exists() else "not a regular file"
            yield path, entry.rel, None if is_plain(path) else broken
        else:
            yield path, entry.rel, ""
