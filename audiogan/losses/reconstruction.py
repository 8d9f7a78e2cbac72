"""How far a sound is from another one, as a loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.partials import PartialMeter
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes
from audiogan.representations.views import LogMelView

FLOOR = 1e-6
"""Of squared magnitudes; a sine of full scale has about `n_fft**2 / 16`."""
LOW_HOPS, LOW_FLOOR = 4, 1e-8
"""In bands of partials: hops from frame to frame, and floor of powers."""


class SpectralDistance(nn.Module):
    """The distance of two sounds `[B, C, T]` in spectra of several resolutions, phases aside.

    The sum of the mean absolute difference of log-mel pictures; half the spectral convergence of Yamamoto et al.
    (Parallel WaveGAN, ICASSP 2020, equation 4); and 0.3 of the mean absolute difference of cube roots of magnitudes, in
    windows of a quarter of the length, which see attacks. Convergence is that of a batch as a whole, so that a silent
    sound in it does no harm. At exact silence magnitudes are flat: the gradient there is zero. With partials, twice the
    convergence of roots of magnitudes in their bands too, in long windows: short ones do not tell 45 from 80 Hz.

    Args:
        format: format of the sounds.
        n_fft, hop_length: window and hop of the first two terms, in samples.
        partials: number of bands of `PartialMeter`; 0 for none.
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
        self.mel = LogMelView(length, format.channels, rate, n_fft, hop_length, fold=1)
        self.coarse = Frames(length, n_fft, hop_length, pad=n_fft // 2)
        self.low = PartialMeter(partials, length, hop_length, rate) if partials else None
        self.fine = Frames(length, n_fft // 4, hop_length // 4, pad=n_fft // 8)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """A scalar."""
        mel = F.l1_loss(self.mel(made), self.mel(real))
        a, b = (magnitudes(self.coarse.analyse(x), FLOOR) for x in (made, real))
        convergence = (a - b).norm() / b.norm()  # never 0, see `FLOOR`
        a, b = (magnitudes(self.fine.analyse(x), FLOOR).pow(1 / 3) for x in (made, real))
        attack = F.l1_loss(a, b)
        total = mel + 0.5 * convergence + 0.3 * attack
        if self.low is not None:
            a, b = ((self.low.power(x, LOW_HOPS) + LOW_FLOOR).pow(0.25) for x in (made, real))
            total = total + 2 * (a - b).norm() / b.norm()
        return total
