"""Writing of WAV files, and scaling of generated sounds."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import soundfile

from audiogan.files import write_file

COMMENT_BYTES = 2000
"""Largest length of a comment, in bytes of UTF-8. libsndfile silently drops longer comments."""


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
        path: the file. Its name must end in ``.wav`` (upper or lower case). Missing folders are created.
        wave: samples ``[C, T]`` or ``[T]``. Samples outside -1 ... 1 are clipped.
        sample_rate: sample rate in Hz.
        subtype: sample format, as a subtype of libsndfile: ``PCM_16``, ``PCM_24``, ``FLOAT`` and others.
        comment: text for the comment field of the file, at most 2,000 bytes of UTF-8.

    Raises:
        ValueError: an argument is invalid, or a sample is NaN or infinite.
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
        raise ValueError(f"{path}: a WAV file cannot have the subtype {subtype!r}")
    if comment is not None and len(comment.encode()) > COMMENT_BYTES:
        raise ValueError(f"{path}: a comment of {len(comment.encode())} bytes; at most {COMMENT_BYTES} are kept")
    broken = int(np.count_nonzero(~np.isfinite(wave)))
    if broken:
        raise ValueError(f"{path}: {broken} of {wave.size} samples are NaN or infinite; nothing was written")
    write_file(path, encode_wav(np.clip(wave, -1.0, 1.0), sample_rate, subtype, comment))


def encode_wav(wave: np.ndarray, sample_rate: int, subtype: str = "PCM_16", comment: str | None = None) -> bytes:
    """Return a sound as the content of a WAV file. The same sound always gives the same bytes.

    The comment is in a ``LIST`` chunk after the samples, because simple readers expect the samples directly after the
    header.

    Args:
        wave: samples ``[C, T]`` in -1 ... 1. Integer formats clip samples outside this range.
        sample_rate: sample rate in Hz.
        subtype: sample format, see `save_wav`.
        comment: text for the comment field. libsndfile does not read comments above 2,000 bytes.
    """
    content = io.BytesIO()
    if subtype == "FLOAT":  # libsndfile is not used, because it would write the current time.
        channels, length = wave.shape
        frame = 4 * channels
        head = struct.pack("<HHIIHHH", 3, channels, sample_rate, sample_rate * frame, frame, 32, 0)
        samples = _chunk(b"data", np.ascontiguousarray(wave.T, "<f4").tobytes())
        content.write(b"RIFF----WAVE" + _chunk(b"fmt ", head) + _chunk(b"fact", struct.pack("<I", length)) + samples)
    else:
        with soundfile.SoundFile(content, "w", int(sample_rate), len(wave), subtype, format="WAV") as file:
            file.write(wave.T.astype(np.float32 if wave.dtype != np.float64 else np.float64))
    content.seek(0, io.SEEK_END)
    if comment:
        content.write(_chunk(b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode() + b"\0")))
    size = content.tell() - 8
    content.seek(4)
    content.write(struct.pack("<I", size))
    return content.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def scale_to_peak(waves: np.ndarray, normalize: str | None, peak: float = 0.95) -> np.ndarray:
    """Scale generated sounds ``[N, C, T]`` to the level of the training data, so that no sample is clipped.

    Sounds with a peak of at most 0.001 (-60 dB relative to full scale) are not scaled.

    Args:
        waves: sounds ``[N, C, T]``.
        normalize: ``peak``: scale each sound to ``peak``. Other values: scale only sounds that exceed full scale, to a
            peak of 1.
        peak: target peak, 0 ... 1.
    """
    peaks = np.abs(waves).max(axis=(1, 2), keepdims=True)
    wanted = np.full_like(peaks, peak) if normalize == "peak" else np.minimum(peaks, 1.0)
    return waves * np.where(peaks > 1e-3, wanted / np.maximum(peaks, 1e-3), 1.0).astype(waves.dtype)
