"""Named inputs of generators, such as latents and classes. Each module contains one type of input."""

from __future__ import annotations

from audiogan.inputs.base import Input, Inputs, Random, Seeded
from audiogan.inputs.classes import Classes
from audiogan.inputs.knobs import Knobs
from audiogan.inputs.latent import Latent
from audiogan.inputs.mel import MelSignal
from audiogan.inputs.number import Number
from audiogan.inputs.scale import MAX_NORMAL_SCORE, Scale
from audiogan.inputs.signal import MaskSignal, Signal
from audiogan.inputs.spoken_text import SpokenText
from audiogan.inputs.text import Text
from audiogan.inputs.voice import SpeakerReference, VoiceSignal

__all__ = [
    "MAX_NORMAL_SCORE",
    "Classes",
    "Input",
    "Inputs",
    "Knobs",
    "Latent",
    "MaskSignal",
    "MelSignal",
    "Number",
    "Random",
    "Scale",
    "Seeded",
    "Signal",
    "SpeakerReference",
    "SpokenText",
    "Text",
    "VoiceSignal",
]
