"""Write sound files: atomically, without wrapped samples or NaN."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import soundfile

from audiogan.files import write_file

COMMENT_BYTES = 2000
"""The longest comment (in UTF-8) that is sure to come back: libsndfile loses longer ones without a word."""


def save_wav(
    path: str | os.PathLike[str],
    wave: np.ndarray,
    sample_rate: int,
    *,
    subtype: str = "PCM_16",
    comment: str | None = None,
) -> None:
    """Write a WAV file, atomically.

    Args:
        path: where to; must end in `.wav` (any case). Missing folders are made.
        wave: `[C, T]` or `[T]`, full scale ±1. Samples beyond that are clamped, never wrapped around.
        sample_rate: in Hz.
        subtype: a libsndfile subtype: `PCM_16`, `PCM_24`, `FLOAT` …
        comment: text for the file's own comment field (players show it; `soundfile` reads it), at most 2,000 bytes.

    Raises:
        ValueError: a shape, rate, subtype, suffix or comment that cannot be written, or a sample that is not finite.
        UserError: the file cannot be written, for example because the disk is full.
    """
    path = Path(path)
    wave = np.atleast_2d(np.asarray(wave))
    if path.suffix.lower() != ".wav":
        raise ValueError(f"{path}: save_wav writes WAV files, so the name has to end in .wav")
    if wave.ndim != 2 or 0 in wave.shape:
        raise ValueError(f"{path}: expected a wave of shape [C, T] or [T] that is not empty, got {list(wave.shape)}")
    if int(sample_rate) <= 0:
        raise ValueError(f"{path}: sample_rate={sample_rate} has to be positive")
    if not soundfile.check_format("WAV", subtype):
        raise ValueError(f"{path}: subtype={subtype!r} is not one a WAV file can hold")
    if comment is not None and len(comment.encode()) > COMMENT_BYTES:
        raise ValueError(f"{path}: a comment of {len(comment.encode())} bytes; at most {COMMENT_BYTES} are kept")
    broken = int(np.count_nonzero(~np.isfinite(wave)))
    if broken:
        raise ValueError(f"{path}: {broken} of {wave.size} samples are NaN or infinite; nothing was written")
    samples = np.clip(wave, -1.0, 1.0).T.astype(np.float32 if wave.dtype != np.float64 else np.float64)
    # In memory first: of a full disk, libsndfile says only "System error".
    content = io.BytesIO()
    with soundfile.SoundFile(content, "w", int(sample_rate), samples.shape[1], subtype, format="WAV") as file:
        if comment:  # libsndfile refuses an empty one
            file.comment = comment
        file.write(samples)
    write_file(path, content.getbuffer())


def level(waves: np.ndarray, normalize: str | None, peak: float = 0.95) -> np.ndarray:
    """Bring sounds `[N, C, T]` to the level their training data had.

    `normalize="peak"` scales each to `peak`, as the data was; otherwise only sounds beyond full scale are scaled down,
    to full scale. So nothing is clipped. Silence (below -60 dBFS) stays as it is.
    """
    peaks = np.abs(waves).max(axis=(1, 2), keepdims=True)
    wanted = np.full_like(peaks, peak) if normalize == "peak" else np.minimum(peaks, 1.0)
    return waves * np.where(peaks > 1e-3, wanted / np.maximum(peaks, 1e-3), 1.0).astype(waves.dtype)
