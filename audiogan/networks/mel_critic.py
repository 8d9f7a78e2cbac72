"""Critic that judges patches of log-mel spectrograms."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from audiogan.networks.patchgan import PatchCritic
from audiogan.representations.mel_spectrogram import MelSpectrogram


class MelPatchCritic(PatchCritic):
    """PatchGAN critic on windows of log-mel spectrograms ``[B, 1, n_mels, window]``, with spectral norm.

    Args:
        mel: settings of the spectrogram by name, see `MelSpectrogram`.
        window: number of frames of a window, a multiple of ``2**layers``.
        width: number of channels of the first layer, 1 or more.
        layers: number of layers with stride 2, 1 or more.

    Examples:
        >>> import torch
        >>> from audiogan.networks.mel_critic import MelPatchCritic
        >>> critic = MelPatchCritic({"sample_rate": 16000}, width=4)
        >>> critic(critic.view(torch.zeros(2, 1, 16384))).logits.shape
        torch.Size([2, 1, 8, 6])
    """

    def __init__(self, mel: Any, window: int = 64, width: int = 32, layers: int = 3) -> None:
        spectrogram = MelSpectrogram(**mel)
        super().__init__((1, spectrogram.n_mels, window), width=width, layers=layers, norm="none", spectral_norm=True)
        self.mel = spectrogram

    def view(self, signal: Tensor) -> Tensor:
        """Return normalised spectrograms ``[B, 1, n_mels, frames]`` of sounds ``[B, 1, T]``.

        Sounds shorter than a window are padded with silence. Spectrograms ``[B, 1, n_mels, frames]`` are returned
        unchanged.
        """
        if signal.dim() == 4:
            return signal
        missing = self.shape[2] * self.mel.hop_length - signal.shape[-1]
        return self.normalise_mel(self.mel(F.pad(signal, (0, max(0, missing)))))

    def normalise_mel(self, mel: Tensor) -> Tensor:
        """Scale log-mel spectrograms ``[B, n_mels, frames]`` to about -1 to 1, and add a channel axis."""
        return (mel[:, None] + 5) / 5
