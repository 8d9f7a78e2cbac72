from __future__ import annotations

import numpy as np
import pytest

from audiogan.metrics import memorisation, nearest, prdc
from audiogan.metrics.neighbours import _chunks


def line(*numbers: float) -> np.ndarray:
    return np.array(numbers, float)[:, None]


def test_prdc_on_hand_made_points() -> None:
    # k = 1: real balls [-1, 1], [0, 2], [1, 3], [2, 18]; fake balls [0.25, 0.75], [0.5, 1], [0.75, 197.25]
    real, fake = line(0, 1, 2, 10), line(0.5, 0.75, 99)
    got = prdc(fake, real, k=1)
    assert got.precision == pytest.approx(2 / 3)  # 99 is in no ball
    assert got.density == pytest.approx((2 + 2 + 0) / 3)  # 0.5 and 0.75 lie in the balls of 0 and of 1
    assert got.coverage == pytest.approx(2 / 4)
    assert got.recall == pytest.approx(3 / 4)  # 1 is on the rim of [0.5, 1]; 2 and 10 are in the ball of 99
    # If radii are capped at their median, the ball of 99 is [98.75, 99.25].
    assert prdc(fake, real, k=1, radius_quantile=0.5).recall == pytest.approx(1 / 4)


def test_prdc_of_equal_distributions_and_of_the_same_set() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 500, 4))
    same, fresh, far = prdc(x, x), prdc(y, x), prdc(y + 50, x)
    assert same.precision == same.recall == same.coverage == 1
    assert min(fresh.precision, fresh.recall, fresh.coverage) > 0.9 and fresh.density == pytest.approx(1, abs=0.1)
    assert far == (0, 0, 0, 0)


def test_cap_stops_one_outlier_from_holding_everything() -> None:
    rng = np.random.default_rng(1)
    real = np.concatenate([rng.standard_normal((100, 2)), [[60.0, 0.0]]])
    noise = np.array([30.0, 0.0]) + 0.1 * rng.standard_normal((100, 2))
    assert prdc(noise, real).precision == 1
    assert prdc(noise, real, radius_quantile=0.5).precision == 0


def test_prdc_sees_dropped_modes_in_recall_and_coverage_only() -> None:
    rng = np.random.default_rng(2)
    centres = np.repeat([[0.0, 0.0], [100.0, 0.0]], 100, axis=0)
    real = centres + rng.standard_normal((200, 2))
    half = prdc(rng.standard_normal((200, 2)), real)
    assert half.precision > 0.9 and half.density > 0.8
    assert half.recall <= 0.5 and half.coverage <= 0.5


def test_prdc_misuse() -> None:
    with pytest.raises(ValueError, match="5 fake and 9 real"):
        prdc(np.zeros((5, 2)), np.zeros((9, 2)), k=5)
    with pytest.raises(ValueError, match="quantile"):
        prdc(np.zeros((9, 2)), np.zeros((9, 2)), radius_quantile=0)


def test_nearest_and_its_chunks() -> None:
    distance, index = nearest(line(0, 6), line(-1, 5, 100), k=1)
    assert distance.tolist() == pytest.approx([1, 1]) and index.tolist() == [0, 1]
    assert nearest(line(0, 6), line(-1, 5, 100), k=2)[0].tolist() == pytest.approx([5, 7])
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((50, 3)), rng.standard_normal((7, 3))
    pieces = [d for _, d in _chunks(x, y, size=21)]
    assert len(pieces) == 17
    np.testing.assert_allclose(np.concatenate(pieces), np.linalg.norm(x[:, None] - y, axis=-1), atol=1e-7)


def test_memorisation_fires_on_copies_and_not_on_new_samples() -> None:
    rng = np.random.default_rng(4)
    train, held_out, new = rng.standard_normal((600, 8)), rng.standard_normal((200, 8)), rng.standard_normal((200, 8))
    fresh = memorisation(new, held_out, train)
    assert fresh.ratio == pytest.approx(1, abs=0.1) and fresh.copies == 0
    copied = memorisation(train[:200] + 0.01 * rng.standard_normal((200, 8)), held_out, train)
    assert copied.ratio < 0.05 and copied.copies == 1
    mixed = memorisation(np.concatenate([train[:50], new[:150]]), held_out, train)
    assert mixed.ratio > 0.8 and mixed.copies == 0.25
    assert memorisation(new + 5, held_out, train).ratio > 3


def test_a_copy_of_a_sound_the_training_set_holds_twice_is_a_copy() -> None:
    train = np.repeat(np.random.default_rng(5).standard_normal((20, 8)), 2, axis=0)
    assert memorisation(train[:10], np.zeros((5, 8)), train).copies == 1
