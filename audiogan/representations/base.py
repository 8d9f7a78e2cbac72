"""What turns a wave into the tensor that networks see, and back."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Representation(nn.Module):
    """Waves `[B, C, T]` (float, about -1 ... 1) <-> tensors `[B, *shape]`.

    Statistics are registered buffers, so a checkpoint that holds a representation can sample alone.

    Attributes:
        exact: `encode` and `decode` invert each other up to float error.
        accuracy: what a round trip keeps of real drums: the SNR of the worst sound where `exact`, else the spectral
            convergence, `20 log10(|| |X| - |Y| || / || |X| ||)`, averaged over sounds. A test holds each class to it.
        shape: shape of one encoded sound, without the batch.
    """

    exact: bool = False
    accuracy: str = ""
    shape: tuple[int, ...]

    def __init__(self, length: int, channels: int = 1) -> None:
        super().__init__()
        if length < 1 or channels < 1:
            raise ValueError(f"length={length} and channels={channels} must be at least 1")
        self.length, self.channels = int(length), int(channels)

    def fit(self, waves: Iterable[Tensor]) -> None:
        """Take statistics from batches `[B, C, T]`, one at a time. Nothing to fit unless a subclass says so."""

    def encode(self, wave: Tensor) -> Tensor:
        """`[B, C, T]` -> `[B, *shape]`."""
        raise NotImplementedError

    def decode(self, x: Tensor) -> Tensor:
        """`[B, *shape]` -> `[B, C, T]`."""
        raise NotImplementedError

    def forward(self, wave: Tensor) -> Tensor:
        return self.encode(wave)

    def _check_wave(self, wave: Tensor) -> None:
        if wave.dim() != 3 or tuple(wave.shape[1:]) != (self.channels, self.length):
            raise ValueError(
                f"{type(self).__name__}.encode expected [B, {self.channels}, {self.length}], got {list(wave.shape)}"
            )

    def _check_encoded(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise ValueError(f"{type(self).__name__}.decode expected [B, {expected}], got {list(x.shape)}")

    def _batches(self, waves: Iterable[Tensor]) -> Iterable[Tensor]:
        """The batches of `fit`, checked; an empty set of waves is an error rather than a NaN later."""
        seen = 0
        for wave in waves:
            self._check_wave(wave)
            if not torch.isfinite(wave).all():
                raise ValueError(f"{type(self).__name__}.fit: batch {seen} holds NaN or infinite samples")
            seen += 1
            yield wave
        if not seen:
            raise ValueError(f"{type(self).__name__}.fit got no waves")
