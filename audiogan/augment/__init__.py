"""Augmentation before the critic: differentiable, the same kind for real and fake.

For waves: Shift, Gain, Polarity, Tilt. For encoded sounds: TimeShift, FrequencyMask, Cutout, SpectrogramGain,
LogGain, Polarity. For pictures: Flip, Rotate90, Translate, Scale, Cutout, Brightness, Contrast, Saturation, Hue, and
the sets DiffAugment and ADAPipeline. AdaptiveAugment moves the probability of any of them while a game is trained.
"""

from __future__ import annotations

from audiogan.augment.adaptive import AdaptiveAugment
from audiogan.augment.image import (
    ADAPipeline,
    Brightness,
    Contrast,
    DiffAugment,
    Flip,
    Hue,
    Rotate90,
    Saturation,
    Scale,
    Translate,
)
from audiogan.augment.spectrogram import Cutout, FrequencyMask, LogGain, TimeShift
from audiogan.augment.spectrogram import Gain as SpectrogramGain
from audiogan.augment.waveform import Augment, Gain, Polarity, Shift, Tilt

__all__ = [
    "ADAPipeline",
    "AdaptiveAugment",
    "Augment",
    "Brightness",
    "Contrast",
    "Cutout",
    "DiffAugment",
    "Flip",
    "FrequencyMask",
    "Gain",
    "Hue",
    "LogGain",
    "Polarity",
    "Rotate90",
    "Saturation",
    "Scale",
    "Shift",
    "SpectrogramGain",
    "Tilt",
    "TimeShift",
    "Translate",
]
