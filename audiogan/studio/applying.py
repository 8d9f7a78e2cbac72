"""API routes of the page Apply: translate a recording with a model, or make a sound from a text."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from audiogan.errors import UserError
from audiogan.inputs import Signal
from audiogan.modalities.reading import SoundReader
from audiogan.modalities.wav import encode_wav
from audiogan.model.translation.formats import translate_sound_file
from audiogan.model.translation.signals import Translation, find_source
from audiogan.studio.applied_models import MAX_TEXT, AppliedModels, describe_model
from audiogan.studio.imitate import decode_recording
from audiogan.studio.instrument import Name, Seed, public_message
from audiogan.studio.limits import Refused, StrictModel, read_body
from audiogan.studio.progress import Progress, stream_progress
from audiogan.studio.sounds import Studio
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

router = APIRouter(prefix="/api/apply")
MAX_SAMPLES = 1 << 23
"""Largest number of samples of a recording, all channels together: 60 seconds of stereo at up to 69 kHz."""
MAX_BYTES = 256 << 20
"""Largest size of all sounds in memory, in bytes. The oldest sounds are removed."""


class Application(StrictModel):
    """Request to apply a model. ``inputs`` are the values of the fields that `describe_model` returns."""

    model: Name
    sound: Name | None = None
    inputs: Annotated[
        dict[Name, Annotated[str, Field(max_length=MAX_TEXT)] | float | dict[Name, float]], Field(max_length=50)
    ] = Field(default_factory=dict)
    seed: Seed = 0
    generator: Name | None = None


@dataclass(frozen=True)
class AppliedSound:
    """Sound of the page Apply.

    Attributes:
        id: random id.
        name: name of the file for display.
        content: WAV file with 32-bit floating-point samples.
        note: remark for the user, or "".
    """

    id: str
    name: str
    content: bytes
    note: str = ""

    def describe(self) -> dict[str, Any]:
        """Return the sound without its samples as a JSON object."""
        with SoundReader(self.content) as file:
            layout = {"sample_rate": file.sample_rate, "channels": file.channels, "frames": file.frames}
        return {"id": self.id, "name": self.name, **layout, "note": self.note}


class SoundStore:
    """Store of the recordings and results of the page Apply, with limited memory. It may be used by several threads.

    Args:
        seconds: number of seconds of a recording that are kept, from its beginning.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._kept: OrderedDict[str, AppliedSound] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def from_request(cls, request: Request) -> SoundStore:
        return request.app.state.applied_sounds

    def add_recording(self, name: str, content: bytes) -> AppliedSound:
        """Decode the beginning of a sound file and keep it.

        Raises:
            UserError: the file cannot be decoded, is silent, too short or not finite.
        """
        wave, rate = decode_recording(content, self.seconds, MAX_SAMPLES)
        frames = min(self.seconds * rate, MAX_SAMPLES / len(wave))
        note = f"only its first {frames / rate:.3g} seconds are used" if wave.shape[1] >= frames else ""
        return self.add(name, encode_wav(wave, rate, "FLOAT"), note)

    def add(self, name: str, content: bytes, note: str = "") -> AppliedSound:
        """Keep a sound, given as the content of a WAV file with 32-bit floating-point samples."""
        sound = AppliedSound(secrets.token_hex(8), printable(" ".join(name.split()))[:300] or "sound", content, note)
        with self._lock:
            self._kept[sound.id] = sound
            while len(self._kept) > 1 and sum(len(kept.content) for kept in self._kept.values()) > MAX_BYTES:
                self._kept.popitem(last=False)
        return sound

    def get(self, id: str) -> AppliedSound:
        """Return the sound with this id.

        Raises:
            Refused: there is no such sound (status 404).
        """
        with self._lock:
            if id not in self._kept:
                raise Refused(404, "this sound was removed from memory; choose the recording again")
            self._kept.move_to_end(id)
            return self._kept[id]


def make_sound(
    generator: Generator,
    source: AppliedSound | None,
    inputs: dict[str, Any],
    *,
    seed: int = 0,
    route: str | None = None,
    progress: Progress = lambda share: None,
) -> tuple[bytes, list[str]]:
    """Apply a model.

    Args:
        generator: the model.
        source: sound to translate. None for models that need no sound.
        inputs: values of the other inputs by name. The value of a signal is an `AppliedSound`.
        seed: random seed of inputs that are drawn.
        route: name of the generator network, for models with several.
        progress: function that is called with the completed fraction of the work, 0 ... 1.

    Returns:
        WAV file with 32-bit floating-point samples, and remarks for the user. A translated recording equals the result
        of ``audiogan apply``: it has the length and sample rate of the recording, see `translate_sound_file`.

    Raises:
        UserError: an input is missing or invalid.
    """
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for i, (name, value) in enumerate(inputs.items()):
            if isinstance(value, AppliedSound):
                path = Path(folder, f"{i}.wav")
                path.write_bytes(value.content)
                names[str(path)] = value.name
                inputs = {**inputs, name: str(path)}
        try:
            if source is None:
                given = {key: value for key, value in inputs.items() if key not in ("classes", "knobs")}
                special: dict[str, Any] = {"label": inputs.get("classes"), "knobs": inputs.get("knobs")}
                wave = generator.sample(1, seed=seed, inputs=given, generator=route, **special)[0]
                return encode_wav(wave, generator.sample_rate, "FLOAT"), notes
            translation = Translation(generator, route=route, inputs=inputs, seed=seed)
            with tempfile.TemporaryFile() as temporary:
                save = translate_sound_file(translation, source.content, temporary, progress, notes.append)
                result = Path(folder, "result.wav")
                save(result, "WAV")
            return result.read_bytes(), notes
        except UserError as error:
            text = str(error)
            for path_name, name in names.items():
                text = text.replace(path_name, name)
            raise UserError(text) from error
        except OSError as error:
            raise UserError(f"the result cannot be written ({error.strerror or error})") from error


@router.get("")
async def list_models(request: Request) -> dict[str, Any]:
    """Return the models of the page, and the limits of recordings.

    The response is ``{"models": [{"id", "name", "kind"}], "first", "limits": {"upload_bytes", "seconds"}}``. ``first``
    is the id of the model that the page selects at first, or null.
    """
    models, limits = AppliedModels.from_request(request), Studio.from_request(request).limits
    found = await models.slots.run(models.find)
    return {
        "models": [{"id": one.id, "name": one.name, "kind": one.kind} for one in found.values()],
        "first": models.first.id if models.first else None,
        "limits": {"upload_bytes": limits.upload_bytes, "seconds": limits.apply_seconds},
    }


@router.get("/models/{id}")
async def get_model(request: Request, id: str) -> dict[str, Any]:
    """Load a model and return the description of its inputs, see `describe_model`."""
    models = AppliedModels.from_request(request)

    def work() -> dict[str, Any]:
        found = models.get(id)
        return describe_model(models.load(found), found)

    return await models.slots.run(work)


@router.post("/sounds")
async def add_sound(request: Request, name: str = Query("recording", max_length=1000)) -> dict[str, Any]:
    """Add a recording. The request body is a sound file.

    The response is ``{"id", "name", "sample_rate", "channels", "frames", "note"}``. If the memory for sounds is
    full, the oldest ones are removed.
    """
    studio, sounds = Studio.from_request(request), SoundStore.from_request(request)
    body = await read_body(request, studio.limits.upload_bytes, studio.limits.body_seconds)
    return (await studio.renders.run(sounds.add_recording, name, body)).describe()


@router.get("/sounds/{id}.wav")
async def get_sound(request: Request, id: str) -> Response:
    """Return a recording or a result as a WAV file with 32-bit floating-point samples."""
    return Response(SoundStore.from_request(request).get(id).content, media_type="audio/wav")


@router.post("")
async def apply(request: Request) -> StreamingResponse:
    """Apply a model to a sound, or make a sound from a text.

    The response is a stream of JSON lines, see `stream_progress`. The result is ``{"sound", "seconds"}``: the
    description of the sound as for `add_sound`, and the computing time in seconds.
    """
    studio, sounds = Studio.from_request(request), SoundStore.from_request(request)
    models = AppliedModels.from_request(request)
    want = await studio.parse_body(request, Application)
    model = await models.slots.run(models.get, want.model)
    generator = await models.slots.run(models.load, model)
    source = find_source(generator.inputs)
    recording = None
    if source is not None:
        if want.sound is None:
            raise Refused(422, "choose or record a sound first")
        recording = sounds.get(want.sound)
    inputs: dict[str, Any] = dict(want.inputs)
    for name, value in inputs.items():
        if isinstance(generator.inputs.get(name), Signal):
            inputs[name] = sounds.get(str(value))

    def work(progress: Progress) -> dict[str, Any]:
        begun = time.perf_counter()
        content, notes = make_sound(
            generator, recording, inputs, seed=want.seed, route=want.generator, progress=progress
        )
        made = sounds.add(recording.name if recording else model.name, content, "; ".join(notes))
        return {"sound": made.describe(), "seconds": round(time.perf_counter() - begun, 3)}

    return await stream_progress(models.running, work, lambda error: public_message(error, generator, model.name))
