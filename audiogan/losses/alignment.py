"""Losses for learning the alignment of texts and spectrograms without labels (Badlani et al., ICASSP 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BLANK = -1.0
"""Logit of the blank label of CTC in each frame."""


def forward_sum(log_probabilities: Tensor, symbols: Tensor, frames: Tensor) -> Tensor:
    """Return the negative log-likelihood of all monotonic alignments, per symbol, as a scalar.

    It is the loss of connectionist temporal classification (CTC). Each position in the text is a label of its own.

    Args:
        log_probabilities: log-probabilities ``[B, T, N]`` of symbols at frames.
        symbols: number of symbols of each text, int64 ``[B]``.
        frames: number of frames of each spectrogram, int64 ``[B]``.

    Source:
        Badlani et al., "One TTS alignment to rule them all", ICASSP 2022, section 2.1.

    Examples:
        >>> import torch
        >>> from audiogan.losses.alignment import forward_sum
        >>> sharp = torch.tensor([[[0.0, -9.0], [0.0, -9.0], [-9.0, 0.0]]])
        >>> count = torch.tensor([2]), torch.tensor([3])
        >>> bool(forward_sum(sharp, *count) < forward_sum(sharp.flip(1), *count))
        True
    """
    with_blank = F.pad(log_probabilities.float(), (1, 0), value=BLANK).log_softmax(-1)
    labels = torch.arange(1, log_probabilities.shape[2] + 1, device=symbols.device).expand(len(symbols), -1)
    return F.ctc_loss(with_blank.transpose(0, 1), labels, frames, symbols, zero_infinity=True)


def binarisation(log_probabilities: Tensor, durations: Tensor, frames: Tensor) -> Tensor:
    """Return the negative log-probability of the symbols on the best path, as a scalar: the mean over frames.

    Args:
        log_probabilities: log-probabilities ``[B, T, N]`` of symbols at frames.
        durations: number of frames of each symbol on the best path, int64 ``[B, N]``.
        frames: number of frames of each spectrogram, int64 ``[B]``.

    Source:
        Badlani et al., ICASSP 2022, section 2.4.

    Examples:
        >>> import torch
        >>> from audiogan.losses.alignment import binarisation
        >>> even = torch.zeros(1, 3, 2)
        >>> round(binarisation(even, torch.tensor([[2, 1]]), torch.tensor([3])).item(), 3)  # log 2
        0.693
    """
    ends = durations.cumsum(1)
    steps = torch.arange(log_probabilities.shape[1], device=frames.device).expand(len(frames), -1)
    path = torch.searchsorted(ends, steps.contiguous(), right=True).clamp_max(durations.shape[1] - 1)
    inside = steps < frames[:, None]
    chosen = log_probabilities.float().log_softmax(-1).gather(2, path[:, :, None])[..., 0]
    return -(chosen * inside).sum() / inside.sum()
