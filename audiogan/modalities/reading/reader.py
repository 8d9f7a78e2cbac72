"""One open sound file."""

from __future__ import annotations

import io
import math
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile as sf

from audiogan.modalities.reading.containers import Header, Patched, inspect, log_has_hole, log_says
from audiogan.modalities.reading.quiet import quiet

RATES = (1_000, 1_000_000)
"""Sample rates in Hz; a header outside is damaged."""
BLOCK = 1 << 16
"""Frames read at a time."""
NAMES_FOR_RAW = (".au", ".snd", ".vox", ".gsm")
"""libsndfile takes any content for samples where a name ends so; opened without the name, it looks for a header."""
_ERRORS = (sf.SoundFileError, RuntimeError, ValueError, TypeError)


class Unreadable(ValueError):
    """The content of a file is no sound that can be read; the message says why, without the file's name."""


class SoundReader:
    """A sound file, read in float32 `[N, C]`; damage in its later part ends it early instead of losing all of it.

    Args:
        source: a path, or the content of a file.

    Attributes:
        sample_rate: in Hz. channels, format, subtype. frames: as the header says, or as many as were found.
        cut: it holds less than its header says. unfinished: its header gives no length, so it is read to the end.
        broken: it cannot be decoded to its end; known when reading has come that far.

    Raises:
        OSError: the file cannot be opened.
        Unreadable: it is no sound that can be read.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self.source = source
        self.broken, self._position, self._header, self._hole = False, 0, Header(), False
        self._open()
        self.sample_rate, self.channels = self._sound.samplerate, self._sound.channels
        self.format, self.subtype, self.frames = self._sound.format, self._sound.subtype, self._sound.frames
        log_says(self._sound.extra_info, self._header)
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
            self._header = inspect(file)
            with quiet(self._header.mpeg):
                self._sound = self._stack.enter_context(sf.SoundFile(self._handle(file)))
        except _ERRORS as error:
            self._stack.close()
            raise Unreadable(self._header.problem or _plain(error)) from error
        except BaseException:
            self._stack.close()
            raise

    def _handle(self, file: BinaryIO) -> Any:
        """The argument of `soundfile.SoundFile`: a name where possible, which is fastest."""
        if self._header.content is not None:
            return io.BytesIO(self._header.content)
        if self._header.patches:
            return Patched(file, self._header.patches)
        file.seek(0)
        if isinstance(self.source, bytes) or Path(self.source).suffix.lower() in NAMES_FOR_RAW:
            return file
        return os.fsencode(self.source)

    def seek(self, frame: int) -> None:
        """Go to a frame."""
        if self.broken:
            self._reopen()
        try:
            with quiet(self._header.mpeg):
                self._sound.seek(frame)
        except _ERRORS:
            self._reopen()
            skipped = 0
            while skipped < frame and len(x := self.read(min(BLOCK, frame - skipped))):
                skipped += len(x)
        self._position = frame

    def read(self, frames: int) -> np.ndarray:
        """Read at most ``frames`` frames: float32 `[n, C]`, nothing at the end or where the file is damaged."""
        if self.broken:
            return np.zeros((0, self.channels), np.float32)
        frames = min(frames, max(0, self.frames - self._position))
        out = np.full((frames, self.channels), np.nan, np.float32)
        try:
            with quiet(self._header.mpeg):
                x = self._sound.read(out=out)
        except _ERRORS:
            # A decoder that fails has written what it could decode, and nothing after it.
            x, self.broken = out[: 1 + np.flatnonzero(np.isfinite(out[:, -1])).max(initial=-1)], True
        self._position += len(x)
        return x

    def read_seconds(self, seconds: float) -> np.ndarray:
        """The first ``seconds`` of the file: float32 `[n, C]`."""
        self.seek(0)
        want, parts = seconds if seconds == math.inf else math.ceil(seconds * self.sample_rate), []
        while want > 0 and len(x := self.read(int(min(BLOCK, want)))):
            parts.append(x)
            want -= len(x)
        if not parts:
            if self.damaged:
                raise Unreadable(self.why_broken)
            return np.zeros((0, self.channels), np.float32)
        return np.concatenate(parts)

    @property
    def hole(self) -> bool:
        """Whether parts of an Ogg stream are missing, as far as it was read."""
        return self._hole or (not self._sound.closed and log_has_hole(self._sound.extra_info))

    @property
    def damaged(self) -> bool:
        """Whether there is a reason for it if no samples are found."""
        return self.broken or self.cut or self.hole or (self.frames == 0 and bool(self._header.problem))

    @property
    def why_broken(self) -> str:
        """Why nothing at all could be decoded."""
        return self._header.problem or "cut off or damaged before its first block of sound is complete"

    def _reopen(self) -> None:
        self.close()
        self._open()
        self.broken, self._position = False, 0

    def close(self) -> None:
        self._hole = self.hole
        self._stack.close()

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plain(error: Exception) -> str:
    """libsndfile's own words, without the path in front of them."""
    text = str(getattr(error, "error_string", "") or error)
    if "not a regular file" in text:  # what libsndfile says of an .mp3 without MPEG frames
        return "Format not recognised"
    if "Internal error" in text or "internal error" in text:
        return "its header is damaged"
    return " ".join(text.split()).rstrip(".") or type(error).__name__
