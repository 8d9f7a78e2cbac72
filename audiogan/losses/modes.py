"""Losses for generators that synthesise modes (damped sinusoids): errors of frequencies, and a reconstruction loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.losses.auxiliary_targets import AuxiliaryTarget
from audiogan.losses.reconstruction import FLOOR
from audiogan.representations.modes import GlideMeter, ModeMeter
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes
from audiogan.representations.views import LogMelView


class ModeFrequencies(AuxiliaryTarget):
    """Mean absolute difference in octaves between predicted mode frequencies and the spectral lines that `ModeMeter`
    finds.

    The prediction is ``[B, K]`` in octaves above 1 Hz. Stronger lines have larger weights.

    Args:
        format: sample rate, length and channels of the recordings.
        weight: factor of the loss, 0 or more.
    """

    name = "modes"

    def __init__(self, format: SoundFormat, weight: float = 20.0) -> None:
        super().__init__(weight)
        self.meter = ModeMeter(format)

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        octaves, weights = self.meter(batch["x"])
        return ((predicted - octaves).abs() * weights).sum() / weights.sum().clamp_min(1)


class Glide(AuxiliaryTarget):
    """Mean absolute difference in octaves between the predicted glide and the glide that `GlideMeter` measures.

    The prediction is ``[B, 9]``: the frequency at each of the times `GLIDE_SECONDS`, in octaves above the frequency
    that the drum reaches after the glide.

    Args:
        format: sample rate, length and channels of the recordings.
        weight: factor of the loss, 0 or more.
    """

    name = "glide"

    def __init__(self, format: SoundFormat, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.meter = GlideMeter(format)

    def compare(self, predicted: Tensor, batch: dict[str, Tensor]) -> Tensor | None:
        octaves, weights = self.meter(batch["x"])
        return ((predicted - octaves).abs() * weights).sum() / weights.sum().clamp_min(1)


class MidSideDistance(nn.Module):
    """Spectral distance between two batches of sounds `[B, C, T]` with C = 1 or 2. It ignores phases.

    The loss is the sum of the following terms. The first term compares the mid and the side signals, and the others
    compare only the mid signals:

    * the mean absolute difference of log-mel spectrograms of the mid and side signals;
    * 0.5 times the spectral convergence (relative error of magnitudes), over the whole batch;
    * 0.3 times the mean absolute difference of cube roots of magnitudes in the first ``part`` samples, in windows of
      ``n_fft / 4``;
    * the spectral convergence of square roots of magnitudes. Windows of ``4 * n_fft`` separate the spectral lines of
      low drums and of cymbals.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length of the first two terms, in samples.
        hop_length: hop of the first two terms, in samples.
        n_mels: number of mel bands.
        part: number of samples at the beginning that the third term compares.

    Source:
        Yamamoto et al., "Parallel WaveGAN", ICASSP 2020, equation 4.

    Examples:
        >>> import torch
        >>> from audiogan.losses import MidSideDistance
        >>> from audiogan.representations import SoundFormat
        >>> sound = torch.rand(1, 2, 8192) - 0.5
        >>> MidSideDistance(SoundFormat(8192, channels=2))(sound, sound).item()
        0.0
    """

    def __init__(
        self, format: SoundFormat, n_fft: int = 1024, hop_length: int = 512, n_mels: int = 80, part: int = 16384
    ) -> None:
        super().__init__()
        length, self.part = format.length, min(part, format.length)
        sizes = length, 1, format.sample_rate, n_fft, hop_length, n_mels
        self.mel = LogMelView(*sizes, frame_multiple=1)
        self.fine = Frames(self.part, n_fft // 4, hop_length // 4, pad=n_fft // 8)
        self.long = Frames(length, 4 * n_fft, 2 * n_fft, pad=2 * n_fft)

    def forward(self, generated: Tensor, real: Tensor) -> Tensor:
        """Return the distance of generated from real sounds, both `[B, C, T]`, as a scalar."""
        made, given = (self._features(x) for x in (generated, real))
        a, b = made[1], given[1]
        convergence = (a - b).norm() / b.norm()  # The denominator is positive, because FLOOR bounds magnitudes.
        lines = (made[3] - given[3]).norm() / given[3].norm()
        return F.l1_loss(made[0], given[0]) + 0.5 * convergence + 0.3 * F.l1_loss(made[2], given[2]) + lines

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        middle = x.mean(1, keepdim=True)
        both = torch.cat([middle, 0.5 * (x[:, :1] - x[:, 1:])], dim=1) if x.shape[1] == 2 else middle
        magnitude = magnitudes(self.mel.frames.analyse(both), 1e-9)
        mel = self.mel.to_log_mel(magnitude)
        fine = magnitudes(self.fine.analyse(middle[..., : self.part]), FLOOR).pow(1 / 3)
        long = magnitudes(self.long.analyse(middle), FLOOR).sqrt()
        return mel, magnitude[:, :1], fine, long
