"""The critic of MetricGAN+ (Fu et al., Interspeech 2021), which predicts the score of an output for a clean target."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import apply_spectral_norm
from audiogan.networks.checks import check_sizes, check_tensor
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.views import STFTView


class MetricCritic(nn.Module):
    """Critic that predicts a score of each sound, given its clean target. Both are ``[B, C, T]``.

    It receives the compressed magnitudes of both STFTs and their difference. Convolutions with stride 2 follow, then
    the mean over time and two linear layers. It differs from the paper's critic in three points: the difference is an
    input, convolutions have strides, and the mean is taken over time only, because a score weighs frequencies
    differently.

    Args:
        format: format of the sounds.
        n_ffts: window lengths in samples, one or more. The hop is half of the window length. Each STFT has
            convolutions of its own.
        width: number of channels of the first layer, 1 or more. The second layer has twice as many, all others three
            times as many.
        layers: number of convolutions, 1 or more.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).

    Source:
        Fu et al., "MetricGAN+: an improved version of MetricGAN for speech enhancement", Interspeech 2021.

    Examples:
        >>> import torch
        >>> from audiogan.networks.metricgan import MetricCritic
        >>> from audiogan.representations import SoundFormat
        >>> critic = MetricCritic(SoundFormat(4096), n_ffts=[256], width=4)
        >>> critic(torch.zeros(2, 1, 4096), torch.zeros(2, 1, 4096)).shape
        torch.Size([2])
    """

    takes: frozenset[str] = frozenset()

    def __init__(
        self,
        format: SoundFormat,
        n_ffts: Sequence[int] = (512,),
        width: int = 16,
        layers: int = 4,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, n_ffts=len(n_ffts), width=width, layers=layers)
        self.shape = format.shape
        self.views = nn.ModuleList(
            STFTView(format.length, format.channels, n, n // 2, frame_multiple=1) for n in n_ffts
        )
        widths = [3 * format.channels, width, 2 * width, *[3 * width] * layers][: layers + 1]
        self.convs = nn.ModuleList(nn.ModuleList(nn.Conv2d(i, o, 5, 2, 2) for i, o in pairwise(widths)) for _ in n_ffts)
        sizes = [widths[-1] * -(-(n // 2) // 2**layers) for n in n_ffts]
        self.hidden, self.score = nn.Linear(sum(sizes), 64), nn.Linear(64, 1)
        if spectral_norm:
            apply_spectral_norm(self)

    def view(self, x: Tensor) -> Tensor:
        """Return sounds ``[B, C, T]`` unchanged: the critic judges sounds, whatever the generator's representation."""
        return x

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Return predicted scores ``[B]``, usually 0 to 1.

        Args:
            x: sounds ``[B, C, T]``.
            target: clean sounds ``[B, C, T]``. None: ``x`` itself.
        """
        return self.score(F.leaky_relu(self.hidden(self.features(x, target)), 0.2)).squeeze(1)

    def features(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Return the last convolution's output, averaged over time, ``[B, D]``. The arguments are those of
        `forward`."""
        check_tensor(self, "x", x, self.shape)
        pooled = []
        for view, convs in zip(self.views, self.convs, strict=True):
            a = view(x)[:, 2::3]
            b = a if target is None else view(target)[:, 2::3]
            y = torch.cat([a, b, a - b], dim=1)
            for conv in convs:  # type: ignore[attr-defined]
                y = F.leaky_relu(conv(y), 0.2)
            pooled.append(y.mean(2).flatten(1))
        return torch.cat(pooled, dim=1)
