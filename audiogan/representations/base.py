"""Base class of representations, and the identity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class Representation(nn.Module):
    """Invertible transform between signals `[B, *signal_shape]` and the tensors `[B, *shape]` that networks process.

    Signals are floats within about -1 ... 1. Statistics of the training data are buffers, so checkpoints contain
    them and sampling needs no training data.

    Attributes:
        exact: whether `decode(encode(x))` equals `x` up to float error.
        accuracy: accuracy of `decode(encode(x))` on recorded drums, in dB. If `exact`, it is the signal-to-noise ratio
            of the worst sound. If not, it is the mean spectral convergence, `20 log10(|| |X| - |Y| || / || |X| ||)`,
            with X and Y the STFTs of the sound and of the decoded sound.
        pointwise: whether each encoded value depends only on the signal at the same pixel or sample, so that signals
            can be processed in tiles.
        shape: shape of one encoded signal, without the batch dimension.
        signal_shape: shape of one signal without the batch dimension, such as `(C, T)` for sounds.
    """

    exact: bool = False
    accuracy: str = ""
    pointwise: bool = False
    shape: tuple[int, ...]

    def __init__(self, signal_shape: Sequence[int]) -> None:
        super().__init__()
        self.signal_shape = tuple(int(n) for n in signal_shape)
        if not self.signal_shape or min(self.signal_shape) < 1:
            raise ValueError(f"signals of shape {list(self.signal_shape)}: every size must be at least 1")

    def fit(self, signals: Iterable[Tensor]) -> None:
        """Compute statistics from an iterable of batches `[B, *signal_shape]`. The default does nothing."""

    def encode(self, signal: Tensor) -> Tensor:
        """Transform signals `[B, *signal_shape]` to tensors `[B, *shape]`."""
        raise NotImplementedError

    def decode(self, x: Tensor) -> Tensor:
        """Transform tensors `[B, *shape]` to signals `[B, *signal_shape]`."""
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

    def _checked_batches(self, signals: Iterable[Tensor]) -> Iterable[Tensor]:
        """Yield the batches of `fit` after checking them.

        Raises:
            ValueError: a batch has another shape or a value that is not finite, or there are no batches.
        """
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
    """Representation that does not change the signals, such as images or points.

    Signals must have as many dimensions and channels as ``shape``. Other sizes may differ, so that fully convolutional
    networks can be applied to larger signals.

    Examples:
        >>> import torch
        >>> from audiogan.representations import Identity
        >>> Identity((1, 28, 28)).encode(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 1, 28, 28])
    """

    exact = True
    accuracy = ">= 200 dB SNR"
    pointwise = True

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
