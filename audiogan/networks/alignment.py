"""Learned alignment of texts and spectrograms (Badlani et al., ICASSP 2022), and monotonic alignment search."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiogan.networks.checks import check_sizes

INVERSE_TEMPERATURE = 0.005
"""Factor on squared distances between the vectors of symbols and frames before the softmax."""
MASKED = -1e4
"""Logit of positions after the end of a text."""


class Aligner(nn.Module):
    """Soft alignment: the probability of each symbol of a text at each frame of its spectrogram.

    Symbols and frames are mapped to vectors by convolutions. The logits are negative squared distances of the vectors,
    plus the logarithm of a prior (see `beta_binomial`) that prefers the diagonal.

    Args:
        text_channels: number of channels of the encoded symbols, 1 or more.
        mel_channels: number of channels of the frames, 1 or more.
        width: size of the vectors, 1 or more.

    Source:
        Badlani et al., "One TTS alignment to rule them all", ICASSP 2022, section 2.

    Examples:
        >>> import torch
        >>> from audiogan.networks.alignment import Aligner
        >>> count = torch.tensor([3]), torch.tensor([10])
        >>> Aligner(8, 80, width=4)(torch.zeros(1, 3, 8), torch.zeros(1, 80, 10), *count).shape
        torch.Size([1, 10, 3])
    """

    def __init__(self, text_channels: int, mel_channels: int, width: int = 64) -> None:
        super().__init__()
        check_sizes(self, text_channels=text_channels, mel_channels=mel_channels, width=width)
        self.keys = nn.Sequential(
            nn.Conv1d(text_channels, 2 * width, 3, padding=1), nn.ReLU(), nn.Conv1d(2 * width, width, 1)
        )
        self.queries = nn.Sequential(
            nn.Conv1d(mel_channels, 2 * width, 3, padding=1), nn.ReLU(), nn.Conv1d(2 * width, width, 1)
        )

    def forward(self, text: Tensor, mel: Tensor, symbols: Tensor, frames: Tensor) -> Tensor:
        """Return log-probabilities ``[B, T, N]`` of symbols at frames. The sum with the prior is not normalised.

        Args:
            text: encoded symbols ``[B, N, text_channels]``.
            mel: spectrograms ``[B, mel_channels, T]``.
            symbols: number of symbols of each text, int64 ``[B]``.
            frames: number of frames of each spectrogram, int64 ``[B]``.
        """
        keys, queries = self.keys(text.transpose(1, 2)), self.queries(mel)
        distances = (
            queries.square().sum(1)[:, :, None] + keys.square().sum(1)[:, None] - 2 * queries.transpose(1, 2) @ keys
        )
        beyond = torch.arange(text.shape[1], device=text.device)[None] >= symbols[:, None]
        logits = (-INVERSE_TEMPERATURE * distances).masked_fill(beyond[:, None], MASKED).log_softmax(-1)
        prior = torch.zeros_like(logits)
        for row, n, t in zip(prior, symbols.tolist(), frames.tolist(), strict=True):
            row[:t, :n] = torch.from_numpy(beta_binomial(n, t)).to(row)
        return (logits + prior).masked_fill(beyond[:, None], MASKED)


@lru_cache(maxsize=2048)
def beta_binomial(symbols: int, frames: int) -> NDArray[np.float32]:
    """Return the logarithm of the beta-binomial prior ``[frames, symbols]``, which is largest near the diagonal.

    The distribution of symbols at frame ``t``, counted from 1, is the beta-binomial distribution with ``symbols - 1``
    trials, alpha ``t`` and beta ``frames + 1 - t``.

    Args:
        symbols: number of symbols, 1 or more.
        frames: number of frames, 1 or more.

    Source:
        Badlani et al., ICASSP 2022, section 2.3, with a scaling factor of 1.

    Examples:
        >>> from audiogan.networks.alignment import beta_binomial
        >>> beta_binomial(5, 9).argmax(1).tolist()
        [0, 0, 1, 1, 2, 3, 3, 4, 4]
    """
    trials = symbols - 1
    k = torch.arange(symbols, dtype=torch.float64)[None]
    alpha = torch.arange(1, frames + 1, dtype=torch.float64)[:, None]
    beta = frames + 1 - alpha

    def log_beta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    choose = (
        torch.lgamma(torch.tensor(symbols, dtype=torch.float64)) - torch.lgamma(k + 1) - torch.lgamma(trials - k + 1)
    )
    return (choose + log_beta(k + alpha, trials - k + beta) - log_beta(alpha, beta)).float().numpy()


def monotonic_durations(
    scores: NDArray[np.float32], symbols: NDArray[np.int64], frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the number of frames of each symbol on the best monotonic path, int64 ``[B, N]``.

    This is monotonic alignment search. A path begins at the first symbol and ends at the last. From one frame to the
    next, it stays at a symbol or advances by one symbol. The best path has the largest sum of scores.

    Args:
        scores: log-probabilities ``[B, T, N]`` of symbols at frames.
        symbols: number of symbols of each text ``[B]``.
        frames: number of frames of each spectrogram ``[B]``, at least the number of symbols.

    Raises:
        ValueError: a text has more symbols than frames.

    Source:
        Kim et al., "Glow-TTS", NeurIPS 2020, section 3.2 and algorithm 1.

    Examples:
        >>> import numpy as np
        >>> from audiogan.networks.alignment import monotonic_durations
        >>> scores = np.log([[[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]]]).astype(np.float32)
        >>> monotonic_durations(scores, np.array([2]), np.array([3])).tolist()
        [[2, 1]]
    """
    if (frames < symbols).any():
        raise ValueError("monotonic_durations: a text has more symbols than its spectrogram has frames")
    batch, count, width = scores.shape
    best = np.full((batch, width + 1), -np.inf)  # The first column stands for "before the first symbol".
    best[:, 1] = scores[:, 0, 0]
    advanced = np.zeros((count, batch, width), bool)
    for t in range(1, count):
        stay, advance = best[:, 1:], best[:, :-1]
        advanced[t] = advance > stay
        best[:, 1:] = np.where(advanced[t], advance, stay) + scores[:, t]
    rows, place = np.arange(batch), symbols - 1
    durations = np.zeros((batch, width), np.int64)
    for t in range(count - 1, -1, -1):
        inside = t < frames
        durations[rows[inside], place[inside]] += 1
        place = place - (advanced[t, rows, place] & inside)
    return durations
