"""`Waveform`, the representation of sounds by their samples."""

from __future__ import annotations

from audiogan.representations.base import Identity
from audiogan.representations.sound_format import SoundFormat


class Waveform(Identity):
    """Sounds `[B, C, T]` without any transform.

    Args:
        format: format of the sounds.
    """

    def __init__(self, format: SoundFormat) -> None:
        super().__init__(format.shape)
