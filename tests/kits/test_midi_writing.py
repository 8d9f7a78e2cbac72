"""Tests that other programs and `audiogan play` read exported MIDI files of patterns correctly."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import pytest

from audiogan.kits.midi_writing import midi_file
from audiogan.kits.playing import read_pattern

NOTES = [(0, 36, 127), (0.25, 42, 1), (0.5, 42, 64), (1.0, 38, 79), (1.0, 36, 100), (3.875, 46, 90)]


def test_play_reads_the_same_notes(tmp_path: Path) -> None:
    path = tmp_path / "pattern.mid"
    path.write_bytes(midi_file(NOTES, beats=4, tempo=97))
    pattern = read_pattern(path)
    beat = round(60e6 / 97) / 1e6
    assert [(round(seconds / beat, 9), note, velocity) for seconds, note, velocity in pattern.strokes] == sorted(NOTES)
    assert pattern.seconds == pytest.approx(4 * beat, abs=1e-9) and pattern.remarks == ()


def test_other_programs_read_it() -> None:
    song = mido.MidiFile(file=io.BytesIO(midi_file(NOTES, beats=4, tempo=112)))
    assert (song.type, song.ticks_per_beat, len(song.tracks)) == (0, 480, 1)
    messages = [message for message in song.tracks[0] if message.type in ("note_on", "note_off")]
    assert {message.channel for message in messages} == {9}
    assert song.length == pytest.approx(4 * 60 / 112, rel=1e-5)
    sounding: dict[int, int] = {}
    for message in messages:  # No note starts before the previous one has ended.
        sounding[message.note] = sounding.get(message.note, 0) + (1 if message.type == "note_on" else -1)
        assert sounding[message.note] in (0, 1)
    assert set(sounding.values()) == {0}


def test_swung_and_dense_notes_keep_their_order() -> None:
    dense = [
        (step / 48, 42, 1 + step % 127) for step in range(192)
    ]  # The notes are 10 ticks apart, which is less than their usual duration.
    song = mido.MidiFile(file=io.BytesIO(midi_file(dense, beats=4, tempo=240)))
    assert [m.velocity for m in song.tracks[0] if m.type == "note_on"] == [velocity for _, _, velocity in dense]
    assert sum(message.time for message in song.tracks[0]) == 4 * 480
    assert mido.MidiFile(file=io.BytesIO(midi_file([], beats=2, tempo=120))).length == pytest.approx(1.0)
