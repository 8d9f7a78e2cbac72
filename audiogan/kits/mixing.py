"""Mixing of strokes on a kit to one sound or to a loop."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.kits.drums import drum_role
from audiogan.kits.kit import Kit, velocity_ranges
from audiogan.kits.rendering import render_pads
from audiogan.kits.saving import hat_type

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

CHOKE_SECONDS = 0.01
"""Duration of the fade-out of a sound that is choked, in seconds."""
CYMBALS = ("crash", "ride", "open hat")
"""Drum roles of pads that a message of polyphonic aftertouch chokes."""
PEAK_DB = -1.0
"""Maximum sample peak of the result, in dB of full scale. A louder result is attenuated as a whole."""


@dataclass
class Stroke:
    """One stroke on a kit.

    Attributes:
        start: index of the sample of the result at which the sound starts.
        pad: index of the pad.
        note: MIDI note in the pattern.
        velocity: MIDI velocity, 1 ... 127.
        choke: index of the sample at which the sound is choked, or None.
    """

    start: int
    pad: int
    note: int
    velocity: int
    choke: int | None = None


def play_loop(
    generator: Generator,
    kit: Kit,
    notes: Iterable[tuple[float, int, int]],
    seconds: float,
    *,
    sample_rate: int = 44100,
    stems: bool = False,
) -> tuple[list[NDArray[np.float32]], float]:
    """Play notes on a kit as a loop, as `play_pattern` plays a MIDI file with the same notes.

    Args:
        generator: model of the kit.
        kit: the kit.
        notes: time in seconds, MIDI note of a pad, and velocity (1 ... 127) of each note.
        seconds: duration of the loop.
        sample_rate: sample rate of the result, in Hz.
        stems: return one sound for each pad. The sum of the stems is the loop.

    Returns:
        The loop, or one stem for each pad of the kit, float32 ``[C, T]``; and the attenuation in dB that keeps the peak
        of the loop at or below -1 dB.

    Examples:
        >>> import audiogan
        >>> from audiogan.kits import make_kit
        >>> from audiogan.kits.mixing import play_loop
        >>> generator = audiogan.load("drums")
        >>> [loop], attenuation = play_loop(generator, make_kit(generator, 1, seed=7), [(0, 36, 127)], 0.5)
        >>> loop.shape, attenuation
        ((1, 22050), 0.0)
    """
    sounds = render_pads(generator, kit, sample_rate=sample_rate)
    length = round(seconds * sample_rate)
    struck = [(time, note, note, velocity) for time, note, velocity in sorted(notes)]
    strokes = place_strokes(kit, struck, (), sample_rate, length)
    loop, gain = limit_peak(mix_loop(strokes, sounds, length, sample_rate))
    parts = [loop]
    if stems:
        chosen = [[stroke for stroke in strokes if stroke.pad == i] for i in range(len(kit.pads))]
        parts = [mix_loop(its, sounds, length, sample_rate) * np.float32(gain) for its in chosen]
    return parts, 0.0 if gain == 1 else -20 * math.log10(gain)


def place_strokes(
    kit: Kit,
    notes: Iterable[tuple[float, int, int, int]],
    messages: Iterable[tuple[float, int]],
    sample_rate: int,
    period: int | None,
) -> list[Stroke]:
    """Convert notes to strokes, with the positions at which hi-hats and cymbals are choked.

    Args:
        kit: the kit.
        notes: time in seconds, MIDI note of the pad, MIDI note in the pattern and velocity of each note.
        messages: time in seconds and MIDI note of each message that chokes a cymbal, sorted by time.
        sample_rate: sample rate in Hz.
        period: length of a loop in samples, None for other patterns. The first hi-hat of a loop
            chokes an open hi-hat at its end.
    """
    index = {pad.note: i for i, pad in enumerate(kit.pads)}
    strokes = [
        Stroke(round(seconds * sample_rate), index[pad], note, velocity) for seconds, pad, note, velocity in notes
    ]
    chokes = [(round(seconds * sample_rate), note) for seconds, note in messages]

    def repeated(samples: Iterable[int]) -> list[int]:
        one = sorted(set(samples))
        return one if period is None else [*one, *(sample + period for sample in one)]

    hats = [hat_type(pad) for pad in kit.pads]
    cymbals = [drum_role(pad.layers[-1].label) in CYMBALS for pad in kit.pads]
    closing = repeated(stroke.start for stroke in strokes if hats[stroke.pad])
    by_note = {note: repeated(at for at, its in chokes if its == note) for note in {note for _, note in chokes}}
    for stroke in strokes:
        times = [closing] if hats[stroke.pad] == "open" else []
        times += [by_note.get(stroke.note, [])] if cymbals[stroke.pad] else []
        later = [samples[i] for samples in times if (i := bisect_right(samples, stroke.start)) < len(samples)]
        stroke.choke = min(later, default=None)
    return strokes


def mix_loop(
    strokes: list[Stroke], sounds: list[list[NDArray[np.float32]]], length: int, sample_rate: int
) -> NDArray[np.float32]:
    """Return a loop ``[C, length]``, in which sounds that ring beyond the end continue at the beginning."""
    ringing = max(wave.shape[1] for layers in sounds for wave in layers)
    return _wrap(mix_strokes(strokes, sounds, length + ringing, sample_rate), length)


def mix_strokes(
    strokes: list[Stroke], sounds: list[list[NDArray[np.float32]]], length: int, sample_rate: int
) -> NDArray[np.float32]:
    """Return the sum of all strokes ``[C, length]``. If a sound is cut at the end, the sum is faded out."""
    fade = max(1, round(CHOKE_SECONDS * sample_rate))
    out = np.zeros((sounds[0][0].shape[0], length), np.float32)
    cut = False
    for stroke in strokes:
        borders = velocity_ranges(len(sounds[stroke.pad]))
        layer = next(i for i, (_, high) in enumerate(borders) if stroke.velocity <= high)
        wave = sounds[stroke.pad][layer] * np.float32(stroke.velocity / borders[layer][1])
        if stroke.choke is not None:
            wave = _choke(wave, stroke.choke - stroke.start, fade)
        room = length - stroke.start
        if wave.shape[1] > room:
            wave, cut = wave[:, : max(room, 0)], True
        out[:, stroke.start : stroke.start + wave.shape[1]] += wave
    if cut:
        fade = min(fade, length)
        out[:, length - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return out


def _wrap(wave: NDArray[np.float32], period: int) -> NDArray[np.float32]:
    """Cut a wave into parts of ``period`` samples. Return the sum ``[C, period]`` of all parts."""
    out = wave[:, :period].copy()
    for start in range(period, wave.shape[1], period):
        part = wave[:, start : start + period]
        out[:, : part.shape[1]] += part
    return out


def limit_peak(wave: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Return a wave with a sample peak of at most `PEAK_DB`, and the factor by which it was multiplied."""
    peak, ceiling = float(max(wave.max(), -wave.min())), 10 ** (PEAK_DB / 20)
    if peak <= ceiling:
        return wave, 1.0
    wave *= np.float32(ceiling / peak)  # in place, because a copy of a long result would take hundreds of megabytes
    return wave, ceiling / peak


def _choke(wave: NDArray[np.float32], at: int, fade: int) -> NDArray[np.float32]:
    """Return a wave ``[C, T]`` that fades out from sample ``at``."""
    if at >= wave.shape[1]:
        return wave
    wave = wave[:, : at + fade].copy()
    wave[:, at:] *= np.linspace(1, 0, wave.shape[1] - at, dtype=np.float32)
    return wave
