"""Two-dimensional layout of sounds or images in which similar ones are close together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["arrange"]

COMPONENTS = 32
"""Number of principal components from which t-SNE computes distances."""
PERPLEXITY = 20.0
"""Perplexity of t-SNE: about the number of neighbours that each point stays close to."""
TSNE_STEPS = 500
"""Number of optimisation steps of t-SNE. With more steps, the layout of 300 sounds hardly changes."""
EVENNESS = 0.5
"""Weight of the ranks of the coordinates, 0 to 1. With 0, points keep their t-SNE positions. With 1, their coordinates
are spaced evenly on each axis."""
SPACING = 0.75
"""Smallest distance between two points, divided by the spacing of a square grid with the same number of points."""
SPREAD_ROUNDS = 40
"""Maximum number of rounds in which points that are too close are moved apart."""


def arrange(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return positions in the unit square at which examples with similar features are close together.

    The features are projected to 32 principal components. From these, t-SNE computes the positions, in 500 steps with a
    perplexity of 20, starting from the first two components. To reduce empty areas, each coordinate is replaced by the
    mean of the coordinate and its rank. Points closer than 0.75 times the spacing of a square grid are then moved
    apart. Each axis is scaled to 0 ... 1.

    No step draws random numbers, so equal features give equal positions on the same machine.

    Args:
        features: features ``[N, D]``, for example from `audiogan.features.embedding.embed`.

    Returns:
        Positions ``[N, 2]`` from 0 to 1.

    Source:
        van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008. Kobak and Berens, "The art of using t-SNE
        for single-cell transcriptomics", Nature Communications 2019, for the start at the principal components.

    Examples:
        >>> import numpy as np
        >>> from audiogan.latents import arrange
        >>> arrange(np.random.default_rng(0).random((10, 4))).shape
        (10, 2)
    """
    x = np.asarray(features, np.float64)
    count = len(x)
    if count < 2 or not (x != x[0]).any():
        return np.full((count, 2), 0.5) if count < 2 else _spread(np.full((count, 2), 0.5))
    from sklearn.decomposition import PCA

    components = min(COMPONENTS, count, x.shape[1])
    projected = PCA(components, svd_solver="full").fit_transform(x)
    start = np.pad(projected[:, :2], ((0, 0), (0, 2 - min(2, components))))
    if count < 6:  # t-SNE needs more points than its perplexity.
        return _spread(_scaled(start))
    from sklearn.manifold import TSNE

    tsne = TSNE(
        init=1e-4 * start / start[:, 0].std(),
        perplexity=min(PERPLEXITY, (count - 1) / 3),
        max_iter=TSNE_STEPS,
        learning_rate="auto",
        random_state=0,
    )
    points = _scaled(tsne.fit_transform(projected).astype(np.float64))
    ranks = points.argsort(0, kind="stable").argsort(0, kind="stable") / (count - 1)
    return _spread((1 - EVENNESS) * points + EVENNESS * ranks)


def _scaled(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points with each axis scaled to 0 ... 1. An axis without variation becomes 0.5."""
    low, size = points.min(0), np.ptp(points, axis=0)
    return np.where(size > 0, (points - low) / np.where(size > 0, size, 1), 0.5)


def _spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points after moving apart those that are too close. Equal points move in different directions."""
    count = len(points)
    least = SPACING / np.sqrt(count)
    # The angles are multiples of the golden angle, so that equal points move apart in evenly spaced directions.
    angles = np.arange(count) * np.pi * (3 - np.sqrt(5))
    points = points + 1e-6 * np.column_stack([np.cos(angles), np.sin(angles)])
    for _ in range(SPREAD_ROUNDS):
        offset = points[:, None] - points
        distance = np.sqrt(np.square(offset).sum(-1))
        np.fill_diagonal(distance, np.inf)
        short = np.clip(least - distance, 0, None)
        if short.max() < 0.02 * least:
            break
        points = points + (offset * (short / (2 * distance))[..., None]).sum(1)
    return _scaled(points)
