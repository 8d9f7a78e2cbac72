"""Losses that make generated sounds match their knob settings: attack, decay, brightness and noisiness.

The losses measure a knob by a differentiable version of its definition in `audiogan.data.sounds.knobs`. A trained
estimator of knobs would be too imprecise: it hardly distinguishes an attack of 4 ms from an attack of 6 ms, but half of
all drum samples have an attack of 4 to 11 ms.
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
from audiogan.inputs.scale import CLIPPED_FRACTION
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes

POWER_FLOOR = 1e-10
"""Constant that is added to the power of each STFT bin, so that the gradient of its magnitude is finite. Sounds have a
peak of 1."""


class KnobLoss(nn.Module):
    """Base class of smooth L1 losses between the requested and the measured value of a knob.

    Both values are normal scores: the value's quantile in the training data, mapped to a standard normal variable. They
    range from about -2.3 to 2.3.

    Args:
        scale: quantiles of the knobs in the training data, as `audiogan.inputs.Scale.to_dict` returns them; ``None`` if
            the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Attributes:
        index: index of the knob among the knobs of the data; ``None`` if the data does not have this knob.
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
        shares = torch.linspace(0, 1, len(values), dtype=torch.float64).clamp(CLIPPED_FRACTION, 1 - CLIPPED_FRACTION)
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("scores", torch.special.ndtri(shares).float(), persistent=False)

    def forward(self, signal: Tensor, requested: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            signal: generated sounds ``[B, C, T]``.
            requested: requested values of all knobs as normal scores, ``[B, knobs]``.
        """
        return F.smooth_l1_loss(self.normal_score(signal), requested[:, self.index])

    def normal_score(self, signal: Tensor) -> Tensor:
        """Return the knob values ``[B]`` measured in sounds ``[B, C, T]``, mapped to a standard normal distribution."""
        return self.to_score(self.measure_knob(signal.float()))

    def to_score(self, value: Tensor) -> Tensor:
        """Return measured values ``[B]``, in the unit of the knob, mapped to a standard normal distribution."""
        # Interpolate scores linearly between quantiles. Beyond the outermost quantiles, extrapolate, because clamping
        # would stop the gradient.
        k = torch.searchsorted(self.values, value.detach().contiguous()).clamp(1, len(self.values) - 1)
        slope = (self.scores[k] - self.scores[k - 1]) / (self.values[k] - self.values[k - 1])
        return self.scores[k - 1] + (value - self.values[k - 1]) * slope

    def measure_knob(self, signal: Tensor) -> Tensor:
        """Return the value `[B]` of the knob for sounds `[B, C, T]`, in the unit of the knob."""
        raise NotImplementedError


class EnvelopeKnobLoss(KnobLoss):
    """Base class of losses for knobs that are measured on the amplitude envelope of a sound.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Attributes:
        step_seconds: time between samples of the envelope, in seconds.
    """

    step_seconds = 0.0

    def __init__(self, scale: Mapping[str, Any] | None, format: SoundFormat) -> None:
        super().__init__(scale, format)
        self.stride = max(1, round(self.step_seconds * format.sample_rate))
        self.rate = format.sample_rate / self.stride

    def _power(self, signal: Tensor) -> Tensor:
        """Return the squared envelope `[B, T / stride + margins]` of sounds, scaled to a peak of about 1."""
        power = signal.square().sum(1)
        power = power / power.amax(1, keepdim=True).clamp_min(1e-8)
        # Two moving averages of ENVELOPE_SECONDS / 2 each are equivalent to a triangular window of ENVELOPE_SECONDS.
        size = max(1, round(ENVELOPE_SECONDS / 2 * self.rate))
        power = F.pad(power, (2 * size * self.stride, 2 * size * self.stride))
        # Differences of cumulative sums compute the averages, because avg_pool1d takes ten times as long.
        for stride in (self.stride, 1):
            total = F.pad(to_float64(power).cumsum(1), (1, 0))
            n = size * stride
            power = ((total[:, n::stride] - total[:, :-n:stride]) / n).clamp_min(0).float()
        return power + 1e-10

    def measure_knob(self, signal: Tensor) -> Tensor:
        return self.measure_envelope(self._power(signal))

    def measure_envelope(self, power: Tensor) -> Tensor:
        """Return the value `[B]` of the knob for squared envelopes `[B, samples]`, in the unit of the knob."""
        raise NotImplementedError


class Attack(EnvelopeKnobLoss):
    """Loss of the attack: the decimal logarithm of the time from a sound's onset to its peak, in seconds.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.losses import Attack
        >>> from audiogan.representations import SoundFormat
        >>> click = torch.zeros(1, 1, 4096)
        >>> click[..., 100] = 1
        >>> Attack(None, SoundFormat(4096)).measure_knob(click).shape
        torch.Size([1])
    """

    knob, step_seconds = "attack", 0.00025

    def measure_envelope(self, power: Tensor) -> Tensor:
        envelope = power.sqrt()
        peak = envelope.amax(1, keepdim=True)
        began = (envelope >= ONSET * peak).cumsum(1) > 0
        missing = ((1 - envelope.cummax(1).values / peak) * began).sum(1)
        # The lower bound SHORTEST_SECONDS limits the gradient of the logarithm for short attacks.
        return torch.log10(2 * missing / self.rate + SHORTEST_SECONDS)


class Decay(EnvelopeKnobLoss):
    """Loss of the decay: the decimal logarithm of the time in seconds from a sound's peak until it has decayed.

    A sound has decayed when its remaining energy is 15 dB lower than at the peak.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.losses import Decay
        >>> from audiogan.representations import SoundFormat
        >>> time = torch.arange(8192) / 16000
        >>> sounds = torch.randn(2, 1, 8192) * torch.exp(-time / torch.tensor([[0.01], [0.1]]))[:, None]
        >>> short, long = Decay(None, SoundFormat(8192)).measure_knob(sounds)
        >>> bool(short < long)
        True
    """

    knob, step_seconds = "decay", 0.0006

    def measure_envelope(self, power: Tensor) -> Tensor:
        remaining = power.flip(1).cumsum(1).flip(1)
        start = power.argmax(1, keepdim=True)
        # Remaining energy never increases, so its level relative to the decay threshold crosses zero only once.
        level = 10 * torch.log10(remaining / remaining.gather(1, start)) + FALL_DB
        time = torch.arange(power.shape[1], device=power.device)
        last = ((level > 0) & (time >= start)).sum(1, keepdim=True) + start - 1
        last = last.clamp_max(power.shape[1] - 2)
        above, below = level.gather(1, last), level.gather(1, last + 1)
        samples = (last - start + above / (above - below).clamp_min(1e-6))[:, 0]
        return torch.log10(samples / self.rate + SHORTEST_SECONDS)


class SpectrumKnobLoss(KnobLoss):
    """Base class of losses for knobs that are weighted means over STFT frames. The weights are the frames' amplitudes.

    The hop is half a window, because a hop of a quarter window, as in the definition of the knobs, would double the
    computing time.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.
    """

    hertz: Tensor

    def __init__(self, scale: Mapping[str, Any] | None, format: SoundFormat) -> None:
        super().__init__(scale, format)
        n_fft = 2 * max(2, round(SPECTRUM_SECONDS / 2 * format.sample_rate))
        self.frames = Frames(max(format.length, n_fft // 2), n_fft, n_fft // 2, pad=n_fft // 2)
        self.register_buffer("hertz", torch.linspace(0, format.sample_rate / 2, self.frames.bins), persistent=False)

    def measure_knob(self, signal: Tensor) -> Tensor:
        signal = signal / signal.detach().abs().amax((1, 2), keepdim=True).clamp_min(1e-4)
        signal = F.pad(signal, (0, self.frames.length - signal.shape[2]))
        magnitude = magnitudes(self.frames.analyse(signal), POWER_FLOOR)
        magnitude = magnitude[:, 0] if signal.shape[1] == 1 else magnitude.square().sum(1).sqrt()
        weights = magnitude.square().sum(2).sqrt()
        return self.to_knob_unit((self.measure_frames(magnitude) * weights).sum(1) / weights.sum(1))

    def measure_frames(self, magnitude: Tensor) -> Tensor:
        """Return the spectral property, such as the centroid, of N frames `[B, N]`, given their magnitudes `[B, N,
        F]`."""
        raise NotImplementedError

    def to_knob_unit(self, frame_mean: Tensor) -> Tensor:
        """Return the spectral property `[B]`, averaged over the frames of a sound, in the unit of the knob."""
        raise NotImplementedError


class Brightness(SpectrumKnobLoss):
    """Loss of the brightness: the mean spectral centroid, as the binary logarithm of its value in Hz.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.losses import Brightness
        >>> from audiogan.representations import SoundFormat
        >>> sine = torch.sin(torch.arange(4096) * 2 * torch.pi * 1024 / 16000).view(1, 1, -1)
        >>> Brightness(None, SoundFormat(4096)).measure_knob(sine).round().tolist()  # 2 ** 10 Hz
        [10.0]
    """

    knob = "brightness"

    def measure_frames(self, magnitude: Tensor) -> Tensor:
        return magnitude @ self.hertz / magnitude.sum(2)

    def to_knob_unit(self, frame_mean: Tensor) -> Tensor:
        return frame_mean.clamp_min(LOWEST_HZ).log2()


class Noisiness(SpectrumKnobLoss):
    """Loss of the noisiness: the mean spectral flatness, in dB.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Examples:
        >>> import torch
        >>> from audiogan.losses import Noisiness
        >>> from audiogan.representations import SoundFormat
        >>> sine = torch.sin(torch.arange(4096) * 0.4)
        >>> sounds = torch.stack([sine, torch.randn(4096)])[:, None]
        >>> sine, noise = Noisiness(None, SoundFormat(4096)).measure_knob(sounds)
        >>> bool(sine < noise)
        True
    """

    knob = "noisiness"

    def measure_frames(self, magnitude: Tensor) -> Tensor:
        relative = magnitude / magnitude.amax(2, keepdim=True)
        power = relative.square().clamp_min(10 ** (FLATNESS_FLOOR_DB / 10))
        return power.log().mean(2).exp() / power.mean(2)

    def to_knob_unit(self, frame_mean: Tensor) -> Tensor:
        return 10 * frame_mean.log10()
