"""The multi-resolution critic of the Descript audio codec (Kumar et al., NeurIPS 2023), and `CriticSum`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from audiogan.networks.base import CriticOutput
from audiogan.networks.checks import check_sizes
from audiogan.networks.hifigan import SLOPE, init_he_conv, pooled_features
from audiogan.representations.stft import Frames

BAND_EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Edges of the frequency bands, as fractions of half the sample rate."""


class MRD(nn.Module):
    """Multi-resolution critic: for each window length, a critic on the complex STFT of sounds ``[B, 1, T]``.

    Real and imaginary part are two channels. The frequencies are divided into five bands, each with convolutions of its
    own. Windows are Hann windows, and the hop is a quarter of the window. STFTs are divided by the root of the window's
    energy, so that white noise has the same root mean square in the STFT as in its samples.

    Args:
        n_ffts: window lengths in samples, multiples of 4, at least 64.
        width: number of channels of each layer, 1 or more; 32 in the paper.

    Source:
        Kumar et al., "High-fidelity audio compression with improved RVQGAN", NeurIPS 2023, section 3.4. Jang et al.,
        "UnivNet", Interspeech 2021, section 2.2, for critics on STFTs of several resolutions.

    Examples:
        >>> import torch
        >>> from audiogan.networks.dac import MRD
        >>> len(MRD(n_ffts=(256, 512), width=4)(torch.zeros(2, 1, 4096)).logits)
        2
    """

    takes: frozenset[str] = frozenset()

    def __init__(self, n_ffts: Sequence[int] = (2048, 1024, 512), width: int = 32) -> None:
        super().__init__()
        check_sizes(self, n_ffts=len(n_ffts), width=width)
        if any(n < 64 or n % 4 for n in n_ffts):
            raise ValueError(f"MRD: n_ffts={list(n_ffts)} must be multiples of 4, 64 or more")
        self.n_ffts = tuple(n_ffts)

        def stack() -> nn.ModuleList:
            kernels, strides = [(3, 9)] * 4 + [(3, 3)], [(1, 1), (1, 2), (1, 2), (1, 2), (1, 1)]
            return nn.ModuleList(
                weight_norm(init_he_conv(nn.Conv2d(i, o, k, s, padding=(k[0] // 2, k[1] // 2))))
                for (i, o), k, s in zip(pairwise([2, *[width] * 5]), kernels, strides, strict=True)
            )

        bands = len(BAND_EDGES) - 1
        self.convs = nn.ModuleList(nn.ModuleList(stack() for _ in range(bands)) for _ in n_ffts)
        self.scores = nn.ModuleList(weight_norm(init_he_conv(nn.Conv2d(width, 1, 3, padding=1))) for _ in n_ffts)

    def forward(self, x: Tensor) -> CriticOutput:
        """Return the logits of each resolution, and all hidden layers as features, for sounds ``[B, 1, T]``."""
        logits, hidden = [], []
        for n, bands, score in zip(self.n_ffts, self.convs, self.scores, strict=True):
            frames = _cached_stft(x.shape[-1], n, x.device)
            spectrum = torch.view_as_real(frames.analyse(x[:, 0])) / float(frames.window.square().sum().sqrt())
            planes = spectrum.permute(0, 3, 1, 2)  # [B, 2, frames, bins]
            edges = [round(edge * (n // 2 + 1)) for edge in BAND_EDGES]
            ends = []
            for convs, low, high in zip(cast("nn.ModuleList", bands), edges, edges[1:], strict=False):
                y = planes[..., low:high]
                for conv in cast("nn.ModuleList", convs):
                    y = F.leaky_relu(conv(y), SLOPE)
                    hidden.append(y)
                ends.append(y)
            logits.append(score(torch.cat(ends, dim=-1)))
        return CriticOutput(logits, None, hidden)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of each band and resolution, averaged over positions, ``[B, D]``."""
        return pooled_features(self(x), 5)


class CriticSum(nn.Module):
    """Critic that contains several critics on the same signals. Each of them learns as it would alone.

    Args:
        critics: critics by name. Their only input is the signals. A name with the value ``None`` is ignored.
        gain: factor by which signals are multiplied before the critics receive them, above 0. Networks learn fastest
            from signals with a standard deviation of about 1.

    Examples:
        >>> import torch
        >>> from audiogan.networks.dac import MRD, CriticSum
        >>> from audiogan.networks.hifigan import MPD
        >>> critic = CriticSum({"periods": MPD(width=4), "spectrograms": MRD((256,), width=4)})
        >>> len(critic(torch.zeros(2, 1, 4096)).logits)
        6
    """

    takes: frozenset[str] = frozenset()

    def __init__(self, critics: Mapping[str, nn.Module | None], gain: float = 1.0) -> None:
        super().__init__()
        self.critics = nn.ModuleDict({name: critic for name, critic in critics.items() if critic is not None})
        if not self.critics:
            raise ValueError("CriticSum: critics must contain at least one critic")
        if not gain > 0:
            raise ValueError(f"CriticSum: gain={gain} must be above 0")
        self.gain = gain

    def forward(self, x: Tensor) -> CriticOutput:
        """Return the logits and features of all critics."""
        logits: list[Tensor] = []
        hidden: list[Tensor] = []
        for critic in self.critics.values():
            out = critic(self.gain * x)
            logits += out.logits
            hidden += out.features
        return CriticOutput(logits, None, hidden)

    def features(self, x: Tensor) -> Tensor:
        """Return the features of all critics as one tensor ``[B, D]``."""
        return torch.cat([critic.features(self.gain * x) for critic in self.critics.values()], dim=1)  # type: ignore[operator]


@lru_cache(maxsize=16)
def _cached_stft(length: int, n_fft: int, device: torch.device) -> Frames:
    """Return a cached STFT module for sounds of ``length`` samples, with a hop of a quarter of the window."""
    return Frames(length, n_fft, n_fft // 4, pad=n_fft // 2).to(device)
