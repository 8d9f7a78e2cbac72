"""Tests of sharpness, colourfulness, edge correlation and match rate, on simple images."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from audiogan.modalities import Image
from audiogan.modalities.appearance import colourfulness, high_band_energy, sharpness
from audiogan.modalities.references import edge_correlation, gmsd, luminance, target_match_rate

RNG = np.random.default_rng


def stripes(cycles_per_pixel: float, size: int = 32) -> np.ndarray:
    """Return one grey image of vertical stripes."""
    row = 0.5 * np.sin(2 * np.pi * cycles_per_pixel * np.arange(size) + 0.3)
    return np.broadcast_to(row, (1, 1, size, size))


def colour(*levels: float) -> np.ndarray:
    """Return an image ``[3, 1, 2]`` of two pixels, from red, green and blue of both in 0 ... 255."""
    return np.array(levels).reshape(2, 3).T[:, None] / 127.5 - 1


def test_high_band_energy_counts_frequencies_above_half_nyquist() -> None:
    fine, coarse = stripes(0.4), stripes(0.1)
    assert high_band_energy(coarse) < 1e-4 * high_band_energy(fine)
    assert high_band_energy(fine.swapaxes(2, 3)) == pytest.approx(high_band_energy(fine))
    assert high_band_energy(np.full((2, 3, 8, 9), 0.7)) == pytest.approx(0)
    assert high_band_energy(RNG(0).normal(size=(1, 1, 1, 1))) == 0


def test_sharpness_is_a_ratio_of_energies() -> None:
    image = stripes(0.1) + 0.2 * RNG(0).normal(size=(1, 1, 32, 32))
    flat = np.zeros((1, 1, 32, 32))
    assert sharpness(image, image) == 1
    assert sharpness(0.5 * image, image) == pytest.approx(0.25)
    assert sharpness(np.concatenate([image, flat]), image) == pytest.approx(0.5)
    blurred = (image + np.roll(image, 1, 3)) / 2
    assert sharpness(blurred, image) < 0.8
    assert np.isnan(sharpness(image, flat))
    with pytest.raises(ValueError, match="same size"):
        sharpness(image, image[..., 1:])


def test_colourfulness_is_that_of_the_paper() -> None:
    # Red and green: R - G is 255 and -255, (R + G) / 2 - B is 127.5 twice.
    assert colourfulness(colour(255, 0, 0, 0, 255, 0)[None]) == pytest.approx(255 + 0.3 * 127.5)
    # Two equal pixels of pure blue: the standard deviations are 0.
    assert colourfulness(colour(0, 0, 255, 0, 0, 255)[None]) == pytest.approx(0.3 * 255)
    greys = np.repeat(RNG(0).uniform(-1, 1, (4, 1, 8, 8)), 3, axis=1)
    assert colourfulness(greys) == pytest.approx(0)
    assert colourfulness(np.concatenate([greys, np.full((4, 3, 8, 8), 0.0)])) == pytest.approx(0)  # Mean over images.
    with pytest.raises(ValueError, match="colour images"):
        colourfulness(greys[:, :1])


def test_gmsd_is_that_of_the_paper() -> None:
    x, y = (RNG(seed).uniform(-1, 1, (1, 3, 12, 14)) for seed in (0, 1))

    def gradients(image: np.ndarray) -> np.ndarray:
        grey = (np.tensordot([0.299, 0.587, 0.114], image[0], 1) + 1) * 127.5
        small = (grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]) / 4
        found = np.zeros((4, 5))
        for i in range(4):
            for j in range(5):
                part = small[i : i + 3, j : j + 3]
                across, down = (part[:, 0] - part[:, 2]).sum() / 3, (part[0] - part[2]).sum() / 3
                found[i, j] = np.sqrt(across**2 + down**2)
        return found

    a, b = gradients(x), gradients(y)
    likeness = (2 * a * b + 170) / (a**2 + b**2 + 170)
    assert gmsd(x, y) == pytest.approx(np.sqrt(np.mean((likeness - likeness.mean()) ** 2)))
    # A change of brightness leaves the gradients unchanged.
    assert gmsd(x, x) == pytest.approx(0) and gmsd(x, x - 0.2) == pytest.approx(0)
    assert gmsd(np.concatenate([x, x]), np.concatenate([x, y])) == pytest.approx(gmsd(x, y) / 2)
    with pytest.raises(ValueError, match="at least 6"):
        gmsd(x[..., :5], y[..., :5])


def test_luminance_weights_colours() -> None:
    assert luminance(colour(255, 0, 0, 0, 0, 0)[None])[0, 0] == pytest.approx([2 * 0.299 - 1, -1])
    assert luminance(np.full((1, 1, 2, 2), 0.3)).mean() == pytest.approx(0.3)


def test_edge_correlation_depends_on_outlines_only() -> None:
    square = np.full((1, 3, 16, 16), -1.0)
    square[..., 4:12, 4:12] = 1
    assert edge_correlation(-0.3 * square, square) == pytest.approx(1)  # An inverted image with less contrast.
    assert edge_correlation(np.roll(square, 3, axis=(2, 3)), square) < 0.5
    assert edge_correlation(square, square[:, :1]) == pytest.approx(1)  # A colour image is compared with a grey one.
    both = np.concatenate([square, np.zeros_like(square)])
    # The image of a single colour is ignored.
    assert edge_correlation(both, np.concatenate([square, square])) == pytest.approx(1)
    assert np.isnan(edge_correlation(np.zeros_like(square), square))


def test_match_share_says_whether_an_output_belongs_to_its_target() -> None:
    target = RNG(0).uniform(-1, 1, (200, 1, 6, 6))
    near = target + RNG(1).normal(0, 0.2, target.shape)
    assert target_match_rate(near, target) == 1
    assert target_match_rate(near, np.roll(target, 1, 0)) < 0.1
    assert target_match_rate(RNG(2).uniform(-1, 1, target.shape), target) == pytest.approx(1 / 16, abs=0.03)
    assert target_match_rate(target, np.zeros_like(target)) == 1  # Equal targets are equally near.
    with pytest.raises(ValueError, match="candidates=16 must be from 2"):
        target_match_rate(near[:15], target[:15])


def test_match_share_is_the_mean_over_all_choices() -> None:
    output, target = (RNG(seed).uniform(-1, 1, (6, 2)) + np.arange(6)[:, None] / 4 for seed in (0, 1))
    found = []
    for i in range(6):
        for others in combinations([j for j in range(6) if j != i], 2):
            distances = [np.square(output[i] - target[j]).sum() for j in (i, *others)]
            found.append(distances[0] == min(distances))
    assert target_match_rate(output, target, 3) == pytest.approx(np.mean(found))
    assert 0 < np.mean(found) < 1


def test_images_report_appearance() -> None:
    images = RNG(0).uniform(-1, 1, (3, 3, 16, 16)).astype(np.float32)
    assert list(Image().sample_metrics(images)) == ["colourfulness"]
    assert Image().sample_metrics(images, images)["sharpness"] == 1
    assert list(Image().sample_metrics(images[:, :1], images[:, :1])) == ["sharpness"]
