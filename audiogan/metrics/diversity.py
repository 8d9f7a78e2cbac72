"""Measures of diversity: Vendi score and inception score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["inception_score", "vendi_score"]


def vendi_score(x: NDArray[np.float64], *, bandwidth: float) -> float:
    """Return the Vendi score, the effective number of different samples, from 1 to N.

    The score is the exponential of the entropy of the eigenvalues of K / N, where K is the Gaussian kernel matrix
    exp(-|x - y|² / (2 bandwidth²)). A set of n equally large, distant clusters scores n. A mean pairwise distance, in
    contrast, is already large for two clusters.

    Args:
        x: features ``[N, D]``.
        bandwidth: width of the kernel, greater than 0.

    Raises:
        ValueError: the set is empty, or the bandwidth is not positive.

    Source: Friedman & Dieng 2023, "The Vendi Score", definition 3.1.

    Examples:
        >>> clusters = np.repeat([[0.0], [100.0], [200.0]], 5, axis=0)
        >>> round(vendi_score(clusters, bandwidth=1.0), 3)  # three different examples
        3.0
    """
    if x.ndim != 2 or len(x) == 0 or bandwidth <= 0:
        raise ValueError(f"need features [N, D] and a positive bandwidth, got {list(x.shape)} and {bandwidth}")
    squares = (x**2).sum(1)
    squared = (squares[:, None] + squares - 2 * x @ x.T).clip(0)
    eigenvalues = np.linalg.eigvalsh(np.exp(squared / (-2 * bandwidth**2)) / len(x))
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))


def inception_score(probabilities: NDArray[np.floating]) -> float:
    """Return the inception score exp E[KL(p(y|x) || p(y))], from 1 to the number of classes K.

    Args:
        probabilities: class probabilities ``[N, K]``.

    Raises:
        ValueError: rows do not sum to 1, or contain negative values.

    Source: Salimans et al. 2016, "Improved Techniques for Training GANs", section 4.

    Examples:
        >>> round(inception_score(np.eye(10)), 3)  # each of ten classes once, with certainty
        10.0
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or len(p) == 0 or not (np.all(p >= 0) and np.allclose(p.sum(1), 1, atol=1e-4)):
        raise ValueError(f"need class probabilities [N, K] whose rows sum to 1, got {list(p.shape)}")
    marginal = p.mean(0)
    terms = p * (np.log(np.where(p > 0, p, 1)) - np.log(np.where(marginal > 0, marginal, 1)))
    return float(np.exp(terms.sum(1).mean()))
