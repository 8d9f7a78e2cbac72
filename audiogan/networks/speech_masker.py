"""A speech enhancement network that multiplies the STFT by a complex mask: a convolutional recurrent network.

The network follows the convolutional recurrent network of Tan & Wang (Interspeech 2018), with the complex ratio mask of
Williamson et al. (IEEE/ACM TASLP 2016). It can process streams: its state is passed from block to block.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.checks import check_sizes

COMPRESSION_EXPONENT = 0.3
"""Exponent of the magnitudes of the STFT that the network receives, as in CMGAN (Cao et al., Interspeech 2022)."""
MAGNITUDE_OFFSET = 1e-5
"""Constant that is added to magnitudes before the power law, so that gradients are finite. A sine of full scale has
the magnitude 1."""
LARGEST_MASK = 2.0
"""Upper bound of the magnitude of the mask."""


class SpeechMasker(nn.Module):
    """Enhancement network: noisy sounds ``[B, 1, T]`` to clean sounds of the same shape, for any length.

    The STFT has a square-root Hann window for analysis and synthesis. Convolutions along frequency halve the number of
    bins in each layer. Two GRU layers process the sequence of frames. Transposed convolutions, with skip connections,
    compute a complex mask for each bin of each frame. The output is the inverse STFT of the masked
    STFT. A silent source gives a silent output.

    A frame of the output depends on all previous frames and on the next ``look_ahead`` frames. Frames before the
    beginning of a sound and after its end are silent.

    Args:
        shape: shape ``(1, T)`` of the output. Sounds of other lengths are accepted as well.
        source: shape ``(1, T)`` of the source.
        n_fft: length of a frame in samples, a power of two, 32 or more.
        hop_length: distance between frames in samples, a divisor of ``n_fft / 2``.
        widths: number of channels after each convolution, one or more numbers of 1 or more. Each convolution has
            stride 2 along frequency.
        hidden: size of the state of each GRU layer, 1 or more.
        layers: number of GRU layers, 1 or more.
        look_ahead: number of following frames that a frame of the output depends on, 0 or more.

    Attributes:
        delay: delay of the output of a stream behind its input, in samples. In addition, a stream collects ``multiple``
            samples before it processes them. With the default settings, ``delay`` is 1,024 and ``multiple`` is 256,
            together 80 ms at 16 kHz.
        multiple: lengths of blocks in a stream are multiples of this number of samples.

    Source:
        Tan & Wang, "A convolutional recurrent neural network for real-time speech enhancement", Interspeech 2018.

    Examples:
        >>> import torch
        >>> from audiogan.networks.speech_masker import SpeechMasker
        >>> net = SpeechMasker((1, 4096), (1, 4096), n_fft=256, hop_length=128, widths=(4, 8), hidden=16)
        >>> net(torch.zeros(2, 1, 5000)).shape, net.delay
        (torch.Size([2, 1, 5000]), 512)
    """

    takes = frozenset({"source"})
    window: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        n_fft: int = 512,
        hop_length: int = 256,
        widths: Sequence[int] = (16, 24, 32, 48),
        hidden: int = 192,
        layers: int = 2,
        look_ahead: int = 3,
    ) -> None:
        super().__init__()
        check_sizes(self, widths=min(widths, default=0), hidden=hidden, layers=layers, look_ahead=look_ahead + 1)
        if len(shape) != 2 or shape[0] != 1 or source[0] != 1:
            raise ValueError(f"SpeechMasker: shapes {list(shape)} and {list(source)}; sounds must be mono, [1, T]")
        if n_fft < 32 or n_fft & (n_fft - 1) or hop_length < 1 or (n_fft // 2) % hop_length:
            raise ValueError(
                f"SpeechMasker: n_fft={n_fft} must be a power of two, 32 or more, and "
                f"hop_length={hop_length} must divide n_fft / 2"
            )
        if n_fft // 2 % 2 ** len(widths):
            raise ValueError(f"SpeechMasker: {len(widths)} widths are too many for n_fft={n_fft}")
        self.shape, self.source = tuple(shape), tuple(source)
        self.n_fft, self.hop_length, self.look_ahead = n_fft, hop_length, look_ahead
        self.multiple, self.delay = hop_length, n_fft - hop_length + look_ahead * hop_length
        self.register_buffer("window", torch.hann_window(n_fft).sqrt(), persistent=False)
        sizes = [3, *widths]
        # Each convolution but the first also receives the previous frame.
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, (1 if k == 0 else 2, 5), (1, 2), (0, 2)) for k, (i, o) in enumerate(pairwise(sizes))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.acts = nn.ModuleList(nn.PReLU(width) for width in widths)
        wide = widths[-1] * (n_fft // 2 >> len(widths))
        self.reduce = nn.Linear(wide, hidden)
        self.gru = nn.GRU(hidden, hidden, layers, batch_first=True)
        self.expand = nn.Linear(2 * hidden, wide)
        outs = [*reversed(widths[:-1]), widths[0]]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(2 * i, o, (1, 6), (1, 2), (0, 2)) for i, o in zip(reversed(widths), outs, strict=True)
        )
        self.up_norms = nn.ModuleList(nn.BatchNorm2d(o) for o in outs)
        self.up_acts = nn.ModuleList(nn.PReLU(o) for o in outs)
        self.mask = nn.Conv2d(outs[-1] + 3, 2, (1, 3), padding=(0, 1))
        nn.init.normal_(self.mask.weight, std=0.01)
        with torch.no_grad():
            self.mask.bias.copy_(torch.tensor([1.0, 0.0]))  # type: ignore[union-attr]

    def forward(self, source: Tensor) -> Tensor:
        """Return enhanced sounds ``[B, 1, T]`` for noisy sounds ``[B, 1, T]``."""
        if source.dim() != 3 or source.shape[1] != 1:
            raise ValueError(f"SpeechMasker expected sounds [B, 1, T], got {list(source.shape)}")
        length = source.shape[-1]
        missing = -length % self.hop_length
        y, _ = self.stream(F.pad(source[:, 0], (0, missing + self.delay)), None)
        return y[:, None, self.delay : self.delay + length]

    def stream(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Process the next block of a stream of sounds.

        Args:
            x: next samples ``[B, n]``. The number n is a multiple of ``multiple``.
            state: state after the previous block, or ``None`` at the beginning.

        Returns:
            The next samples ``[B, n]`` of the result, which lag ``delay`` samples behind ``x``, and the new state.
        """
        n = x.shape[1] // self.hop_length
        state = state or self._initial_state(x)
        joined = torch.cat([state["input"], x], dim=1)
        spectrum = torch.fft.rfft(joined.unfold(1, self.n_fft, self.hop_length) * self.window)
        mask, later = self._compute_mask(spectrum, state)
        delayed = torch.cat([state["spectrum"], spectrum], dim=1)
        frames = torch.fft.irfft(delayed[:, :n] * mask, self.n_fft) * (self.window * (2 * self.hop_length / self.n_fft))
        pieces = frames.unflatten(2, (-1, self.hop_length))
        parts = pieces.shape[2]
        # Piece p of frame t is added to hop t + p of the output.
        terms = [F.pad(pieces[:, :, p], (0, 0, p, parts - 1 - p)) for p in range(parts)]
        total = F.pad(state["output"], (0, 0, 0, n)) + sum(terms[1:], terms[0])
        later |= {"input": joined[:, x.shape[1] :], "spectrum": delayed[:, n:], "output": total[:, n:]}
        return total[:, :n].flatten(1), later

    def _initial_state(self, x: Tensor) -> dict[str, Any]:
        """Return the state at the beginning of sounds, as after silence."""
        parts, batch = self.n_fft // self.hop_length, len(x)
        bins = self.n_fft // 2 + 1
        # The exporter to ONNX does not support complex zeros.
        spectrum = torch.view_as_complex(x.new_zeros(batch, self.look_ahead, bins, 2))
        first = {"input": x.new_zeros(batch, self.n_fft - self.hop_length), "spectrum": spectrum}
        return first | {"output": x.new_zeros(batch, parts - 1, self.hop_length), "gru": None, "convs": None}

    def _compute_mask(self, spectrum: Tensor, state: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """Return complex masks ``[B, frames, bins]`` for the frames that precede those of ``spectrum`` by
        ``look_ahead``."""
        unit = 4 / self.n_fft  # A sine of full scale has the magnitude 1.
        planes = torch.view_as_real(spectrum[..., 1:]).permute(0, 3, 1, 2) * unit  # without the constant component
        # MAGNITUDE_OFFSET**2 is so small that the exporter to ONNX would drop it from the sum.
        magnitude = MAGNITUDE_OFFSET * ((planes / MAGNITUDE_OFFSET).square().sum(1, keepdim=True) + 1).sqrt()
        compressed = magnitude.pow(COMPRESSION_EXPONENT - 1)
        x = inputs = torch.cat([planes * compressed, magnitude * compressed], dim=1)
        skips, previous = [], []
        for k, (conv, norm, act) in enumerate(zip(self.convs, self.norms, self.acts, strict=True)):
            if k:
                past = x.new_zeros(*x.shape[:2], 1, x.shape[3]) if state["convs"] is None else state["convs"][k - 1]
                previous.append(x[:, :, -1:])
                x = torch.cat([past, x], dim=2)
            x = act(norm(conv(x)))
            skips.append(x)
        shape = x.shape
        flat = F.elu(self.reduce(x.transpose(1, 2).flatten(2)))
        hidden, gru = self.gru(flat, state["gru"])
        x = self.expand(torch.cat([hidden, flat], dim=2)).unflatten(2, (shape[1], shape[3])).transpose(1, 2)
        for conv, norm, act, skip in zip(self.ups, self.up_norms, self.up_acts, reversed(skips), strict=True):
            x = act(norm(conv(torch.cat([x, skip], dim=1))))
        real, imag = self.mask(torch.cat([x, inputs], dim=1)).unbind(1)
        size = (real.square() + imag.square() + 1e-8).sqrt()
        gain = LARGEST_MASK * torch.tanh(size / LARGEST_MASK) / size
        mask = torch.complex(real * gain, imag * gain)
        return torch.cat([mask[..., :1], mask], dim=2), {"convs": previous, "gru": gru}
