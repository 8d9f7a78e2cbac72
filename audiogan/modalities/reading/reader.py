"""`SoundReader`, which reads sound files in blocks and tolerates damaged files."""

from __future__ import annotations

import io
import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile as sf

from audiogan.modalities.reading.containers import (
    Header,
    PatchedFile,
    inspect_header,
    log_reports_gap,
    update_header_from_log,
)
from audiogan.modalities.reading.quiet import suppress_mpg123_messages

RATES = (1_000, 1_000_000)
"""Smallest and largest sample rate of a readable file, in Hz."""
BLOCK = 1 << 16
"""Number of frames that are read at a time."""
RAW_SUFFIXES = (".au", ".snd", ".vox", ".gsm")
"""Suffixes of files that libsndfile may read as raw samples. Such a file is opened without its name, so that libsndfile
looks for a header."""
_ERRORS = (sf.SoundFileError, RuntimeError, ValueError, TypeError)


class Unreadable(ValueError):
    """Exception for files that cannot be decoded. The message states the reason without the name of the file."""


class SoundReader:
    """Reader for one sound file. Samples are float32 ``[N, C]``. A damaged file is read up to the damage.

    Args:
        source: path, or content of a file.

    Attributes:
        sample_rate: sample rate in Hz.
        channels: number of channels.
        format: file format, as a name of libsndfile, for example ``WAV``.
        subtype: sample format, as a name of libsndfile, for example ``PCM_16``.
        frames: length in frames (samples per channel).
        cut: whether the file is shorter than its header states.
        unfinished: whether the header states no length. Such a file is read to its end.
        broken: whether decoding failed. False until the damaged part has been read.

    Raises:
        OSError: the file cannot be opened.
        Unreadable: the file cannot be decoded.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self.source = source
        self.broken, self._position, self._header, self._gap = False, 0, Header(), False
        self._open()
        self.sample_rate, self.channels = self._sound.samplerate, self._sound.channels
        self.format, self.subtype, self.frames = self._sound.format, self._sound.subtype, self._sound.frames
        update_header_from_log(self._header, self._sound.extra_info)
        self.cut, self.unfinished = self._header.cut, self._header.unfinished
        if not RATES[0] <= self.sample_rate <= RATES[1]:
            self.close()
            raise Unreadable(f"sample rate of {self.sample_rate:,} Hz in the header")

    def _open(self) -> None:
        self._stack = ExitStack()
        try:
            source = self.source
            file: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
            self._stack.enter_context(file)
            self._header = inspect_header(file)
            with suppress_mpg123_messages(self._header.mpeg):
                self._sound = self._stack.enter_context(sf.SoundFile(self._handle(file)))
        except _ERRORS as error:
            self._stack.close()
            raise Unreadable(self._header.problem or _plain(error)) from error
        except BaseException:
            self._stack.close()
            raise

    def _handle(self, file: BinaryIO) -> Any:
        """Return the argument for `soundfile.SoundFile`. A file name is preferred, because it is fastest."""
        if self._header.content is not None:
            return io.BytesIO(self._header.content)
        if self._header.patches:
            return PatchedFile(file, self._header.patches)
        file.seek(0)
        if isinstance(self.source, bytes) or Path(self.source).suffix.lower() in RAW_SUFFIXES:
            return file
        return os.fsencode(self.source)

    def seek(self, frame: int) -> None:
        """Set the position to a frame. If the decoder cannot seek, read and discard the frames before it."""
        if self.broken:
            self._reopen()
        try:
            with suppress_mpg123_messages(self._header.mpeg):
                self._sound.seek(frame)
        except _ERRORS:
            self._reopen()
            skipped = 0
            while skipped < frame and len(x := self.read(min(BLOCK, frame - skipped))):
                skipped += len(x)
        self._position = frame

    def read(self, frames: int) -> np.ndarray:
        """Read up to ``frames`` frames as float32 ``[n, C]``. n is 0 at the end of the file and after damage."""
        if self.broken:
            return np.zeros((0, self.channels), np.float32)
        frames = min(frames, max(0, self.frames - self._position))
        out = np.full((frames, self.channels), np.nan, np.float32)
        try:
            with suppress_mpg123_messages(self._header.mpeg):
                x = self._sound.read(out=out)
        except _ERRORS:
            # The frames decoded before the error are kept. The rest of the array is still NaN, so it is cut off.
            x, self.broken = out[: 1 + np.flatnonzero(np.isfinite(out[:, -1])).max(initial=-1)], True
        self._position += len(x)
        return x

    def read_seconds(self, seconds: float) -> np.ndarray:
        """Return the first ``seconds`` of the file as float32 ``[n, C]``.

        Raises:
            Unreadable: the file is damaged and has no readable samples.
        """
        self.seek(0)
        want, parts = seconds if seconds == math.inf else math.ceil(seconds * self.sample_rate), []
        while want > 0 and len(x := self.read(int(min(BLOCK, want)))):
            parts.append(x)
            want -= len(x)
        if not parts:
            if self.damaged:
                raise Unreadable(self.damage_message)
            return np.zeros((0, self.channels), np.float32)
        return np.concatenate(parts)

    @property
    def has_gap(self) -> bool:
        """Whether pages are missing in the part of an Ogg file that has been read so far."""
        return self._gap or (not self._sound.closed and log_reports_gap(self._sound.extra_info))

    @property
    def damaged(self) -> bool:
        """Whether the file is damaged, as far as its header and the part read so far show."""
        return self.broken or self.cut or self.has_gap or (self.frames == 0 and bool(self._header.problem))

    @property
    def damage_message(self) -> str:
        """Error message for a damaged file from which no samples could be read."""
        return self._header.problem or "cut off or damaged before its first block of sound is complete"

    def _reopen(self) -> None:
        self.close()
        self._open()
        self.broken, self._position = False, 0

    def close(self) -> None:
        self._gap = self.has_gap
        self._stack.close()

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plain(error: Exception) -> str:
    """Return the error message of libsndfile without the path of the file."""
    text = str(getattr(error, "error_string", "") or error)
    if "not a regular file" in text:  # libsndfile reports this misleading error for an .mp3 file without MPEG frames.
        return "Format not recognised"
    if "Internal error" in text or "internal error" in text:
        return "its header is damaged"
    return " ".join(text.split()).rstrip(".") or type(error).__name__
