"""Auxiliary targets: properties of sounds that the generator predicts beside them, and their distance from recordings.

The gradient through a sound does not help to find a pitch, because it depends on phases, and it vanishes in silence.
Therefore the generator predicts such a property explicitly. The autoencoder compares the prediction with a measurement
of the recording that it decodes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.partials import PartialMeter
from audiogan.representations.sound_format import SoundFormat


class AuxiliaryTarget(nn.Module):
    """Distance between the prediction that the generator returns under ``name`` and a batch of recordings.

    Args:
        weight: factor of the term, 0 or more.
    """

    name = ""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        """Return the weighted distance, a scalar, or ``None`` if the batch has no such measurement."""
        distance = self.compare(predicted, batch)
        return None if distance is None else self.weight * distance

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        """Return the distance without its weight."""
        raise NotImplementedError


class Pitch(AuxiliaryTarget):
    """Mean distance in octaves between predicted pitch ``[B, N]``, in octaves above 1 Hz, and column ``pitch`` in Hz.

    Frames without a pitch (NaN) do not count.
    """

    name = "pitch"

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        if "pitch" not in batch:
            return None
        voiced = batch["pitch"].isfinite()
        distance = (predicted - batch["pitch"].log2().where(voiced, 0.0)).abs() * voiced
        return distance.sum() / voiced.sum().clamp_min(1)


class Width(AuxiliaryTarget):
    """Mean distance between predicted stereo width ``[B]`` and `stereo_width`; mono recordings want a width below 0."""

    name = "width"
    mono, margin = 0.003, 0.1
    """Recordings narrower than ``mono`` count as mono; their predicted width must be below ``-margin``."""

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        wanted = stereo_width(batch["x"])
        return torch.where(wanted < self.mono, F.relu(predicted + self.margin), (predicted - wanted).abs()).mean()


def stereo_width(signal: Tensor) -> Tensor:
    """Return the amplitude of the side relative to the middle, ``[B]``, 0 to 2, of sounds ``[B, 2, T]``."""
    left, right = signal.float().unbind(1)
    side, middle = (left - right).square().sum(1), (left + right).square().sum(1)
    return (side / (middle + 1e-8)).sqrt().clamp_max(2.0)


class PartialTracks(AuxiliaryTarget):
    """Mean distance in octaves between predicted partials ``[B, K, N]`` and those that `PartialMeter` finds.

    Louder partials count more.

    Args:
        count: number of partials.
        format: format of the sounds.
        hop_length: samples between frames.
        weight: factor of the term, 0 or more.
    """

    name = "partials"

    def __init__(self, count: int, format: SoundFormat, hop_length: int, weight: float = 4.0) -> None:
        super().__init__(weight)
        self.meter = PartialMeter(count, format.length, hop_length, format.sample_rate)

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        octaves, counts = self.meter(batch["x"])
        return ((predicted - octaves).abs() * counts).sum() / counts.sum().clamp_min(1)
