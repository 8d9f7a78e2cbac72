"""Data sets: real sounds from a folder, downloaded kits, and the built-in drum machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Folder for what can be made again: `AUDIOGAN_CACHE`, else the platform's cache folder for audiogan.

    The folder may not exist yet; whoever writes there creates it.
    """
    chosen = os.environ.get("AUDIOGAN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "audiogan"
