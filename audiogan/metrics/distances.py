"""Distances between two sets of features [N, D]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["frechet_distance", "kernel_distance"]

Features = NDArray[np.float64]


def frechet_distance(a: Features, b: Features) -> float:
    """Squared Fréchet distance of the Gaussians fitted to a [N, D] and b [M, D] (Heusel et al. 2017, eq. 6).

    |mean_a - mean_b|² + tr(A + B - 2 (A B)^½). With covariances A = Rᵀ R and B = Sᵀ S, tr (A B)^½ is the sum of the
    singular values of R Sᵀ: no matrix square root, so singular covariances (N <= D) and equal sets need no care.

    Biased upwards for few samples: compare only at equal N and M.

    Raises:
        ValueError: fewer than two samples, or dimensions that differ.

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


def kernel_distance(a: Features, b: Features, *, subset: int = 1000, subsets: int = 10, seed: int = 0) -> float:
    """Kernel distance: unbiased squared MMD with the kernel (x·y / D + 1)³ (Bińkowski et al. 2018, sec. 4).

    Up to `subset` samples it is computed once on all of them; of more, it is the mean over `subsets` random subsets of
    that size. Its expectation does not depend on the sample count; it is 0 for equal distributions and may come out
    slightly negative.

    Raises:
        ValueError: fewer than two samples, or dimensions that differ.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(200, 4))
        >>> kernel_distance(x[:100], x[100:]) < kernel_distance(x[:100], x[100:] + 1)
        True
    """
    _check(a, b)
    if max(len(a), len(b)) <= subset:
        return _mmd2(a, b)
    rng = np.random.default_rng(seed)
    n, m = min(subset, len(a)), min(subset, len(b))
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
