"""Tests of full-reference metrics against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from audiogan.modalities import Image, Points, Sound
from audiogan.modalities.references import BETTER, SMALLEST_ERROR, l1, psnr, si_sdr, ssim

RNG = np.random.default_rng


def slow_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Return the SSIM of one channel by equation 13 of Wang et al. 2004, window by window."""
    x, y = (x + 1.0) / 2, (y + 1.0) / 2
    at = np.arange(11) - 5
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2, values = 0.01**2, 0.03**2, []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
            both = (window * (a - mean_a) * (b - mean_b)).sum()
            values.append(
                (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
            )
    return float(np.mean(values))


def pair(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    target = RNG(0).uniform(-0.8, 0.8, shape).astype(np.float32)
    return target + RNG(1).normal(0, 0.1, shape).astype(np.float32), target


def test_ssim_is_that_of_the_paper() -> None:
    output, target = pair(2, 3, 17, 14)
    wanted = np.mean([slow_ssim(output[n, c], target[n, c]) for n in range(2) for c in range(3)])
    assert ssim(output, target) == pytest.approx(wanted, abs=1e-9)
    assert ssim(target, target) == pytest.approx(1.0) and ssim(-target, target) < 0
    # For constant images, only the term of the means remains.
    dark, light = np.full((1, 1, 12, 12), -0.6), np.full((1, 1, 12, 12), 0.2)  # 0.2 and 0.6 of full scale.
    assert ssim(dark, light) == pytest.approx((2 * 0.12 + 0.0001) / (0.04 + 0.36 + 0.0001))
    assert ssim(*pair(2, 1, 4, 7)) < 1  # Smaller than the window.


def test_ssim_is_that_of_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    output, target = pair(1, 3, 40, 31)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    wanted = metrics.structural_similarity((output[0] + 1) / 2, (target[0] + 1) / 2, channel_axis=0, **settings)
    assert ssim(output, target) == pytest.approx(wanted, abs=1e-5)


def test_psnr_averages_errors_before_the_logarithm() -> None:
    target = np.zeros((2, 1, 4, 4))
    output = target.copy()
    output[1] = 0.2  # The mean squared error is 0.02. The other pair is equal.
    assert psnr(output, target) == pytest.approx(10 * np.log10(4 / 0.02))
    assert psnr(target, target) == pytest.approx(10 * np.log10(4 / SMALLEST_ERROR))  # finite
    assert l1(output, target) == pytest.approx(0.1)


def test_si_sdr() -> None:
    target, noise = (RNG(seed).standard_normal((2, 1, 4000)) for seed in (0, 1))
    target, noise = (x - x.mean(-1, keepdims=True) for x in (target, noise))
    noise -= target * (noise * target).sum(-1, keepdims=True) / (target**2).sum(-1, keepdims=True)
    noise *= np.sqrt((target**2).sum(-1, keepdims=True) / (noise**2).sum(-1, keepdims=True))
    for gain in (1.0, 0.1):
        assert si_sdr(gain * (target + 0.1 * noise), target) == pytest.approx(20.0)
    assert si_sdr(target, target) == 100.0 and si_sdr(np.zeros_like(target), target) == -100.0
    silent = target.copy()
    silent[0] = 0
    assert si_sdr(target + 0.1 * noise, silent) == pytest.approx(20.0)  # The silent target is ignored.
    assert si_sdr(target, 0 * target) is None


def test_images_sounds_and_points_have_references() -> None:
    output, target = pair(3, 3, 16, 16)
    assert list(Image().reference_metrics(output, target)) == ["l1", "psnr", "ssim", "gmsd"]
    assert "gmsd" not in Image().reference_metrics(*pair(1, 3, 5, 8))
    assert list(Points().reference_metrics(*pair(5, 2))) == ["l1"]
    waves = pair(3, 1, 4000)
    found = Sound(8000).reference_metrics(*waves)
    assert list(found) == ["l1", "si_sdr", "lsd", "stft_distance"]
    assert found["lsd"] > 0 and found.keys() | {"psnr", "ssim"} <= BETTER.keys()
    assert Sound(8000).reference_metrics(waves[0], waves[0])["lsd"] == 0
    assert "si_sdr" not in Sound(8000).reference_metrics(waves[0], 0 * waves[1])
    with pytest.raises(ValueError, match="same shape"):
        Image().reference_metrics(output, target[:2])
