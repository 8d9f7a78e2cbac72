"""Auxiliary targets: losses on properties that a generator predicts in addition to a sound, such as its pitch.

A spectral loss has no useful gradient for a pitch, because the gradient depends on phases and vanishes in silence.
Therefore the generator also outputs the pitch itself. When an autoencoder reconstructs a recording, an auxiliary target
compares that output with the pitch measured in the recording.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.partials import PartialMeter
from audiogan.representations.sound_format import SoundFormat


class AuxiliaryTarget(nn.Module):
    """Base class of losses between a property predicted by the generator and its measurement in recordings.

    Args:
        weight: factor of the loss, 0 or more.

    Attributes:
        name: key of the prediction in the dictionary that the generator's ``forward_with_aux`` returns.
    """

    name = ""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        """Return the weighted distance, a scalar. Return ``None`` if the batch does not contain the measured property.

        Args:
            predicted: predictions of the generator; each subclass documents their shape.
            batch: recordings ``x`` ``[B, C, T]`` and other columns of the training data.
        """
        distance = self.compare(predicted, batch)
        return None if distance is None else self.weight * distance

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        """Return the unweighted distance, a scalar. Return ``None`` if the batch does not contain the measured
        property."""
        raise NotImplementedError


class Pitch(AuxiliaryTarget):
    """Mean absolute difference in octaves between predicted and measured pitch.

    The prediction is ``[B, N]`` in octaves above 1 Hz, for N frames. The measurement is the column ``pitch`` ``[B, N]``
    of the batch, in Hz. Frames without a pitch (NaN) are ignored.
    """

    name = "pitch"

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        if "pitch" not in batch:
            return None
        voiced = batch["pitch"].isfinite()
        distance = (predicted - batch["pitch"].log2().where(voiced, 0.0)).abs() * voiced
        return distance.sum() / voiced.sum().clamp_min(1)


class Width(AuxiliaryTarget):
    """Mean absolute difference between the predicted stereo width ``[B]`` and the `stereo_width` of recordings.

    For a mono recording, a prediction below minus `margin` adds no loss, because the generator clips negative widths
    to 0.
    """

    name = "width"
    mono, margin = 0.003, 0.1
    """Thresholds of the stereo width. A recording with a measured width below ``mono`` counts as mono. For a mono
    recording, the predicted width should be below ``-margin``, because sounds are mono for widths of 0 or less."""

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        target = stereo_width(batch["x"])
        return torch.where(target < self.mono, F.relu(predicted + self.margin), (predicted - target).abs()).mean()


def stereo_width(signal: Tensor) -> Tensor:
    """Return the RMS ratio of side to mid signal, ``[B]``, 0 (mono) to 2, for stereo sounds ``[B, 2, T]``."""
    left, right = signal.float().unbind(1)
    side, middle = (left - right).square().sum(1), (left + right).square().sum(1)
    return (side / (middle + 1e-8)).sqrt().clamp_max(2.0)


class PartialTracks(AuxiliaryTarget):
    """Mean absolute difference in octaves between the predicted frequencies of partials and the frequencies that
    `PartialMeter` measures.

    The prediction is ``[B, count, N]`` in octaves above 1 Hz, for N frames. Louder partials have larger weights.

    Args:
        count: number of partials.
        format: sample rate, length and channels of the recordings.
        hop_length: distance between frames, in samples.
        weight: factor of the loss, 0 or more.
    """

    name = "partials"

    def __init__(self, count: int, format: SoundFormat, hop_length: int, weight: float = 4.0) -> None:
        super().__init__(weight)
        self.meter = PartialMeter(count, format.length, hop_length, format.sample_rate)

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        octaves, counts = self.meter(batch["x"])
        return ((predicted - octaves).abs() * counts).sum() / counts.sum().clamp_min(1)
