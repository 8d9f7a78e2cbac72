"""API route that finds the sound of the model nearest to an uploaded recording."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from audiogan.errors import UserError
from audiogan.modalities.reading import SoundReader, Unreadable
from audiogan.modalities.wav import encode_wav
from audiogan.studio.limits import read_body
from audiogan.studio.progress import Progress, stream_progress
from audiogan.studio.sounds import Studio

router = APIRouter(prefix="/api")
MAX_SAMPLE_RATE = 400_000
"""Largest sample rate of an uploaded recording, in Hz."""
MAX_CHANNELS = 8
"""Largest number of channels of an uploaded recording."""


@router.post("/imitate")
async def imitate(
    request: Request, label: str | None = Query(None, max_length=100), seconds: float = Query(8.0)
) -> StreamingResponse:
    """Search for the recipe of the sound nearest to a recording. The request body is a sound file.

    The response is a stream of JSON lines. During the search, lines are ``{"progress": 0 ... 1}``. The last line is
    ``{"recipe", "distance", "start", "source"}`` or ``{"error"}``. Distances are in dB: ``start`` before the
    optimisation and ``distance`` after it. ``source`` is the recording in the format of the model, as a WAV file in
    Base64. A ``"note"`` is added if only the first part of the recording was used. The search stops when the client
    closes the connection.

    Args:
        request: the request.
        label: class of the sound. By default any class.
        seconds: duration of the search.
    """
    studio = Studio.from_request(request)
    limit = studio.limits.imitate_seconds
    if not 0.1 <= seconds <= limit:
        raise UserError(f"seconds={seconds:g} must be from 0.1 to {limit:g}")
    body = await read_body(request, studio.limits.upload_bytes, studio.limits.body_seconds)
    wave, sample_rate = await studio.renders.run(decode_recording, body, studio.limits.recording_seconds)
    if label is not None:
        studio.instrument.generator.game.get_input("classes").parse({label: 1.0})  # Raise errors before the search.
    limit = studio.limits.recording_seconds
    note = f"only its first {limit:g} seconds were used" if wave.shape[1] >= limit * sample_rate else ""

    def work(progress: Progress) -> dict[str, Any]:
        from audiogan.latents import encode

        generator = studio.instrument.generator
        found = encode(generator, wave, sample_rate, label=label, seconds=seconds, progress=progress)
        source = base64.b64encode(encode_wav(found.target, generator.sample_rate, "FLOAT")).decode()
        distances = {"distance": round(found.distance, 3), "start": round(found.initial_distance, 3)}
        result = {"recipe": studio.instrument.to_wire(found.recipe), **distances, "source": source}
        return {**result, "note": note} if note else result

    return await stream_progress(studio.imitations, work, studio.instrument.error_message)


def decode_recording(content: bytes | Path, seconds: float, max_samples: float = math.inf) -> tuple[np.ndarray, int]:
    """Decode the beginning of a sound file. The rest is not decoded.

    Args:
        content: content or path of the file.
        seconds: longest duration that is decoded, in seconds.
        max_samples: largest number of samples of all channels together.

    Returns:
        Samples, float32 ``[C, T]``, and the sample rate in Hz.

    Raises:
        UserError: the file cannot be decoded, is silent, or exceeds the limits of sample rate and channels.
    """
    from audiogan.latents.recording import check_recording

    try:
        with SoundReader(content) as file:
            rate, channels = file.sample_rate, file.channels
            if rate > MAX_SAMPLE_RATE or channels > MAX_CHANNELS:
                raise UserError(
                    f"the recording has {channels} channels at {rate:,} Hz; "
                    f"{MAX_CHANNELS} channels and {MAX_SAMPLE_RATE:,} Hz at most can be read"
                )
            seconds = min(seconds, max_samples / (rate * channels))
            samples = file.read_seconds(seconds).T
            part = f"in its first {seconds:.3g} seconds" if samples.shape[1] < file.frames else ""
    except Unreadable as error:
        text = f"not a sound file that can be read ({error}); use WAV, FLAC, OGG, MP3 or AIFF"
        raise UserError(text) from error
    return np.ascontiguousarray(check_recording(samples, rate, "the recording", part)), rate
