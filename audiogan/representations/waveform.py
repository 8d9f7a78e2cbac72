"""The wave itself."""

from __future__ import annotations

from audiogan.representations.base import Identity


class Waveform(Identity):
    """Samples as they are: `[B, C, T]` on both sides."""

    def __init__(self, length: int, channels: int = 1) -> None:
        super().__init__((channels, length))
        self.length, self.channels = self.signal_shape[1], self.signal_shape[0]
