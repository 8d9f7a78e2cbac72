"""The wave itself."""

from __future__ import annotations

from torch import Tensor

from audiogan.representations.base import Representation


class Waveform(Representation):
    """Samples as they are: `[B, C, T]` on both sides."""

    exact = True
    accuracy = ">= 200 dB SNR"

    def __init__(self, length: int, channels: int = 1) -> None:
        super().__init__(length, channels)
        self.shape = (self.channels, self.length)

    def encode(self, wave: Tensor) -> Tensor:
        self._check_wave(wave)
        return wave

    def decode(self, x: Tensor) -> Tensor:
        self._check_encoded(x)
        return x
