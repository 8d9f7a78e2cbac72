"""Tests of points from a mixture of Gaussians, and of counting the modes that points cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from audiogan.data.toys.points import open_points
from audiogan.errors import UserError
from audiogan.modalities.points import count_modes

RNG = np.random.default_rng


def test_grid_of_25_as_in_the_literature() -> None:
    data = open_points("grid", count=20_000)
    x = data.signals(slice(None))
    assert x.dtype == torch.float32 and x.shape == (20_000, 2) and data.shape == (2,)
    assert torch.allclose(x.std(0), torch.ones(2), atol=0.02)
    plane = data.modality
    assert len(plane.centres) == 25
    lines = np.unique(plane.centres)
    assert np.allclose(np.diff(lines) / plane.std, 2 / 0.05, rtol=1e-4)  # distance 2, standard deviation 0.05
    held = plane.count_modes(x.numpy())
    assert held.modes == 25
    # Probability that a two-dimensional Gaussian is within 3 standard deviations.
    assert held.share == pytest.approx(1 - np.exp(-4.5), abs=0.003)


def test_ring_of_8() -> None:
    data = open_points("ring", std=0.05, count=4000, seed=3)
    plane = data.modality
    assert len(plane.centres) == 8
    assert np.allclose(np.linalg.norm(plane.centres, axis=1) / plane.std, 2 / 0.05)
    assert plane.count_modes(data.signals(slice(None)).numpy()).modes == 8
    assert np.abs(data.signals(slice(None)).numpy()).max() < data.modality.limit


def test_the_contract_with_the_stream() -> None:
    data = open_points("ring", count=400, labels="modes", seed=1)
    assert len(data) == 400 and data.labels[0] == "mode 1" and len(data.labels) == 8
    batch = data.batch(np.array([5, 5, 0]), RNG(0))
    assert batch["x"].dtype == torch.float32 and batch["label"].dtype == torch.int64
    assert torch.equal(batch["x"][0], batch["x"][1])
    batch["x"].zero_()
    assert data.signals([5]).abs().sum() > 0
    # The label is the mode at which the point lies.
    apart = data.signals(slice(None)).numpy()[:, None] - np.array(data.modality.centres)
    nearest = np.linalg.norm(apart, axis=-1).argmin(1)
    assert (nearest == data.targets).all()
    plain = open_points("ring", count=400, seed=1)
    assert torch.equal(plain.signals(slice(None)), data.signals(slice(None)))
    assert "label" not in plain.batch(np.array([0]), RNG(0))
    assert (plain.labels, plain.class_counts, len(plain.targets)) == ([], [], 0)
    assert not torch.equal(plain.signals([0]), open_points("ring", count=400, seed=2).signals([0]))


def test_split_is_stratified_and_repeatable() -> None:
    data = open_points("grid", count=1000, labels="modes")
    train, held = data.split(0.2, seed=5)
    assert len(train) + len(held) == 1000
    rows = {tuple(row) for part in (train, held) for row in part.signals(slice(None)).tolist()}
    assert len(rows) == 1000
    assert all(abs(h - 0.2 * n) <= 0.5 for h, n in zip(held.class_counts, data.class_counts, strict=True))
    assert torch.equal(data.split(0.2, seed=5)[1].signals([3]), held.signals([3]))
    assert data.take(np.array([7, 9])).targets.tolist() == data.targets[[7, 9]].tolist()
    with pytest.raises(ValueError, match="fraction=2"):
        data.split(2)


def test_a_mode_is_held_from_a_fifth_of_its_share_on() -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0]])
    there, away = [[0.0, 2.9]], [[10.0, 3.1]]  # Just within and just beyond three standard deviations.
    assert count_modes(np.array(there * 90 + away * 10), centres, 1.0) == (1, 0.9)
    near = [[10.0, 2.9]]
    assert count_modes(np.array(there * 91 + near * 9), centres, 1.0) == (1, 1.0)
    assert count_modes(np.array(there * 90 + near * 10), centres, 1.0) == (2, 1.0)
    assert count_modes(np.array(there * 90 + away * 10), centres, 1.0, k_sigma=4) == (2, 1.0)
    assert count_modes(np.array([[np.nan, 0.0], [0.0, 0.0]]), centres, 1.0) == (1, 0.5)
    # One point is enough if a fifth of its share is less than one point.
    assert count_modes(np.array([[10.0, 0.0]]), centres, 1.0) == (1, 1.0)
    with pytest.raises(ValueError, match=r"\[0, 2\]"):
        count_modes(np.zeros((0, 2)), centres, 1.0)


def test_a_collapsed_generator_is_seen() -> None:
    plane = open_points("grid").modality
    one = np.array(plane.centres[3]) + plane.std * RNG(0).standard_normal((2500, 2))
    assert plane.count_modes(one).modes == 1
    assert plane.count_modes(RNG(0).uniform(-2, 2, (2500, 2))).share < 0.05


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layout": "spiral"}, "data.layout='spiral'.*grid, ring"),
        ({"modes": 24}, "data.modes=24.*square"),
        ({"layout": "ring", "modes": 1}, "data.modes=1"),
        ({"std": 0}, "data.std=0"),
        ({"std": "wide"}, "data.std='wide'"),
        ({"count": 2.5}, "data.count=2.5"),
        ({"seed": -1}, "data.seed=-1"),
        ({"labels": "folders"}, "data.labels='folders'"),
    ],
)
def test_a_bad_setting_is_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        open_points(**settings)
