"""Tests of Standard MIDI Files of all formats: the same strokes as read by mido, and damaged files that mido cannot
read."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest

from audiogan import UserError
from audiogan.kits.midi import FRAME_RATES
from audiogan.kits.playing import MAX_REST_SECONDS, Pattern, read_pattern

Read = Callable[[bytes], Pattern]
TICKS = 96
END = b"\0\xff\x2f\0"


def number(value: int) -> bytes:
    """Return a variable-length quantity."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack(">I", len(body)) + body


def hit(delta: int, note: int, channel: int = 9, velocity: int = 100) -> bytes:
    return number(delta) + bytes([0x90 | channel, note, velocity])


def smf(*tracks: bytes, form: int = 1, division: int = TICKS, count: int | None = None) -> bytes:
    head = struct.pack(">HHh", form, len(tracks) if count is None else count, division)
    return chunk(b"MThd", head) + b"".join(chunk(b"MTrk", track) for track in tracks)


def exclusive(text: str) -> bytes:
    body = bytes.fromhex(text) + b"\xf7"
    return b"\0\xf0" + number(len(body)) + body


TWO = hit(0, 36) + hit(TICKS, 38) + END


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def _read(content: bytes) -> Pattern:
        (tmp_path / "p.mid").write_bytes(content)
        return read_pattern(tmp_path / "p.mid")

    return _read


def strokes(pattern: Pattern) -> list[tuple[float, int]]:
    return [(round(seconds, 6), note) for seconds, note, _ in pattern.strokes]


PLAIN = [(0.0, 36), (0.5, 38)]


def test_the_strokes_are_those_of_mido(read: Read, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for form in (0, 1, 1, 1):
        file = mido.MidiFile(type=form, ticks_per_beat=int(rng.integers(24, 1000)))
        for _ in range(1 if form == 0 else 4):
            track = file.add_track("a name")
            for _ in range(60):
                time = int(rng.integers(0, 200)) * int(rng.integers(0, 2))
                note = {"note": int(rng.integers(128)), "velocity": int(rng.integers(128)), "channel": 9}
                kind = rng.choice(["note_on", "note_off", "set_tempo", "text", "control_change", "sysex"])
                if kind == "set_tempo":
                    track.append(mido.MetaMessage(kind, tempo=int(rng.integers(1, 2**20)), time=time))
                elif kind == "text":
                    track.append(mido.MetaMessage(kind, text="x", time=time))
                elif kind == "control_change":
                    track.append(mido.Message(kind, channel=3, time=time))
                elif kind == "sysex":
                    track.append(mido.Message(kind, data=[1, 2], time=time))
                else:
                    track.append(mido.Message(str(kind), time=time, **note))
        file.save(tmp_path / "m.mid")
        seconds, expected = 0.0, []
        for message in mido.MidiFile(tmp_path / "m.mid"):
            seconds += message.time
            if message.type == "note_on" and message.velocity:
                expected.append((seconds, message.note, message.velocity))
        pattern = read((tmp_path / "m.mid").read_bytes())
        assert [stroke[1:] for stroke in pattern.strokes] == [stroke[1:] for stroke in sorted(expected)]
        assert np.allclose([stroke[0] for stroke in pattern.strokes], [stroke[0] for stroke in sorted(expected)])
        assert pattern.seconds == pytest.approx(seconds) and not pattern.remarks


@pytest.mark.parametrize(
    "content",
    [
        smf(TWO),
        smf(TWO, form=0),
        b"RIFF" + struct.pack("<I", len(smf(TWO)) + 12) + b"RMIDdata" + struct.pack("<I", len(smf(TWO))) + smf(TWO),
        b"RIFF\0\0\0\0RMIDDISP" + struct.pack("<I", 3) + b"abc\0data" + struct.pack("<I", len(smf(TWO))) + smf(TWO),
        smf()[:8] + struct.pack(">HHh", 1, 1, TICKS) + chunk(b"XFIH", b"abc") + chunk(b"MTrk", TWO),
        smf(TWO) + chunk(b"XFKM", b"abc") + bytes(9),
        struct.pack(">4sIHHhH", b"MThd", 8, 1, 1, TICKS, 7) + chunk(b"MTrk", TWO),  # a longer header
        b"\0" * 128 + smf(TWO),  # MacBinary
        smf(exclusive("410010") + TWO[:4] + number(TICKS) + bytes([38, 100]) + END),  # running status
        smf(hit(0, 36) + exclusive("4100") + number(TICKS) + bytes([38, 100]) + END),  # and after SysEx
        smf(b"\0\xf7\2\1\2" + TWO),  # an escape sequence
        smf(b"\0\xff\x59\2\x40\x40" + TWO),  # an invalid key signature
        smf(b"\0\xff\x7e\0" + TWO),  # an unknown meta event
    ],
)  # fmt: skip
def test_files_that_are_right_by_the_standard(read: Read, content: bytes) -> None:
    pattern = read(content)
    assert strokes(pattern) == PLAIN and pattern.seconds == pytest.approx(0.5) and not pattern.remarks


@pytest.mark.parametrize("name", FRAME_RATES)
def test_smpte_times_are_seconds_whatever_the_tempo(read: Read, name: int) -> None:
    track = b"\0\xff\x51\3\1\0\0" + hit(0, 36) + hit(40 * 60 * (30 if name == 29 else name), 38) + END
    pattern = read(smf(track, division=-(name << 8) | 40))
    assert pattern.strokes[1][0] == pytest.approx(60.06 if name == 29 else 60.0)


def test_tracks_of_format_2_follow_each_other_at_their_own_tempi(read: Read) -> None:
    slow = b"\0\xff\x51\3" + (1_000_000).to_bytes(3, "big") + hit(0, 40) + hit(TICKS, 41) + number(TICKS) + END[1:]
    piano = hit(TICKS, 60, channel=0) + END
    pattern = read(smf(slow, piano, TWO, form=2))
    assert strokes(pattern) == [(0.0, 40), (1.0, 41), (2.0, 36), (2.5, 38)] and pattern.seconds == pytest.approx(2.5)
    assert pattern.remarks == (
        "the 3 tracks are independent patterns (format 2); they are played in turn",
        "left out: 1 note on channel 1; drums are on channel 10",
    )


@pytest.mark.parametrize("rest", [TICKS, 40 * TICKS, 2**27])
@pytest.mark.parametrize("own", [True, False])
def test_the_end_of_a_loop_counts_and_a_long_rest_does_not(read: Read, rest: int, own: bool) -> None:
    end = number(rest + TICKS) + b"\xff\6\1x" + END
    pattern = read(smf(TWO[:-4] + number(rest) + END[1:]) if own else smf(end, TWO))
    assert strokes(pattern) == PLAIN
    kept = rest / TICKS / 2 <= MAX_REST_SECONDS
    assert pattern.seconds == pytest.approx(0.5 + rest / TICKS / 2 if kept else 0.5)
    assert kept == (not pattern.remarks) and all("without a stroke at the end" in line for line in pattern.remarks)


@pytest.mark.parametrize(
    ("declaration", "channel"),
    [
        (exclusive("411042124019150112"), 8),  # Roland GS: part 10 (block 9) becomes a rhythm part.
        (exclusive("41104212401a150210"), 10),
        (exclusive("43104c00007e00") + exclusive("43104c08090701"), 9),
        (exclusive("43104c080a0702"), 10),  # Yamaha XG: the mode of a part is set to drums.
        (exclusive("43104c00007e00") + b"\0\xb4\0\x7f", 4),  # the drum bank of Yamaha XG
        (b"\0\xb4\0\x78", 4),  # the drum bank of General MIDI 2
    ],
)
def test_channels_that_the_file_declares_to_be_drums(read: Read, declaration: bytes, channel: int) -> None:
    pattern = read(smf(declaration + END, hit(0, 36) + END, b"", declaration + hit(TICKS, 38, channel) + END))
    assert strokes(pattern) == PLAIN and not pattern.remarks


@pytest.mark.parametrize("bank", [0, 127])
def test_other_channels_are_named(read: Read, bank: int) -> None:
    other = bytes([0, 0xBA, 0, bank]) + hit(0, 38, 10) + hit(0, 60, 0) + END  # Without XG, bank 127 is melodic.
    pattern = read(smf(TWO, other))
    assert strokes(pattern) == PLAIN
    assert pattern.remarks == ("left out: 1 note on channel 1, 1 note on channel 11; drums are on channel 10",)


def test_tracks_that_are_missing_are_said(read: Read) -> None:
    pattern = read(smf(TWO, count=3))
    assert strokes(pattern) == PLAIN and pattern.remarks == ("the file should have 3 tracks and has 1",)


@pytest.mark.parametrize("count", [0, 1])
def test_tracks_that_the_header_does_not_count_are_played_and_said(read: Read, count: int) -> None:
    pattern = read(smf(TWO, TWO, count=count))
    assert len(strokes(pattern)) == 2 * len(PLAIN)
    assert pattern.remarks == (f"the file should have {count} tracks and has 2",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"These are the notes of a song.\n", "begin with MThd"),
        (b"RIFF\4\0\0\0RMID", "without MIDI"),
        (smf(TWO, division=0), "0 ticks"),
        (smf(TWO, division=-(25 << 8)), "0 ticks in a frame"),
        (smf(TWO, division=-(26 << 8) | 40), "26 frames"),
        (smf(), "no tracks"),
        (smf(b"\0\x24\x64" + END), "no notes to play .*data byte"),
        (smf(b"\0\xf5" + END), "no notes to play .*0xf5"),
        (smf(b"\xff\xff\xff\xff\xff" + END), "no notes to play .*four bytes"),
        (smf(END), "no notes"),
        (smf(hit(0, 36, velocity=0) + END), "no notes"),
        (smf(hit(2**27, 36) + END), "15 minutes"),
        (smf(*[hit(0, 36) + hit(25 * 2 * TICKS, 36) + END] * 40, form=2), "15 minutes"),
    ],
)
def test_what_is_no_pattern_is_refused_in_a_line(read: Read, content: bytes, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        read(content)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


MANY = b"".join(hit(TICKS, 36 + i % 4) for i in range(12))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (smf(b"\0\xff\x51\3\0\0\0" + TWO), "a tempo of 0 is ignored"),
        (smf(b"\0\xff\x51\1\1" + TWO), "a tempo of 1 bytes"),
        (smf(b"\0\xff\x58\4\0\2\x18\x08" + TWO), "time signature 00 02 18 08 is ignored"),
        (smf(b"\0\xff\x58\0" + TWO), "time signature .empty. is ignored"),
        (smf(TWO[:-4]), "without an end-of-track event"),
        (smf(TWO).replace(struct.pack(">I", len(TWO)), struct.pack(">I", 1 << 30)), "its length should be 1,073"),
        (smf(TWO).replace(struct.pack(">I", len(TWO)), bytes(4)), "its length should be 0 bytes and is 12"),
        (smf(TWO).replace(struct.pack(">I", len(TWO)), struct.pack(">I", 5)), "its length should be 5 bytes"),
        (smf(TWO, TWO).replace(struct.pack(">I", len(TWO)), struct.pack(">I", 32), 1), "its length should be 32"),
        (smf(TWO)[:-2], "track 1: damaged at byte 8 .*; 2 bytes are left out; its length should be"),
        (smf(TWO).replace(b"\0\0\0\6", b"\0\0\0\3"), "header should have 6 bytes and says 3"),
        (smf(TWO).replace(b"\0\0\0\6", b"\xff\0\0\6"), "header should have 6 bytes and says 4,278"),
        (smf(TWO, form=7), "format 7 does not exist"),
        (smf(TWO, b"\0\xff\x2f\0", form=0), "format 0 has one track"),
        (smf(TWO) + b"junk", "4 bytes at byte 34 are not MIDI"),
        (b"HTTP 200 OK\n" + smf(TWO), "12 bytes before the MIDI header are ignored"),
        (b"RIFF\0\0\0\0RMIDdata\xff\xff\xff\xff" + smf(TWO), "does not state the length"),
        (smf(TWO[:4] + bytes([0, 0x99, 200, 1]) + TWO[4:]), "notes with numbers above 127 are left out .1."),
        (smf(b"\0\xf5" + TWO), "undefined status byte 0xf5.; 2 bytes are left out; later notes may be early"),
        (smf(b"\0\xff\3\x7fname" + TWO), "event of 127 bytes is longer"),
        (smf(TWO + b"\0\x24\5"), "3 bytes follow its end-of-track event; 3 bytes after"),
        (smf(TWO).replace(b"MTrk", b"MTrk" + bytes(4) + b"MTrk"), "the file should have 1 tracks and has 2"),
        (smf(TWO, count=2) + chunk(b"MTrx", TWO), "should have 2 tracks and has 1 .skipped chunks: 'MTrx'"),
    ],
)  # fmt: skip
def test_damaged_files_are_played_and_the_damage_is_named(read: Read, content: bytes, says: str) -> None:
    pattern = read(content)
    assert set(strokes(pattern)) == set(PLAIN)
    assert len(pattern.remarks) == 1 and re.search(says, pattern.remarks[0]), pattern.remarks


def test_notes_after_damage_are_played(read: Read) -> None:
    for at in range(4, len(MANY), 4):
        pattern = read(smf(MANY[:at] + b"\xff\xff\xff\xff\xff" + MANY[at:] + END))
        assert len(pattern.strokes) >= 11 and "damaged at byte" in pattern.remarks[0]


def test_a_file_cut_anywhere_keeps_the_notes_before_the_cut(read: Read) -> None:
    whole = smf(MANY + END)
    for cut in range(26, len(whole) - 1):
        pattern = read(whole[:cut])
        assert len(pattern.strokes) == min((cut - 22) // 4, 12) and pattern.remarks


def test_many_defects_are_counted(read: Read) -> None:
    pattern = read(smf(TWO, *[b"\0\xff\x51\3\0\0\0" + END] * 20))
    assert len(pattern.remarks) == 9 and pattern.remarks[-1] == "and 12 more defects of the file"


def test_aftertouch_of_a_held_cymbal_chokes(read: Read) -> None:
    touch = b"".join(bytes([TICKS, 0xA9, 49, pressure]) for pressure in (20, 127, 0))
    other = hit(0, 60, channel=0) + bytes([5, 0xA0, 49, 127]) + END
    pattern = read(smf(hit(0, 49) + touch + END, other))
    assert pattern.chokes == ((1.0, 49),)


def test_files_that_select_general_midi_have_a_vibraslap(read: Read) -> None:
    assert not read(smf(TWO)).general_midi
    for text in ("7e7f0901", "7e7f0903", "41104212 40007f0041", "43104c00007e00"):
        assert read(smf(exclusive(text) + TWO)).general_midi


def meter(numerator: int, power: int) -> bytes:
    return b"\0\xff\x58\4" + bytes([numerator, power, 24, 8])


@pytest.mark.parametrize(
    ("events", "bars", "seconds"),
    [
        (hit(0, 36) + hit(3 * TICKS, 38) + bytes([2, 0x89, 38, 0]) + END, 1, 2.0),  # The track ends with the last note.
        (hit(0, 36) + number(8 * TICKS) + END[1:], 2, 4.0),  # If the track ends on a bar line, its end counts.
        (hit(0, 36) + number(8 * TICKS + 1) + END[1:], 2, 4.0),  # It also counts if it is one tick late.
        (hit(0, 36) + number(6 * TICKS) + END[1:], 1, 2.0),  # Elsewhere, it does not count.
        (hit(4 * TICKS, 36) + END, 2, 4.0),  # A note on a bar line belongs to the next bar.
        (meter(3, 2) + hit(0, 36) + END, 1, 1.5),
        (meter(7, 3) + hit(0, 36) + hit(4 * TICKS, 36) + END, 2, 3.5),
        (meter(1, 6) + hit(0, 36) + END, 1, 1 / 32),
        (meter(3, 2) + hit(0, 36) + number(3 * TICKS) + meter(4, 2)[1:] + hit(0, 36) + END, 2, 3.5),
        (b"\0\xff\x51\3\x0f\x42\x40" + hit(0, 36) + number(2 * TICKS) + b"\xff\x51\3\7\xa1\x20" + END, 1, 3.0),
    ],
)  # fmt: skip
def test_loops_are_whole_bars(tmp_path: Path, events: bytes, bars: int, seconds: float) -> None:
    (tmp_path / "p.mid").write_bytes(smf(events))
    pattern = read_pattern(tmp_path / "p.mid", loop=True)
    assert (pattern.bars, pattern.seconds) == (bars, pytest.approx(seconds))


def test_loops_of_format_2_are_whole_bars_each(tmp_path: Path) -> None:
    (tmp_path / "p.mid").write_bytes(smf(TWO, hit(0, 41) + END, form=2))
    pattern = read_pattern(tmp_path / "p.mid", loop=True)
    assert strokes(pattern) == [*PLAIN, (2.0, 41)] and (pattern.bars, pattern.seconds) == (2, 4.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (smf(TWO, division=-(25 << 8) | 40), "SMPTE frames, which have no bars"),
        (smf(b"\0\xff\x51\3\0\0\1" + TWO), "1 bars last 4e-06 seconds"),
        (smf(b"\0\xff\x51\3\xff\xff\xff" + meter(255, 0) + TWO), "1 bars last 1.71e.04 seconds"),
    ],
)
def test_loops_that_do_not_exist(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "p.mid").write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_pattern(tmp_path / "p.mid", loop=True)


def test_files_of_a_megabyte_are_read_in_no_time(read: Read) -> None:
    """The file has half a million events. One object per event would take hundreds of megabytes."""
    quiet = b"\0\xc0\5" + b"\0\5" * 500_000
    assert strokes(read(smf(quiet, TWO))) == PLAIN


def mutated(content: bytes, rng: np.random.Generator) -> tuple[bytes, bool]:
    """Return a damaged copy, and whether bytes were only removed, added or cut off."""
    at, kind = int(rng.integers(len(content))), rng.random()
    if kind < 0.2:
        return content[:at], True
    if kind < 0.35:
        return content[:at] + content[at + int(rng.integers(1, 9)) :], True
    if kind < 0.5:
        return content[:at] + rng.bytes(int(rng.integers(1, 9))) + content[at:], True
    out = bytearray(content)
    for at in rng.integers(0, len(content) if rng.random() < 0.7 else 30, rng.integers(1, 6)):
        out[at] = rng.integers(256)
    return bytes(out), False


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_files_end_in_a_pattern_or_a_message(read: Read, count: int) -> None:
    """If mido reads more notes from a file, or if bytes are missing, a remark must report it."""
    events = b"\0\xff\x51\3\7\xa1\x20" + meter(4, 2) + b"".join(hit(24, 36 + i % 16) for i in range(8))
    events += exclusive("43104c080a0702") + bytes([0, 0xA9, 49, 127])
    good = [smf(events + END), smf(events + END, TWO, form=2), smf(events + END, division=-(25 << 8) | 40)]
    good.append(b"RIFF\0\0\0\0RMIDdata" + struct.pack("<I", len(good[0])) + good[0])
    good.append(smf(events + END, hit(7, 60, channel=1) + END, events + END))
    full = [len(read(content).strokes) for content in good]
    rng = np.random.default_rng(count)
    played = 0
    for i in range(count):
        content, moved = mutated(good[i % len(good)], rng)
        try:
            pattern = read(content)
        except UserError as error:
            assert len(str(error)) < 500 and "\n" not in str(error)
            continue
        played += 1
        assert pattern.strokes and 0 <= pattern.seconds <= 900
        assert all(0 <= s <= 900 and 0 <= n <= 127 and 1 <= v <= 127 for s, n, v in pattern.strokes)
        if moved and len(pattern.strokes) < full[i % len(good)]:
            assert pattern.remarks
        try:
            tracks = mido.MidiFile(file=io.BytesIO(content), clip=True).tracks
        except Exception:  # mido raises errors of many classes
            continue
        drums = [m for track in tracks for m in track if m.type == "note_on" and m.velocity and m.channel == 9]
        assert len(pattern.strokes) >= len(drums) or pattern.remarks
    assert count / 2 < played < count


def test_no_bytes_take_long(read: Read) -> None:
    """For files with thousands of chunks or damaged places, the time is proportional to the size of the file."""
    empty = b"MTrk" + struct.pack(">I", 0)
    bad = chunk(b"MTrk", b"\0\x99\x24\x64\0\xf5" + b"\0\x24\x64" * 90 + b"\0\xf5")
    begin = time.process_time()
    for body in (empty * 20_000, b"XXXX" + bytes(4) + empty[:4] * 40_000, chunk(b"abcd", b"") * 20_000, bad * 200):
        with contextlib.suppress(UserError):
            read(smf(TWO) + body)
    assert time.process_time() - begin < 10
