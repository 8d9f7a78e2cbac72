"""Functions that process long sequences of frames in parts, to limit memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from audiogan.representations.mel_spectrogram import MelSpectrogram

FRAMES_PER_PART = 4096
"""Number of frames in a part, without its margins."""


def in_parts(function: Callable[[Tensor], Tensor], x: Tensor, margin: int, factor: int = 1) -> Tensor:
    """Apply a function to a long sequence of frames in parts, to limit memory. The result is the same as for the whole.

    Args:
        function: function from ``[B, C, frames]`` to ``[B, C', frames * factor]``.
        x: frames ``[B, C, frames]``.
        margin: number of frames before and after a frame that the result at this frame depends on.
        factor: length of the result for each frame, such as the hop length if the result is a sound.

    Examples:
        >>> import torch
        >>> from audiogan.representations.parts import in_parts
        >>> in_parts(lambda x: 2 * x, torch.ones(1, 1, 5000), margin=3).shape
        torch.Size([1, 1, 5000])
    """
    count = x.shape[-1]
    if count <= FRAMES_PER_PART + 2 * margin:
        return function(x)
    parts = []
    for start in range(0, count, FRAMES_PER_PART):
        first, stop = max(0, start - margin), min(count, start + FRAMES_PER_PART)
        part = function(x[..., first : stop + margin])
        parts.append(part[..., (start - first) * factor : (stop - first) * factor])
    return torch.cat(parts, dim=-1)


def mel_in_parts(mel: MelSpectrogram, sound: Tensor) -> Tensor:
    """Return log-mel spectrograms ``[B, n_mels, frames]`` of mono sounds ``[B, 1, T]``, computed in parts."""
    hop = mel.hop_length
    if sound.shape[-1] <= FRAMES_PER_PART * hop:
        return mel(sound)
    x = F.pad(sound, (0, -sound.shape[-1] % hop)).reshape(len(sound), -1, hop).transpose(1, 2)
    margin = -(-mel.n_fft // hop)
    return in_parts(lambda part: mel(part.transpose(1, 2).reshape(len(part), 1, -1)), x, margin)
