"""Reader of the notes in Standard MIDI Files (MIDI Manufacturers Association, RP-001, 1996).

It supports formats 0, 1 and 2, time in beats or SMPTE frames, and files inside RIFF (RMID). Unknown chunks and events
other than notes are skipped. A damaged file is read as far as possible, and each defect is described in one line. The
parsers mido and symusic are not used, because they refuse most damaged files completely.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain

from audiogan.kits.midi_track import MAX_REPAIRS, TRACK, BadMidi, Track, TrackReader

DEFAULT_TEMPO = 500_000
"""Tempo before the first tempo event, in microseconds per beat."""
DEFAULT_METER = 4, 4
"""Time signature before the first time signature event."""
FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}
"""Frames per second by the number of the SMPTE format. Number 29 stands for "30 drop-frame", which runs at 29.97 frames
per second."""
HEADER = b"MThd"
END_TOLERANCE = 24
"""The end of a track counts as the end of a bar if it is at most ``1 / END_TOLERANCE`` beats from the bar line, because
some programs write the end one tick late.
"""


@dataclass
class Part:
    """Tracks that are played simultaneously. Times are in ticks.

    Attributes:
        notes: tick, channel (0 ... 15), note and velocity (1 ... 127) of each note.
        chokes: tick, channel and note of each message that chokes a cymbal.
        end: end of the longest track.
        clock: conversion of ticks to seconds and bars.
    """

    notes: list[tuple[int, int, int, int]]
    chokes: list[tuple[int, int, int]]
    end: int
    clock: Clock


@dataclass
class Song:
    """Content of a MIDI file.

    Attributes:
        parts: parts that are played one after another: one part for each track of a format 2 file, a single part for
            formats 0 and 1.
        drums: channels that the file declares as drum channels, counted from 0.
        general_midi: whether the file selects General MIDI, General MIDI 2, Roland GS or Yamaha XG.
        problems: description of each defect of the file, one line each.
    """

    parts: list[Part]
    drums: set[int]
    general_midi: bool
    problems: list[str] = field(default_factory=list)


class Clock:
    """Conversion of ticks to seconds and bars.

    Args:
        tempi: tick and tempo (microseconds per beat) of each tempo event.
        meters: tick, numerator and denominator of each time signature.
        division: field ``division`` of the file header: ticks per beat, or a negative number for SMPTE frames.

    Raises:
        BadMidi: the division is invalid.
    """

    def __init__(self, tempi: Iterable[tuple[int, int]], meters: Iterable[tuple[int, int, int]], division: int) -> None:
        self.beat: int | None = division
        self.ticks, self.seconds, self.rates = [0], [0.0], [DEFAULT_TEMPO * 1e-6 / (division or 1)]
        if division < 0:
            name, each = -(division >> 8), division & 0xFF
            if name not in FRAME_RATES or not each:
                raise BadMidi(f"its times are in {each} ticks in a frame, {name} frames a second, which is undefined")
            self.beat, self.rates = None, [1 / (FRAME_RATES[name] * each)]
            return
        if not division:
            raise BadMidi("its header says 0 ticks in a beat, so its times are unknown")
        for tick, tempo in sorted(tempi, key=lambda change: change[0]):
            self.seconds.append(self.time(tick))
            self.ticks.append(tick)
            self.rates.append(tempo * 1e-6 / division)
        self.meters = [(0, Fraction(4 * division * DEFAULT_METER[0], DEFAULT_METER[1]))]
        for tick, numerator, denominator in sorted(meters, key=lambda change: change[0]):
            if tick == self.meters[-1][0]:
                self.meters.pop()
            self.meters.append((tick, Fraction(4 * division * numerator, denominator)))

    def time(self, tick: int | Fraction) -> float:
        """Return the time of a tick, in seconds."""
        i = bisect_right(self.ticks, tick) - 1
        return self.seconds[i] + float(tick - self.ticks[i]) * self.rates[i]

    def loop(self, last: int, end: int) -> tuple[int, float]:
        """Return the number of bars of a loop, and its duration in seconds.

        The loop contains the bar of the last note. It continues up to the end of the tracks if this is on a bar line.
        Otherwise, the end of the tracks is only the end of a note, or arbitrary.

        Args:
            last: tick of the last note.
            end: tick of the end of the longest track.

        Raises:
            BadMidi: times are in SMPTE frames, which have no bars.
        """
        if self.beat is None:
            raise BadMidi("its times are in SMPTE frames, which have no bars")
        bars, line = self._bar_line(last)
        slack = self.beat // END_TOLERANCE
        more, later = self._bar_line(max(end - slack - 1, 0))
        if abs(later - end) <= slack and later > line:
            bars, line = more, later
        return bars, self.time(line)

    def _bar_line(self, tick: int) -> tuple[int, Fraction]:
        """Return the number of bars up to the first bar line after a tick, and the tick of this bar line.

        A time signature always begins a bar.
        """
        bars = 0
        for i, (start, size) in enumerate(self.meters):
            following = self.meters[i + 1][0] if i + 1 < len(self.meters) else None
            if following is None or tick < following:
                count = int((tick - start) // size) + 1
                line = start + count * size
                return bars + count, line if following is None else min(line, Fraction(following))
            bars += -int(-(following - start) // size)  # rounded up, because a time signature may cut a bar short
        raise AssertionError("unreachable")


def read_midi(content: bytes) -> Song:
    """Read the notes of a MIDI file.

    Args:
        content: content of the file.

    Raises:
        BadMidi: the content is not a MIDI file, has no tracks, or the unit of its times is undefined.
    """
    problems: list[str] = []
    at, stop = _find_header(content, problems)
    if stop - at < 14:
        raise BadMidi("its header is incomplete")
    size, form, count, division = struct.unpack(">IHHh", content[at + 4 : at + 14])
    body = at + 8 + size
    if size != 6 and not (size > 6 and _is_boundary(content, body, stop)):
        problems.append(f"its header should have 6 bytes and says {size:,}")
        body = at + 14
    tracks, skipped = _read_tracks(content, body, stop, problems)
    if not tracks:
        raise BadMidi("it has no tracks")
    if form > 2:
        problems.append(f"format {form} does not exist; all tracks are played at once")
    elif form == 0 and len(tracks) > 1:
        problems.append(f"a file of format 0 has one track, this has {len(tracks)}; they are played at once")
    elif form == 2 and len(tracks) > 1:
        problems.append(f"the {len(tracks)} tracks are independent patterns (format 2); they are played in turn")
    if len(tracks) != count:
        others = f" (skipped chunks: {', '.join(skipped[:5])})" if skipped else ""
        problems.append(f"the file should have {count} tracks and has {len(tracks)}{others}")
    problems += [f"track {i}: {'; '.join(track.problems)}" for i, track in enumerate(tracks, 1) if track.problems]
    groups = [[track] for track in tracks] if form == 2 else [tracks]
    xg = any(track.xg for track in tracks)
    drums = set[int]().union(*(track.drums | (track.xg_drums if xg else set()) for track in tracks))
    parts = [_join_tracks(group, division) for group in groups]
    return Song(parts, drums, any(track.general_midi for track in tracks), problems)


def _join_tracks(tracks: list[Track], division: int) -> Part:
    """Return tracks that are played at once. Tempo events and time signatures of any track apply to all tracks."""
    tempi = chain.from_iterable(track.tempi for track in tracks)
    meters = chain.from_iterable(track.meters for track in tracks)
    return Part(
        [note for track in tracks for note in track.notes],
        [choke for track in tracks for choke in track.chokes],
        max(track.end for track in tracks),
        Clock(tempi, meters, division),
    )


def _find_header(content: bytes, problems: list[str]) -> tuple[int, int]:
    """Return the start and the end of the MIDI file inside RIFF (RMID), MacBinary, or other data."""
    at, stop = content.find(HEADER), len(content)
    if at < 0 and content[:4] == b"RIFF":
        raise BadMidi("it is a RIFF file without MIDI in it")
    if at < 0:
        raise BadMidi("it does not begin with MThd" if content else "it is empty")
    if content[:4] == b"RIFF":
        size = int.from_bytes(content[at - 4 : at], "little")
        if content[at - 8 : at - 4] == b"data" and at + size <= stop:
            stop = at + size
        else:
            problems.append("the RIFF file does not state the length of the MIDI data in it correctly")
    elif at and not (at == 128 and content[0] == 0):  # MacBinary has a header of 128 bytes
        problems.append(f"{at:,} bytes before the MIDI header are ignored")
    return at, stop


def _is_boundary(content: bytes, at: int, stop: int) -> bool:
    """Return whether a chunk or the end of the data is at a position."""
    name = content[at : at + 4]
    if at == stop or name == TRACK:
        return True
    size = int.from_bytes(content[at + 4 : at + 8], "big")
    return at + 8 <= stop and name.isascii() and name.decode().isprintable() and at + 8 + size <= stop


def _read_tracks(content: bytes, at: int, stop: int, problems: list[str]) -> tuple[list[Track], list[str]]:
    """Return the tracks, and the names of skipped chunks.

    If a length is wrong, the next track begins at the next bytes "MTrk", and `problems` reports it.
    """
    tracks: list[Track] = []
    skipped: list[str] = []
    repairs = MAX_REPAIRS
    while at < stop:
        size, start = int.from_bytes(content[at + 4 : at + 8], "big"), at + 8
        if content[at : at + 4] == TRACK and start <= stop:
            known = start + size <= stop and _is_boundary(content, start + size, stop)
            end = start + size if known else _next_track(content, start, stop)
            reader = TrackReader(content[start:end], size, repairs)
            tracks.append(reader.read())
            repairs -= tracks[-1].repairs
            at = start + reader.at
            if reader.at != size:
                tracks[-1].problems.append(f"its length should be {size:,} bytes and is {reader.at:,}")
        elif _is_boundary(content, at, stop) and start <= stop:
            skipped.append(repr(content[at : at + 4].decode()))
            at = start + size
        else:
            following = _next_track(content, at + 1, stop)
            if content[at:following].strip(b"\0"):
                problems.append(f"{following - at:,} bytes at byte {at:,} are not MIDI and are left out")
            at = following
    return tracks, skipped


def _next_track(content: bytes, at: int, stop: int) -> int:
    """Return the position of the next track chunk, or the end."""
    found = content.find(TRACK, at, stop)
    return stop if found < 0 else found
