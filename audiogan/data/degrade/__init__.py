"""Degrade a signal, so that a generator learns to restore it: a source computed from the target.

Name one under ``data.columns``; several in a row with `Steps`::

    data:
      columns:
        source: {_target_: audiogan.data.degrade.Downsample, factor: 4}

Each is called with a signal and a random generator, ``degrade(x, rng)``, and depends on these two only. Called with a
table, it returns the column of degraded signals. Where a setting may be a range ``[low, high]``, each example draws a
value uniformly from it.
"""

from audiogan.data.degrade.base import Degradation, Steps
from audiogan.data.degrade.masks import BoxMask, FreeFormMask, Hole, Mask
from audiogan.data.degrade.pictures import Blur, Downsample, GaussianNoise, Grey, Jpeg, PoissonNoise
from audiogan.data.degrade.sounds import BandLimit, Clip, LowPass, MixNoise

__all__ = [
    "BandLimit",
    "Blur",
    "BoxMask",
    "Clip",
    "Degradation",
    "Downsample",
    "FreeFormMask",
    "GaussianNoise",
    "Grey",
    "Hole",
    "Jpeg",
    "LowPass",
    "Mask",
    "MixNoise",
    "PoissonNoise",
    "Steps",
]
