"""Playing kits: a MIDI pattern becomes a groove."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.files import read_small
from audiogan.kits.drums import role, stand_in
from audiogan.kits.kit import Kit, velocities
from audiogan.kits.rendering import LOUDNESS, render_pads
from audiogan.kits.saving import hat

if TYPE_CHECKING:
    import mido

    from audiogan.generator import Generator

DRUMS = 9
"""General MIDI's drum channel, counted from 0."""
LARGEST_FILE, MOST_NOTES, LONGEST = 1 << 20, 100_000, 900.0
"""Bytes of a MIDI file, strokes in it, and seconds of sound, that are accepted."""
CHOKE = 0.01
"""Seconds in which a choked hat falls silent."""
PEAK_DB = -1.0
"""A groove whose samples would pass it is turned down as a whole."""


@dataclass(frozen=True)
class Pattern:
    """The strokes of a MIDI file.

    Attributes:
        strokes: (seconds, note, velocity 1 ... 127), in order of time.
        seconds: how long it lasts, to the end of its longest track.
    """

    strokes: tuple[tuple[float, int, int], ...]
    seconds: float


def play_pattern(
    generator: Generator,
    kit: Kit,
    midi_path: str | os.PathLike[str],
    *,
    sample_rate: int = 44100,
    tail: float = 1.0,
    loudness: float = LOUDNESS,
    say: Callable[[str], None] | None = None,
) -> NDArray[np.float32]:
    """A MIDI file played on a kit, float32 `[C, T]`.

    Strokes are those of channel 10; of all channels where there are none on it. Each begins at the sample nearest to
    its time, on the layer of its velocity v, at v / 127 of the full level. Open hats are silenced by the next hat.
    Notes that the kit lacks are played by the pad nearest in kind.

    Args:
        sample_rate: in Hz.
        tail: seconds that ring on after the end of the file; 0 for a loop.
        loudness: of the loudest layer of each pad, in LUFS, see `render_hits`.
        say: hears which notes were played by which pads instead.

    Raises:
        UserError: a file that is no MIDI, has no notes, or is too long; see `render_hits`.
    """
    if not 0 <= tail <= LONGEST:
        raise UserError(f"tail={tail} must be from 0 to {LONGEST:g} seconds")
    pattern = read_pattern(midi_path)
    pads = {pad.note: pad for pad in kit.pads}
    roles = {pad.note: role(pad.layers[-1].label) for pad in kit.pads}
    instead = {note: stand_in(note, roles) for _, note, _ in pattern.strokes if note not in pads}
    if instead and say is not None:
        told = [f"{note} on {pads[instead[note]].name}" for note in sorted(instead)]
        say(f"notes that the kit lacks: {', '.join(told)}")
    played = [(seconds, instead.get(note, note), velocity) for seconds, note, velocity in pattern.strokes]
    needed = {note for _, note, _ in played}
    used = Kit(tuple(pad for pad in kit.pads if pad.note in needed), kit.model)
    sounds = render_pads(generator, used, sample_rate=sample_rate, loudness=loudness)
    index = {pad.note: i for i, pad in enumerate(used.pads)}
    return _mix(used, sounds, [(s, index[n], v) for s, n, v in played], pattern.seconds, sample_rate, tail)


def _mix(
    kit: Kit,
    sounds: list[list[NDArray[np.float32]]],
    strokes: list[tuple[float, int, int]],
    duration: float,
    sample_rate: int,
    tail: float,
) -> NDArray[np.float32]:
    """All strokes (seconds, number of the pad, velocity) together."""
    hats = [hat(pad) for pad in kit.pads]
    steps = sorted({round(seconds * sample_rate) for seconds, pad, _ in strokes if hats[pad]})
    last = max(round(seconds * sample_rate) for seconds, _, _ in strokes)
    length = max(round((duration + tail) * sample_rate), last + round(tail * sample_rate), 1)
    fade = max(1, round(CHOKE * sample_rate))
    out = np.zeros((sounds[0][0].shape[0], length + fade), np.float32)
    cut = False
    for seconds, pad, velocity in strokes:
        start = round(seconds * sample_rate)
        borders = velocities(len(sounds[pad]))
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
    peak, ceiling = float(np.abs(out).max()), 10 ** (PEAK_DB / 20)
    return out * np.float32(ceiling / peak) if peak > ceiling else out


def _choked(wave: NDArray[np.float32], at: int, fade: int) -> NDArray[np.float32]:
    """A wave `[C, T]` that falls silent from sample ``at`` on."""
    if at >= wave.shape[1]:
        return wave
    wave = wave[:, : at + fade].copy()
    wave[:, at:] *= np.linspace(1, 0, wave.shape[1] - at, dtype=np.float32)
    return wave


def read_pattern(path: str | os.PathLike[str]) -> Pattern:
    """The strokes of a standard MIDI file, of format 0 or 1, tempo changes included.

    Raises:
        UserError: it cannot be read, is damaged, has no notes, or more or longer ones than are accepted.
    """
    path = Path(path)
    found: dict[int, list[tuple[float, int, int]]] = {}
    seconds, count = 0.0, 0
    for message in _messages(path):
        seconds += message.time
        if seconds > LONGEST:
            raise UserError(f"{path}: lasts more than {LONGEST / 60:g} minutes, which are the most; cut it into parts")
        if message.type == "note_on" and message.velocity > 0:
            count += 1
            if count > MOST_NOTES:
                raise UserError(f"{path}: has more than {MOST_NOTES:,} notes, which are the most; cut it into parts")
            found.setdefault(message.channel, []).append((seconds, message.note, message.velocity))
    if not found:
        raise UserError(f"{path}: has no notes to play")
    strokes = found.get(DRUMS) or [stroke for its in found.values() for stroke in its]
    return Pattern(tuple(sorted(strokes)), seconds)


def _messages(path: Path) -> list[mido.Message]:
    """All messages of a file in order; the time of each is seconds since the one before."""
    import mido

    content = read_small(path, LARGEST_FILE, "pattern")
    try:
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
        if file.ticks_per_beat <= 0:
            raise ValueError("its times are in SMPTE frames; save it with ticks a beat")
        return list(file)
    except (OSError, EOFError, ValueError, TypeError, LookupError, mido.KeySignatureError) as error:
        reason = " ".join(str(error).split())[:120] or "it ends too early"
        raise UserError(f"{path}: not a MIDI file that can be played ({reason})") from error
