"""Tests of the layout of a map: similar examples are close together, points do not overlap, and calls give equal
layouts."""

from __future__ import annotations

import numpy as np
import pytest

from audiogan.latents import arrange
from audiogan.latents.directions import Direction


def distances(points: np.ndarray) -> np.ndarray:
    far = np.sqrt(np.square(points[:, None] - points).sum(-1))
    np.fill_diagonal(far, np.inf)
    return far


def test_similar_examples_are_close_together() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 15)
    features = rng.normal(size=(4, 24))[groups] + 0.1 * rng.normal(size=(60, 24))
    points = arrange(features)
    assert points.shape == (60, 2) and points.min() == 0 and points.max() == 1
    nearest = distances(points).argsort(1)[:, :3]
    assert (groups[nearest] == groups[:, None]).mean() > 0.9
    assert distances(points).min() > 0.3 / np.sqrt(60)
    assert np.array_equal(arrange(features), points)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 7])
def test_few_examples(count: int) -> None:
    points = arrange(np.random.default_rng(1).normal(size=(count, 5)))
    assert points.shape == (count, 2) and np.isfinite(points).all() and (points >= 0).all() and (points <= 1).all()


def test_equal_examples_do_not_cover_each_other() -> None:
    assert distances(arrange(np.ones((20, 3)))).min() > 0.1
    assert distances(arrange(np.repeat(np.random.default_rng(2).normal(size=(5, 3)), 8, axis=0))).min() > 0.02
    assert np.isfinite(arrange(np.random.default_rng(3).normal(size=(30, 1)))).all()


def test_the_opposite_of_a_direction_has_a_name() -> None:
    effects = dict.fromkeys(("brightness", "attack", "decay", "noisiness", "loudness", "pitch", "bass"), 0.0)

    def opposite(name: str) -> str:
        return Direction("drums", np.zeros(2, np.float32), {}, name, effects, 0.1).opposite_name

    assert opposite("brighter, shorter") == "darker, longer"
    assert opposite("less bass") == "more bass"
    assert opposite("other timbre") == "other timbre"
