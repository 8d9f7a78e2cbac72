"""Distances between enhanced and clean sounds that also compare phases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, inner_product

FLOOR = 1e-4
"""Constant that `CompressedSpectrum` adds to magnitudes, so that gradients are finite. A sine of full scale has the
magnitude 1."""


class CompressedSpectrum(nn.Module):
    """Distance between the compressed STFTs of sounds ``[B, C, T]``, a scalar.

    A coefficient X (1 for a sine of full scale) becomes ``X |X|^(power - 1)``. The distance is a weighted
    sum of two mean absolute differences: that of magnitudes, and that of real and imaginary parts. The distance is
    averaged over several window lengths.

    Args:
        format: sample rate, length and channels of the sounds.
        n_ffts: window lengths in samples, one or more. The hop is half of the window length.
        power: exponent of the compression, above 0 and at most 1.
        complex_share: weight of the difference of real and imaginary parts, 0 to 1. The weight of the difference of
            magnitudes is 1 minus this number.
        weight: factor of the loss, 0 or more.

    Source:
        Cao, Abdulatif & Yang, "CMGAN: Conformer-based metric GAN for speech enhancement", Interspeech 2022, equation 3.

    Examples:
        >>> import torch
        >>> from audiogan.losses import CompressedSpectrum
        >>> from audiogan.representations import SoundFormat
        >>> sound = torch.rand(1, 1, 4096) - 0.5
        >>> CompressedSpectrum(SoundFormat(4096))(sound, sound).item()
        0.0
    """

    def __init__(
        self,
        format: SoundFormat,
        n_ffts: Sequence[int] = (256, 512, 1024),
        power: float = 0.3,
        complex_share: float = 0.1,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not n_ffts or not 0 < power <= 1 or not 0 <= complex_share <= 1 or not weight >= 0:
            raise ValueError(
                f"CompressedSpectrum: n_ffts={list(n_ffts)}, power={power}, complex_share={complex_share} or "
                f"weight={weight} is out of range"
            )
        self.frames = nn.ModuleList(Frames(format.length, n, n // 2, pad=n // 2) for n in n_ffts)
        self.power, self.complex_share, self.weight = power, complex_share, weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance of outputs from targets, both ``[B, C, T]``, as a scalar."""
        total = output.new_zeros(())
        for each in self.frames:
            frames = cast("Frames", each)
            (a, a_magnitude), (b, b_magnitude) = (self._compress(frames, x.float()) for x in (output, target))
            parts = (a - b).abs().mean()
            total = total + self.complex_share * parts
            total = total + (1 - self.complex_share) * (a_magnitude - b_magnitude).abs().mean()
        return self.weight * total / len(self.frames)

    def _compress(self, frames: Frames, x: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = torch.view_as_real(frames.analyse(x) * (2 / frames.window.sum())).permute(0, 1, 4, 2, 3)
        square = inner_product(spectrum, spectrum) + FLOOR**2
        return spectrum * square.pow((self.power - 1) / 2).unsqueeze(2), square.pow(self.power / 2)


class SignalToDistortion(nn.Module):
    """Negative signal-to-noise ratio in dB of outputs ``[B, C, T]``, with a soft upper limit, as a scalar.

    The loss of an example is ``10 log10((|output - target|^2 + limit |target|^2) / |target|^2)``. The limit makes
    the loss finite and reduces the influence of examples that are nearly perfect. Unlike the scale-invariant ratio, the
    loss also compares levels. Silent targets have no loss.

    Args:
        limit: highest ratio in dB, 0 to 100. Beyond it, the loss hardly falls.
        weight: factor of the loss, 0 or more.

    Source:
        Wisdom et al., "Unsupervised sound separation using mixture invariant training", NeurIPS 2020, equation 2.

    Examples:
        >>> import torch
        >>> from audiogan.losses import SignalToDistortion
        >>> round(SignalToDistortion(limit=100.0)(1.1 * torch.ones(1, 1, 100), torch.ones(1, 1, 100)).item(), 3)
        -20.0
    """

    def __init__(self, limit: float = 30.0, weight: float = 1.0) -> None:
        super().__init__()
        if not 0 <= limit <= 100 or not weight >= 0:
            raise ValueError(f"SignalToDistortion: limit={limit} or weight={weight} is out of range")
        self.limit, self.weight = 10 ** (-limit / 10), weight

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of outputs and targets, both ``[B, C, T]``."""
        power = target.float().square().sum((1, 2))
        error = (output.float() - target.float()).square().sum((1, 2))
        audible = power > 1e-6 * target[0].numel()  # Targets below -60 dB count as silent.
        ratio = (error + self.limit * power + 1e-9) / power.clamp_min(1e-9)
        losses = torch.where(audible, 10 * ratio.log10(), torch.zeros_like(ratio))
        return self.weight * losses.mean()
