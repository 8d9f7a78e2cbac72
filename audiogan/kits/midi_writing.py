"""Writer of drum patterns as Standard MIDI Files (MIDI Manufacturers Association, RP-001, 1996)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

TICKS = 480
"""Number of ticks in a beat."""
MAX_NOTE_TICKS = 60
"""Longest duration of a note, in ticks. Drums ignore the end of a note."""
DRUM_ON, DRUM_OFF = 0x99, 0x89
"""Status bytes of notes on channel 10, the drum channel of General MIDI."""


def midi_file(notes: Iterable[tuple[float, int, int]], beats: float, tempo: float) -> bytes:
    """Return a drum pattern as the content of a MIDI file of format 0, with all notes on channel 10.

    If the pattern is not a whole number of bars in 4/4, the time signature of the file makes it a single bar. With 4/4,
    `audiogan play --loop` would add a rest before each repetition.

    Args:
        notes: time in beats, MIDI note (0 ... 127) and velocity (1 ... 127) of each note. A note is moved to the
            nearest of 480 ticks in a beat.
        beats: duration of the pattern in beats, at most 63.
        tempo: tempo in beats per minute, 4 or more.

    Examples:
        >>> from audiogan.kits.midi import read_midi
        >>> [part] = read_midi(midi_file([(0, 36, 127), (1, 38, 79)], beats=4, tempo=120)).parts
        >>> part.notes, part.clock.time(part.end)
        ([(0, 9, 36, 127), (480, 9, 38, 79)], 2.0)
    """
    end = round(beats * TICKS)
    strokes = sorted((round(time * TICKS), note, velocity) for time, note, velocity in notes)
    events: list[tuple[int, bytes]] = []
    following: dict[int, int] = {}
    for tick, note, velocity in reversed(strokes):
        off = min(tick + MAX_NOTE_TICKS, following.get(note, max(end, tick + 1)))
        events += [(off, bytes([DRUM_OFF, note, 64])), (tick, bytes([DRUM_ON, note, velocity]))]
        following[note] = tick
    # Events of the same tick are sorted by their status byte, so that a note ends before the next one starts.
    track = b"\0\xff\x51\x03" + round(60e6 / tempo).to_bytes(3, "big")
    if beats % 4 and beats * 4 % 1 == 0:  # The default, 4/4, fits other patterns.
        track += b"\0\xff\x58\x04" + bytes([round(beats * 4), 4, 24, 8])
    now = 0
    for tick, message in [*sorted(events), (max([end, *(tick for tick, _ in events)]), b"\xff\x2f\0")]:
        track += _variable_length(tick - now) + message
        now = tick
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(value: int) -> bytes:
    """Return a variable-length quantity."""
    out = bytes([value & 0x7F])
    while value := value >> 7:
        out = bytes([value & 0x7F | 0x80]) + out
    return out
