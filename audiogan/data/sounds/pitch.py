"""Pitch tracking of voices, for generators that are conditioned on pitch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 60.0, 480.0
"""Pitch range of voices in Hz, three octaves."""
WINDOW_SECONDS = 0.064
"""Length of the analysis window in seconds."""
MAX_PITCH_STEP = 0.1
"""Maximum pitch difference between adjacent voiced frames, in octaves. In noise, most differences are larger."""
MAX_OCTAVE_DISTANCE = 0.6
"""Maximum distance from the median pitch of the sound, in octaves. Pitches farther away count as octave errors."""
QUIETEST_DB = -35.0
"""Minimum level of a voiced frame relative to the loudest frame, in dB."""
CHUNK_SOUNDS = 64
"""Number of sounds analysed at a time, to limit memory use."""


def measure_pitch(waves: np.ndarray, sample_rate: int, hop_length: int) -> NDArray[np.float32]:
    """Estimate the pitch of voices over time.

    A frame is voiced if its level is at most 35 dB below the loudest frame, its pitch is close to the pitch of
    both adjacent frames, and its pitch is within 0.6 octaves of the median of the sound.

    Args:
        waves: sounds ``[N, C, T]``. The loudest channel of each sound is analysed.
        sample_rate: sample rate in Hz.
        hop_length: hop between frames in samples, 1 or more. Frame ``i`` is centred on sample ``i * hop_length``.

    Returns:
        Pitch in Hz, float32 ``[N, 1 + ceil(T / hop_length)]``. Unvoiced frames are NaN.

    Source: YIN (de Cheveigné & Kawahara, JASA 2002), as implemented by librosa.
    """
    import librosa

    waves = np.asarray(waves, np.float32)
    loudest = np.square(waves).sum(axis=2).argmax(axis=1)
    waves = np.take_along_axis(waves, loudest[:, None, None], axis=1)[:, 0]
    frame = 2 * round(WINDOW_SECONDS * sample_rate / 2)
    short = -waves.shape[1] % hop_length
    count = 1 + (waves.shape[1] + short) // hop_length
    if sample_rate < 4 * HIGHEST_HZ or not len(waves):  # No sounds, or too low a rate to detect a pitch.
        return np.full((len(waves), count), np.nan, np.float32)
    waves = np.pad(waves, ((0, 0), (0, short + frame)))
    with np.errstate(all="ignore"):  # Silence causes divisions by zero.
        pitch = librosa.yin(
            waves, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=sample_rate, frame_length=frame, hop_length=hop_length
        )
    level = librosa.feature.rms(y=waves, frame_length=frame, hop_length=hop_length)[:, 0]
    pitch, level = pitch[:, :count], level[:, :count]
    octaves = np.log2(np.maximum(np.nan_to_num(pitch), 1.0))
    step = np.pad(np.abs(np.diff(octaves, axis=1)) < MAX_PITCH_STEP, ((0, 0), (1, 1)), constant_values=True)
    steady = step[:, 1:] & step[:, :-1]
    # If YIN finds no period, it returns the lowest or the highest pitch of the range. Such frames are unvoiced.
    inside = (pitch > LOWEST_HZ * 1.01) & (pitch < HIGHEST_HZ * 0.99)
    loud = level > level.max(axis=1, keepdims=True) * 10 ** (QUIETEST_DB / 20)
    voiced = steady & inside & loud & (level > 0)
    middle = np.ma.median(np.ma.masked_array(octaves, ~voiced), axis=1).filled(0.0)[:, None]
    return np.where(voiced & (np.abs(octaves - middle) < MAX_OCTAVE_DISTANCE), pitch, np.nan).astype(np.float32)
