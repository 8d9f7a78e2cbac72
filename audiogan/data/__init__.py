"""Data as tables with named columns: folders of sounds and pictures, pairs, and built-in data.

The functions ``open_...`` and `Table` are imported when they are first used.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiogan.data.audio import open_audio_folder
    from audiogan.data.image_sources import open_images
    from audiogan.data.pairs import open_domains, open_pairs
    from audiogan.data.points import open_points
    from audiogan.data.shapes import open_shapes
    from audiogan.data.sources import open_sounds
    from audiogan.data.table import Table

FileName = str | os.PathLike[str]

__all__ = [
    "Table",
    "cache_dir",
    "open_audio_folder",
    "open_domains",
    "open_images",
    "open_pairs",
    "open_points",
    "open_shapes",
    "open_sounds",
]

_HOMES = {
    "Table": "table",
    "open_audio_folder": "audio",
    "open_domains": "pairs",
    "open_images": "image_sources",
    "open_pairs": "pairs",
    "open_points": "points",
    "open_shapes": "shapes",
    "open_sounds": "sources",
}


def __getattr__(name: str) -> Any:
    """Import a function or class on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"audiogan.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'audiogan.data' has no attribute {name!r}")


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
