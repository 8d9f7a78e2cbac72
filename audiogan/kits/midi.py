"""Reader of Standard MIDI Files (MIDI Manufacturers Association, RP-001, 1996): notes, and when they are struck.

Files of all formats, with time in beats or in SMPTE frames, bare or inside RIFF (RMID). Chunks of unknown kinds are
skipped, as the standard demands, and so is everything that does not concern notes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise

DEFAULT_TEMPO = 500_000
"""Microseconds of a beat before the first change of tempo."""
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}
"""Frames of a second by SMPTE's name of the format. 29 stands for 30 drop-frame, which runs at 29.97."""
DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
"""Data bytes of a channel message, by status."""
OTHER_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}
"""Data bytes of system messages. They do not belong into a file, but their length is known."""
END_OF_TRACK, SET_TEMPO = 0x2F, 0x51
XG_ON = bytes.fromhex("4c00007e00")
"""Yamaha's system exclusive message "XG System On", after manufacturer and device."""
GM2_DRUMS, XG_DRUMS = 120, 127
"""Banks (controller 0) of drum kits in General MIDI 2 and in Yamaha's XG."""


class BadMidi(ValueError):
    """The bytes are no MIDI file, or a damaged one."""


@dataclass
class Track:
    """The events of a track that matter for drums; times are in ticks since its start.

    Attributes:
        notes: (tick, channel 0 ... 15, note, velocity 1 ... 127).
        tempi: (tick, microseconds of a beat).
        ticks: when anything happens, but for the end of the track.
        end: the tick of its last event.
        drums: channels that it declares to be drums, beyond General MIDI's.
        xg_drums: channels with a bank that means drums in an XG file. In Roland's GS the same bank is melodic.
        xg: whether it declares the file to be XG.
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
    """Tracks that are played at the same time.

    Attributes:
        notes: (seconds, channel 0 ... 15, note, velocity 1 ... 127).
        seconds: to the end of the longest track.
    """

    notes: list[tuple[float, int, int, int]]
    seconds: float


@dataclass
class Song:
    """What `read_midi` returns.

    Attributes:
        parts: one after another: a single one, or each track of a file of format 2.
        drums: channels, from 0, that the file declares to be drums.
        tracks, expected: how many tracks the file has, and should have by its header.
    """

    parts: list[Part]
    drums: set[int]
    tracks: int
    expected: int


def read_midi(content: bytes) -> Song:
    """Read a MIDI file.

    Raises:
        BadMidi: it is none, or it is damaged.
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
    """A MIDI file without what other formats put around it: RIFF (RMID), or the 128 bytes of MacBinary."""
    if content[:4] == b"RIFF":
        for name, body, _ in _chunks(content, 12, "<4sI"):
            if name == b"data":
                return body
        raise BadMidi("it is a RIFF file without MIDI in it")
    return content[128:] if content[:1] == b"\0" and content[128:132] == b"MThd" else content


def _chunks(content: bytes, at: int, head: str = ">4sI") -> Iterator[tuple[bytes, bytes, bool]]:
    """(kind, content, whether all of it is there) of each chunk."""
    while at + 8 <= len(content):
        name, size = struct.unpack(head, content[at : at + 8])
        at += 8
        yield name, content[at : at + size], at + size <= len(content)
        at += size + (size % 2 if head[0] == "<" else 0)  # RIFF pads to an even size


def _track(data: bytes, whole: bool) -> Track:
    """The events of a track chunk. One that is cut off is accepted if its end-of-track event is there."""
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
    """A variable-length quantity, which has at most four bytes, and where it ends."""
    value = 0
    for i in range(4):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    raise BadMidi("a time or length of more than four bytes")


def _block(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes after their number, and where they end."""
    size, at = _number(data, at)
    if at + size > len(data):
        raise IndexError
    return data[at : at + size], at + size


def _declared(exclusive: bytes) -> set[int]:
    """The channel that a system exclusive message makes a drum channel: Roland GS, "use for rhythm part"; Yamaha XG,
    "part mode".
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
    """Tracks with their times in seconds. The tempo of any of them holds for all."""
    clock = _clock(tracks, division)
    notes = [
        (clock[tick], channel, note, velocity) for track in tracks for tick, channel, note, velocity in track.notes
    ]
    return Part(notes, clock[max(track.end for track in tracks)])


def _clock(tracks: list[Track], division: int) -> dict[int, float]:
    """Seconds by tick, for every tick at which something happens."""
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
    """Seconds from each tick to the next."""
    left, tempo = list(reversed(list(changes))), DEFAULT_TEMPO
    for tick, following in pairwise(ticks):
        while left and left[-1][0] <= tick:
            tempo = left.pop()[1]
        yield (following - tick) * (tempo * 1e-6 / division)
