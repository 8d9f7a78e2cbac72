"""Data as tables with named columns: folders of sounds and pictures, pairs, and built-in data.

The functions ``open_...`` and `Table` are imported when they are first used.
"""

from __future__ import annotations

import importlib
import os
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


def cache_dir(part: str = "", chosen: FileName | None = None) -> Path:
    """Return the folder for files that audiogan can make again. It may not exist yet.

    Args:
        part: subfolder of the user's cache folder for audiogan. The environment variable ``AUDIOGAN_CACHE`` replaces
            that folder.
        chosen: folder to return instead.
    """
    if chosen is not None:
        return Path(chosen).expanduser()
    if folder := os.environ.get("AUDIOGAN_CACHE"):
        return Path(folder).expanduser() / part
    from platformdirs import user_cache_path

    return user_cache_path("audiogan", appauthor=False) / part
