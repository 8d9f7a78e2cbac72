"""Playing of MIDI patterns on kits."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import read_small_file
from audiogan.kits.drums import drum_role, find_pad
from audiogan.kits.kit import Kit
from audiogan.kits.midi import Clock, Song, read_midi
from audiogan.kits.midi_track import BadMidi
from audiogan.kits.mixing import limit_peak, mix_loop, mix_strokes, place_strokes
from audiogan.kits.note_map import NoteMap, resolve_note_map
from audiogan.kits.rendering import render_pads

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

DRUM_CHANNEL = 9
"""Drum channel of General MIDI (channel 10), counted from 0."""
MAX_FILE_BYTES, MAX_NOTES, MAX_SECONDS = 1 << 20, 100_000, 900.0
"""Limits of a MIDI pattern: file size in bytes, number of notes, and duration in seconds."""
MAX_REST_SECONDS = 15.0
"""Maximum rest after the last drum note, in seconds. A longer rest is cut, because usually only other instruments play
during it."""
MIN_LOOP_SECONDS = 0.01
"""Minimum duration of a loop, in seconds."""
MAX_REMARKS = 8
"""Maximum number of remarks about defects of a file."""


@dataclass(frozen=True)
class Pattern:
    """Notes of a MIDI file to play on a kit.

    Attributes:
        strokes: time in seconds, MIDI note and velocity (1 ... 127), sorted by time.
        seconds: duration up to the end of the longest track, or up to the last note if a rest longer than
            `MAX_REST_SECONDS` follows it. For a loop, the duration of whole bars.
        remarks: one line of text for each kind of content that was left out, and for each defect of the file.
        chokes: time in seconds and MIDI note of each message that chokes a cymbal, sorted by time.
        bars: number of bars of a loop, None for other patterns.
        general_midi: whether the file selects General MIDI, in which note 58 is a vibraslap. Otherwise, it is the rim
            of a tom, as in electronic drums of Roland.
    """

    strokes: tuple[tuple[float, int, int], ...]
    seconds: float
    remarks: tuple[str, ...] = ()
    chokes: tuple[tuple[float, int], ...] = ()
    bars: int | None = None
    general_midi: bool = False


def play_pattern(
    generator: Generator,
    kit: Kit,
    midi_path: str | os.PathLike[str],
    *,
    sample_rate: int = 44100,
    tail: float = 1.0,
    loop: bool = False,
    note_map: NoteMap | None = None,
    loudness: float | None = None,
    echo: Callable[[str], None] | None = None,
) -> NDArray[np.float32]:
    """Play a MIDI file on a kit.

    The start of each note is rounded to a whole audio sample. A note with velocity v uses the velocity layer for v,
    and its amplitude is v / 127 times that of velocity 127. The next hi-hat note chokes an open hi-hat. Polyphonic
    aftertouch chokes a cymbal. A note missing from the kit is played by the pad with the most similar drum role. Only
    kick notes are played by a kick. A note without a similar pad is left out.

    Args:
        generator: model of the kit.
        kit: the kit.
        midi_path: MIDI file, see `read_pattern`.
        sample_rate: sample rate of the result, in Hz.
        tail: time after the end of the pattern during which sounds ring out, in seconds. It has no effect on loops.
        loop: return a loop of whole bars. Sounds that ring beyond its end continue at its beginning, so that the result
            is one period of the repeated pattern.
        note_map: assignment of notes to pads, which has priority over the rules above, see `read_note_map`.
        loudness: loudness of the loudest layer of each pad in LUFS, see `render_hits`. By default, the highest true
            peak of the kit is -1 dBTP.
        echo: function that prints a line. It reports defects of the file, notes that were left out, and missing notes
            that are played by another pad.

    Returns:
        Sound, float32 ``[C, T]``.

    Raises:
        UserError: the file is not a MIDI file, has no notes that can be played or is too long, or an argument is out of
            range.

    Examples:
        >>> import audiogan, tempfile
        >>> from audiogan.kits import make_kit, play_pattern
        >>> generator = audiogan.load("drums")
        >>> one_kick = bytes.fromhex("4d546864000000060000000100604d54726b000000080099246400ff2f00")
        >>> with tempfile.NamedTemporaryFile(suffix=".mid") as file:
        ...     _ = file.write(one_kick), file.flush()
        ...     wave = play_pattern(generator, make_kit(generator, 1, seed=7), file.name, loop=True)
        >>> wave.shape  # a bar of 120 beats a minute
        (1, 88200)
    """
    if not 0 <= tail <= MAX_SECONDS:
        raise UserError(f"tail={tail} must be from 0 to {MAX_SECONDS:g} seconds")
    pattern = read_pattern(midi_path, loop=loop)
    played = _assign_pads(pattern, kit, resolve_note_map(note_map or {}, kit), [*pattern.remarks], echo, midi_path)
    # All pads are rendered, because the balance of a kit depends on all of them.
    sounds = render_pads(generator, kit, sample_rate=sample_rate, loudness=loudness)
    notes = [(seconds, played[note], note, velocity) for seconds, note, velocity in pattern.strokes if note in played]
    length = round(pattern.seconds * sample_rate)
    strokes = place_strokes(kit, notes, pattern.chokes, sample_rate, length if loop else None)
    if loop:
        return limit_peak(mix_loop(strokes, sounds, length, sample_rate))[0]
    ring = round(tail * sample_rate)
    return limit_peak(mix_strokes(strokes, sounds, max(length + ring, strokes[-1].start + ring, 1), sample_rate))[0]


def _assign_pads(
    pattern: Pattern,
    kit: Kit,
    chosen: dict[int, int | None],
    lines: list[str],
    echo: Callable[[str], None] | None,
    path: str | os.PathLike[str],
) -> dict[int, int]:
    """Return the note of the pad for each note of a pattern, without the notes that no pad plays.

    Args:
        pattern: the pattern.
        kit: the kit.
        chosen: note of the pad for each note in the map of notes, None for a note that is left out.
        lines: lines to print first.
        echo: function that prints a line.
        path: MIDI file, for error messages.
    """
    names = {pad.note: pad.name for pad in kit.pads}
    roles = {pad.note: drum_role(pad.layers[-1].label) for pad in kit.pads}
    counts = Counter(note for _, note, _ in pattern.strokes)
    played: dict[int, int] = {}
    replaced, missing = [], []
    for note in sorted(counts):
        pad = chosen[note] if note in chosen else find_pad(note, roles, general_midi=pattern.general_midi)
        if pad is not None:
            played[note] = pad
            replaced += [f"{note} on {names[pad]}"] if pad != note and note not in chosen else []
        elif note not in chosen:
            missing.append(note)
    if replaced:
        lines.append(f"notes missing from the kit: {', '.join(replaced)}")
    if missing:
        count, listed = sum(counts[note] for note in missing), ", ".join(map(str, missing))
        lines.append(
            f"left out: {count:,} stroke{'s' * (count != 1)}; the kit has no similar drum for the notes {listed}"
        )
    if echo is not None:
        for line in lines:
            echo(line)
    if not played:
        listed = ", ".join(map(str, sorted(counts)))
        raise UserError(f"{path}: the kit has no pad for its notes {listed}; assign them to pads with --map")
    return played


def read_pattern(path: str | os.PathLike[str], *, loop: bool = False) -> Pattern:
    """Read the drum notes of a MIDI file.

    Drum notes are those on channel 10 and on channels that the file declares as drum channels (GS, XG, General MIDI 2).
    If the file has no drum notes, all notes are used. The tracks of a format 2 file are joined one after another.
    A damaged file is read as far as possible, and the remarks describe the damage.

    Args:
        path: MIDI file.
        loop: end the pattern at a bar line. The time signatures of the file determine the bars.

    Raises:
        UserError: the file cannot be read, is not a MIDI file, has no notes, or exceeds a limit of size, notes or
            duration.
    """
    path = Path(path)
    try:
        song = read_midi(read_small_file(path, MAX_FILE_BYTES, "pattern"))
    except BadMidi as error:
        raise UserError(f"{path}: not a MIDI file that can be played ({error})") from error
    remarks = song.problems[:MAX_REMARKS]
    if len(song.problems) > MAX_REMARKS:
        remarks.append(f"and {len(song.problems) - MAX_REMARKS:,} more defects of the file")
    counts = Counter(channel for part in song.parts for _, channel, _, _ in part.notes)
    if not counts:
        defects = f" ({'; '.join(remarks)[:150]})" if remarks else ""
        raise UserError(f"{path}: has no notes to play{defects}")
    drums = set(counts) & (song.drums | {DRUM_CHANNEL})
    played = drums or set(counts)
    if not drums:
        remarks.append(
            f"no notes on the drum channel 10; all notes are played as drums: {_describe_channels(counts, played)}"
        )
    elif other := set(counts) - played:
        channels = ", ".join(str(channel + 1) for channel in sorted(played))
        remarks.append(f"left out: {_describe_channels(counts, other)}; drums are on channel {channels}")
    return _join_parts(path, song, played, remarks, loop)


def _describe_channels(counts: Counter[int], channels: Iterable[int]) -> str:
    """Return a list of channels with their numbers of notes."""
    return ", ".join(
        f"{counts[channel]:,} note{'s' * (counts[channel] != 1)} on channel {channel + 1}"
        for channel in sorted(channels)
    )


def _join_parts(path: Path, song: Song, played: set[int], remarks: list[str], loop: bool) -> Pattern:
    """Return the notes of the played channels of a song."""
    strokes: list[tuple[float, int, int]] = []
    chokes: list[tuple[float, int]] = []
    start, bars = 0.0, 0
    for part in song.parts:
        time = part.clock.time
        mine = [(tick, note, velocity) for tick, channel, note, velocity in part.notes if channel in played]
        if not mine:
            continue
        last, end = max(mine)[0], part.end
        if start + time(last) > MAX_SECONDS:
            raise UserError(f"{path}: lasts more than {MAX_SECONDS / 60:g} minutes, the limit; cut it into parts")
        rest = time(end) - time(last)
        if rest > MAX_REST_SECONDS or start + time(end) > MAX_SECONDS:
            remarks.append(f"left out: {rest:,.0f} seconds without a stroke at the end")
            end = last
        strokes += [(start + time(tick), note, velocity) for tick, note, velocity in mine]
        chokes += [(start + time(tick), note) for tick, channel, note in part.chokes if channel in played]
        if len(strokes) > MAX_NOTES:
            raise UserError(f"{path}: has more than {MAX_NOTES:,} notes, the limit; cut it into parts")
        duration = time(end)
        if loop:
            count, duration = _bars(path, part.clock, last, end)
            bars += count
        start += duration
    return Pattern(
        tuple(sorted(strokes)),
        start,
        tuple(remarks),
        tuple(sorted(chokes)),
        bars if loop else None,
        song.general_midi,
    )


def _bars(path: Path, clock: Clock, last: int, end: int) -> tuple[int, float]:
    """Return the number of bars of a loop and its duration in seconds."""
    try:
        bars, duration = clock.loop(last, end)
    except BadMidi as error:
        raise UserError(f"{path}: cannot be a loop of whole bars: {error}; remove --loop") from error
    if not MIN_LOOP_SECONDS <= duration <= MAX_SECONDS:
        raise UserError(
            f"{path}: its {bars:,} bars last {duration:,.3g} seconds; "
            f"a loop must last {MIN_LOOP_SECONDS} to {MAX_SECONDS:g}"
        )
    return bars, duration
