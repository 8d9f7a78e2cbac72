"""Distance between the log-mel spectrograms of sounds, the main loss of vocoders."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from audiogan.representations import MelSpectrogram


class MelDistance(nn.Module):
    """Mean absolute difference of the log-mel spectrograms of sounds ``[B, 1, T]``, a scalar.

    Args:
        mel: settings of the spectrogram by name, see `MelSpectrogram`.
        weight: factor of the loss, 0 or more; 45 in the paper.

    Source:
        Kong, Kim & Bae, "HiFi-GAN", NeurIPS 2020, equation 5.

    Examples:
        >>> import torch
        >>> from audiogan.losses import MelDistance
        >>> sound = torch.rand(1, 1, 4096) - 0.5
        >>> round(MelDistance({"sample_rate": 16000}, weight=1)(0.5 * sound, sound).item(), 2)  # ln 2
        0.69
    """

    def __init__(self, mel: Any, weight: float = 45.0) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(f"MelDistance: weight={weight} must not be negative")
        self.mel, self.weight = MelSpectrogram(**mel), float(weight)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the weighted distance of outputs from targets, both ``[B, 1, T]``."""
        return self.weight * (self.mel(output) - self.mel(target)).abs().mean()
