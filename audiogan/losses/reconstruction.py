"""How far a sound is from another one, as a loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.stft import Frames, magnitudes
from audiogan.representations.views import LogMelView

FLOOR = 1e-6
"""Of squared magnitudes; a sine of full scale has about `n_fft**2 / 16`."""


class SpectralDistance(nn.Module):
    """The distance of two sounds `[B, C, T]` in spectra of several resolutions, phases aside.

    The sum of the mean absolute difference of log-mel pictures; half the spectral convergence of Yamamoto et al.
    (Parallel WaveGAN, ICASSP 2020, equation 4); and 0.3 of the mean absolute difference of cube roots of magnitudes, in
    windows of a quarter of the length, which see attacks. Convergence is that of a batch as a whole, so that a silent
    sound in it does no harm. At exact silence magnitudes are flat: the gradient there is zero.

    Args:
        length, channels, sample_rate: of the sounds, in samples and Hz.
        n_fft, hop_length: of the first two, in samples.
    """

    def __init__(
        self, length: int, channels: int = 1, sample_rate: int = 16000, n_fft: int = 512, hop_length: int = 256
    ) -> None:
        super().__init__()
        self.mel = LogMelView(length, channels, sample_rate, n_fft, hop_length, fold=1)
        self.coarse = Frames(length, n_fft, hop_length, pad=n_fft // 2)
        self.fine = Frames(length, n_fft // 4, hop_length // 4, pad=n_fft // 8)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """A scalar."""
        mel = F.l1_loss(self.mel(made), self.mel(real))
        a, b = (magnitudes(self.coarse.analyse(x), FLOOR) for x in (made, real))
        convergence = (a - b).norm() / b.norm()  # never 0, see `FLOOR`
        a, b = (magnitudes(self.fine.analyse(x), FLOOR).pow(1 / 3) for x in (made, real))
        attack = F.l1_loss(a, b)
        return mel + 0.5 * convergence + 0.3 * attack
