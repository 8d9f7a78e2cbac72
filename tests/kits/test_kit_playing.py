"""Tests of rendered MIDI patterns: strokes at the times and with the velocities of the file, and errors for files that
are not MIDI."""

from __future__ import annotations

import math
from pathlib import Path

import mido
import numpy as np
import pytest

import audiogan.kits.playing
from audiogan import Generator, UserError
from audiogan.kits import Kit, make_kit, play_pattern, read_note_map, render_pads
from audiogan.kits.kit import velocity_ranges
from audiogan.kits.mixing import PEAK_DB
from audiogan.kits.playing import read_pattern

RATE = 48000
TICKS = 96


def _midi(path: Path, *tracks: list[tuple[int, mido.Message | mido.MetaMessage]], **named: int) -> Path:
    """Write a MIDI file. A track is a list of (ticks since the start, message)."""
    file = mido.MidiFile(**{"ticks_per_beat": TICKS, **named})
    for events in tracks:
        track, now = mido.MidiTrack(), 0
        for at, message in events:
            track.append(message.copy(time=at - now))
            now = at
        file.tracks.append(track)
    file.save(path)
    return path


def _hit(note: int, velocity: int = 127, channel: int = 9) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, channel=channel)


def _tempo(bpm: float) -> mido.MetaMessage:
    return mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))


def _end() -> mido.MetaMessage:
    return mido.MetaMessage("end_of_track")


@pytest.fixture(scope="module")
def sounds(drums: Generator, kit: Kit) -> dict[int, list[np.ndarray]]:
    rendered = render_pads(drums, kit, sample_rate=RATE)
    return {pad.note: waves for pad, waves in zip(kit.pads, rendered, strict=True)}


def _stroke(sounds: dict[int, list[np.ndarray]], note: int, velocity: int) -> np.ndarray:
    borders = velocity_ranges(len(sounds[note]))
    layer = next(i for i, (low, high) in enumerate(borders) if low <= velocity <= high)
    return sounds[note][layer][0] * velocity / borders[layer][1]


def test_onsets_are_to_the_sample_where_the_midi_has_them(
    drums: Generator, kit: Kit, sounds: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    strokes = [(0, 36, 127), (97, 42, 100), (288, 38, 64), (333, 46, 20), (601, 45, 43), (700, 51, 85), (701, 36, 1)]
    tempi = [(0, 120.0), (200, 77.7), (590, 201.3)]  # Tempo events are in a separate track, as is usual.
    path = _midi(
        tmp_path / "p.mid", [(at, _tempo(bpm)) for at, bpm in tempi], [(at, _hit(n, v)) for at, n, v in strokes]
    )

    def seconds(tick: int) -> float:
        total = 0.0
        for (start, bpm), (end, _) in zip(tempi, [*tempi[1:], (math.inf, 0.0)], strict=True):
            total += max(0, min(tick, end) - start) * mido.bpm2tempo(bpm) / 1e6 / TICKS
        return total

    out = play_pattern(drums, kit, path, sample_rate=RATE, tail=1.5)
    expected = np.zeros(out.shape[1])
    for tick, note, velocity in strokes:
        start = round(seconds(tick) * RATE)
        wave = _stroke(sounds, note, velocity)
        expected[start : start + len(wave)] += wave
    assert out.dtype == np.float32 and np.abs(out[0] - expected).max() < 1e-6
    assert out.shape[1] == round((seconds(701) + 1.5) * RATE)


def test_a_rendered_pattern_has_its_onsets_on_the_grid(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    """The energy of a straight beat rises at its strokes and nowhere else."""
    path = _midi(tmp_path / "p.mid", [(0, _tempo(60)), *((i * TICKS, _hit([36, 38][i % 2])) for i in range(8))])
    out = play_pattern(drums, kit, path, sample_rate=RATE)[0]
    block = 48  # 1 ms
    energy = np.square(out[: len(out) // block * block]).reshape(-1, block).sum(axis=1)
    before = np.array([energy[max(0, i - 50) : i].max(initial=0.0) for i in range(len(energy))])
    rises = np.flatnonzero((energy > 1e-4 * energy.max()) & (energy > 20 * before))
    onsets = [int(i) for n, i in enumerate(rises) if n == 0 or i - rises[n - 1] > 100]
    assert np.abs(np.array(onsets) - 1000 * np.arange(8)).max() <= 2


def test_closed_hats_choke_open_ones_and_nothing_else(
    drums: Generator, kit: Kit, sounds: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    # A beat lasts half a second. An open hat, a closed hat 100 ms later, then the crash and a pedal hat.
    events = [(0, _tempo(125)), (0, _hit(46)), (20, _hit(42)), (480, _hit(49)), (500, _hit(44))]
    out = play_pattern(drums, kit, _midi(tmp_path / "p.mid", events), sample_rate=RATE)[0]
    at = round(20 * 0.48 / TICKS * RATE)
    opened, closed = _stroke(sounds, 46, 127), _stroke(sounds, 42, 127)
    assert np.abs(out[:at] - opened[:at]).max() < 1e-6
    rest = out[at : at + len(closed)] - closed
    assert np.abs(rest[480:]).max() < 1e-6 and np.abs(opened[at + 480 :]).max() > 0.01
    assert np.abs(np.diff(rest[:481])).max() < 2 * np.abs(np.diff(opened)).max()  # no click
    crash, pedal = _stroke(sounds, 49, 127), _stroke(sounds, 44, 127)
    start, later = round(480 * 0.48 / TICKS * RATE), round(500 * 0.48 / TICKS * RATE)
    both = np.zeros(len(crash))
    both += crash
    both[later - start : later - start + len(pedal)] += pedal[: len(crash) - later + start]
    assert np.abs(out[start : start + len(crash)] - both).max() < 1e-6


def test_hats_struck_together_do_not_silence_each_other(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    alone = play_pattern(drums, kit, _midi(tmp_path / "a.mid", [(0, _hit(42))]))
    both = play_pattern(drums, kit, _midi(tmp_path / "b.mid", [(0, _hit(42)), (0, _hit(46))]))
    assert np.abs(both - alone)[:, 22050:].max() > 1e-3


def test_notes_the_kit_lacks_are_played_and_said(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    said: list[str] = []
    other = play_pattern(drums, kit, _midi(tmp_path / "a.mid", [(0, _hit(57)), (0, _hit(54))]), echo=said.append)
    assert said == ["notes missing from the kit: 54 on closed hat, 57 on crash"]
    same = play_pattern(drums, kit, _midi(tmp_path / "b.mid", [(0, _hit(49)), (0, _hit(42))]), echo=said.append)
    assert np.array_equal(other, same) and len(said) == 1


def test_notes_without_a_similar_pad_are_left_out_and_said(drums: Generator, tmp_path: Path) -> None:
    said: list[str] = []
    kick = make_kit(drums, 1, seed=1, labels=["kick"])
    path = _midi(tmp_path / "a.mid", [(0, _hit(36)), (9, _hit(42)), (12, _hit(42)), (20, _hit(99)), (TICKS, _hit(36))])
    out = play_pattern(drums, kick, path, echo=said.append)
    alone = _midi(tmp_path / "b.mid", [(0, _hit(36)), (TICKS, _hit(36))])
    assert np.array_equal(out, play_pattern(drums, kick, alone))
    assert said == ["left out: 3 strokes; the kit has no similar drum for the notes 42, 99"]
    with pytest.raises(UserError, match=r"no pad for its notes 42; assign them to pads with --map"):
        play_pattern(drums, kick, _midi(tmp_path / "c.mid", [(0, _hit(42))]))


def test_a_map_chooses_pads(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    path = _midi(tmp_path / "a.mid", [(0, _hit(99)), (10, _hit(36)), (20, _hit(38)), (30, _hit(41)), (40, _hit(22))])
    file = tmp_path / "map.yaml"
    file.write_text("99: Crash  # the odd pad\n36: none\n38: hat closed\n41: 37\n22: open hat\n127: kick\n")
    same = _midi(tmp_path / "b.mid", [(0, _hit(49)), (20, _hit(42)), (30, _hit(37)), (40, _hit(46))])
    said: list[str] = []
    out = play_pattern(drums, kit, path, note_map=read_note_map(file), echo=said.append)
    assert np.array_equal(out, play_pattern(drums, kit, same)) and not said
    file.write_text('{"99": "Crash", "36": null, "38": "hat closed", "41": 37, "22": "open hat"}')
    assert np.array_equal(out, play_pattern(drums, kit, path, note_map=read_note_map(file)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("- 1", "has no notes"),
        ("{", "not YAML"),
        ("36: [kick]", "line 1: write a note"),
        ("36: kick\n128: kick", "line 2: the note '128' must be"),
        ("C1: kick", "the note 'C1' must be"),
        ("36: kick\n36: snare", "line 2: the note 36 occurs twice"),
        ("36: kik", "has no pad 'kik'; did you mean 'kick'"),
        ("36: 99", "no pad on note 99; it has 35, 36"),
        ("a: &a [*a]", "YAML|line 1"),
        ("[" * 2000, "not YAML|no notes"),
    ],
)
def test_maps_that_are_none(drums: Generator, kit: Kit, tmp_path: Path, text: str, says: str) -> None:
    path, pattern = tmp_path / "map.yaml", _midi(tmp_path / "a.mid", [(0, _hit(36))])
    path.write_text(text)
    with pytest.raises(UserError, match=says) as error:
        play_pattern(drums, kit, pattern, note_map=read_note_map(path))
    assert "\n" not in str(error.value)


def _touch(note: int, pressure: int) -> mido.Message:
    return mido.Message("polytouch", note=note, value=pressure, channel=9)


def test_aftertouch_chokes_cymbals_and_nothing_else(
    drums: Generator, kit: Kit, sounds: dict[int, list[np.ndarray]], tmp_path: Path
) -> None:
    hits = [(0, _hit(49, 90)), (0, _hit(36, 90))]
    whole = play_pattern(drums, kit, _midi(tmp_path / "a.mid", hits), sample_rate=RATE, tail=2)[0]
    light = play_pattern(
        drums, kit, _midi(tmp_path / "b.mid", [*hits, (20, _touch(49, 30))]), sample_rate=RATE, tail=2
    )[0]
    assert np.array_equal(light[: len(whole)], whole[: len(light)])
    touches = [(20, _touch(49, 127)), (20, _touch(36, 127)), (40, _touch(49, 0))]
    held = play_pattern(drums, kit, _midi(tmp_path / "c.mid", [*hits, *touches]), sample_rate=RATE, tail=2)[0]
    at = round(20 * 0.5 / TICKS * RATE)
    kick = np.zeros(len(held))
    kick[: len(sounds[36][-1][0])] = _stroke(sounds, 36, 90)
    assert np.array_equal(held[:at], whole[:at]) and np.abs(held[at + 480 :] - kick[at + 480 :]).max() < 1e-6
    assert np.abs(whole[at + 480 :] - held[at + 480 : len(whole)]).max() > 1e-3


def test_a_loop_is_whole_bars_and_rings_on_at_its_beginning(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    bar = [(0, _hit(36, 20)), (200, _hit(49, 20)), (380, _hit(45, 20))]
    path = _midi(tmp_path / "a.mid", [(0, _tempo(120)), *bar, (381, _end())])
    loop = play_pattern(drums, kit, path, loop=True)
    whole = play_pattern(drums, kit, path, tail=5)
    assert loop.shape == (1, 2 * 44100) and loop[0, 0] != whole[0, 0]
    assert loop.sum(dtype=float) == pytest.approx(whole.sum(dtype=float), abs=1e-4)
    wrapped = whole[:, : 2 * 44100].copy()
    rest = whole[:, 2 * 44100 : 4 * 44100]
    wrapped[:, : rest.shape[1]] += rest
    assert np.abs(loop - wrapped).max() < 1e-6 and not whole[:, 4 * 44100 :].any()


def test_a_loop_is_one_period_of_the_repeated_pattern(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    """The pattern has sounds longer than the loop, an open hi-hat choked in the next bar, and a crash choked in the
    next bar."""
    bar = [(0, _hit(42, 30)), (0, _touch(49, 127)), (300, _hit(49, 30)), (380, _hit(46, 30)), (383, _hit(36, 30))]
    tempo = [(0, _tempo(480))]  # A bar lasts half a second.
    loop = play_pattern(drums, kit, _midi(tmp_path / "a.mid", [*tempo, *bar]), loop=True)
    many = [*tempo, *((at + 384 * i, message) for i in range(8) for at, message in bar)]
    out = play_pattern(drums, kit, _midi(tmp_path / "b.mid", many), tail=0)
    assert loop.shape[1] == 22050 and np.abs(loop - out[:, 6 * 22050 : 7 * 22050]).max() < 1e-6


def test_channels(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    drum = [(0, _hit(36)), (96, _hit(38, 0)), (96, mido.Message("note_off", note=36, channel=9))]
    with_piano = _midi(tmp_path / "a.mid", drum, [(10, _hit(49, channel=0))])
    assert [(n, v) for _, n, v in read_pattern(with_piano).strokes] == [(36, 127)]
    piano = _midi(tmp_path / "b.mid", [(10, _hit(38, 9, channel=3))], [(10, _hit(36, 8, channel=0))])
    assert [(n, v) for _, n, v in read_pattern(piano).strokes] == [(36, 8), (38, 9)]


def test_loops_and_tails(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    path = _midi(tmp_path / "bar.mid", [(0, _tempo(120)), (0, _hit(36)), (360, _hit(49)), (384, _end())])
    loop = play_pattern(drums, kit, path, tail=0)
    # The loop has one bar, and the crash ends without a click.
    assert loop.shape == (1, 2 * 44100) and loop[0, -1] == 0
    assert play_pattern(drums, kit, path, tail=0.5).shape[1] == round(2.5 * 44100)
    with pytest.raises(UserError, match="tail=-1"):
        play_pattern(drums, kit, path, tail=-1)


def test_loud_grooves_are_turned_down_not_clipped(drums: Generator, kit: Kit, tmp_path: Path) -> None:
    notes = [pad.note for pad in kit.pads]
    path = _midi(tmp_path / "all.mid", [(0, _hit(note)) for note in notes * 3])
    out = play_pattern(drums, kit, path)
    assert 20 * np.log10(np.abs(out).max()) == pytest.approx(PEAK_DB, abs=0.01)


LONG = [(0, _hit(36)), (2**27, _hit(36))]


@pytest.mark.parametrize("case", ["empty", "text", "cut", "silent", "long", "frames", "beats", "large", "gone"])
def test_what_cannot_be_played_is_said_in_a_line(drums: Generator, kit: Kit, tmp_path: Path, case: str) -> None:
    path = tmp_path / "p.mid"
    good = _midi(path, [(0, _hit(36)), (96, _hit(38))]).read_bytes()
    if case == "long":
        _midi(path, LONG)
    elif case == "silent":
        _midi(path, [(0, _tempo(100))])
    elif case == "gone":
        path.unlink()
    else:
        frames, beats = good[:12] + b"\xe6\x28" + good[14:], good[:12] + b"\0\0" + good[14:]
        content = {"empty": b"", "text": b"MThd is text", "cut": good[:24], "frames": frames, "beats": beats}
        content["large"] = bytes(1 << 21)
        path.write_bytes(content[case])
    with pytest.raises(UserError, match=r"p\.mid: ") as error:
        play_pattern(drums, kit, path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_too_many_notes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiogan.kits.playing, "MAX_NOTES", 20)
    path = _midi(tmp_path / "many.mid", [(i, _hit(36)) for i in range(21)])
    with pytest.raises(UserError, match="more than 20 notes"):
        read_pattern(path)
