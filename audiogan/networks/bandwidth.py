"""Generator for bandwidth extension, which adds the frequencies above a cut-off to a sound.

Frames of an STFT are processed by ConvNeXt blocks, as in the vocoder Vocos (Siuzdak, ICLR 2024, section 3). The
excitation of the added band is a shifted copy of the band below the cut-off, as in spectral band replication (Dietz et
al., AES 112, 2002). The copy has the pulses of a voice and the noise of its fricatives. The network therefore has to
learn little more than the levels of the added frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes
from audiogan.networks.frame_blocks import FrameBlock
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames

MAGNITUDE_FLOOR = 1e-5
"""Magnitude below which the network hardly distinguishes levels, relative to a sine of full scale (-100 dB)."""
LEVEL_FRAMES = 16
"""Number of frames before and after a frame over which the level of the low band is averaged."""
ENVELOPE_BINS = 8
"""Number of bins below and above a bin over which the spectral envelope of the low band is averaged."""
LOWEST_BIN, FADE_BINS = 4, 3
"""Lowest bin of the copied band (``LOWEST_BIN``), and number of bins above the cut-off in which the source is faded out
(``FADE_BINS``)."""
INITIAL_LEVEL, LARGEST_LEVEL = -3.0, 5.0
"""Initial and largest level of an added bin relative to the level of the low band, as natural logarithms."""


class BandwidthExtender(nn.Module):
    """Generator that adds the band above a cut-off: sounds ``[B, C, T]`` to sounds of the same shape.

    The source has the sample rate of the output and no content above the cut-off. Frequencies below
    ``overlap * cutoff`` stay as they are. The channels of a sound are processed separately. If the source is multiplied
    by a factor, the output is multiplied by the same factor, unless the source is very quiet.

    Args:
        shape: shape ``(C, T)`` of the output.
        source: shape ``(C, T)`` of the source.
        format: sample rate, length and channels of the sounds.
        cutoff: cut-off frequency in Hz: half the sample rate at which the sources were recorded.
        n_fft: window length of the STFT, in samples.
        hop_length: hop of the STFT, in samples. It must divide ``n_fft``.
        overlap: ratio of the lowest added frequency to the cut-off, above 0.5 and below 1. The added band is faded in
            from there to the cut-off, because low-pass filters leave a gap below the cut-off. A smaller ratio fills the
            gap better, but changes more of the source's own band.
        width: number of hidden channels per frame.
        blocks: number of ConvNeXt blocks.

    Attributes:
        multiple: long sounds are processed in tiles that begin at multiples of this number of samples.
        extends_bandwidth: True. `audiogan apply` then writes files with the sample rate of the model.
        receptive_field: largest distance between an output sample and a source sample that it depends on, in samples.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from audiogan.networks.bandwidth import BandwidthExtender
        >>> from audiogan.representations import SoundFormat
        >>> net = BandwidthExtender((1, 4096), (1, 4096), SoundFormat(4096), cutoff=4000, width=8, blocks=1)
        >>> net(torch.zeros(2, 1, 4096)).shape
        torch.Size([2, 1, 4096])
    """

    takes = frozenset({"source"})
    extends_bandwidth = True
    carriers: Tensor
    fade_in: Tensor
    kept: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        format: SoundFormat,
        cutoff: float,
        n_fft: int = 512,
        hop_length: int = 128,
        overlap: float = 0.925,
        width: int = 192,
        blocks: int = 6,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, blocks=blocks, hop_length=hop_length)
        self.shape, self.source, self.n_fft, self.hop_length = tuple(shape), tuple(source), n_fft, hop_length
        if self.shape != self.source or len(self.shape) != 2:
            raise ValueError(f"BandwidthExtender: shape={self.shape} and source={self.source} must both be (C, T)")
        if not 0.5 < overlap < 1:
            raise ValueError(f"BandwidthExtender: overlap={overlap} must be above 0.5 and below 1")
        if n_fft % hop_length:
            raise ValueError(f"BandwidthExtender: hop_length={hop_length} must divide n_fft={n_fft}")
        bins, step = n_fft // 2 + 1, n_fft // math.gcd(n_fft, hop_length)
        self.low = math.floor(cutoff * n_fft / format.sample_rate)
        self.first = math.floor(overlap * self.low)
        # A shift by a multiple of `step` bins keeps the phases of consecutive frames consistent.
        shift = (self.first - LOWEST_BIN) // step * step
        if shift < 1 or self.low >= bins - 1:
            raise ValueError(f"BandwidthExtender: cutoff={cutoff} must be below half of {format.sample_rate} Hz")
        added = torch.arange(self.first, bins)
        times = torch.div(added - self.first, shift, rounding_mode="floor") + 1
        self.register_buffer("carriers", added - times * shift, persistent=False)
        ramp = ((added - self.first + 1) / (self.low - self.first + 1)).clamp(max=1)
        self.register_buffer("fade_in", torch.sin(0.5 * math.pi * ramp).square(), persistent=False)
        kept = 1 - ((torch.arange(bins) - self.low) / FADE_BINS).clamp(0, 1)
        self.register_buffer("kept", kept, persistent=False)
        self.frames = Frames(self.shape[1], n_fft, hop_length, pad=n_fft // 2)
        self.unit = 2.0 / float(self.frames.window.sum())
        self.dense = nn.Linear(3 * self.low, width)
        self.blocks = nn.ModuleList(FrameBlock(width) for _ in range(blocks))
        self.scales = nn.Parameter(torch.ones(blocks, 1, width))
        self.shifts = nn.Parameter(torch.zeros(blocks, 1, width))
        self.last = nn.Linear(width, 3 * len(added))
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)
        self.multiple = hop_length
        reach = LEVEL_FRAMES + sum(len(block.taps) // 2 for block in self.blocks)  # type: ignore[arg-type, misc]
        self.receptive_field = reach * hop_length + n_fft

    def forward(self, source: Tensor) -> Tensor:
        """Return sounds ``[B, C, T]`` with all frequencies for sounds ``[B, C, T]`` without the upper band."""
        if source.dim() != 3 or source.shape[2] < self.hop_length:
            raise ValueError(f"BandwidthExtender: expected sounds [B, C, T], got {list(source.shape)}")
        frames: Any = self.frames
        if source.shape[2] != frames.length:
            frames = Frames(source.shape[2], self.n_fft, self.hop_length, pad=self.n_fft // 2).to(source.device)
        # Real and imaginary parts are separate, [2, B * C, frames, bins], because ONNX has no complex numbers.
        spectrum = torch.view_as_real(frames.analyse(source.flatten(0, 1)) * self.unit).movedim(3, 0)
        low = spectrum[..., : self.low]
        power = low.square().sum(0)
        mean = _average(power.mean(2)[:, None], LEVEL_FRAMES)[:, 0, :, None]
        flat = low * (_average(power, ENVELOPE_BINS) + MAGNITUDE_FLOOR**2).rsqrt()
        x = self.dense(self._features(power, flat, mean))
        for block, scale, shift in zip(self.blocks, self.scales, self.shifts, strict=True):
            x = block(x, scale, shift)
        gain, real, imaginary = self.last(F.layer_norm(x, x.shape[2:])).chunk(3, dim=2)
        magnitude = mean.sqrt() * (gain + INITIAL_LEVEL).clamp_max(LARGEST_LEVEL).exp()
        added = (flat[..., self.carriers] + torch.stack([real, imaginary])) * (magnitude * self.fade_in)
        whole = spectrum * self.kept + F.pad(added, (self.first, 0))
        made: Tensor = frames.synthesise(torch.complex(whole[0], whole[1])) / self.unit
        return made.unflatten(0, source.shape[:2])

    @staticmethod
    def _features(power: Tensor, flat: Tensor, mean: Tensor) -> Tensor:
        """Return the features of each frame ``[B, frames, 3 * low]``: levels and phase differences of adjacent bins."""
        logs = ((power + MAGNITUDE_FLOOR**2).log() - (mean + MAGNITUDE_FLOOR**2).log()) / 4
        (a, b), (c, d) = flat, F.pad(flat, (1, 0))[..., :-1]  # the product of a + ib and c - id
        return torch.cat([logs, (a * c + b * d).clamp(-3, 3), (b * c - a * d).clamp(-3, 3)], dim=2)


def _average(x: Tensor, reach: int) -> Tensor:
    """Return the mean over ``2 reach + 1`` neighbours along the last of three dimensions."""
    return F.avg_pool1d(x, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
