"""What nearest neighbours tell: precision, recall, density, coverage, and whether training sounds were copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Memorisation", "Prdc", "memorisation", "nearest", "prdc"]

Features = NDArray[np.float64]
COPY = 0.25


class Prdc(NamedTuple):
    precision: float
    recall: float
    density: float
    coverage: float


class Memorisation(NamedTuple):
    ratio: float
    copies: float


def prdc(fake: Features, real: Features, *, k: int = 5, cap: float = 1.0) -> Prdc:
    """Precision and recall (Kynkäänniemi et al. 2019, sec. 2), density and coverage (Naeem et al. 2020, sec. 3).

    Each sample's ball reaches to its k-th nearest neighbour in its own set (itself not counted).

    * precision: share of fakes inside some real ball;
    * recall: share of reals inside some fake ball;
    * density: real balls a fake lies in, mean, / k (about 1 for equal distributions, may exceed 1);
    * coverage: share of real balls that hold a fake.

    With cap < 1 no ball is larger than the `cap` quantile of its set's radii. The published definitions are cap=1;
    there one odd real sound has a ball so wide that it holds all white noise (precision 1.0 against real drums), which
    is why the realism score of Kynkäänniemi et al. (sec. 5) drops balls above the median.

    Raises:
        ValueError: a set of no more than k samples, or a cap outside (0, 1].

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> prdc(x[:100] + 9, x[100:])  # far from the real examples
        Prdc(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    if min(len(fake), len(real)) <= k:
        raise ValueError(f"k={k} neighbours need more than {k} samples, got {len(fake)} fake and {len(real)} real")
    if not 0 < cap <= 1:
        raise ValueError(f"cap is a quantile in (0, 1], got {cap}")
    real_radius, fake_radius = _radii(real, k, cap), _radii(fake, k, cap)
    inside = np.zeros(len(fake), np.int64)  # real balls around each fake
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
    """Euclidean distance [N] of each x to its k-th nearest in `reference`, and which one that is [N].

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
    """Are fakes nearer to training sounds than new real sounds are?

    * ratio: median distance of a fake to its nearest training sound / the same of held-out real sounds. About 1 for
      new sounds of the same kind; towards 0 for copies; above 1 for sounds that are not like the data.
    * copies: share of fakes nearer to a training sound than a quarter of that sound's own distance to its nearest
      other training sound (authenticity, Alaa et al. 2022, sec. 3, with a stricter threshold).

    Raises:
        ValueError: fewer than two training sounds.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> memorisation(x[:10], held_out=x[90:], train=x[:90]).copies  # all ten are training examples
        1.0
    """
    if len(train) < 2:
        raise ValueError(f"need at least two training sounds, got {len(train)}")
    to_train, which = nearest(fake, train)
    unseen, _ = nearest(held_out, train)
    own = nearest(train[np.unique(which)], train, k=2)[0]  # the nearest one is the sound itself
    spacing = own[np.searchsorted(np.unique(which), which)]
    # a distance of nothing is a copy even of a sound the training set holds twice
    copies = to_train <= np.maximum(COPY * spacing, 1e-6 * np.sqrt(train.shape[1]))
    return Memorisation(float(np.median(to_train) / max(np.median(unseen), 1e-12)), float(copies.mean()))


def _radii(x: Features, k: int, cap: float) -> Features:
    radii = nearest(x, x, k=k + 1)[0]  # the nearest is the sample itself
    return np.minimum(radii, np.quantile(radii, cap))


def _chunks(x: Features, y: Features, size: int = 2**21) -> Iterator[tuple[slice, Features]]:
    """Distances [rows, M] of some rows of x [N, D] to all of y [M, D] at a time: memory does not grow with N."""
    squares = (y**2).sum(1)
    step = max(1, size // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        squared = (x[rows] ** 2).sum(1)[:, None] + squares - 2 * x[rows] @ y.T
        yield rows, np.sqrt(squared.clip(0))
