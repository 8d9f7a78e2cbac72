"""The pitch of voices over time, measured with librosa, for generators that synthesise voices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LOWEST_HZ, HIGHEST_HZ = 60.0, 480.0
"""Of voices: three octaves."""
WINDOW_SECONDS = 0.064
STEADY = 0.1
"""Octaves by which the pitch of a voice differs from one frame to the next at most; that of noise jumps."""
FAR = 0.6
"""Octaves from the median of a sound; what lies beyond is another octave by mistake."""
QUIETEST_DB = -35.0
"""Level of a voiced frame below the loudest."""
AT_A_TIME = 64
"""Sounds measured together."""


def measure_pitch(waves: np.ndarray, sample_rate: int, hop_length: int) -> NDArray[np.float32]:
    """Pitch in Hz of sounds `[N, C, T]` in frames centred on multiples of ``hop_length``; NaN where there is no voice.

    Estimates are those of YIN (de Cheveigné & Kawahara, JASA 2002). A frame is voiced if it is not much quieter than
    the loudest, if its pitch is near those of the frames before and after it, and not far from that of the whole sound.
    Of several channels the loudest is heard.

    Returns:
        float32 `[N, 1 + ceil(T / hop_length)]`.
    """
    import librosa

    waves = np.asarray(waves, np.float32)
    loudest = np.square(waves).sum(axis=2).argmax(axis=1)
    waves = np.take_along_axis(waves, loudest[:, None, None], axis=1)[:, 0]
    frame = 2 * round(WINDOW_SECONDS * sample_rate / 2)
    short = -waves.shape[1] % hop_length
    count = 1 + (waves.shape[1] + short) // hop_length
    if sample_rate < 4 * HIGHEST_HZ or not len(waves):  # too low for voices
        return np.full((len(waves), count), np.nan, np.float32)
    waves = np.pad(waves, ((0, 0), (0, short + frame)))
    with np.errstate(all="ignore"):  # silence has no period
        pitch = librosa.yin(
            waves, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=sample_rate, frame_length=frame, hop_length=hop_length
        )
    level = librosa.feature.rms(y=waves, frame_length=frame, hop_length=hop_length)[:, 0]
    pitch, level = pitch[:, :count], level[:, :count]
    octaves = np.log2(np.maximum(np.nan_to_num(pitch), 1.0))
    step = np.pad(np.abs(np.diff(octaves, axis=1)) < STEADY, ((0, 0), (1, 1)), constant_values=True)
    steady = step[:, 1:] & step[:, :-1]
    inside = (pitch > LOWEST_HZ * 1.01) & (pitch < HIGHEST_HZ * 0.99)  # at the ends YIN found nothing
    loud = level > level.max(axis=1, keepdims=True) * 10 ** (QUIETEST_DB / 20)
    voiced = steady & inside & loud & (level > 0)
    middle = np.ma.median(np.ma.masked_array(octaves, ~voiced), axis=1).filled(0.0)[:, None]
    return np.where(voiced & (np.abs(octaves - middle) < FAR), pitch, np.nan).astype(np.float32)
