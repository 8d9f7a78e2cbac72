"""Multi-resolution STFT loss between sounds, over all frequencies or above a cut-off."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes


class MultiResolutionSTFT(nn.Module):
    """Sum of spectral convergence and log-magnitude distance, averaged over several window lengths. It ignores phases.

    Spectral convergence is the norm of the difference of magnitudes divided by the norm of the target's magnitudes,
    over the whole batch. The log-magnitude distance is the mean absolute difference of natural logarithms.

    Args:
        format: sample rate, length and channels of the sounds.
        n_ffts: window lengths in samples. Each hop is a quarter of its window.
        above: lowest frequency that is compared, in Hz; 0: all frequencies.
        weight: factor of the loss, 0 or more.
        floor: a magnitude ``m`` (1 for a sine of full scale) becomes ``sqrt(m^2 + floor^2)``, so that its logarithm is
            finite.

    Source:
        Yamamoto, Song & Kim, "Parallel WaveGAN", ICASSP 2020, section 2.2.

    Examples:
        >>> import torch
        >>> from audiogan.losses import MultiResolutionSTFT
        >>> from audiogan.representations import SoundFormat
        >>> sound = torch.rand(1, 1, 4096) - 0.5
        >>> MultiResolutionSTFT(SoundFormat(4096), above=4000)(sound, sound).item()
        0.0
    """

    def __init__(
        self,
        format: SoundFormat,
        n_ffts: Sequence[int] = (256, 512, 1024),
        above: float = 0.0,
        weight: float = 1.0,
        floor: float = 1e-5,
    ) -> None:
        super().__init__()
        if not weight >= 0 or not 0 <= above < format.sample_rate / 2 or not n_ffts:
            raise ValueError(f"MultiResolutionSTFT: weight={weight}, above={above} or n_ffts={n_ffts} is out of range")
        self.weight, self.floor = float(weight), float(floor)
        self.frames = nn.ModuleList(Frames(format.length, n, n // 4, pad=n // 2) for n in n_ffts)
        self.first_bins = [round(above * n / format.sample_rate) for n in n_ffts]

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the weighted distance of outputs from targets, both ``[B, C, T]``, as a scalar."""
        total = output.new_zeros(())
        for frames, first in zip(self.frames, self.first_bins, strict=True):
            unit = 2.0 / float(frames.window.sum())  # type: ignore[operator]
            x, y = (
                magnitudes(frames.analyse(sound)[..., first:] * unit, self.floor**2)  # type: ignore[operator]
                for sound in (output, target)
            )
            convergence = (x - y).norm() / y.norm()  # The denominator is positive because of the floor.
            total = total + convergence + (x.log() - y.log()).abs().mean()
        return self.weight * total / len(self.frames)
