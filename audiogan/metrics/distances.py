"""Distances between two sets of features ``[N, D]``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["frechet_distance", "frechet_infinity", "kernel_distance"]

Features = NDArray[np.float64]


def frechet_distance(a: Features, b: Features) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to two sets of features.

    The distance is |mean_a - mean_b|² + tr(A + B - 2 (A B)^½). With covariances A = Rᵀ R and B = Sᵀ S, tr (A B)^½ is
    the sum of the singular values of R Sᵀ. This avoids a matrix square root, so neither singular covariances (N <= D)
    nor identical sets cause numerical problems.

    The estimate is biased upwards for small sets. Compare two distances only if both were computed with the same N and
    the same M, or use `frechet_infinity`.

    Args:
        a: features ``[N, D]``, N >= 2.
        b: features ``[M, D]``, M >= 2.

    Raises:
        ValueError: fewer than two samples, or different dimensions.

    Source: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(200, 4))
        >>> round(frechet_distance(x, x), 6), round(frechet_distance(x, x + 1), 6)  # shifted by 1 in 4 dimensions
        (0.0, 4.0)
    """
    _check(a, b)
    mean_a, mean_b = a.mean(0), b.mean(0)
    r = np.linalg.qr(a - mean_a, mode="r") / np.sqrt(len(a) - 1)
    s = np.linalg.qr(b - mean_b, mode="r") / np.sqrt(len(b) - 1)
    overlap = np.linalg.svd(r @ s.T, compute_uv=False).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + (r**2).sum() + (s**2).sum() - 2 * overlap
    return max(float(distance), 0.0)


def frechet_infinity(a: Features, b: Features, *, sizes: int = 15, seed: int = 0) -> float:
    """Return the squared Fréchet distance, extrapolated to infinitely many samples.

    `frechet_distance` of N samples is too large by about c / N. This function computes it for random subsets of both
    sets, of N / 2 to N samples, fits a line to the distances as a function of 1 / N, and returns the value of the line
    at 0. The result does not depend on the number of samples, so results for different numbers of samples can be
    compared. It can be slightly negative.

    Args:
        a: features ``[N, D]``.
        b: features ``[M, D]``. The largest subset has min(N, M) samples, which should be at least twice D.
        sizes: number of subset sizes, 3 or more.
        seed: seed for the subsets.

    Raises:
        ValueError: fewer than 12 samples or 3 sizes, or different dimensions.

    Source: Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find them", CVPR 2020,
        section 4. Gui et al., "Adapting Fréchet audio distance for generative music evaluation", ICASSP 2024.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> x, y = rng.normal(size=(2, 400, 20))
        >>> frechet_distance(x, y) > 0.5, abs(frechet_infinity(x, y)) < 0.3  # both sets have the same distribution
        (True, True)
    """
    _check(a, b)
    n = min(len(a), len(b))
    if n < 12 or sizes < 3:
        raise ValueError(f"frechet_infinity: {n} samples and sizes={sizes}; it needs 12 samples and 3 sizes or more")
    rng = np.random.default_rng(seed)
    counts = np.unique((1 / np.linspace(1 / n, 2 / n, sizes)).round().astype(int))
    subsets = ((rng.choice(len(a), k, replace=False), rng.choice(len(b), k, replace=False)) for k in counts)
    distances = [frechet_distance(a[rows], b[columns]) for rows, columns in subsets]
    return float(np.polyfit(1 / counts, distances, 1)[1])


def kernel_distance(a: Features, b: Features, *, subset_size: int = 1000, subsets: int = 10, seed: int = 0) -> float:
    """Return the kernel distance: the unbiased squared maximum mean discrepancy (MMD), with the kernel (x·y / D + 1)³.

    Its expectation does not depend on the number of samples and is 0 if both sets have the same distribution. A single
    estimate can therefore be slightly negative.

    Args:
        a: features ``[N, D]``, N >= 2.
        b: features ``[M, D]``, M >= 2.
        subset_size: largest number of samples drawn from each set for one subset.
        subsets: number of random subsets, over which the distance is averaged.
        seed: seed for the subsets.

    Raises:
        ValueError: fewer than two samples, or different dimensions.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", section 4.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(200, 4))
        >>> kernel_distance(x[:100], x[100:]) < kernel_distance(x[:100], x[100:] + 1)
        True
    """
    _check(a, b)
    if max(len(a), len(b)) <= subset_size:
        return _mmd2(a, b)
    rng = np.random.default_rng(seed)
    n, m = min(subset_size, len(a)), min(subset_size, len(b))
    draws = ((rng.choice(len(a), n, replace=False), rng.choice(len(b), m, replace=False)) for _ in range(subsets))
    return float(np.mean([_mmd2(a[rows], b[columns]) for rows, columns in draws]))


def _mmd2(a: Features, b: Features) -> float:
    n, m, d = len(a), len(b), a.shape[1]
    aa, bb, ab = ((x @ y.T / d + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    within = (aa.sum() - np.trace(aa)) / (n * (n - 1)) + (bb.sum() - np.trace(bb)) / (m * (m - 1))
    return float(within - 2 * ab.mean())


def _check(a: Features, b: Features) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"need features [N >= 2, D] and [M >= 2, D], got {list(a.shape)} and {list(b.shape)}")
