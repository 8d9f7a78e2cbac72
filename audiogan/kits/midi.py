"""Reader of the notes in Standard MIDI Files (MIDI Manufacturers Association, RP-001, 1996).

It supports formats 0, 1 and 2, time in beats or SMPTE frames, and files inside RIFF (RMID). Unknown chunks and events
other than notes are skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise

DEFAULT_TEMPO = 500_000
"""Tempo before the first tempo event, in microseconds per beat."""
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}
"""Frames per second by the number of the SMPTE format. Number 29 stands for "30 drop-frame", which runs at 29.97 frames
per second."""
DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
"""Number of data bytes that follow the status byte of a channel message, by status byte."""
OTHER_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}
"""Number of data bytes that follow the status byte of a system message, by status byte. They are not allowed in files,
but are skipped if present.
"""
END_OF_TRACK, SET_TEMPO = 0x2F, 0x51
XG_ON = bytes.fromhex("4c00007e00")
"""Yamaha's system exclusive message "XG System On", without the manufacturer and device bytes."""
GM2_DRUMS, XG_DRUMS = 120, 127
"""Bank numbers (controller 0) of drum kits in General MIDI 2 and in Yamaha XG."""


class BadMidi(ValueError):
    """Error raised if data is not a MIDI file, or is damaged."""


@dataclass
class Track:
    """Events of one MIDI track that matter for drums. Times are in ticks from the start of the track.

    Attributes:
        notes: tick, channel (0 ... 15), note and velocity (1 ... 127) of each note.
        tempi: tick and tempo (microseconds per beat) of each tempo event.
        ticks: ticks of all events except the end of the track.
        end: tick of the last event.
        drums: channels declared as drum channels, in addition to channel 10 of General MIDI.
        xg_drums: channels that use a drum bank of Yamaha XG. In Roland GS, the same bank is melodic.
        xg: whether the track contains the message `XG_ON`, so that drum banks of XG apply to the whole file.
    """

    notes: list[tuple[int, int, int, int]] = field(default_factory=list)
    tempi: list[tuple[int, int]] = field(default_factory=list)
    ticks: set[int] = field(default_factory=set)
    end: int = 0
    drums: set[int] = field(default_factory=set)
    xg_drums: set[int] = field(default_factory=set)
    xg: bool = False


@dataclass
class Part:
    """Tracks that are played simultaneously.

    Attributes:
        notes: time in seconds, channel (0 ... 15), note and velocity (1 ... 127) of each note.
        seconds: duration of the longest track, in seconds.
    """

    notes: list[tuple[float, int, int, int]]
    seconds: float


@dataclass
class Song:
    """Content of a MIDI file.

    Attributes:
        parts: parts that are played one after another: one part for each track of a format 2 file, a single part for
            formats 0 and 1.
        drums: channels that the file declares as drum channels, counted from 0.
        tracks: number of tracks in the file.
        expected: number of tracks stated in the header.
    """

    parts: list[Part]
    drums: set[int]
    tracks: int
    expected: int


def read_midi(content: bytes) -> Song:
    """Read the notes of a MIDI file.

    Args:
        content: content of the file.

    Raises:
        BadMidi: the content is not a MIDI file, or is damaged.
    """
    content = _unwrapped(content)
    if len(content) < 14 or content[:4] != b"MThd":
        raise BadMidi("it does not begin with MThd" if content else "it is empty")
    size, form, count, division = struct.unpack(">IHHh", content[4:14])
    if size < 6:
        raise BadMidi(f"its header has {size} bytes; 6 are needed")
    tracks: list[Track] = []
    for name, body, whole in _chunks(content, 8 + size):
        if name == b"MTrk":
            tracks.append(_track(body, whole))
    if not tracks:
        raise BadMidi("it has no tracks")
    groups = [[track] for track in tracks] if form == 2 else [tracks]
    xg = any(track.xg for track in tracks)
    drums = set[int]().union(*(track.drums | (track.xg_drums if xg else set()) for track in tracks))
    return Song([_timed(group, division) for group in groups], drums, len(tracks), count)


def _unwrapped(content: bytes) -> bytes:
    """Return the MIDI file inside a RIFF file (RMID), or after a MacBinary header of 128 bytes."""
    if content[:4] == b"RIFF":
        for name, body, _ in _chunks(content, 12, "<4sI"):
            if name == b"data":
                return body
        raise BadMidi("it is a RIFF file without MIDI in it")
    return content[128:] if content[:1] == b"\0" and content[128:132] == b"MThd" else content


def _chunks(content: bytes, at: int, head: str = ">4sI") -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield the kind, the content and the completeness of each chunk."""
    while at + 8 <= len(content):
        name, size = struct.unpack(head, content[at : at + 8])
        at += 8
        yield name, content[at : at + size], at + size <= len(content)
        at += size + (size % 2 if head[0] == "<" else 0)  # RIFF adds a padding byte to a chunk of odd size


def _track(data: bytes, whole: bool) -> Track:
    """Return the events of a track chunk. A truncated track is accepted if it contains the end-of-track event."""
    track, tick, at, status, ended = Track(), 0, 0, 0, False
    banks: dict[int, int] = {}
    try:
        while at < len(data):
            delta, at = _number(data, at)
            tick += delta
            track.end = tick
            first = data[at]
            if first >= 0x80:
                at += 1
            if first == 0xFF:
                kind = data[at]
                body, at = _block(data, at + 1)
                if kind == END_OF_TRACK:
                    ended = True
                    continue
                if kind == SET_TEMPO and len(body) == 3 and any(body):
                    track.tempi.append((tick, int.from_bytes(body, "big")))
            elif first in (0xF0, 0xF7):
                body, at = _block(data, at)
                track.drums |= _declared(body)
                track.xg |= body[:1] == b"\x43" and body[2:7] == XG_ON
            elif first > 0xF0:
                if first not in OTHER_BYTES:
                    raise BadMidi(f"undefined status byte 0x{first:02x}")
                at += OTHER_BYTES[first]
            else:
                status = first if first >= 0x80 else status
                if not status:
                    raise BadMidi("a data byte where a message should begin")
                kind, channel = status & 0xF0, status & 0x0F
                values = [min(value, 127) for value in data[at : at + DATA_BYTES[kind]]]
                at += DATA_BYTES[kind]
                if at > len(data):
                    raise IndexError
                if kind == 0x90 and values[1]:
                    track.notes.append((tick, channel, values[0], values[1]))
                    if banks.get(channel) == GM2_DRUMS:
                        track.drums.add(channel)
                    elif banks.get(channel) == XG_DRUMS:
                        track.xg_drums.add(channel)
                elif kind == 0xB0 and values[0] == 0:
                    banks[channel] = values[1]
            track.ticks.add(tick)
    except IndexError:
        if not ended:
            raise BadMidi("it ends too early") from None
    if not whole and not ended:
        raise BadMidi("it ends too early")
    return track


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length quantity of at most four bytes, and the position after it."""
    value = 0
    for i in range(4):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    raise BadMidi("a time or length of more than four bytes")


def _block(data: bytes, at: int) -> tuple[bytes, int]:
    """Return a block of bytes preceded by its length, and the position after it."""
    size, at = _number(data, at)
    if at + size > len(data):
        raise IndexError
    return data[at : at + size], at + size


def _declared(exclusive: bytes) -> set[int]:
    """Return the channel that a system exclusive message declares as a drum channel.

    The messages are "use for rhythm part" of Roland GS and "part mode" of Yamaha XG.
    """
    if len(exclusive) >= 8 and exclusive[0] == 0x41 and exclusive[2:5] == b"\x42\x12\x40":
        block, address, mode = exclusive[5], exclusive[6], exclusive[7]
        if block >> 4 == 1 and address == 0x15 and mode in (1, 2):
            block &= 0x0F
            return {9 if block == 0 else block - 1 if block < 10 else block}
    if len(exclusive) >= 7 and exclusive[0] == 0x43 and exclusive[2:4] == b"\x4c\x08":
        part, address, mode = exclusive[4], exclusive[5], exclusive[6]
        if part < 16 and address == 0x07 and 1 <= mode <= 5:
            return {part}
    return set()


def _timed(tracks: list[Track], division: int) -> Part:
    """Return tracks with times in seconds. Tempo events of any track apply to all tracks."""
    clock = _clock(tracks, division)
    notes = [
        (clock[tick], channel, note, velocity) for track in tracks for tick, channel, note, velocity in track.notes
    ]
    return Part(notes, clock[max(track.end for track in tracks)])


def _clock(tracks: list[Track], division: int) -> dict[int, float]:
    """Return the time in seconds of each tick with an event."""
    ticks = sorted({0, max(track.end for track in tracks)}.union(*(track.ticks for track in tracks)))
    if division < 0:
        name, each = -(division >> 8), division & 0xFF
        if name not in FRAME_RATES or not each:
            raise BadMidi(f"times of {each} ticks in a frame, {name} frames a second")
        return {tick: tick / (FRAME_RATES[name] * each) for tick in ticks}
    if not division:
        raise BadMidi("0 ticks in a beat")
    changes = sorted(chain.from_iterable(track.tempi for track in tracks), key=lambda change: change[0])
    return dict(zip(ticks, accumulate(_steps(ticks, changes, division), initial=0.0), strict=True))


def _steps(ticks: list[int], changes: Iterable[tuple[int, int]], division: int) -> Iterator[float]:
    """Yield the seconds between consecutive ticks."""
    left, tempo = list(reversed(list(changes))), DEFAULT_TEMPO
    for tick, following in pairwise(ticks):
        while left and left[-1][0] <= tick:
            tempo = left.pop()[1]
        yield (following - tick) * (tempo * 1e-6 / division)
