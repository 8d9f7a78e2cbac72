"""Modalities: what one does with a signal once it is made, be it a sound, an image or a point."""

from __future__ import annotations

from audiogan.modalities.base import Modality
from audiogan.modalities.image import Image
from audiogan.modalities.points import Points
from audiogan.modalities.sound import Sound

__all__ = ["Image", "Modality", "Points", "Sound"]
