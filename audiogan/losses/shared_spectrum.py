"""Loss of brightness and noisiness from one shared spectrogram, for sounds at high sample rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.inputs.knob_definitions import SPECTRUM_SECONDS
from audiogan.losses.knobs import POWER_FLOOR, Brightness, Noisiness
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes


class Spectrum(nn.Module):
    """Sum of the losses `Brightness` and `Noisiness` of the mid signal, from one spectrogram.

    The window is 64 ms, rounded to a multiple of 64 samples, because FFTs of other lengths take several times as long.

    Args:
        scale: quantiles of the knobs in the training data; ``None`` if the data has no knobs.
        format: sample rate, length and channels of the sounds.

    Attributes:
        index: index of the knob ``brightness``, or of ``noisiness`` if the data has no ``brightness``. ``None`` if it
            has neither.

    Examples:
        >>> from audiogan.losses import Spectrum
        >>> from audiogan.representations import SoundFormat
        >>> Spectrum(None, SoundFormat(4096)).index is None  # The data has no knobs.
        True
    """

    knob = "spectrum"

    def __init__(self, scale: Mapping[str, Any] | None, format: SoundFormat) -> None:
        super().__init__()
        mono = SoundFormat(format.length, 1, format.sample_rate)
        self.terms = nn.ModuleList(
            term for term in (kind(scale, mono) for kind in (Brightness, Noisiness)) if term.index is not None
        )
        self.index: int | None = self.terms[0].index if len(self.terms) else None  # type: ignore[assignment]
        n_fft = 64 * max(1, round(SPECTRUM_SECONDS * format.sample_rate / 64))
        self.frames = Frames(max(format.length, n_fft), n_fft, n_fft // 2, pad=n_fft // 2)
        for term in self.terms:
            term.frames = self.frames
            hertz = torch.arange(self.frames.bins) * (format.sample_rate / n_fft)
            term.register_buffer("hertz", hertz, persistent=False)

    def forward(self, signal: Tensor, requested: Tensor) -> Tensor:
        """Return the loss, a scalar.

        Args:
            signal: generated sounds ``[B, C, T]``.
            requested: requested values of all knobs as normal scores, ``[B, knobs]``.
        """
        middle = signal.float().mean(1)
        middle = middle / middle.detach().abs().amax(1, keepdim=True).clamp_min(1e-4)
        middle = F.pad(middle, (0, self.frames.length - middle.shape[1]))
        magnitude = magnitudes(self.frames.analyse(middle), POWER_FLOOR)
        weights = magnitude.square().sum(2).sqrt()
        total: Any = 0.0
        for term in self.terms:
            mean = (term.measure_frames(magnitude) * weights).sum(1) / weights.sum(1)  # type: ignore[operator]
            score = term.to_score(term.to_knob_unit(mean))  # type: ignore[operator]
            total = total + F.smooth_l1_loss(score, requested[:, term.index])  # type: ignore[index]
        return total
