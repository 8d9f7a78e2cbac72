"""Reader of the events of one track of a Standard MIDI File."""

from __future__ import annotations

from dataclasses import dataclass, field

DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
"""Number of data bytes that follow the status byte of a channel message, by status byte."""
OTHER_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}
"""Number of data bytes that follow the status byte of a system message, by status byte. They are not allowed in files,
but are skipped if present.
"""
END_OF_TRACK, SET_TEMPO, TIME_SIGNATURE = 0x2F, 0x51, 0x58
MAX_BEAT_EXPONENT = 6
"""Largest exponent of two for the denominator of a time signature: 64th notes."""
XG_ON = bytes.fromhex("4c00007e00")
"""Yamaha's system exclusive message "XG System On", without the manufacturer and device bytes."""
GS_RESET = bytes.fromhex("421240007f00")
"""Roland's system exclusive message "GS Reset", without the manufacturer and device bytes."""
GM2_DRUMS, XG_DRUMS = 120, 127
"""Bank numbers (controller 0) of drum kits in General MIDI 2 and in Yamaha XG."""
CHOKE_PRESSURE = 64
"""Lowest pressure of polyphonic aftertouch that chokes a cymbal. Electronic drums send 127 when a hand holds the
cymbal. The fingers of a player on a pad controller cause lower values.
"""
TRACK = b"MTrk"
LOOKAHEAD, CLEAN_EVENTS = 64, 100
"""Limits of the search for the next valid event after damage: number of bytes that are tried, and number of events that
must follow without an error. Fewer events are enough at the end of the track."""
MAX_REPAIRS = 32
"""Maximum number of damaged places in a file after which the reader tries to continue."""


class BadMidi(ValueError):
    """Error raised if data is not a MIDI file, or is damaged."""


@dataclass
class Track:
    """Events of one MIDI track that matter for drums. Times are in ticks from the start of the track.

    Attributes:
        notes: tick, channel (0 ... 15), note and velocity (1 ... 127) of each note.
        chokes: tick, channel and note of each polyphonic aftertouch with a pressure of at least `CHOKE_PRESSURE`.
        tempi: tick and tempo (microseconds per beat) of each tempo event.
        meters: tick, numerator and denominator of each time signature.
        end: tick of the last event.
        drums: channels declared as drum channels, in addition to channel 10 of General MIDI.
        xg_drums: channels that use a drum bank of Yamaha XG. In Roland GS, the same bank is melodic.
        xg: whether the track contains the message `XG_ON`, so that drum banks of XG apply to the whole file.
        general_midi: whether the track selects General MIDI, General MIDI 2, Roland GS or Yamaha XG.
        ended: whether the track contains the end-of-track event.
        repairs: number of times that the reader tried to resume after damaged data.
        problems: one line of text for each defect of the track. For damaged data, it states the position and the number
            of bytes that were left out.
    """

    notes: list[tuple[int, int, int, int]] = field(default_factory=list)
    chokes: list[tuple[int, int, int]] = field(default_factory=list)
    tempi: list[tuple[int, int]] = field(default_factory=list)
    meters: list[tuple[int, int, int]] = field(default_factory=list)
    end: int = 0
    drums: set[int] = field(default_factory=set)
    xg_drums: set[int] = field(default_factory=set)
    xg: bool = False
    general_midi: bool = False
    ended: bool = False
    repairs: int = 0
    problems: list[str] = field(default_factory=list)


class TrackReader:
    """Reader of the events of a track chunk.

    Damaged events are left out, and `Track.problems` describes the damage. Running status continues after system
    exclusive and meta events, because many programs write such files.

    Args:
        data: content of the chunk. It may be longer than the chunk if the length of the chunk is unknown.
        size: length of the chunk according to its header, in bytes.
        max_repairs: largest number of times that the reader tries to resume after damaged data.
    """

    def __init__(self, data: bytes, size: int, max_repairs: int = 0) -> None:
        self.data, self.size, self.max_repairs = data, size, max_repairs
        self.track = Track()
        self.tick, self.at, self.status = 0, 0, 0
        self.banks: dict[int, int] = {}
        self.high: dict[str, int] = {}
        """Number of data bytes above 127, by their meaning."""

    def read(self) -> Track:
        """Read the track. Afterwards, the attribute ``at`` is the position after the last byte of the track."""
        data, track = self.data, self.track
        while (damage := self._read_events()) is not None:
            start, reason = damage
            self.at = self._next_event(start) or len(data)
            lost = self.at - start
            if not track.ended:
                where = "; later notes may be early" if self.at < len(data) else ""
                track.problems.append(f"damaged at byte {start:,} ({reason}); {lost:,} bytes are left out{where}")
            elif data[start : self.at].strip(b"\0"):
                track.problems.append(f"{lost:,} bytes after the end of the track are left out")
        if data and not track.ended and not track.problems:
            track.problems.append("without an end-of-track event; it may be incomplete")
        track.problems += [f"{text} ({count:,})" for text, count in self.high.items()]
        return track

    def _read_events(self, max_events: int | None = None) -> tuple[int, str] | None:
        """Read events up to the end of the track. Return the position of the first damaged event and the reason."""
        data, start, count = self.data, self.at, 0
        try:
            while self.at < len(data) and count != max_events:
                start, count = self.at, count + 1
                if self.track.ended and (data[start : start + 4] == TRACK or start == self.size):
                    break
                self._read_event()
        except IndexError:
            return start, "the data ends within an event"
        except BadMidi as error:
            return start, str(error)
        return None

    def _next_event(self, damaged: int) -> int | None:
        """Return the position after a damaged event at which the next events can be read without an error, or None.

        The last bytes of a damaged event may look like the first bytes of a long delta time. Therefore, of all possible
        positions within four bytes, the one with the smallest delta time is selected.
        """
        if self.track.ended or self.track.repairs == self.max_repairs:
            return None
        self.track.repairs += 1
        found: dict[int, int] = {}
        for start in range(damaged + 1, min(damaged + LOOKAHEAD, len(self.data))):
            if found and start >= min(found) + 4:
                break
            trial = TrackReader(self.data[start:], self.size - start)
            clean = trial._read_events(CLEAN_EVENTS) is None and (trial.track.ended or trial.at < len(trial.data))
            if clean and trial.track.notes and not trial.high:
                found[start] = TrackReader(trial.data, 0)._variable_length()
        self.status = 0
        return min(found, key=lambda start: found[start], default=None)

    def _read_event(self) -> None:
        """Read one event with its delta time."""
        delta = self._variable_length()
        first = self.data[self.at]
        if first >= 0x80:
            self.at += 1
        if first == 0xFF:
            kind = self.data[self.at]
            self.at += 1
            body = self._block()
            self._advance(delta)
            self._meta_event(kind, body)
        elif first in (0xF0, 0xF7):
            body = self._block()
            self._advance(delta)
            self._system_exclusive(body)
        elif first > 0xF0:
            if first not in OTHER_BYTES:
                raise BadMidi(f"undefined status byte 0x{first:02x}")
            self.at += OTHER_BYTES[first]
            self._advance(delta)
        else:
            self.status = first if first >= 0x80 else self.status
            if not self.status:
                raise BadMidi("a data byte where a message should begin")
            at, self.at = self.at, self.at + DATA_BYTES[self.status & 0xF0]
            if self.at > len(self.data):
                raise IndexError
            self._advance(delta)
            self._channel_message(self.status & 0xF0, self.status & 0x0F, self.data[at : self.at])

    def _advance(self, delta: int) -> None:
        self.tick += delta
        self.track.end = self.tick

    def _channel_message(self, kind: int, channel: int, values: bytes) -> None:
        """Process a channel message. A note number above 127 is left out; other values above 127 become 127."""
        track = self.track
        if kind in (0x90, 0xA0) and values[0] > 127:
            self._count("notes with numbers above 127 are left out")
        elif kind == 0x90 and values[1]:
            if values[1] > 127:
                self._count("velocities above 127 are played as 127")
            track.notes.append((self.tick, channel, values[0], min(values[1], 127)))
            if self.banks.get(channel) == GM2_DRUMS:
                track.drums.add(channel)
            elif self.banks.get(channel) == XG_DRUMS:
                track.xg_drums.add(channel)
        elif kind == 0xA0 and values[1] >= CHOKE_PRESSURE:
            track.chokes.append((self.tick, channel, values[0]))
        elif kind == 0xB0 and values[0] == 0:
            self.banks[channel] = values[1]

    def _meta_event(self, kind: int, body: bytes) -> None:
        track = self.track
        if kind == END_OF_TRACK:
            if track.ended:
                return
            track.ended, self.status = True, 0
            rest = self.data[self.at : self.size]
            if rest.strip(b"\0") and rest[:4] != TRACK:
                track.problems.append(f"{len(rest):,} bytes follow its end-of-track event")
        elif kind == SET_TEMPO:
            if len(body) == 3 and any(body):
                track.tempi.append((self.tick, int.from_bytes(body, "big")))
            else:
                why = "of 0" if len(body) == 3 else f"of {len(body)} bytes (it should have 3)"
                track.problems.append(f"a tempo {why} is ignored")
        elif kind == TIME_SIGNATURE:
            if len(body) >= 2 and body[0] and body[1] <= MAX_BEAT_EXPONENT:
                track.meters.append((self.tick, body[0], 1 << body[1]))
            else:
                track.problems.append(f"the time signature {body[:4].hex(' ') or '(empty)'} is ignored")

    def _system_exclusive(self, body: bytes) -> None:
        """Process a system exclusive message."""
        track = self.track
        track.drums |= _drum_channel(body)
        xg = body[:1] == b"\x43" and body[2:7] == XG_ON
        track.xg |= xg
        gm = body[:1] == b"\x7e" and body[2:4] in (b"\x09\x01", b"\x09\x03")
        track.general_midi |= xg or gm or (body[:1] == b"\x41" and body[2:8] == GS_RESET)

    def _count(self, what: str) -> None:
        self.high[what] = self.high.get(what, 0) + 1

    def _variable_length(self) -> int:
        """Read a variable-length quantity of at most four bytes."""
        value = 0
        for _ in range(4):
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise BadMidi("a time or length of more than four bytes")

    def _block(self) -> bytes:
        """Read a block of bytes that begins with its length."""
        size = self._variable_length()
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise BadMidi(f"an event of {size:,} bytes is longer than the rest of the track")
        return self.data[start : self.at]


def _drum_channel(exclusive: bytes) -> set[int]:
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
