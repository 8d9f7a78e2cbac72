from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from audiogan.metrics import frechet_distance, frechet_infinity, inception_score, kernel_distance, vendi_score


def exact(mean: np.ndarray, covariance: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return samples [n, D] with exactly this mean and covariance."""
    x = rng.standard_normal((n, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return mean + x @ np.linalg.cholesky(covariance).T


def test_frechet_of_commuting_gaussians_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    s, t = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 0.25])
    a = exact(np.zeros(3), np.diag(s), 50, rng)
    b = exact(np.array([1.0, 0.0, -2.0]), np.diag(t), 80, rng)
    assert frechet_distance(a, b) == pytest.approx(5 + ((s**0.5 - t**0.5) ** 2).sum(), rel=1e-9)


def test_frechet_of_any_gaussians_agrees_with_the_matrix_square_root() -> None:
    rng = np.random.default_rng(1)
    p, q = (m @ m.T + np.eye(6) for m in rng.standard_normal((2, 6, 6)))
    a, b = exact(np.zeros(6), p, 40, rng), exact(np.ones(6), q, 40, rng)
    expected = 6 + np.trace(p) + np.trace(q) - 2 * np.trace(scipy.linalg.sqrtm(p @ q).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-7)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-7)


def test_the_extrapolated_frechet_distance_does_not_depend_on_the_number_of_samples() -> None:
    rng, spread = np.random.default_rng(4), 1 / (1 + np.arange(48)) ** 0.5
    for shift, truth in ((0.0, 0.0), (0.5, 2.0)):
        a, b = rng.normal(size=(2, 1600, 48)) * spread
        b[:, :8] += shift
        few, many = (frechet_infinity(a[:n], b[:n]) for n in (400, 1600))
        assert few == pytest.approx(truth, abs=0.4) and many == pytest.approx(truth, abs=0.2)
    x, y = rng.normal(size=(2, 400, 48))
    assert frechet_distance(x, y) > 2  # The distance itself is biased.
    assert abs(frechet_infinity(x, y)) < 0.4


def test_frechet_of_fewer_samples_than_dimensions() -> None:
    rng = np.random.default_rng(2)
    a = rng.standard_normal((20, 100))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a[::-1] + 0.5) == pytest.approx(25, rel=1e-9)  # Only the mean differs.
    still = np.zeros((20, 100))
    assert frechet_distance(a, still) == pytest.approx((a.mean(0) ** 2).sum() + a.var(0, ddof=1).sum(), rel=1e-9)


def test_kernel_distance_is_unbiased_and_sees_a_shift() -> None:
    rng = np.random.default_rng(3)
    draws = [kernel_distance(rng.standard_normal((40, 8)), rng.standard_normal((40, 8))) for _ in range(200)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / 200**0.5
    assert min(draws) < 0 < max(draws)
    shifted = [kernel_distance(rng.standard_normal((40, 8)), rng.standard_normal((40, 8)) + 1) for _ in range(20)]
    assert min(shifted) > max(draws)


def test_kernel_distance_by_hand() -> None:
    # D = 1, kernel (xy + 1)³. Within a: 2³ = 8 (one pair). Within b: 0 -> 1. Between a and b: 1.
    a, b = np.array([[1.0], [1.0]]), np.array([[0.0], [0.0]])
    assert kernel_distance(a, b) == pytest.approx(8 + 1 - 2)


def test_kernel_distance_over_subsets_is_near_the_whole_and_repeats() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((600, 4)), rng.standard_normal((600, 4)) + 0.7
    parts = kernel_distance(a, b, subset_size=150, subsets=20, seed=5)
    assert parts == kernel_distance(a, b, subset_size=150, subsets=20, seed=5)
    assert parts != kernel_distance(a, b, subset_size=150, subsets=20, seed=6)
    assert parts == pytest.approx(kernel_distance(a, b), rel=0.15)


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance])
def test_shapes_that_do_not_fit_are_echoed(metric) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"\[5, 3\] and \[5, 4\]"):
        metric(np.zeros((5, 3)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"\[1, 3\]"):
        metric(np.zeros((1, 3)), np.zeros((5, 3)))


def test_vendi_counts_clusters() -> None:
    far = np.repeat(np.eye(7) * 100, 10, axis=0)
    assert vendi_score(far, bandwidth=1.0) == pytest.approx(7)
    assert vendi_score(np.ones((30, 4)), bandwidth=1.0) == pytest.approx(1)
    assert vendi_score(np.eye(30) * 100, bandwidth=1.0) == pytest.approx(30)
    with pytest.raises(ValueError, match="bandwidth"):
        vendi_score(far, bandwidth=0.0)


def test_inception_score_known_answers() -> None:
    assert inception_score(np.eye(10)[np.arange(100) % 10]) == pytest.approx(10)
    assert inception_score(np.eye(10)[np.zeros(100, int)]) == pytest.approx(1)
    assert inception_score(np.full((50, 10), 0.1)) == pytest.approx(1)
    # Two classes, each predicted with probability 0.9: exp(ln 2 - H(0.9)).
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert inception_score(p) == pytest.approx(2 * np.exp(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(np.ones((4, 3)))
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(np.array([[1.5, -0.5]]))
