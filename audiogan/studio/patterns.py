"""API route that exports patterns of the sequencer as MIDI files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from audiogan.kits.midi_writing import midi_file
from audiogan.studio.limits import StrictModel
from audiogan.studio.sounds import Studio

router = APIRouter(prefix="/api")
MAX_BEATS = 16
"""Maximum duration of a pattern in beats: 64 steps of a quarter of a beat."""
Beat = Annotated[float, Field(ge=0, le=MAX_BEATS)]
Note = Annotated[int, Field(ge=0, le=127)]
Velocity = Annotated[int, Field(ge=1, le=127)]


class WirePattern(StrictModel):
    """Pattern of the sequencer as a JSON object.

    Attributes:
        tempo: tempo in beats per minute.
        beats: duration in beats.
        notes: time in beats, MIDI note and velocity of each note.
    """

    tempo: Annotated[float, Field(ge=20, le=400)]
    beats: Annotated[float, Field(gt=0, le=MAX_BEATS)]
    notes: Annotated[list[tuple[Beat, Note, Velocity]], Field(max_length=16 * 64)]

    def to_midi(self) -> bytes:
        """Return the content of a MIDI file, see `midi_file`."""
        return midi_file(self.notes, self.beats, self.tempo)


class NamedPattern(WirePattern):
    name: Annotated[str, Field(pattern="^[A-Z]$")]


@router.post("/pattern.mid")
async def export_pattern(request: Request) -> Response:
    """Return a pattern as a MIDI file."""
    want = await Studio.from_request(request).parse_body(request, WirePattern)
    headers = {"Content-Disposition": 'attachment; filename="pattern.mid"'}
    return Response(want.to_midi(), media_type="audio/midi", headers=headers)
