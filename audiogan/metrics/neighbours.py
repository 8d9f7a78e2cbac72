"""Metrics based on nearest neighbours: precision, recall, density, coverage and memorisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memorisation", "Prdc", "memorisation", "nearest", "prdc"]

Features = NDArray[np.float64]
COPY_RATIO = 0.25
"""A sample is a copy if its distance to a training example is at most this fraction of the distance from that
example to its nearest other training example."""


class Prdc(NamedTuple):
    """Precision, recall, density and coverage, see `prdc`."""

    precision: float
    recall: float
    density: float
    coverage: float


class Memorisation(NamedTuple):
    """Ratio of distances, and fraction of copies, see `memorisation`."""

    ratio: float
    copies: float


def prdc(fake: Features, real: Features, *, k: int = 5, radius_quantile: float = 1.0) -> Prdc:
    """Compute precision, recall, density and coverage.

    Each sample is the centre of a ball. Its radius is the distance to the k-th nearest neighbour in the sample's own
    set.

    * precision: fraction of fake samples inside any real ball.
    * recall: fraction of real samples inside any fake ball.
    * density: number of real balls that contain a fake sample, averaged over the fake samples and divided by k. It is
      about 1 if fake and real samples have the same distribution, and can exceed 1.
    * coverage: fraction of real balls that contain at least one fake sample.

    Args:
        fake: features of generated samples ``[N, D]``.
        real: features of real samples ``[M, D]``.
        k: number of the neighbour that determines the radius, not counting the sample itself.
        radius_quantile: upper limit of the radii as a quantile of the radii of the set, in (0, 1]. 1 gives the
            published definitions. But then the ball of a single outlier can be so large that it contains even white
            noise, which gets a precision of 1. For this reason, the realism score of Kynkäänniemi et al. (section 5)
            discards balls above the median radius.

    Raises:
        ValueError: a set has at most k samples, or ``radius_quantile`` is outside (0, 1].

    Source: Kynkäänniemi et al. 2019, section 2; Naeem et al. 2020, section 3.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> prdc(x[:100] + 9, x[100:])  # far from the real examples
        Prdc(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    if min(len(fake), len(real)) <= k:
        raise ValueError(f"k={k} neighbours need more than {k} samples, got {len(fake)} fake and {len(real)} real")
    if not 0 < radius_quantile <= 1:
        raise ValueError(f"radius_quantile must be in (0, 1], got {radius_quantile}")
    real_radius, fake_radius = _radii(real, k, radius_quantile), _radii(fake, k, radius_quantile)
    inside = np.zeros(len(fake), np.int64)  # Number of real balls that contain each fake sample.
    recalled = covered = 0
    for rows, distances in _chunks(real, fake):
        in_real = distances <= real_radius[rows, None]
        inside += in_real.sum(0)
        covered += int(in_real.any(1).sum())
        recalled += int((distances <= fake_radius).any(1).sum())
    return Prdc(
        precision=float((inside > 0).mean()),
        recall=recalled / len(real),
        density=float(inside.mean() / k),
        coverage=covered / len(real),
    )


def nearest(x: Features, reference: Features, *, k: int = 1) -> tuple[Features, NDArray[np.int64]]:
    """Find the k-th nearest neighbour of each row of ``x``.

    Args:
        x: features ``[N, D]``.
        reference: features ``[M, D]`` in which neighbours are searched.
        k: number of the neighbour; 1 is the nearest.

    Returns:
        Euclidean distance ``[N]`` to the neighbour, and its index ``[N]`` in ``reference``.

    Examples:
        >>> distance, index = nearest(np.array([[0.0, 1.0]]), np.array([[5.0, 5.0], [0.0, 3.0]]))
        >>> distance.tolist(), index.tolist()
        ([2.0], [1])
    """
    distance, index = np.empty(len(x)), np.empty(len(x), np.int64)
    for rows, distances in _chunks(x, reference):
        index[rows] = np.argpartition(distances, k - 1, axis=1)[:, k - 1]
        distance[rows] = distances[np.arange(len(distances)), index[rows]]
    return distance, index


def memorisation(fake: Features, held_out: Features, train: Features) -> Memorisation:
    """Measure whether generated samples are copies of training examples.

    * ratio: median distance of a fake sample to its nearest training example, divided by the median distance of a
      held-out sample to its nearest training example. It is about 1 for new samples of the same kind, near 0 for
      copies, and above 1 for samples unlike the data.
    * copies: fraction of fake samples that are copies. The distance of a copy to its nearest training example is at
      most a quarter of the distance from this example to its nearest other training example.

    Args:
        fake: features of generated samples ``[N, D]``.
        held_out: features of held-out real samples ``[M, D]``.
        train: features of training examples ``[K, D]``, K >= 2.

    Raises:
        ValueError: there are fewer than two training examples.

    Source: Alaa et al. 2022, section 3 (authenticity). The threshold of a quarter is stricter than in the paper.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> memorisation(x[:10], held_out=x[90:], train=x[:90]).copies  # all ten are training examples
        1.0
    """
    if len(train) < 2:
        raise ValueError(f"need at least two training examples, got {len(train)}")
    to_train, which = nearest(fake, train)
    unseen, _ = nearest(held_out, train)
    own = nearest(train[np.unique(which)], train, k=2)[0]  # k=2, because the nearest neighbour is the example itself.
    spacing = own[np.searchsorted(np.unique(which), which)]
    # At distance 0, a sample is a copy, even if `own` is also 0 because the training data contains the example twice.
    copies = to_train <= np.maximum(COPY_RATIO * spacing, 1e-6 * np.sqrt(train.shape[1]))
    return Memorisation(float(np.median(to_train) / max(np.median(unseen), 1e-12)), float(copies.mean()))


def _radii(x: Features, k: int, radius_quantile: float) -> Features:
    radii = nearest(x, x, k=k + 1)[0]  # k + 1, because the nearest neighbour of a sample in `x` is the sample itself.
    return np.minimum(radii, np.quantile(radii, radius_quantile))


def _chunks(x: Features, y: Features, size: int = 2**21) -> Iterator[tuple[slice, Features]]:
    """Yield distances ``[rows, M]`` of some rows of ``x`` to all rows of ``y``, so that memory does not grow with N."""
    squares = (y**2).sum(1)
    step = max(1, size // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        squared = (x[rows] ** 2).sum(1)[:, None] + squares - 2 * x[rows] @ y.T
        yield rows, np.sqrt(squared.clip(0))
