"""Augmentation before the critic: differentiable, the same kind for real and fake.

For waves: Shift, Gain, Polarity, Tilt. For encoded sounds: TimeShift, FrequencyMask, Cutout, SpectrogramGain,
LogGain, Polarity.
"""

from __future__ import annotations

from audiogan.augment.spectrogram import Cutout, FrequencyMask, LogGain, TimeShift
from audiogan.augment.spectrogram import Gain as SpectrogramGain
from audiogan.augment.waveform import Augment, Gain, Polarity, Shift, Tilt

__all__ = [
    "Augment",
    "Cutout",
    "FrequencyMask",
    "Gain",
    "LogGain",
    "Polarity",
    "Shift",
    "SpectrogramGain",
    "Tilt",
    "TimeShift",
]
