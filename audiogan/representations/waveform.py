"""Waveform: networks process samples."""

from __future__ import annotations

from audiogan.representations.base import Identity


class Waveform(Identity):
    """Identity for sounds `[B, C, T]`."""

    def __init__(self, length: int, channels: int = 1) -> None:
        super().__init__((channels, length))
        self.length, self.channels = self.signal_shape[1], self.signal_shape[0]
