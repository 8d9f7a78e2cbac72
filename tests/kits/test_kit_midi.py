"""Standard MIDI Files of all formats: the same strokes as mido reads, and what mido cannot read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import pytest

from audiogan import UserError
from audiogan.kits.midi import FRAME_RATES
from audiogan.kits.playing import LONGEST_REST, Pattern, read_pattern

Read = Callable[[bytes], Pattern]
TICKS = 96
END = b"\0\xff\x2f\0"


def number(value: int) -> bytes:
    """A variable-length quantity."""
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


def test_the_strokes_are_those_of_mido_to_the_last_bit(read: Read, tmp_path: Path) -> None:
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
        assert pattern.strokes == tuple(sorted(expected)) and pattern.seconds == seconds


@pytest.mark.parametrize(
    "content",
    [
        smf(TWO),
        smf(TWO, form=0),
        b"RIFF" + struct.pack("<I", len(smf(TWO)) + 12) + b"RMIDdata" + struct.pack("<I", len(smf(TWO))) + smf(TWO),
        b"RIFF\0\0\0\0RMIDDISP" + struct.pack("<I", 3) + b"abc\0data" + struct.pack("<I", len(smf(TWO))) + smf(TWO),
        smf()[:8] + struct.pack(">HHh", 1, 1, TICKS) + chunk(b"XFIH", b"abc") + chunk(b"MTrk", TWO),
        smf(TWO) + chunk(b"XFKM", b"abc") + b"junk",
        struct.pack(">4sIHHhH", b"MThd", 8, 1, 1, TICKS, 7) + chunk(b"MTrk", TWO),  # a longer header
        b"\0" * 128 + smf(TWO),  # MacBinary
        smf(exclusive("410010") + TWO[:4] + number(TICKS) + bytes([38, 100]) + END),  # running status
        smf(hit(0, 36) + exclusive("4100") + number(TICKS) + bytes([38, 100]) + END),  # and after system exclusive
        smf(b"\0\xf7\2\1\2" + TWO),  # an escape
        smf(b"\0\xff\x59\2\x40\x40" + TWO),  # a key signature that there is not
        smf(b"\0\xff\x51\3\0\0\0" + TWO),  # a tempo of 0
        smf(b"\0\xff\x51\1\1" + TWO),  # a tempo of one byte
        smf(b"\0\xff\x7e\0" + TWO),  # an unknown event
        smf(TWO[:-4]),  # no end of track
        smf(TWO).replace(struct.pack(">I", len(TWO)), struct.pack(">I", 1 << 30)),  # the length was never filled in
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
    assert pattern.remarks == ("left out: the notes of channel 1; drums are on channel 10",)


@pytest.mark.parametrize("rest", [TICKS, 40 * TICKS, 2**27])
@pytest.mark.parametrize("own", [True, False])
def test_the_end_of_a_loop_counts_and_a_long_rest_does_not(read: Read, rest: int, own: bool) -> None:
    end = number(rest + TICKS) + b"\xff\6\1x" + END
    pattern = read(smf(TWO[:-4] + number(rest) + END[1:]) if own else smf(end, TWO))
    assert strokes(pattern) == PLAIN
    kept = rest / TICKS / 2 <= LONGEST_REST
    assert pattern.seconds == pytest.approx(0.5 + rest / TICKS / 2 if kept else 0.5)
    assert kept == (not pattern.remarks) and all("without a stroke at the end" in line for line in pattern.remarks)


@pytest.mark.parametrize(
    ("declaration", "channel"),
    [
        (exclusive("411042124019150112"), 8),  # Roland GS: part 10 (block 9) to rhythm
        (exclusive("41104212401a150210"), 10),
        (exclusive("43104c00007e00") + exclusive("43104c08090701"), 9),
        (exclusive("43104c080a0702"), 10),  # Yamaha XG: the mode of a part
        (exclusive("43104c00007e00") + b"\0\xb4\0\x7f", 4),  # XG's bank of drum kits
        (b"\0\xb4\0\x78", 4),  # General MIDI 2's
    ],
)
def test_channels_that_the_file_declares_to_be_drums(read: Read, declaration: bytes, channel: int) -> None:
    pattern = read(smf(declaration + END, hit(0, 36) + END, b"", declaration + hit(TICKS, 38, channel) + END))
    assert strokes(pattern) == PLAIN and not pattern.remarks


@pytest.mark.parametrize("bank", [0, 127])
def test_other_channels_are_named(read: Read, bank: int) -> None:
    other = bytes([0, 0xBA, 0, bank]) + hit(0, 38, 10) + hit(0, 60, 0) + END  # without XG, bank 127 is melodic
    pattern = read(smf(TWO, other))
    assert strokes(pattern) == PLAIN
    assert pattern.remarks == ("left out: the notes of channel 1, 11; drums are on channel 10",)


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
        (smf(TWO)[:-5], "too early"),
        (smf(TWO[:5]), "too early"),
        (smf(b"\0\x24\x64" + END), "data byte"),
        (smf(b"\0\xf5" + END), "0xf5"),
        (smf(b"\xff\xff\xff\xff\xff" + END), "four bytes"),
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


def test_files_of_a_megabyte_are_read_in_no_time(read: Read) -> None:
    """Half a million events; objects for each would take hundreds of megabytes."""
    quiet = b"\0\xc0\5" + b"\0\5" * 500_000
    assert strokes(read(smf(quiet, TWO))) == PLAIN


def test_spoilt_files_never_do_worse_than_a_message(read: Read) -> None:
    events = b"\0\xff\x51\3\7\xa1\x20" + b"".join(hit(24, 36 + i % 16) for i in range(8)) + exclusive("43104c080a0702")
    good = [smf(events + END), smf(events + END, TWO, form=2), smf(events + END, division=-(25 << 8) | 40)]
    good.append(b"RIFF\0\0\0\0RMIDdata" + struct.pack("<I", len(good[0])) + good[0])
    rng = np.random.default_rng(0)
    refused = 0
    for i in range(400):
        spoilt = bytearray(good[i % len(good)])
        for at in rng.integers(0, len(spoilt), rng.integers(1, 6)):
            spoilt[at] = rng.integers(256)
        if rng.random() < 0.3:
            at = rng.integers(len(spoilt))
            spoilt = spoilt[:at] if rng.random() < 0.5 else spoilt[:at] + spoilt[at + rng.integers(8) :]
        try:
            pattern = read(bytes(spoilt))
        except UserError:
            refused += 1
        else:
            assert pattern.strokes and 0 <= pattern.seconds <= 900
            assert all(0 <= s <= 900 and 0 <= n <= 127 and 1 <= v <= 127 for s, n, v in pattern.strokes)
    assert 50 < refused < 390
