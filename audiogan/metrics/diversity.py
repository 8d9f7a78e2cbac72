"""How many different things a set holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["inception_score", "vendi_score"]


def vendi_score(x: NDArray[np.float64], *, bandwidth: float) -> float:
    """Effective number of different samples in x [N, D] (Friedman & Dieng 2023, def. 3.1), from 1 to N.

    exp of the entropy of the eigenvalues of K / N with the kernel exp(-|x - y|² / (2 bandwidth²)). A set of n equally
    large clusters far apart scores n, where a mean pairwise distance would be large for two clusters already.

    Raises:
        ValueError: an empty set or a bandwidth that is not positive.

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
    """exp E[KL(p(y|x) || p(y))] of class probabilities [N, K] (Salimans et al. 2016, sec. 4), from 1 to K.

    Raises:
        ValueError: rows that are not probabilities.

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
