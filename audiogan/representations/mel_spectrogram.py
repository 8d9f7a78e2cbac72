"""`MelSpectrogram`: the log-mel spectrogram from which vocoders generate sounds."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

POWER_FLOOR = 1e-9
"""Constant that is added to the squared magnitudes of the STFT before the square root."""


class MelSpectrogram(nn.Module):
    """Log-mel spectrogram of HiFi-GAN: mono sounds ``[B, 1, T]`` to ``[B, n_mels, T / hop_length]``.

    * The sound is padded by ``(n_fft - hop_length) / 2`` samples on both sides, by reflection, and divided into frames
      of ``n_fft`` samples with a periodic Hann window.
    * The magnitude of a bin is ``sqrt(|X|^2 + 1e-9)``.
    * Mel filters have Slaney's scale and Slaney's normalisation (constant area), as in librosa.
    * The result is the natural logarithm of the filtered magnitudes. Values below ``clamp`` are raised to it first.

    If ``T`` is not a multiple of ``hop_length``, the end of the sound is padded with zeros to the next multiple.

    Args:
        sample_rate: sample rate in Hz.
        n_fft: length of a frame in samples, even.
        hop_length: distance between frames in samples. ``n_fft - hop_length`` must be even.
        n_mels: number of mel bands.
        f_min: lower edge of the first band in Hz.
        f_max: upper edge of the last band in Hz. Default: half the sample rate.
        clamp: lowest filtered magnitude.

    Attributes:
        settings: all arguments by name, with the value of ``f_max``.

    Raises:
        ValueError: an argument is out of range, or a band contains no bin of the STFT.

    Source:
        Kong, Kim & Bae, "HiFi-GAN: generative adversarial networks for efficient and high fidelity speech synthesis",
        NeurIPS 2020. The padding and constants are those of the authors' code.

    Examples:
        >>> import torch
        >>> from audiogan.representations import MelSpectrogram
        >>> MelSpectrogram(16000)(torch.zeros(1, 1, 16384)).shape
        torch.Size([1, 80, 64])
    """

    filters: Tensor
    window: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 1024,
        hop_length: int = 256,
        n_mels: int = 80,
        f_min: float = 0.0,
        f_max: float | None = None,
        clamp: float = 1e-5,
    ) -> None:
        super().__init__()
        top = sample_rate / 2 if f_max is None else float(f_max)
        if n_fft < 4 or n_fft % 2 or not 1 <= hop_length <= n_fft // 2 or hop_length % 2:
            raise ValueError(
                f"MelSpectrogram: n_fft={n_fft}, hop_length={hop_length}: need even numbers, hop_length at most n_fft/2"
            )
        if n_mels < 1 or not 0 <= f_min < top <= sample_rate / 2 or not 0 < clamp < 1:
            raise ValueError(
                f"MelSpectrogram: n_mels={n_mels}, f_min={f_min}, f_max={top}, clamp={clamp}: need n_mels >= 1, "
                f"0 <= f_min < f_max <= sample_rate/2={sample_rate / 2} and 0 < clamp < 1"
            )
        self.sample_rate, self.n_fft, self.hop_length, self.n_mels = sample_rate, n_fft, hop_length, n_mels
        self.f_min, self.f_max, self.clamp = float(f_min), top, float(clamp)
        filters = slaney_filters(sample_rate, n_fft, n_mels, self.f_min, top)
        if empty := (filters.sum(0) == 0).nonzero().flatten().tolist():
            raise ValueError(
                f"MelSpectrogram: n_mels={n_mels} is too many for n_fft={n_fft} at {sample_rate} Hz: bands {empty} "
                "contain no bin"
            )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    @property
    def settings(self) -> dict[str, float]:
        names = ("sample_rate", "n_fft", "hop_length", "n_mels", "f_min", "f_max", "clamp")
        return {name: getattr(self, name) for name in names}

    def forward(self, sound: Tensor) -> Tensor:
        """Return log-mel spectrograms ``[B, n_mels, frames]`` of mono sounds ``[B, 1, T]``."""
        if sound.dim() != 3 or sound.shape[1] != 1:
            raise ValueError(f"MelSpectrogram: expected mono sounds [B, 1, T], got {list(sound.shape)}")
        x, pad = sound.float(), (self.n_fft - self.hop_length) // 2
        x = F.pad(x, (0, -x.shape[-1] % self.hop_length))
        while (missing := pad + 1 - x.shape[-1]) > 0:  # Reflection needs more than `pad` samples.
            x = F.pad(x, (0, min(missing, x.shape[-1] - 1) or 1), "reflect" if x.shape[-1] > 1 else "replicate")
        frames = -(-sound.shape[-1] // self.hop_length)
        x = F.pad(x, (pad, pad), "reflect")[:, 0, : (frames - 1) * self.hop_length + self.n_fft]
        spectrum = torch.view_as_real(torch.fft.rfft(x.unfold(-1, self.n_fft, self.hop_length) * self.window))
        magnitude = (spectrum.square().sum(-1) + POWER_FLOOR).sqrt()
        return (magnitude @ self.filters).clamp_min(self.clamp).log().transpose(1, 2)


@lru_cache(maxsize=8)
def slaney_filters(sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float) -> Tensor:
    """Return mel filters ``[n_fft / 2 + 1, n_mels]`` with Slaney's scale and normalisation, as in librosa.

    Args:
        sample_rate: sample rate in Hz.
        n_fft: length of a frame in samples.
        n_mels: number of bands.
        f_min: lower edge of the first band in Hz.
        f_max: upper edge of the last band in Hz.
    """
    import warnings

    from torchaudio.functional import melscale_fbanks

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "At least one mel filterbank has all zero")
        return melscale_fbanks(n_fft // 2 + 1, f_min, f_max, n_mels, sample_rate, norm="slaney", mel_scale="slaney")
