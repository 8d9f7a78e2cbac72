"""Log-mel spectrogram with an approximate inverse."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import LogMagnitude


class Mel(LogMagnitude):
    """Log-mel spectrogram `[B, C, n_mels, frames]` within -1 ... 1, normalised per band like `LogMagnitude`.

    The filters are those of torchaudio, with Slaney's mel scale and normalisation. Decoding estimates linear magnitudes
    by non-negative least squares and phases by Griffin-Lim, so details within a band are lost. Call `fit` before use.

    Examples:
        >>> from audiogan.representations import Mel, SoundFormat
        >>> Mel(SoundFormat(16384), n_mels=80).shape
        (1, 80, 64)
    """

    accuracy = "<= -9 dB mean spectral convergence"
    filters: Tensor
    inverse: Tensor

    def __init__(
        self,
        format: SoundFormat,
        n_fft: int = 1024,
        hop_length: int = 256,
        n_mels: int = 80,
        f_min: float = 0.0,
        f_max: float | None = None,
        iterations: int = 32,
    ) -> None:
        sample_rate = format.sample_rate
        top = sample_rate / 2 if f_max is None else float(f_max)
        if n_mels < 1 or not 0 <= f_min < top <= sample_rate / 2:
            raise ValueError(
                f"n_mels={n_mels}, f_min={f_min}, f_max={top}: need n_mels >= 1 and 0 <= f_min < f_max <= "
                f"sample_rate/2={sample_rate / 2}"
            )
        super().__init__(format, n_fft, hop_length, iterations, bands=n_mels)
        from torchaudio.functional import melscale_fbanks  # Imported here, because only this class needs torchaudio.

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "At least one mel filterbank has all zero")  # Checked below.
            bank = melscale_fbanks(n_fft // 2 + 1, f_min, top, n_mels, sample_rate, norm="slaney", mel_scale="slaney")
        filters = bank.T.double()
        empty = (filters.sum(1) == 0).nonzero().flatten().tolist()
        if empty:
            rates = f"n_fft={n_fft} at {sample_rate} Hz"
            raise ValueError(f"n_mels={n_mels} is too many for {rates}: bands {empty} contain no STFT bin")
        self.register_buffer("filters", filters.T.float(), persistent=False)  # [F, K]
        self.register_buffer("inverse", torch.linalg.pinv(filters).T.float().contiguous(), persistent=False)  # [K, F]

    def _bands(self, magnitude: Tensor) -> Tensor:
        return magnitude @ self.filters

    def _magnitude(self, bands: Tensor) -> Tensor:
        """Return linear magnitudes `[B, C, N, F]` for magnitudes of bands, by non-negative least squares.

        The multiplicative updates of Lee & Seung (2001) start from the solution by the pseudo-inverse.
        """
        magnitude = (bands @ self.inverse).clamp_min(1e-8)
        target = bands @ self.filters.T
        for _ in range(32):
            magnitude = magnitude * target / (magnitude @ self.filters @ self.filters.T).clamp_min(1e-12)
        return magnitude
