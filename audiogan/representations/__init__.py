"""Representations: transforms between signals and the tensors that networks process."""

from __future__ import annotations

from audiogan.representations.base import Identity, Representation
from audiogan.representations.lab import Lab
from audiogan.representations.mel import Mel
from audiogan.representations.mel_spectrogram import MelSpectrogram
from audiogan.representations.partials import PartialMeter, Partials
from audiogan.representations.pitch import PitchTracker
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import ComplexSTFT, LogMagnitude
from audiogan.representations.views import LogMelView, STFTView
from audiogan.representations.vocoded import VocodedMel
from audiogan.representations.waveform import Waveform

__all__ = ["ComplexSTFT", "Identity", "Lab", "LogMagnitude", "LogMelView", "Mel", "MelSpectrogram"]
__all__ += [
    "PartialMeter",
    "Partials",
    "PitchTracker",
    "Representation",
    "STFTView",
    "SoundFormat",
    "VocodedMel",
    "Waveform",
]
