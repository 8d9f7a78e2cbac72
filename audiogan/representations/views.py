"""Views: differentiable spectrograms without parameters, as inputs of critics and encoders. They need no inverse."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.stft import Frames, inner_product, magnitudes


class LogMelView(nn.Module):
    """Log-mel spectrograms `[B, C, frames, n_mels]` of sounds `[B, C, T]`, with values of about -1 ... 4.

    A sine of full scale has a magnitude of 1. `floor` is added to magnitudes before the logarithm, so that smaller
    magnitudes have no effect: a floor of 0.0001 hides magnitudes below -80 dB. Filters are triangles on HTK's mel scale
    without normalisation.

    Args:
        length: length of a sound, in samples.
        channels: number of channels of a sound.
        sample_rate: sample rate, in Hz.
        n_fft: length of a frame, in samples.
        hop_length: distance between frames, in samples.
        n_mels: number of mel bands from 20 Hz to half the sample rate.
        floor: constant that is added to magnitudes before the logarithm.
        frame_multiple: the number of frames is rounded to a multiple of this number, see `round_frames`.

    Examples:
        >>> import torch
        >>> from audiogan.representations import LogMelView
        >>> LogMelView(4096, 1, 16000, n_fft=512, hop_length=256)(torch.zeros(2, 1, 4096)).shape
        torch.Size([2, 1, 16, 64])
    """

    filters: Tensor

    def __init__(
        self,
        length: int,
        channels: int,
        sample_rate: int,
        n_fft: int,
        hop_length: int,
        n_mels: int = 64,
        floor: float = 1e-4,
        frame_multiple: int = 16,
    ) -> None:
        super().__init__()
        self.frames = Frames(length, n_fft, hop_length, pad=n_fft // 2)
        self.shape = (channels, round_frames(self.frames.count, frame_multiple), n_mels)
        self.floor = floor
        self.register_buffer("filters", triangular_filters(self.frames.bins, n_mels, sample_rate), persistent=False)
        self._unit = 2.0 / float(self.frames.window.sum())

    def forward(self, signal: Tensor) -> Tensor:
        return self.to_log_mel(magnitudes(_set_frame_count(self.frames.analyse(signal), self.shape[1]), 1e-9))

    def to_log_mel(self, magnitude: Tensor) -> Tensor:
        """Return the view `[..., frames, n_mels]` of magnitudes `[..., frames, bins]` of the STFT by `frames`."""
        return (magnitude * self._unit @ self.filters + self.floor).log().add(7).div(2)


class STFTView(nn.Module):
    """Compressed real part, imaginary part and magnitude `[B, 3 C, frames, bins]` of the STFT of sounds `[B, C, T]`.

    A coefficient X (1 for a sine of full scale) becomes `4 X |X|^(power - 1)` and `4 |X|^power`. `floor` is added to
    |X|^2, so that derivatives are finite. The bin at half the sample rate is dropped. Channels are ordered re, im,
    magnitude, re, im ... The arguments are those of `LogMelView`.

    Examples:
        >>> import torch
        >>> from audiogan.representations import STFTView
        >>> STFTView(4096, 1, n_fft=512, hop_length=256)(torch.zeros(2, 1, 4096)).shape
        torch.Size([2, 3, 32, 256])
    """

    def __init__(
        self,
        length: int,
        channels: int,
        n_fft: int,
        hop_length: int,
        power: float = 1 / 3,
        floor: float = 1.5e-5,
        frame_multiple: int = 32,
    ) -> None:
        super().__init__()
        self.frames = Frames(length, n_fft, hop_length, pad=n_fft // 2)
        self.shape = (3 * channels, round_frames(self.frames.count, frame_multiple), n_fft // 2)
        self.power, self.floor = power, floor
        self._unit = 2.0 / float(self.frames.window.sum())

    def forward(self, signal: Tensor) -> Tensor:
        spectrum = _set_frame_count(self.frames.analyse(signal)[..., : self.shape[2]], self.shape[1]) * self._unit
        planes = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3)  # [B, C, 2, N, F]
        magnitude = (inner_product(planes, planes) + self.floor**2).pow(self.power / 2).unsqueeze(2)
        gain = magnitude.pow(1 - 1 / self.power)
        return torch.cat([planes * gain, magnitude], dim=2).flatten(1, 2) * 4


def round_frames(frames: int, multiple: int) -> int:
    """Return the number of frames of a view: `frames`, rounded to a multiple of `multiple`.

    The number is rounded up, and the added frames are filled with silence. If `frames` exceeds a multiple by only one,
    the last frame is dropped instead, because the frame before it already covers the end of the sound.
    """
    return frames - 1 if frames > multiple and frames % multiple == 1 else -(-frames // multiple) * multiple


def _set_frame_count(spectrum: Tensor, rows: int) -> Tensor:
    """Return spectra `[B, C, N, F]`, cut or padded with zeros to `rows` frames."""
    missing = rows - spectrum.shape[2]
    return F.pad(spectrum, (0, 0, 0, missing)) if missing > 0 else spectrum[:, :, :rows]


def triangular_filters(bins: int, bands: int, sample_rate: int, lowest_hz: float = 20.0) -> Tensor:
    """Return triangular filters `[bins, bands]` of height 1, equally spaced on HTK's mel scale.

    A band narrower than a bin interpolates between its two nearest bins, so that no band is empty.
    """
    top = sample_rate / 2
    edges = 700 * (
        10 ** (torch.linspace(_hertz_to_mel(lowest_hz), _hertz_to_mel(top), bands + 2, dtype=torch.float64) / 2595) - 1
    )
    width = top / (bins - 1)
    centre = edges[1:-1]
    left = torch.maximum(centre - edges[:-2], torch.tensor(width, dtype=torch.float64))
    right = torch.maximum(edges[2:] - centre, torch.tensor(width, dtype=torch.float64))
    distance = torch.linspace(0, top, bins, dtype=torch.float64)[:, None] - centre
    return (1 - torch.where(distance < 0, -distance / left, distance / right)).clamp_min(0).float()


def _hertz_to_mel(hertz: float) -> float:
    return 2595 * float(torch.log10(torch.tensor(1 + hertz / 700, dtype=torch.float64)))
