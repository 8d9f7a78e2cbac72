"""Playing of MIDI patterns on kits."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import read_small_file
from audiogan.kits.drums import drum_role, substitute_note
from audiogan.kits.kit import Kit, velocity_ranges
from audiogan.kits.midi import BadMidi, read_midi
from audiogan.kits.rendering import render_pads
from audiogan.kits.saving import hat_type

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

DRUMS = 9
"""Drum channel of General MIDI (channel 10), counted from 0."""
LARGEST_FILE, MOST_NOTES, LONGEST = 1 << 20, 100_000, 900.0
"""Limits of a MIDI pattern: file size in bytes, number of notes, and duration in seconds."""
LONGEST_REST = 15.0
"""Maximum rest after the last drum note, in seconds. A longer rest is cut, because usually only other instruments play
during it."""
CHOKE = 0.01
"""Fade-out of an open hi-hat that is silenced by another hi-hat, in seconds."""
PEAK_DB = -1.0
"""Maximum sample peak of the result, in dB of full scale. A louder result is attenuated as a whole."""


@dataclass(frozen=True)
class Pattern:
    """Notes of a MIDI file to play on a kit.

    Attributes:
        strokes: time in seconds, MIDI note and velocity (1 ... 127), sorted by time.
        seconds: duration up to the end of the longest track, or up to the last note if a rest longer than
            `LONGEST_REST` follows it.
        remarks: one line of text for each kind of content that was left out.
    """

    strokes: tuple[tuple[float, int, int], ...]
    seconds: float
    remarks: tuple[str, ...] = ()


def play_pattern(
    generator: Generator,
    kit: Kit,
    midi_path: str | os.PathLike[str],
    *,
    sample_rate: int = 44100,
    tail: float = 1.0,
    loudness: float | None = None,
    echo: Callable[[str], None] | None = None,
) -> NDArray[np.float32]:
    """Play a MIDI file on a kit.

    The start of each note is rounded to a whole audio sample. A note of velocity v uses the layer for v, at v / 127 of
    the amplitude at velocity 127. An open hi-hat is silenced by the next hi-hat note. A note missing from the kit is
    played by the pad with the most similar drum role.

    Args:
        generator: model of the kit.
        kit: the kit.
        midi_path: MIDI file, see `read_pattern`.
        sample_rate: sample rate of the result, in Hz.
        tail: time after the end of the pattern during which sounds ring out, in seconds. 0 makes a loop.
        loudness: loudness of the loudest layer of each pad in LUFS, see `render_hits`. By default, the highest true
            peak of the kit is -1 dBTP.
        echo: function that prints a line. It reports notes that were left out, and missing notes that are played by
            another pad.

    Returns:
        Sound, float32 ``[C, T]``.

    Raises:
        UserError: the file is not a MIDI file, has no notes or is too long, or an argument is out of range.

    Examples:
        >>> import audiogan, tempfile
        >>> from audiogan.kits import make_kit, play_pattern
        >>> generator = audiogan.load("drums")
        >>> one_kick = bytes.fromhex("4d546864000000060000000100604d54726b000000080099246400ff2f00")
        >>> with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        ...     _ = file.write(one_kick), file.flush()
        ...     wave = play_pattern(generator, make_kit(generator, 1, seed=7), file.name, tail=0.5)
        >>> wave.shape
        (1, 22050)
    """
    if not 0 <= tail <= LONGEST:
        raise UserError(f"tail={tail} must be from 0 to {LONGEST:g} seconds")
    pattern = read_pattern(midi_path)
    pads = {pad.note: pad for pad in kit.pads}
    roles = {pad.note: drum_role(pad.layers[-1].label) for pad in kit.pads}
    if echo is not None:
        for line in pattern.remarks:
            echo(line)
    instead = {note: substitute_note(note, roles) for _, note, _ in pattern.strokes if note not in pads}
    if instead and echo is not None:
        replaced = [f"{note} on {pads[instead[note]].name}" for note in sorted(instead)]
        echo(f"notes missing from the kit: {', '.join(replaced)}")
    played = [(seconds, instead.get(note, note), velocity) for seconds, note, velocity in pattern.strokes]
    # All pads are rendered, because the balance of a kit depends on all of them.
    sounds = render_pads(generator, kit, sample_rate=sample_rate, loudness=loudness)
    index = {pad.note: i for i, pad in enumerate(kit.pads)}
    return _mix(kit, sounds, [(s, index[n], v) for s, n, v in played], pattern.seconds, sample_rate, tail)


def _mix(
    kit: Kit,
    sounds: list[list[NDArray[np.float32]]],
    strokes: list[tuple[float, int, int]],
    duration: float,
    sample_rate: int,
    tail: float,
) -> NDArray[np.float32]:
    """Return the sum of all strokes (seconds, index of the pad, velocity)."""
    hats = [hat_type(pad) for pad in kit.pads]
    steps = sorted({round(seconds * sample_rate) for seconds, pad, _ in strokes if hats[pad]})
    last = max(round(seconds * sample_rate) for seconds, _, _ in strokes)
    length = max(round((duration + tail) * sample_rate), last + round(tail * sample_rate), 1)
    fade = max(1, round(CHOKE * sample_rate))
    out = np.zeros((sounds[0][0].shape[0], length + fade), np.float32)
    cut = False
    for seconds, pad, velocity in strokes:
        start = round(seconds * sample_rate)
        borders = velocity_ranges(len(sounds[pad]))
        layer = next(i for i, (_, high) in enumerate(borders) if velocity <= high)
        wave = sounds[pad][layer] * np.float32(velocity / borders[layer][1])
        following = bisect_right(steps, start)
        if hats[pad] == "open" and following < len(steps):
            wave = _choked(wave, steps[following] - start, fade)
        room = length - start
        if wave.shape[1] > room:
            wave, cut = wave[:, : max(room, 0)], True
        out[:, start : start + wave.shape[1]] += wave
    out = out[:, :length]
    if cut:
        fade = min(fade, length)
        out[:, length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    peak, ceiling = float(max(out.max(), -out.min())), 10 ** (PEAK_DB / 20)
    if peak > ceiling:
        out *= np.float32(ceiling / peak)  # in place, because a copy of a long result would take hundreds of megabytes
    return out


def _choked(wave: NDArray[np.float32], at: int, fade: int) -> NDArray[np.float32]:
    """Return a wave ``[C, T]`` that fades out from sample ``at``."""
    if at >= wave.shape[1]:
        return wave
    wave = wave[:, : at + fade].copy()
    wave[:, at:] *= np.linspace(1, 0, wave.shape[1] - at, dtype=np.float32)
    return wave


def read_pattern(path: str | os.PathLike[str]) -> Pattern:
    """Read the drum notes of a MIDI file.

    Drum notes are those on channel 10 and on channels that the file declares as drum channels (GS, XG, General MIDI 2).
    If the file has no drum notes, all notes are used. The tracks of a format 2 file are joined one after another.

    Raises:
        UserError: the file cannot be read, is damaged, has no notes, or exceeds a limit of size, notes or duration.
    """
    path = Path(path)
    try:
        song = read_midi(read_small_file(path, LARGEST_FILE, "pattern"))
    except BadMidi as error:
        raise UserError(f"{path}: not a MIDI file that can be played ({error})") from error
    channels = {channel for part in song.parts for _, channel, _, _ in part.notes}
    played = channels & (song.drums | {DRUMS}) or channels
    if not played:
        raise UserError(f"{path}: has no notes to play")
    remarks = []
    if song.tracks != song.expected:
        remarks.append(f"the file should have {song.expected} tracks and has {song.tracks}")
    if left_out := sorted(channel + 1 for channel in channels - played):
        names = ", ".join(map(str, sorted(channel + 1 for channel in played)))
        remarks.append(f"left out: the notes of channel {', '.join(map(str, left_out))}; drums are on channel {names}")
    strokes: list[tuple[float, int, int]] = []
    start = 0.0
    for part in song.parts:
        mine = [
            (start + seconds, note, velocity) for seconds, channel, note, velocity in part.notes if channel in played
        ]
        if not mine:
            continue
        last, end = max(mine)[0], start + part.seconds
        if last > LONGEST:
            raise UserError(f"{path}: lasts more than {LONGEST / 60:g} minutes, the limit; cut it into parts")
        if end - last > LONGEST_REST or end > LONGEST:
            remarks.append(f"left out: {end - last:,.0f} seconds without a stroke at the end")
            end = last
        strokes += mine
        if len(strokes) > MOST_NOTES:
            raise UserError(f"{path}: has more than {MOST_NOTES:,} notes, the limit; cut it into parts")
        start = end
    return Pattern(tuple(sorted(strokes)), start, tuple(remarks))
