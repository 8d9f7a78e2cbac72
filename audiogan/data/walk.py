"""List a folder: every file once, in a fixed order, whatever links and permissions it holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _suffixes(words: str) -> frozenset[str]:
    return frozenset(f".{word}" for word in words.split())


READABLE = _suffixes(
    "wav wave bwf w64 rf64 flac ogg oga opus mp3 mp2 aif aiff aifc au snd caf voc paf svx 8svx iff ircam sf nist sph "
    "avr pvf sds xi"
)
# Sounds that libsndfile cannot decode: the user should hear about them, not find them among text files.
FOREIGN = _suffixes("m4a mp4 aac wma ac3 amr ape wv mka webm 3gp dsf dff tta mpc ra")


@dataclass(frozen=True)
class Entry:
    """`kind` is "audio" (to be decoded) or the reason why it is not; `rel` is the path below the root, with `/`."""

    path: str
    rel: str
    kind: str
    detail: str = ""
    size: int = 0
    mtime_ns: int = 0

    def feed(self, digest: Any) -> None:
        """Add path, size and time of change to a fingerprint."""
        line = f"{self.rel}\0{self.kind}\0{self.size}\0{self.mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))


def walk(root: Path) -> Iterator[Entry]:
    """Every entry below `root`: a folder's files by name, then its sub-folders.

    Linked folders come last, so a sound is known by its real place where it has one. Each real folder is visited once;
    a link to a folder that was visited, or to one around the root, is listed as "folder link".
    """
    top = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    links: list[str] = []
    stack = [""]
    while stack or links:
        rel = stack.pop() if stack else links.pop(0)
        path = os.path.join(top, rel)
        linked = os.path.islink(path)
        try:
            info = os.stat(path)
            around = linked and os.path.commonpath([top, os.path.realpath(path)]) == os.path.realpath(path)
            if (info.st_dev, info.st_ino) in seen or around:
                yield Entry(path, rel, "folder link", f"to {os.path.realpath(path)}")
                continue
            seen.add((info.st_dev, info.st_ino))
            names, folders, linked_folders = _listing(path)
        except (OSError, ValueError) as e:
            yield Entry(path, rel or ".", "unreadable", f"folder: {getattr(e, 'strerror', None) or e}")
            continue
        below = f"{rel}/" if rel else ""
        for name in names:
            yield _file(os.path.join(path, name), below + name)
        links += [below + name for name in linked_folders]
        stack += [below + name for name in reversed(folders)]


def _listing(path: str) -> tuple[list[str], list[str], list[str]]:
    """Sorted names of files, folders and links to folders."""
    names: tuple[list[str], list[str], list[str]] = [], [], []
    with os.scandir(path) as entries:
        for entry in entries:
            names[0 if not _is_folder(entry) else 2 if entry.is_symlink() else 1].append(entry.name)
    for part in names:
        part.sort()
    return names


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(path: str, rel: str) -> Entry:
    suffix = os.path.splitext(path)[1].lower()
    if suffix in FOREIGN:
        return Entry(path, rel, "unreadable", f"libsndfile does not decode {suffix}: convert it to WAV or FLAC")
    if suffix not in READABLE:
        return Entry(path, rel, "not audio")
    try:
        info = os.stat(path)
    except OSError as e:
        return Entry(path, rel, "unreadable", "broken link" if os.path.islink(path) else e.strerror or str(e))
    if not stat.S_ISREG(info.st_mode):
        return Entry(path, rel, "unreadable", "not a regular file")
    return Entry(path, rel, "audio", "", info.st_size, info.st_mtime_ns)
