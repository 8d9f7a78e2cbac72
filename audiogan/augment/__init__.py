"""Augmentation before the critic: differentiable, the same kind for real and fake.

For waves: Shift. For pictures: Flip, Rotate90, Translate, Scale, Cutout, Brightness, Contrast, Saturation, Hue, and the
sets DiffAugment and ADAPipeline. AdaptiveAugment moves the probability of any of them while a game is trained.
"""

from __future__ import annotations

from audiogan.augment.adaptive import AdaptiveAugment
from audiogan.augment.image import (
    ADAPipeline,
    Brightness,
    Contrast,
    Cutout,
    DiffAugment,
    Flip,
    Hue,
    Rotate90,
    Saturation,
    Scale,
    Translate,
)
from audiogan.augment.waveform import Augment, Shift

__all__ = ["ADAPipeline", "AdaptiveAugment", "Augment", "Brightness", "Contrast", "Cutout", "DiffAugment", "Flip"]
__all__ += ["Hue", "Rotate90", "Saturation", "Scale", "Shift", "Translate"]
