"""`Waveform`, the representation of sounds by their samples."""

from __future__ import annotations

from audiogan.representations.base import Identity
from audiogan.representations.sound_format import SoundFormat


class Waveform(Identity):
    """Sounds `[B, C, T]` without any transform.

    Args:
        format: format of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.representations import SoundFormat, Waveform
        >>> Waveform(SoundFormat(4096)).encode(torch.zeros(2, 1, 4096)).shape
        torch.Size([2, 1, 4096])
    """

    def __init__(self, format: SoundFormat) -> None:
        super().__init__(format.shape)
