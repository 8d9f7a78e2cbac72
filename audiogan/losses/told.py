"""What a generator says of its sounds beside making them, and how far that is from what real ones measure.

Where the gradient through a sound says nothing useful (of a pitch it is one of phases, of silence there is none), the
generator names its choice, and learns it by comparing it with a measure of the recording that it was to make again.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.partials import PartialMeter


class Told(nn.Module):
    """Compares what the generator says under ``name`` with the batch it was made from; a scalar, or None where the
    batch knows nothing of it.

    Args:
        weight: of the term.
    """

    name = ""

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, said: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        apart = self.compare(said, batch)
        return None if apart is None else self.weight * apart

    def compare(self, said: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        raise NotImplementedError


class Pitch(Told):
    """Of a voice, `[B, N]` in octaves above 1 Hz: the mean distance of voiced frames from ``pitch``, which is in Hz."""

    name = "pitch"

    def compare(self, said: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        if "pitch" not in batch:
            return None
        voiced = batch["pitch"].isfinite()
        apart = (said - batch["pitch"].log2().where(voiced, 0.0)).abs() * voiced
        return apart.sum() / voiced.sum().clamp_min(1)


class Width(Told):
    """Of stereo sounds, `[B]`: the mean distance from `width`; for mono ones it has to be below 0."""

    name = "width"
    mono, certain = 0.003, 0.1
    """A narrower sound is mono, and is to have a width that far below 0."""

    def compare(self, said: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        wanted = width(batch["x"])
        return torch.where(wanted < self.mono, F.relu(said + self.certain), (said - wanted).abs()).mean()


def width(signal: Tensor) -> Tensor:
    """Of sounds `[B, 2, T]`, the amplitude `[B]` of the difference of channels beside that of their sum; at most 2."""
    left, right = signal.float().unbind(1)
    side, middle = (left - right).square().sum(1), (left + right).square().sum(1)
    return (side / (middle + 1e-8)).sqrt().clamp_max(2.0)


class PartialTracks(Told):
    """Of `Partials`, `[B, K, N]` in octaves above 1 Hz: the mean distance from what a `PartialMeter` finds in the
    recordings, louder partials counting more.

    Args:
        count, length, hop_length, sample_rate: as in `Partials`.
        weight: of the term.
    """

    name = "partials"

    def __init__(self, count: int, length: int, hop_length: int, sample_rate: int, weight: float = 4.0) -> None:
        super().__init__(weight)
        self.meter = PartialMeter(count, length, hop_length, sample_rate)

    def compare(self, said: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        octaves, counts = self.meter(batch["x"])
        return ((said - octaves).abs() * counts).sum() / counts.sum().clamp_min(1)
