"""Knobs as a loss can use them: measured as in `audiogan.data.sounds.knobs`, but differentiable.

A network that listens in frames tells 4 ms from 6 ms badly, and a generator that is to please it obeys badly; half of
all drums rise within 4 to 11 ms. And what a network takes for noise is not what is measured. The definitions of these
knobs have gradients of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core.engine import double
from audiogan.inputs.knob_definitions import (
    ENVELOPE_SECONDS,
    FALL_DB,
    FLATNESS_FLOOR_DB,
    LOWEST_HZ,
    ONSET,
    SHORTEST_SECONDS,
    SPECTRUM_SECONDS,
)
from audiogan.inputs.scale import EXTREME
from audiogan.representations.stft import Frames, magnitudes

QUIETEST = 1e-10
"""Power of a bin, of sounds whose peak is 1, at which gradients fade."""


class Ruler(nn.Module):
    """Sounds `[B, C, T]` -> normal scores `[B]` of a knob among the training sounds, about -2.3 ... 2.3.

    Args:
        scale: that of the knobs of the training data, as `audiogan.inputs.Scale.to_dict` has it; ``None`` without.
        sample_rate: in Hz.

    Attributes:
        index: number of the knob among those of the data; ``None`` where it is none of them.
    """

    knob = ""
    values: Tensor
    scores: Tensor

    def __init__(self, scale: Mapping[str, Any] | None, sample_rate: int) -> None:
        super().__init__()
        names = list(scale["names"]) if scale is not None else []
        self.index = names.index(self.knob) if self.knob in names else None
        if scale is None or self.index is None:
            return
        values = torch.tensor(list(scale["quantiles"][self.index]), dtype=torch.float32)
        shares = torch.linspace(0, 1, len(values), dtype=torch.float64).clamp(EXTREME, 1 - EXTREME)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("scores", torch.special.ndtri(shares).float(), persistent=False)

    def forward(self, signal: Tensor) -> Tensor:
        value = self.measure(signal.float())
        # Straight lines between quantiles, and beyond the outermost.
        k = torch.searchsorted(self.values, value.detach().contiguous()).clamp(1, len(self.values) - 1)
        slope = (self.scores[k] - self.scores[k - 1]) / (self.values[k] - self.values[k - 1])
        return self.scores[k - 1] + (value - self.values[k - 1]) * slope

    def measure(self, signal: Tensor) -> Tensor:
        """The knob `[B]` of sounds `[B, C, T]` in its own unit."""
        raise NotImplementedError


class EnvelopeRuler(Ruler):
    """A knob of the envelope; arguments as in `Ruler`.

    Attributes:
        step_seconds: between samples of the envelope: fewer are less work.
    """

    step_seconds = 0.0

    def __init__(self, scale: Mapping[str, Any] | None, sample_rate: int) -> None:
        super().__init__(scale, sample_rate)
        self.few = max(1, round(self.step_seconds * sample_rate))
        self.rate = sample_rate / self.few

    def _power(self, signal: Tensor) -> Tensor:
        """The squared envelope `[B, T / few + margins]`, where the peak of a sound is 1 or so."""
        power = signal.square().sum(1)
        power = power / power.amax(1, keepdim=True).clamp_min(1e-8)
        size = max(1, round(ENVELOPE_SECONDS / 2 * self.rate))  # of the mean of a mean, in envelope samples
        power = F.pad(power, (2 * size * self.few, 2 * size * self.few))
        for stride in (self.few, 1):  # by differences of sums: avg_pool1d takes ten times as long
            total = F.pad(double(power).cumsum(1), (1, 0))
            n = size * stride
            power = ((total[:, n::stride] - total[:, :-n:stride]) / n).clamp_min(0).float()
        return power + 1e-10

    def measure(self, signal: Tensor) -> Tensor:
        return self.timed(self._power(signal))

    def timed(self, power: Tensor) -> Tensor:
        """The knob `[B]` of squared envelopes."""
        raise NotImplementedError


class Attack(EnvelopeRuler):
    """The logarithm of the time in which a sound rises to its peak."""

    knob, step_seconds = "attack", 0.00025

    def timed(self, power: Tensor) -> Tensor:
        envelope = power.sqrt()
        peak = envelope.amax(1, keepdim=True)
        began = (envelope >= ONSET * peak).cumsum(1) > 0
        missing = ((1 - envelope.cummax(1).values / peak) * began).sum(1)
        return torch.log10(2 * missing / self.rate + SHORTEST_SECONDS)  # without it short ones pull too hard


class Decay(EnvelopeRuler):
    """The logarithm of the time from the peak until the energy to come has fallen by 15 dB."""

    knob, step_seconds = "decay", 0.0006

    def timed(self, power: Tensor) -> Tensor:
        to_come = power.flip(1).cumsum(1).flip(1)
        start = power.argmax(1, keepdim=True)
        level = 10 * torch.log10(to_come / to_come.gather(1, start)) + FALL_DB  # falls all the way
        time = torch.arange(power.shape[1], device=power.device)
        last = ((level > 0) & (time >= start)).sum(1, keepdim=True) + start - 1
        last = last.clamp_max(power.shape[1] - 2)
        above, below = level.gather(1, last), level.gather(1, last + 1)
        samples = (last - start + above / (above - below).clamp_min(1e-6))[:, 0]
        return torch.log10(samples / self.rate + SHORTEST_SECONDS)


class SpectrumRuler(Ruler):
    """A knob of spectra, the mean of frames weighted by their amplitude. Half as many frames as the knob itself has.

    Args:
        length: of the sounds, in samples.
        scale, sample_rate: as in `Ruler`.
    """

    hertz: Tensor

    def __init__(self, scale: Mapping[str, Any] | None, sample_rate: int, length: int) -> None:
        super().__init__(scale, sample_rate)
        n_fft = 2 * max(2, round(SPECTRUM_SECONDS / 2 * sample_rate))
        self.frames = Frames(max(length, n_fft // 2), n_fft, n_fft // 2, pad=n_fft // 2)
        self.register_buffer("hertz", torch.linspace(0, sample_rate / 2, self.frames.bins), persistent=False)

    def measure(self, signal: Tensor) -> Tensor:
        signal = signal / signal.detach().abs().amax((1, 2), keepdim=True).clamp_min(1e-4)
        signal = F.pad(signal, (0, self.frames.length - signal.shape[2]))
        magnitude = magnitudes(self.frames.analyse(signal), QUIETEST)  # [B, C, N, F]
        magnitude = magnitude[:, 0] if signal.shape[1] == 1 else magnitude.square().sum(1).sqrt()
        weights = magnitude.square().sum(2).sqrt()
        return self.summed((self.seen(magnitude) * weights).sum(1) / weights.sum(1))

    def seen(self, magnitude: Tensor) -> Tensor:
        """The property `[B, N]` of each frame of spectra `[B, N, F]`."""
        raise NotImplementedError

    def summed(self, mean: Tensor) -> Tensor:
        """Its mean `[B]` in the unit of the knob."""
        raise NotImplementedError


class Brightness(SpectrumRuler):
    """The logarithm of the mean frequency."""

    knob = "brightness"

    def seen(self, magnitude: Tensor) -> Tensor:
        return magnitude @ self.hertz / magnitude.sum(2)

    def summed(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(LOWEST_HZ).log2()


class Noisiness(SpectrumRuler):
    """How flat spectra are, in decibels."""

    knob = "noisiness"

    def seen(self, magnitude: Tensor) -> Tensor:
        relative = magnitude / magnitude.amax(2, keepdim=True)
        power = relative.square().clamp_min(10 ** (FLATNESS_FLOOR_DB / 10))
        return power.log().mean(2).exp() / power.mean(2)

    def summed(self, mean: Tensor) -> Tensor:
        return 10 * mean.log10()
