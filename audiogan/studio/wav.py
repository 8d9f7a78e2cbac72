"""Sounds over the wire: WAV files of 32-bit floats, so that a page hears the very samples that Python has."""

from __future__ import annotations

import struct

import numpy as np

FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT


def float_wav(wave: np.ndarray, sample_rate: int, comment: str = "") -> bytes:
    """A WAV file of one sound `[C, T]`, with a comment in it. The same sound makes the same bytes: libsndfile would put
    the time of day into a file of floats.
    """
    channels, length = wave.shape
    frame = 4 * channels
    text = comment.encode() + b"\0"
    chunks = _chunk(b"fmt ", struct.pack("<HHIIHHH", FLOAT, channels, sample_rate, sample_rate * frame, frame, 32, 0))
    chunks += _chunk(b"fact", struct.pack("<I", length))
    if comment:
        chunks += _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", text))
    chunks += _chunk(b"data", np.ascontiguousarray(wave.T, "<f4").tobytes())
    return _chunk(b"RIFF", b"WAVE" + chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
