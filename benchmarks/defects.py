"""Measures of defects of generated drums, for `benchmarks/models.py`.

They are spectral lines, swells, high frequencies, and the accuracy of a classifier of real and generated sounds.

All functions receive mono sounds ``[N, T]`` with their onset at the beginning.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import median_filter, uniform_filter1d
from torch import nn
from torch.nn import functional as F

from audiogan.representations.views import LogMelView

START_SECONDS, LINE_SECONDS = 0.02, 0.37
"""Beginning and length of the part in which lines are measured, in seconds."""
PER_OCTAVE = 96
"""Number of points per octave of a line pattern."""
EXAMPLES, STEPS = 450, 300
"""Maximum number of real sounds and of generated sounds for the classifier, and number of its training steps."""


def line_pattern(x: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two spectra from 60 Hz to 7 kHz, in dB: relative to the surrounding frequencies, and absolute.

    Each point is the largest power in a 96th of an octave. The level of the surroundings is the median over two
    thirds of an octave.
    """
    part = x[round(START_SECONDS * rate) : round((START_SECONDS + LINE_SECONDS) * rate)]
    size = 1 << (2 * round(LINE_SECONDS * rate) - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(part * np.hanning(len(part)), size)))
    octaves = np.arange(np.log2(60), np.log2(7000), 1 / PER_OCTAVE)
    edges = np.round(2.0 ** (octaves - 0.5 / PER_OCTAVE) * size / rate).astype(int)
    ends = np.maximum(np.round(2.0 ** (octaves + 0.5 / PER_OCTAVE) * size / rate).astype(int), edges + 1)
    level = 10 * np.log10(np.array([power[a:b].max() for a, b in zip(edges, ends, strict=True)]) + 1e-12)
    return level - median_filter(level, 2 * PER_OCTAVE // 3), level


def sharpest_line(x: np.ndarray, rate: int) -> float:
    """Return the level of the sharpest spectral line relative to the surrounding frequencies, in dB.

    Lines more than 40 dB below the strongest one do not count.
    """
    over, level = line_pattern(x, rate)
    return float(over[level > level.max() - 40].max())


def likeness(sounds: np.ndarray, rate: int) -> float:
    """Return the correlation of the line patterns of two different sounds, averaged over all pairs."""
    patterns = np.array([line_pattern(x, rate)[0].clip(0, 30) for x in sounds])
    patterns -= patterns.mean(1, keepdims=True)
    patterns /= np.linalg.norm(patterns, axis=1, keepdims=True) + 1e-12
    n = len(sounds)
    return float((np.square(patterns.sum(0)).sum() - n) / (n * (n - 1)))


def rises_again(x: np.ndarray, rate: int) -> bool:
    """Return whether the level rises by more than 1.5 dB between 0.1 and 0.25 s after the peak.

    Levels more than 50 dB below the peak count as -50 dB.
    """
    power = uniform_filter1d(np.square(x), round(0.02 * rate))
    level = 10 * np.log10(power / power.max() + 1e-5)
    start = int(power.argmax())
    part = level[start + round(0.1 * rate) : start + round(0.25 * rate)]
    return bool(len(part) and (part - np.minimum.accumulate(part)).max() > 1.5)


def high_share(sounds: np.ndarray, rate: int) -> float:
    """Return the median share of the energy above 8 kHz, in dB."""
    power = np.square(np.abs(np.fft.rfft(sounds, axis=1)))
    first = round(8000 / rate * sounds.shape[1])
    return float(np.median(10 * np.log10(power[:, first:].sum(1) / power.sum(1) + 1e-9)))


def recognition_rate(generated: np.ndarray, real: np.ndarray, rate: int, seed: int = 0) -> float:
    """Return the share of sounds that a classifier of real and generated sounds assigns correctly.

    For a perfect generator, the share is 0.5.

    The classifier is a small CNN on log-mel spectrograms, trained for 300 steps on half of the sounds. The result is
    its accuracy for the other half.
    """
    n = min(EXAMPLES, len(real), len(generated))
    rng = np.random.default_rng(seed)
    parts = [sounds[rng.permutation(len(sounds))[:n]] for sounds in (generated, real)]
    x = torch.from_numpy(np.concatenate(parts)[:, None].astype(np.float32))
    y = torch.arange(2 * n) // n
    hop = 1 << round(np.log2(0.012 * rate))
    with torch.no_grad():
        x = LogMelView(x.shape[2], 1, rate, 2 * hop, hop, 64)(x)
    torch.manual_seed(seed)
    widths = 1, 16, 32, 48
    layers = [
        layer for a, b in pairwise(widths) for layer in (nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
    ]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 16, 2))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, weight_decay=1e-4)
    order = torch.from_numpy(rng.permutation(2 * n))
    train, test = order[:n], order[n:]
    for _ in range(STEPS):
        rows = train[torch.randint(len(train), (32,))]
        optimizer.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        return float((net(x[test]).argmax(1) == y[test]).float().mean())


def report(by_class: dict[str, tuple[np.ndarray, np.ndarray]], rate: int) -> None:
    """Print all measures of generated and real sounds.

    Args:
        by_class: generated and real mono sounds of each class, ``[N, T]`` each.
        rate: sample rate in Hz.
    """
    print("generated/real: sharpest line (dB), likeness of line patterns, rises again, energy above 8 kHz (dB)")
    for label, pair in by_class.items():
        line = [np.median([sharpest_line(x, rate) for x in sounds]) for sounds in pair]
        alike = [likeness(sounds, rate) for sounds in pair]
        again = [np.mean([rises_again(x, rate) for x in sounds]) for sounds in pair]
        high = [high_share(sounds, rate) for sounds in pair] if rate > 24_000 else [float("nan")] * 2
        print(
            f"    {label:12} {line[0]:5.1f}/{line[1]:4.1f}   {alike[0]:.2f}/{alike[1]:.2f}   "
            f"{again[0]:4.0%}/{again[1]:4.0%}   {high[0]:6.1f}/{high[1]:6.1f}"
        )
    total = sum(len(real) for _, real in by_class.values())
    made = np.concatenate([made[: -(-EXAMPLES * len(real) // total)] for made, real in by_class.values()])
    real = np.concatenate([pair[1] for pair in by_class.values()])
    right = [recognition_rate(made, real, rate, seed) for seed in range(3)]
    print(f"a classifier of real and generated sounds is right for {', '.join(f'{r:.0%}' for r in right)} (3 seeds)")
