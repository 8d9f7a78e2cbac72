"""What turns a signal into the tensor that networks see, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Representation(nn.Module):
    """Signals `[B, *signal_shape]` (float, about -1 ... 1) <-> tensors `[B, *shape]`.

    Statistics are registered buffers, so a checkpoint that holds a representation can sample alone.

    Attributes:
        exact: `encode` and `decode` invert each other up to float error.
        accuracy: what a round trip keeps of real drums: the SNR of the worst sound where `exact`, else the spectral
            convergence, `20 log10(|| |X| - |Y| || / || |X| ||)`, averaged over sounds. A test holds each class to it.
        shape: shape of one encoded signal, without the batch.
        signal_shape: shape of one signal: `(C, T)` for sounds.
    """

    exact: bool = False
    accuracy: str = ""
    shape: tuple[int, ...]

    def __init__(self, signal_shape: Sequence[int]) -> None:
        super().__init__()
        self.signal_shape = tuple(int(n) for n in signal_shape)
        if not self.signal_shape or min(self.signal_shape) < 1:
            raise ValueError(f"signals of shape {list(self.signal_shape)}: every size must be at least 1")

    def fit(self, signals: Iterable[Tensor]) -> None:
        """Take statistics from batches `[B, *signal_shape]`, one at a time. Nothing to do unless a subclass says so."""

    def encode(self, signal: Tensor) -> Tensor:
        """`[B, *signal_shape]` -> `[B, *shape]`."""
        raise NotImplementedError

    def decode(self, x: Tensor) -> Tensor:
        """`[B, *shape]` -> `[B, *signal_shape]`."""
        raise NotImplementedError

    def forward(self, signal: Tensor) -> Tensor:
        return self.encode(signal)

    def _check_signal(self, signal: Tensor) -> None:
        if tuple(signal.shape[1:]) != self.signal_shape:
            expected = ", ".join(map(str, self.signal_shape))
            raise ValueError(f"{type(self).__name__}.encode expected [B, {expected}], got {list(signal.shape)}")

    def _check_encoded(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise ValueError(f"{type(self).__name__}.decode expected [B, {expected}], got {list(x.shape)}")

    def _batches(self, signals: Iterable[Tensor]) -> Iterable[Tensor]:
        """The batches of `fit`, checked; an empty set of signals is an error rather than a NaN later."""
        seen = 0
        for signal in signals:
            self._check_signal(signal)
            if not torch.isfinite(signal).all():
                raise ValueError(f"{type(self).__name__}.fit: batch {seen} holds NaN or infinite samples")
            seen += 1
            yield signal
        if not seen:
            raise ValueError(f"{type(self).__name__}.fit got no signals")


class Identity(Representation):
    """Signals as they are: images, points.

    Only the number of dimensions and the first size, the channels, must be those of ``shape``: networks that work on
    any size can be applied to larger signals.
    """

    exact = True
    accuracy = ">= 200 dB SNR"

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(shape)
        self.shape = self.signal_shape

    def encode(self, signal: Tensor) -> Tensor:
        if signal.dim() != len(self.shape) + 1 or signal.shape[1] != self.shape[0]:
            self._check_signal(signal)
        return signal

    def decode(self, x: Tensor) -> Tensor:
        if x.dim() != len(self.shape) + 1 or x.shape[1] != self.shape[0]:
            self._check_encoded(x)
        return x
