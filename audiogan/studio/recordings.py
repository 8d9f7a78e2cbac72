"""Recordings of the user: read from a folder on this machine or uploaded by the page, and kept in memory."""

from __future__ import annotations

import hashlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray

from audiogan.data.walk import Entry, walk
from audiogan.errors import UserError
from audiogan.kits.drums import drum_role
from audiogan.kits.rendering import LOUDNESS, momentary_loudness
from audiogan.modalities.wav import encode_wav
from audiogan.run.trust import with_current_trust
from audiogan.studio.imitate import decode_recording
from audiogan.studio.limits import Refused, read_body
from audiogan.studio.sounds import Studio
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

router = APIRouter(prefix="/api/recordings")
MAX_RECORDINGS, MAX_BYTES = 1000, 192 << 20
"""Limits of `Recordings`: number of recordings (``MAX_RECORDINGS``), and bytes of their samples (``MAX_BYTES``)."""
MAX_MESSAGES = 5
"""Largest number of messages about files that could not be read."""
END_LEVEL = 10 ** (-70 / 20)
"""Level at which a recording ends, relative to its peak (-70 dB)."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Recording in the format of the model's sounds.

    Attributes:
        id: first 16 hexadecimal digits of the SHA-256 of the samples.
        name: path of the file relative to its folder, with ``/``, for display.
        label: class of the model whose name occurs in the path, or "".
        wave: samples, float32 ``[C, T]``, at the sample rate of the model. T is at most the length of its sounds.
    """

    id: str
    name: str
    label: str
    wave: NDArray[np.float32]

    def describe(self) -> dict[str, str]:
        """Return the recording without its samples as a JSON object."""
        return {"id": self.id, "name": self.name, "label": self.label}


class Recordings:
    """Collection of recordings with a limited size. It may be used by several threads.

    Args:
        generator: model whose format the recordings get.
        folder: folder whose sound files are read by `start`. None: only uploads are added.
    """

    def __init__(self, generator: Generator, folder: Path | None = None) -> None:
        self.generator, self.folder = generator, folder
        self.read, self.total = 0, 0
        self.reading = folder is not None
        self.skipped: list[str] = []
        self._skipped = 0
        self._kept: dict[str, Recording] = {}
        self._bytes, self._started, self._lock = 0, False, threading.Lock()

    @classmethod
    def from_request(cls, request: Request) -> Recordings:
        return request.app.state.recordings

    def start(self) -> None:
        """Begin to read the folder in a background thread. Further calls do nothing."""
        with self._lock:
            if self._started or self.folder is None:
                return
            self._started = True
        threading.Thread(target=with_current_trust(self.read_folder), daemon=True).start()

    def read_folder(self) -> None:
        """Read the sound files of the folder. If there are more than 1,000, evenly spaced ones are read."""
        assert self.folder is not None
        try:
            files = sound_files(self.folder)
            if len(files) > MAX_RECORDINGS:
                self._skip(f"only {MAX_RECORDINGS:,} of {len(files):,} sound files are read, evenly spaced")
                files = [files[i * len(files) // MAX_RECORDINGS] for i in range(MAX_RECORDINGS)]
            self.total = len(files)
            for file in files:
                try:
                    self.add(file.rel, Path(file.path))
                except (UserError, Refused, OSError) as error:
                    self._skip(_message(file.rel, error))
                self.read += 1
        except UserError as error:
            self._skip(_message(self.folder.name, error))
        finally:
            self.reading = False

    def add(self, name: str, source: bytes | Path) -> Recording:
        """Decode a sound file, convert it to the format of the model, and keep it. Equal recordings are kept once.

        Args:
            name: path of the file relative to its folder, for display. It is never opened.
            source: content or path of the file. The first ten seconds are decoded.

        Raises:
            UserError: the file cannot be decoded, is silent or too short.
            Refused: there are too many recordings (status 413).
        """
        from audiogan.latents.recording import prepare_recording

        samples, rate = decode_recording(source, 10.0)
        wave = trim_end(prepare_recording(self.generator, samples, rate))
        id = hashlib.sha256(wave.tobytes()).hexdigest()[:16]
        shown = printable(" ".join(name.split()))[:300] or "recording"
        with self._lock:
            if id not in self._kept:
                if len(self._kept) >= MAX_RECORDINGS or self._bytes + wave.nbytes > MAX_BYTES:
                    raise Refused(413, f"no room for more recordings; {len(self._kept):,} are kept")
                self._kept[id] = Recording(id, shown, self.find_label(shown), wave)
                self._bytes += wave.nbytes
            return self._kept[id]

    def find_label(self, name: str) -> str:
        """Return the class of the model whose name occurs in the path of a recording, or "".

        The file name and each of its folders are compared with the names of the classes, the innermost first. A drum
        name in another spelling, such as ``HH_open``, also counts.
        """
        labels = self.generator.labels
        exact = {_plain(label): label for label in labels}
        roles = {role: label for label in reversed(labels) if (role := drum_role(label))}
        for part in reversed(name.split("/")):
            stem = re.sub(r"\.\w{1,5}$", "", part)
            for candidate in (stem, re.sub(r"[\W_\d]+$", "", stem)):
                if label := exact.get(_plain(candidate)):
                    return label
            if label := roles.get(drum_role(stem) or ""):
                return label
        return ""

    def all(self) -> list[Recording]:
        """Return all recordings in the order of their names."""
        with self._lock:
            return sorted(self._kept.values(), key=lambda kept: (kept.name, kept.id))

    def get(self, id: str) -> Recording:
        """Return the recording with this id.

        Raises:
            Refused: there is no such recording (status 404).
        """
        with self._lock:
            if id not in self._kept:
                raise Refused(404, "this recording does not exist or was removed")
            return self._kept[id]

    def clear(self) -> None:
        """Remove all recordings."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def describe(self) -> dict[str, Any]:
        """Return the list of recordings and the progress of reading the folder as a JSON object."""
        name = printable(self.folder.resolve().name) if self.folder else None
        messages = self.skipped + ([f"{self._skipped - MAX_MESSAGES} more"] if self._skipped > MAX_MESSAGES else [])
        state = {"folder": name, "reading": self.reading, "read": self.read, "total": self.total, "skipped": messages}
        return {**state, "recordings": [kept.describe() for kept in self.all()]}

    def _skip(self, message: str) -> None:
        self._skipped += 1
        if self._skipped <= MAX_MESSAGES:
            self.skipped.append(message)


def sound_files(folder: Path) -> list[Entry]:
    """Return the sound files below a folder, as `audiogan.data.walk.walk` lists them.

    Raises:
        UserError: the folder does not exist or contains no sound file.
    """
    if not folder.is_dir():
        raise UserError(f"{printable(folder)}: no such folder; give a folder with sound files")
    files = [entry for entry in walk(folder) if entry.kind == "audio"]
    if not files:
        raise UserError(f"{printable(folder)}: contains no sound file; use WAV, FLAC, OGG, MP3 or AIFF")
    return files


def trim_end(wave: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a wave ``[C, T]`` up to its last sample above -70 dB of its peak."""
    size = np.abs(wave).max(axis=0)
    loud = np.flatnonzero(size > END_LEVEL * size.max(initial=0.0))
    return np.ascontiguousarray(wave[:, : int(loud[-1]) + 1 if len(loud) else 1])


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _message(name: str, error: Exception) -> str:
    text = error.message if isinstance(error, Refused) else getattr(error, "strerror", None) or str(error)
    return printable(f"{name}: {text.removeprefix('the recording: ')}")[:300]


@router.get("")
async def list_recordings(request: Request) -> dict[str, Any]:
    """Return the recordings. The first request begins to read the folder; ``reading`` is true until all are read."""
    recordings = Recordings.from_request(request)
    recordings.start()
    return recordings.describe()


@router.post("")
async def add_recording(request: Request, name: str = Query("recording", max_length=1000)) -> dict[str, str]:
    """Add a recording. The request body is a sound file, and the response is its ``id``, ``name`` and ``label``."""
    studio, recordings = Studio.from_request(request), Recordings.from_request(request)
    body = await read_body(request, studio.limits.upload_bytes, studio.limits.body_seconds)

    def work() -> Recording:
        try:
            return recordings.add(name, body)
        except UserError as error:
            raise Refused(422, _message(name, error)) from error

    return (await studio.renders.run(work)).describe()


@router.delete("")
async def clear_recordings(request: Request) -> dict[str, Any]:
    """Remove all recordings from memory. Files are not changed."""
    recordings = Recordings.from_request(request)
    recordings.clear()
    return recordings.describe()


@router.get("/{id}.wav")
async def get_recording(request: Request, id: str) -> Response:
    """Return a recording in the format of the model, as a WAV file with 32-bit floating-point samples.

    The recording has the momentary loudness of a pad, or less if its peak would otherwise exceed full scale.
    """
    studio, kept = Studio.from_request(request), Recordings.from_request(request).get(id)
    rate = studio.instrument.generator.sample_rate

    def work() -> bytes:
        gain = 10 ** ((LOUDNESS - momentary_loudness(kept.wave, rate)) / 20)
        return encode_wav(kept.wave * np.float32(min(gain, 1 / np.abs(kept.wave).max())), rate, "FLOAT")

    return Response(await studio.renders.run(work), media_type="audio/wav")
