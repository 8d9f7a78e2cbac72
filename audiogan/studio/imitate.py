"""A recording dropped on a pad: the sound of the model that comes nearest to it."""

from __future__ import annotations

import io
import json
import math
from collections.abc import AsyncIterator
from typing import Any

import anyio
import numpy as np
import soundfile
from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from audiogan.errors import UserError
from audiogan.studio.limits import read
from audiogan.studio.sounds import Studio

router = APIRouter(prefix="/api")
RATES = (1_000, 400_000)  # Hz
CHANNELS = 8
QUIETEST = 1e-3  # -60 dBFS
TICK = 0.2  # seconds between two signs of life


@router.post("/imitate")
async def imitate(
    request: Request, label: str | None = Query(None, max_length=100), seconds: float = Query(8.0)
) -> StreamingResponse:
    """Find the latent whose sound is nearest to a recording (the body: an audio file).

    The answer is a stream of JSON lines: ``{"progress": 0 ... 1}`` while it looks, at the end ``{"recipe", "distance",
    "start"}`` (distances in dB, see `audiogan.latents.Encoding`) or ``{"error"}``. Who hangs up ends the search.
    """
    studio = Studio.of(request)
    most = studio.limits.imitate_seconds
    if not 0.1 <= seconds <= most:
        raise UserError(f"seconds={seconds:g} must be from 0.1 to {most:g}")
    body = await read(request, studio.limits.upload_bytes, studio.limits.body_seconds)
    wave, sample_rate = await studio.renders.run(decode, body, studio.limits.recording_seconds)
    if label is not None and label not in studio.instrument.generator.labels:
        raise UserError(f"class {label[:60]!r} is none that this model knows")
    await studio.imitations.enter()  # refused before the answer begins
    return StreamingResponse(_lines(studio, wave, sample_rate, label, seconds), media_type="application/x-ndjson")


async def _lines(
    studio: Studio, wave: np.ndarray, sample_rate: int, label: str | None, seconds: float
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
            result.update(recipe=recipe, distance=round(found.distance, 3), start=round(found.start, 3))
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
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            rate, channels = file.samplerate, file.channels
            if not RATES[0] <= rate <= RATES[1] or not 1 <= channels <= CHANNELS:
                raise UserError(f"the recording says {rate:,} Hz, {channels} channels; {CHANNELS} channels at most")
            samples = file.read(math.ceil(seconds * rate), dtype="float32", always_2d=True)
    except UserError:
        raise
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OSError) as error:
        raise UserError("this is no sound file that can be read; WAV, FLAC, OGG, MP3 and AIFF can") from error
    if not len(samples) or not np.isfinite(samples).all() or float(np.ptp(samples)) / 2 < QUIETEST:
        raise UserError("there is nothing to hear in this recording")
    return np.ascontiguousarray(samples.T), int(rate)
