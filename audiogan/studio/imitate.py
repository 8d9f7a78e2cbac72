"""A recording dropped on a pad: the sound of the model that comes nearest to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from audiogan.errors import UserError
from audiogan.modalities.reading import SoundReader, Unreadable
from audiogan.studio.limits import read
from audiogan.studio.sounds import Studio

router = APIRouter(prefix="/api")
FASTEST = 400_000  # Hz
CHANNELS = 8
TICK = 0.2  # seconds between two signs of life


@router.post("/imitate")
async def imitate(
    request: Request, label: str | None = Query(None, max_length=100), seconds: float = Query(8.0)
) -> StreamingResponse:
    """Find the latent whose sound is nearest to a recording (the body: an audio file).

    The answer is a stream of JSON lines: ``{"progress": 0 ... 1}`` while it looks, at the end ``{"recipe", "distance",
    "start"}`` (distances in dB, see `audiogan.latents.Encoding`), with a ``"note"`` if only the beginning of the
    recording was used, or ``{"error"}``. Who hangs up ends the search.
    """
    studio = Studio.of(request)
    most = studio.limits.imitate_seconds
    if not 0.1 <= seconds <= most:
        raise UserError(f"seconds={seconds:g} must be from 0.1 to {most:g}")
    body = await read(request, studio.limits.upload_bytes, studio.limits.body_seconds)
    wave, sample_rate = await studio.renders.run(decode, body, studio.limits.recording_seconds)
    if label is not None and label not in studio.instrument.generator.labels:
        raise UserError(f"class {label[:60]!r} is none that this model knows")
    most = studio.limits.recording_seconds
    note = f"only its first {most:g} seconds were looked at" if wave.shape[1] >= most * sample_rate else ""
    await studio.imitations.enter()  # refused before the answer begins
    return StreamingResponse(_lines(studio, wave, sample_rate, label, seconds, note), media_type="application/x-ndjson")


async def _lines(
    studio: Studio, wave: np.ndarray, sample_rate: int, label: str | None, seconds: float, note: str
) -> AsyncIterator[str]:
    result: dict[str, Any] = {}
    share, gone = 0.0, False

    def progress(now: float) -> None:
        nonlocal share
        share = now
        if gone:
            raise InterruptedError

    def work() -> None:
        from audiogan.latents import encode

        generator = studio.instrument.generator
        try:
            found = encode(generator, wave, sample_rate, label=label, seconds=seconds, progress=progress)
            recipe = studio.instrument.outside(found.recipe)
            result.update(recipe=recipe, distance=round(found.distance, 3), start=round(found.initial_distance, 3))
            result.update({"note": note} if note else {})
        except UserError as error:
            result["error"] = studio.instrument.said(error)
        except InterruptedError:
            pass

    async def search() -> None:
        try:
            await anyio.to_thread.run_sync(work, limiter=anyio.CapacityLimiter(1))
        finally:
            studio.imitations.leave()
            done.set()

    done = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(search)
        try:
            while not done.is_set():
                with anyio.move_on_after(TICK):
                    await done.wait()
                yield json.dumps({"progress": round(min(0.99, share), 3)}) + "\n"
        finally:
            gone = True
    yield json.dumps(result) + "\n"


def decode(content: bytes, seconds: float) -> tuple[np.ndarray, int]:
    """The first ``seconds`` of an audio file: float32 `[C, T]` and its rate in Hz. Only that much is unpacked,
    however much there is.

    Raises:
        UserError: it is no sound, is silent, or its header says something no recording has.
    """
    from audiogan.latents.recording import check_recording

    try:
        with SoundReader(content) as file:
            rate, channels = file.sample_rate, file.channels
            if rate > FASTEST or channels > CHANNELS:
                raise UserError(
                    f"the recording has {channels} channels at {rate:,} Hz; "
                    f"{CHANNELS} channels and {FASTEST:,} Hz at most can be imitated"
                )
            samples = file.read_seconds(seconds).T
            part = f"in its first {seconds:g} seconds" if samples.shape[1] < file.frames else ""
    except Unreadable as error:
        text = f"this is no sound file that can be read ({error}); WAV, FLAC, OGG, MP3 and AIFF can"
        raise UserError(text) from error
    return np.ascontiguousarray(check_recording(samples, rate, "nothing to hear in this recording", part)), rate
