"""Reading of sound files for comparisons."""

from __future__ import annotations

import os

import numpy as np
import soundfile


def load_wav(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """Return the samples of a sound file, float32 ``[C, T]``, and its sample rate in Hz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T), rate
