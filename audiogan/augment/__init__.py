"""Differentiable augmentation of real and generated samples before the critic receives them.

For sounds: `Shift`. For images: `Flip`, `Rotate90`, `Translate`, `RandomScale`, `Cutout`, `RandomBrightness`,
`Contrast`, `Saturation`, `Hue`, and the pipelines `DiffAugment` and `ADAPipeline`. `AdaptiveAugment` adapts the
probability of the transformations during training.
"""

from __future__ import annotations

from audiogan.augment.adaptive import AdaptiveAugment
from audiogan.augment.image import (
    ADAPipeline,
    Contrast,
    Cutout,
    DiffAugment,
    Flip,
    Hue,
    RandomBrightness,
    RandomScale,
    Rotate90,
    Saturation,
    Translate,
)
from audiogan.augment.waveform import Augment, Shift

__all__ = ["ADAPipeline", "AdaptiveAugment", "Augment", "Contrast", "Cutout", "DiffAugment", "Flip", "RandomBrightness"]
__all__ += ["Hue", "RandomScale", "Rotate90", "Saturation", "Shift", "Translate"]
