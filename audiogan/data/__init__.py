"""Data sets as tables with named columns.

The functions ``open_...`` return a `Table` from folders of sounds or images, from image pairs, or from built-in
generators. `Table` and these functions are imported at first use, which keeps ``import audiogan.data`` fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiogan.data.images.pairs import open_domains, open_pairs
    from audiogan.data.images.sources import open_images, open_photos
    from audiogan.data.images.stacked import open_stacked_digits
    from audiogan.data.sounds.folder import open_audio_folder
    from audiogan.data.sounds.sources import open_sounds
    from audiogan.data.sounds.speech import open_speech
    from audiogan.data.sounds.transcripts import open_transcribed
    from audiogan.data.table import Table
    from audiogan.data.toys.points import open_points
    from audiogan.data.toys.shapes import open_shapes

__all__ = [
    "Table",
    "open_audio_folder",
    "open_domains",
    "open_images",
    "open_pairs",
    "open_photos",
    "open_points",
    "open_shapes",
    "open_sounds",
    "open_speech",
    "open_stacked_digits",
    "open_transcribed",
]

_MODULES = {
    "Table": "table",
    "open_audio_folder": "sounds.folder",
    "open_domains": "images.pairs",
    "open_images": "images.sources",
    "open_pairs": "images.pairs",
    "open_photos": "images.sources",
    "open_points": "toys.points",
    "open_shapes": "toys.shapes",
    "open_sounds": "sounds.sources",
    "open_speech": "sounds.speech",
    "open_stacked_digits": "images.stacked",
    "open_transcribed": "sounds.transcripts",
}


def __getattr__(name: str) -> Any:
    """Import a public function or class of this package at first use."""
    if name in _MODULES:
        return getattr(importlib.import_module(f"audiogan.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'audiogan.data' has no attribute {name!r}")
