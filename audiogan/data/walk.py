"""Listing of a data folder: every file once, in a fixed order, robust to links and missing permissions."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiogan.data.kinds import FOREIGN, READABLE, hidden_reason, is_archive
from audiogan.errors import UserError

HIDDEN = "hidden"
OUTSIDE = "outside link"
ARCHIVE = "archive"
LEFT_OUT = {
    HIDDEN: "hidden files and folders, trash and system files; skipped",
    OUTSIDE: "symbolic link that leads out of the folder; data.links=follow uses it",
    ARCHIVE: "unpack it to use its files",
}
"""Kinds of folder entries that a scan always skips, with an explanation of each."""
LINKS = ("inside", "follow")


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of a folder listing.

    Attributes:
        path: absolute path.
        rel: path relative to the root, with ``/`` as separator.
        kind: ``audio`` or ``image`` for files to decode. For other entries, the reason to skip them.
        detail: details of the reason.
        size: size in bytes.
        stamp: version of the file, see `file_version`.
    """

    path: str
    rel: str
    kind: str
    detail: str = ""
    size: int = 0
    stamp: str = ""

    def update_digest(self, digest: Any) -> None:
        """Update a digest with all attributes of the entry except the absolute path."""
        line = f"{self.rel}\0{self.kind}\0{self.detail}\0{self.size}\0{self.stamp}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))


def file_version(stat_result: os.stat_result) -> str:
    """Return a string that changes whenever a file is replaced or modified.

    It includes the change time and the inode, because `cp -p`, `rsync -t` and archivers restore the modification time.
    """
    return f"{stat_result.st_size} {stat_result.st_mtime_ns} {stat_result.st_ctime_ns} {stat_result.st_ino}"


def parse_links(links: str | None) -> bool:
    """Return ``True`` if ``data.links`` is ``follow``. Raise `UserError` for an unknown value."""
    if links not in (None, *LINKS):
        raise UserError(f"data.links={links!r}: choose one of {', '.join(LINKS)}")
    return links == "follow"


def walk(root: Path, follow_links: bool = False) -> Iterator[Entry]:
    """Yield all entries below ``root``: the files of a folder by name, then its sub-folders.

    Linked folders come last, so that files are listed under their real path. Each real folder is visited once. A link
    to a visited folder or to a parent of the root has the kind "folder link". Hidden folders are not searched.

    Args:
        root: folder to list, or a link to a folder.
        follow_links: follow links that lead out of ``root``. If ``False``, such links have the kind "outside link".
    """
    top = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    links: list[str] = []
    stack = [""]
    while stack or links:
        rel = stack.pop() if stack else links.pop(0)
        path = os.path.join(top, rel)
        real = os.path.realpath(path) if _is_link(path) else path
        try:
            info = os.stat(path)
            if (info.st_dev, info.st_ino) in seen or (real != path and _inside(top, real)):
                yield Entry(path, rel, "folder link", f"to {real}")
                continue
            if not (follow_links or real == path or _inside(real, top)):
                yield Entry(path, rel, OUTSIDE, f"to {real}")
                continue
            seen.add((info.st_dev, info.st_ino))
            files, folders, linked_folders = _listing(path)
        except (OSError, ValueError) as e:
            yield Entry(path, rel or ".", "unreadable", f"folder: {getattr(e, 'strerror', None) or e}")
            continue
        below = f"{rel}/" if rel else ""
        for name, linked in files:
            yield _file(os.path.join(path, name), below + name, top if linked and not follow_links else None)
        for name in filter(hidden_reason, [*folders, *linked_folders]):
            yield Entry(os.path.join(path, name), below + name, HIDDEN, "folder, not searched")
        links += [below + name for name in linked_folders if not hidden_reason(name)]
        stack += [below + name for name in reversed(folders) if not hidden_reason(name)]


# Junctions are links to folders, on Windows only. os.path.isjunction requires Python 3.12.
_is_junction: Callable[[str], bool] = getattr(os.path, "isjunction", lambda path: False)


def _is_link(path: str) -> bool:
    return os.path.islink(path) or _is_junction(path)


def _inside(path: str, folder: str) -> bool:
    """Return ``True`` if a real path equals ``folder`` or is below it."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _listing(path: str) -> tuple[list[tuple[str, bool]], list[str], list[str]]:
    """Return the sorted (name, is_link) pairs of files, names of folders, and names of links to folders."""
    files: list[tuple[str, bool]] = []
    folders: list[str] = []
    linked: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if not _is_folder(entry):
                files.append((entry.name, entry.is_symlink()))
            elif entry.is_symlink() or _is_junction(entry.path):
                linked.append(entry.name)
            else:
                folders.append(entry.name)
    return sorted(files), sorted(folders), sorted(linked)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # is_dir fails, for example, for a link to itself.
        return False


def _file(path: str, rel: str, top: str | None) -> Entry:
    """Return the entry of a file. A link must not lead out of the folder ``top``, unless ``top`` is ``None``."""
    name = os.path.basename(path)
    if reason := hidden_reason(name):
        return Entry(path, rel, HIDDEN, reason)
    if top is not None and os.path.exists(path) and not _inside(real := os.path.realpath(path), top):
        return Entry(path, rel, OUTSIDE, f"to {real}")
    suffix = os.path.splitext(name)[1].lower()
    if suffix in FOREIGN:
        return Entry(path, rel, "unreadable", FOREIGN[suffix])
    if is_archive(name):
        return Entry(path, rel, ARCHIVE)
    if suffix not in READABLE:
        return Entry(path, rel, "not audio")
    return file_entry(path, rel, "audio")


def file_entry(path: str, relative_path: str, kind: str) -> Entry:
    """Return the entry of a file with the given kind, or with the kind "unreadable" if it cannot be read."""
    try:
        info = os.stat(path)
    except OSError as e:
        missing = isinstance(e, FileNotFoundError) and os.path.islink(path)
        return Entry(path, relative_path, "unreadable", "broken link" if missing else e.strerror or str(e))
    if not stat.S_ISREG(info.st_mode):
        return Entry(path, relative_path, "unreadable", "not a regular file")
    return Entry(path, relative_path, kind, "", info.st_size, file_version(info))
