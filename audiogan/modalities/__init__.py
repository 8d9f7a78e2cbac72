"""Modalities. Each class reads, writes, displays and compares one kind of signal: sounds, images or points."""

from __future__ import annotations

import os
from pathlib import Path

from audiogan.modalities.base import Modality
from audiogan.modalities.image import Image
from audiogan.modalities.points import Points
from audiogan.modalities.sound import Sound

__all__ = ["KINDS", "Image", "Modality", "Points", "Sound", "read_comment"]

KINDS: dict[str, type[Modality]] = {kind.__name__: kind for kind in (Sound, Image, Points)}
"""Class name -> class, for each shipped modality."""


def read_comment(path: str | os.PathLike[str]) -> str:
    """Return the comment of a file written by `Modality.save`; an empty string if the file has no comment.

    The suffix of the file name selects the modality. A file with an unknown suffix is read as a sound.

    Raises:
        UserError: the file cannot be read.

    Examples:
        >>> import numpy as np, tempfile
        >>> from audiogan.modalities import Sound, read_comment
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Sound(16000).save(f"{folder}/click.wav", np.zeros((1, 16), np.float32), comment="seed 5")
        ...     read_comment(f"{folder}/click.wav")
        'seed 5'
    """
    suffix = Path(path).suffix.lower()
    kind = next((kind for kind in KINDS.values() if kind.suffix == suffix), Sound)
    return kind.read_comment(path)
