"""Representations: invertible objects between waves and what networks see."""

from __future__ import annotations

from audiogan.representations.base import Representation
from audiogan.representations.mel import Mel
from audiogan.representations.stft import ComplexSTFT, LogMagnitude
from audiogan.representations.waveform import Waveform

__all__ = ["ComplexSTFT", "LogMagnitude", "Mel", "Representation", "Waveform"]
