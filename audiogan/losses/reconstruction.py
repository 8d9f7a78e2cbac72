"""Reconstruction loss of an autoencoder for sounds."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.partials import PartialMeter
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes
from audiogan.representations.views import LogMelView

FLOOR = 1e-6
"""Lower bound of squared STFT magnitudes. For comparison, a full-scale sine has a peak of about `n_fft**2 / 16`."""
LOW_HOPS, LOW_FLOOR = 4, 1e-8
"""Settings of the term of `SpectralDistance` that uses `PartialMeter`. ``LOW_HOPS``: distance between measured frames,
in multiples of `hop_length`. ``LOW_FLOOR``: constant that is added to power."""


class SpectralDistance(nn.Module):
    """Multi-resolution spectral distance between two batches of sounds `[B, C, T]`. It ignores phases.

    The loss is the sum of these terms:

    * the mean absolute difference of log-mel spectrograms;
    * 0.5 times the spectral convergence (relative error of magnitudes, Parallel WaveGAN), computed over the whole batch
      so that a silent sound does not dominate;
    * 0.3 times the mean absolute difference of cube roots of magnitudes, with a window of ``n_fft / 4`` that resolves
      attacks;
    * with ``partials``, 2 times the spectral convergence in the bands of `PartialMeter`. Its long windows separate low
      frequencies, such as 45 and 80 Hz.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length of the first two terms, in samples.
        hop_length: hop of the first two terms, in samples.
        partials: number of bands of `PartialMeter`; 0 leaves out the last term.

    Source:
        Yamamoto et al., "Parallel WaveGAN", ICASSP 2020, equation 4.

    Examples:
        >>> import torch
        >>> from audiogan.losses import SpectralDistance
        >>> from audiogan.representations import SoundFormat
        >>> sound = torch.rand(1, 1, 4096) - 0.5
        >>> SpectralDistance(SoundFormat(4096))(sound, sound).item()
        0.0
    """

    def __init__(
        self,
        format: SoundFormat,
        n_fft: int = 512,
        hop_length: int = 256,
        partials: int = 0,
    ) -> None:
        super().__init__()
        length, rate = format.length, format.sample_rate
        self.mel = LogMelView(length, format.channels, rate, n_fft, hop_length, frame_multiple=1)
        self.coarse = Frames(length, n_fft, hop_length, pad=n_fft // 2)
        self.low = PartialMeter(partials, length, hop_length, rate) if partials else None
        self.fine = Frames(length, n_fft // 4, hop_length // 4, pad=n_fft // 8)

    def forward(self, generated: Tensor, real: Tensor) -> Tensor:
        """Return the distance of generated from real sounds, both `[B, C, T]`, as a scalar."""
        mel = F.l1_loss(self.mel(generated), self.mel(real))
        a, b = (magnitudes(self.coarse.analyse(x), FLOOR) for x in (generated, real))
        convergence = (a - b).norm() / b.norm()  # The denominator is positive, because FLOOR bounds magnitudes.
        a, b = (magnitudes(self.fine.analyse(x), FLOOR).pow(1 / 3) for x in (generated, real))
        attack = F.l1_loss(a, b)
        total = mel + 0.5 * convergence + 0.3 * attack
        if self.low is not None:
            a, b = ((self.low.power(x, LOW_HOPS) + LOW_FLOOR).pow(0.25) for x in (generated, real))
            total = total + 2 * (a - b).norm() / b.norm()
        return total
