"""Data as tables with named columns: folders of sounds and pictures, pairs, and built-in data.

The functions ``open_...`` and `Table` are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiogan.data.images.pairs import open_domains, open_pairs
    from audiogan.data.images.sources import open_images
    from audiogan.data.sounds.folder import open_audio_folder
    from audiogan.data.sounds.sources import open_sounds
    from audiogan.data.table import Table
    from audiogan.data.toys.points import open_points
    from audiogan.data.toys.shapes import open_shapes

__all__ = [
    "Table",
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
    "open_audio_folder": "sounds.folder",
    "open_domains": "images.pairs",
    "open_images": "images.sources",
    "open_pairs": "images.pairs",
    "open_points": "toys.points",
    "open_shapes": "toys.shapes",
    "open_sounds": "sounds.sources",
}


def __getattr__(name: str) -> Any:
    """Import a function or class on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"audiogan.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'audiogan.data' has no attribute {name!r}")
