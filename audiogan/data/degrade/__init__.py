"""Degradations of signals, for training a generator to restore the original from a degraded source.

Add a degraded column under ``data.columns``. `Steps` chains several degradations, `OneOf` draws one
per example::

    data:
      columns:
        source: {_target_: audiogan.data.degrade.Downsample, factor: 4}

Call a degradation as ``degrade(x, rng)`` to degrade one signal, or with a table to get a column of degraded signals.
Parameters of type ``Range`` are a number or a pair ``[low, high]``, from which a value is drawn uniformly per example.
Images ``[C, H, W]`` range from -1 (black) to 1 (white). Sounds have the shape ``[C, T]``.
"""

from audiogan.data.degrade.base import Degradation, OneOf, Steps
from audiogan.data.degrade.blind import BlindDegradation, CameraNoise, RandomBlur, RandomResize
from audiogan.data.degrade.images import (
    Blur,
    BoxMask,
    Downsample,
    FreeFormMask,
    GaussianNoise,
    Grey,
    Hole,
    Jpeg,
    Mask,
    MaskChoice,
    PoissonNoise,
)
from audiogan.data.degrade.sounds import BandLimit, Clip, LowPass, MixNoise
from audiogan.data.degrade.speech import NoisySpeech

__all__ = [
    "BandLimit",
    "BlindDegradation",
    "Blur",
    "BoxMask",
    "CameraNoise",
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
    "MaskChoice",
    "MixNoise",
    "NoisySpeech",
    "OneOf",
    "PoissonNoise",
    "RandomBlur",
    "RandomResize",
    "Steps",
]
