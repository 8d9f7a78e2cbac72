"""Losses of knobs: the definitions of `audiogan.data.sounds.knobs`, made differentiable.

An estimate by a network is not precise enough. A network that works on frames hardly distinguishes an attack of 4 ms
from one of 6 ms, but half of all drums have an attack of 4 to 11 ms. Its estimate of noisiness differs from the
definition too. These losses use the gradients of the definitions themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core.engine import to_float64
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
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes

QUIETEST = 1e-10
"""Power of a bin below which gradients fade, for sounds with a peak of 1."""


class KnobLoss(nn.Module):
    """Smooth L1 distance between the requested value of a knob and the value that its definition gives for a sound.

    Both are normal scores among the training sounds, about -2.3 to 2.3.

    Args:
        scale: scale of the knobs of the training data, as `audiogan.inputs.Scale.to_dict` returns it; ``None`` if the
            data has no knobs.
        format: format of the sounds.

    Attributes:
        index: index of the knob among the knobs of the data; ``None`` if the data does not have it.
    """

    knob = ""
    values: Tensor
    scores: Tensor

    def __init__(self, scale: Mapping[str, Any] | None, format: SoundFormat) -> None:
        super().__init__()
        names = list(scale["names"]) if scale is not None else []
        self.index = names.index(self.knob) if self.knob in names else None
        if scale is None or self.index is None:
            return
        values = torch.tensor(list(scale["quantiles"][self.index]), dtype=torch.float32)
        shares = torch.linspace(0, 1, len(values), dtype=torch.float64).clamp(EXTREME, 1 - EXTREME)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("scores", torch.special.ndtri(shares).float(), persistent=False)

    def forward(self, signal: Tensor, requested: Tensor) -> Tensor:
        """Return the distance, a scalar, of sounds ``[B, C, T]`` from requested knobs ``[B, knobs]``."""
        return F.smooth_l1_loss(self.score(signal), requested[:, self.index])

    def score(self, signal: Tensor) -> Tensor:
        """Return the normal scores ``[B]`` of the knob for sounds ``[B, C, T]``."""
        value = self.measure(signal.float())
        # Interpolate linearly between quantiles, and extrapolate beyond the outermost ones.
        k = torch.searchsorted(self.values, value.detach().contiguous()).clamp(1, len(self.values) - 1)
        slope = (self.scores[k] - self.scores[k - 1]) / (self.values[k] - self.values[k - 1])
        return self.scores[k - 1] + (value - self.values[k - 1]) * slope

    def measure(self, signal: Tensor) -> Tensor:
        """Return the knob `[B]` of sounds `[B, C, T]` in its own unit."""
        raise NotImplementedError


class EnvelopeKnobLoss(KnobLoss):
    """Loss of a knob of the envelope; arguments as in `KnobLoss`.

    Attributes:
        step_seconds: time between samples of the envelope, in seconds.
    """

    step_seconds = 0.0

    def __init__(self, scale: Mapping[str, Any] | None, format: SoundFormat) -> None:
        super().__init__(scale, format)
        self.few = max(1, round(self.step_seconds * format.sample_rate))
        self.rate = format.sample_rate / self.few

    def _power(self, signal: Tensor) -> Tensor:
        """Return the squared envelope `[B, T / few + margins]` of sounds with a peak of about 1."""
        power = signal.square().sum(1)
        power = power / power.amax(1, keepdim=True).clamp_min(1e-8)
        size = max(1, round(ENVELOPE_SECONDS / 2 * self.rate))  # of the mean of a mean, in envelope samples
        power = F.pad(power, (2 * size * self.few, 2 * size * self.few))
        for stride in (self.few, 1):  # by differences of sums: avg_pool1d takes ten times as long
            total = F.pad(to_float64(power).cumsum(1), (1, 0))
            n = size * stride
            power = ((total[:, n::stride] - total[:, :-n:stride]) / n).clamp_min(0).float()
        return power + 1e-10

    def measure(self, signal: Tensor) -> Tensor:
        return self.timed(self._power(signal))

    def timed(self, power: Tensor) -> Tensor:
        """Return the knob `[B]` of squared envelopes."""
        raise NotImplementedError


class Attack(EnvelopeKnobLoss):
    """Loss of the attack: the decimal logarithm of the time, in seconds, in which a sound rises to its peak."""

    knob, step_seconds = "attack", 0.00025

    def timed(self, power: Tensor) -> Tensor:
        envelope = power.sqrt()
        peak = envelope.amax(1, keepdim=True)
        began = (envelope >= ONSET * peak).cumsum(1) > 0
        missing = ((1 - envelope.cummax(1).values / peak) * began).sum(1)
        return torch.log10(
            2 * missing / self.rate + SHORTEST_SECONDS
        )  # the constant bounds the gradient of short attacks


class Decay(EnvelopeKnobLoss):
    """Loss of the decay: the logarithm of the time from the peak until the remaining energy has fallen by 15 dB."""

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


class SpectrumKnobLoss(KnobLoss):
    """Loss of a knob of spectra, the mean over frames weighted by their amplitude; arguments as in `KnobLoss`.

    It uses half as many frames as the definition.
    """

    hertz: Tensor

    def __init__(self, scale: Mapping[str, Any] | None, format: SoundFormat) -> None:
        super().__init__(scale, format)
        n_fft = 2 * max(2, round(SPECTRUM_SECONDS / 2 * format.sample_rate))
        self.frames = Frames(max(format.length, n_fft // 2), n_fft, n_fft // 2, pad=n_fft // 2)
        self.register_buffer("hertz", torch.linspace(0, format.sample_rate / 2, self.frames.bins), persistent=False)

    def measure(self, signal: Tensor) -> Tensor:
        signal = signal / signal.detach().abs().amax((1, 2), keepdim=True).clamp_min(1e-4)
        signal = F.pad(signal, (0, self.frames.length - signal.shape[2]))
        magnitude = magnitudes(self.frames.analyse(signal), QUIETEST)  # [B, C, N, F]
        magnitude = magnitude[:, 0] if signal.shape[1] == 1 else magnitude.square().sum(1).sqrt()
        weights = magnitude.square().sum(2).sqrt()
        return self.to_unit((self.property_of(magnitude) * weights).sum(1) / weights.sum(1))

    def property_of(self, magnitude: Tensor) -> Tensor:
        """Return the property `[B, N]` of each frame of spectra `[B, N, F]`."""
        raise NotImplementedError

    def to_unit(self, mean: Tensor) -> Tensor:
        """Return the mean `[B]` of the property in the unit of the knob."""
        raise NotImplementedError


class Brightness(SpectrumKnobLoss):
    """Loss of the brightness: the binary logarithm of the mean frequency in Hz."""

    knob = "brightness"

    def property_of(self, magnitude: Tensor) -> Tensor:
        return magnitude @ self.hertz / magnitude.sum(2)

    def to_unit(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(LOWEST_HZ).log2()


class Noisiness(SpectrumKnobLoss):
    """Loss of the noisiness: the flatness of spectra, in decibels."""

    knob = "noisiness"

    def property_of(self, magnitude: Tensor) -> Tensor:
        relative = magnitude / magnitude.amax(2, keepdim=True)
        power = relative.square().clamp_min(10 ** (FLATNESS_FLOOR_DB / 10))
        return power.log().mean(2).exp() / power.mean(2)

    def to_unit(self, mean: Tensor) -> Tensor:
        return 10 * mean.log10()
