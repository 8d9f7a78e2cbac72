"""Modalities: how one kind of signal (sound, image, point) is read, written, shown and compared."""

from __future__ import annotations

import os
from pathlib import Path

from audiogan.modalities.base import Modality
from audiogan.modalities.image import Image
from audiogan.modalities.points import Points
from audiogan.modalities.sound import Sound

__all__ = ["KINDS", "Image", "Modality", "Points", "Sound", "read_comment"]

KINDS: dict[str, type[Modality]] = {kind.__name__: kind for kind in (Sound, Image, Points)}
"""All modalities, by the names that configurations use."""


def read_comment(path: str | os.PathLike[str]) -> str:
    """Return the comment in a file that `Modality.save` wrote; empty if there is none.

    The suffix of the name selects the modality. Files with other suffixes are read as sounds.

    Raises:
        UserError: the file cannot be read.
    """
    suffix = Path(path).suffix.lower()
    kind = next((kind for kind in KINDS.values() if kind.suffix == suffix), Sound)
    return kind.read_comment(path)
