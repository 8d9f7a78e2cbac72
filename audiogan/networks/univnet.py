"""The multi-resolution spectrogram critic of UnivNet (Jang et al., Interspeech 2021, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import apply_spectral_norm
from audiogan.networks.checks import check_sizes, check_tensor
from audiogan.networks.translation_blocks import init_translation_weights
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.views import STFTView


class SpectrogramPatchCritic(nn.Module):
    """Critic that contains one fully convolutional critic for each of several STFTs of sounds ``[B, C, T]``.

    Each critic returns one logit for each patch of its spectrogram. It differs from the paper's critic in two points:
    it receives compressed real and imaginary parts as well as magnitudes (`STFTView`), and convolutions also have
    stride 2 along time, which saves time.

    Args:
        format: sample rate, length and channels of the sounds.
        n_ffts: window lengths in samples, one or more. The hop is a quarter of the window length.
        width: number of channels of the first layer, 1 or more. Later layers have twice as many.
        layers: number of layers with stride 2, 1 or more.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).

    Source:
        Jang et al., "UnivNet: a neural vocoder with multi-resolution spectrogram discriminators for high-fidelity
        waveform generation", Interspeech 2021, section 2.2.

    Examples:
        >>> import torch
        >>> from audiogan.networks.univnet import SpectrogramPatchCritic
        >>> from audiogan.representations import SoundFormat
        >>> critic = SpectrogramPatchCritic(SoundFormat(4096), n_ffts=(256, 512), width=4)
        >>> [tuple(logits.shape[:2]) for logits in critic(torch.zeros(2, 1, 4096)).logits]
        [(2, 1), (2, 1)]
    """

    takes: frozenset[str] = frozenset()

    def __init__(
        self,
        format: SoundFormat,
        n_ffts: Sequence[int] = (256, 512, 1024),
        width: int = 16,
        layers: int = 3,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, n_ffts=len(n_ffts), width=width, layers=layers)
        self.shape = format.shape
        self.views = nn.ModuleList(
            STFTView(format.length, format.channels, n, n // 4, frame_multiple=1) for n in n_ffts
        )
        widths = [3 * format.channels, width, *[2 * width] * (layers - 1)]
        self.convs = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(i, o, (3, 5), 2 if k else (1, 2), (1, 2)) for k, (i, o) in enumerate(pairwise(widths))
            )
            for _ in n_ffts
        )
        self.scores = nn.ModuleList(nn.Conv2d(widths[-1], 1, 3, padding=1) for _ in n_ffts)
        init_translation_weights(self, "none")
        if spectral_norm:
            apply_spectral_norm(self)

    def forward(self, x: Tensor) -> CriticOutput:
        """Return the logits of each critic, and all hidden layers as features, for sounds ``[B, C, T]``."""
        check_tensor(self, "x", x, self.shape)
        logits, hidden = [], []
        for view, convs, score in zip(self.views, self.convs, self.scores, strict=True):
            y = view(x)
            for conv in convs:  # type: ignore[attr-defined]
                y = F.leaky_relu(conv(y), 0.2)
                hidden.append(y)
            logits.append(score(y))
        return CriticOutput(logits, None, hidden)

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of each critic, averaged over patches, as one tensor ``[B, D]``."""
        hidden = self(x).features
        each = len(hidden) // len(self.views)
        return torch.cat([y.mean((2, 3)) for y in hidden[each - 1 :: each]], dim=1)
