"""Read the sounds that tests have written."""

from __future__ import annotations

import math
import os

import numpy as np

from audiogan.modalities.reading import SoundReader


def load_wav(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Return a sound, float32 ``[C, T]``, and its sample rate in Hz."""
    with SoundReader(path) as file:
        return np.ascontiguousarray(file.read_seconds(math.inf).T), file.sample_rate
