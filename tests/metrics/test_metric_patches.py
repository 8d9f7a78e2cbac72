"""Tests that the Fréchet distance of patches ranks blurred and noisy images below real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter

from audiogan.metrics import Patches, embed, evaluate, frechet_distance
from audiogan.modalities import Image

OPENMOJI = Path(__file__).parents[2].parent / "shared" / "data" / "images" / "openmoji_64" / "color"


def scenes(count: int, seed: int, size: int = 32) -> np.ndarray:
    """Return images of overlapping rectangles with sharp edges: float32 ``[count, 3, size, size]``."""
    rng = np.random.default_rng(seed)
    x = np.ones((count, 3, size, size), np.float32)
    for image in x:
        for _ in range(8):
            (top, left), (height, width) = rng.integers(0, size - 4, 2), rng.integers(3, size // 2, 2)
            image[:, top : top + height, left : left + width] = rng.uniform(-1, 1, (3, 1, 1))
    return x


def distance(a: np.ndarray, b: np.ndarray) -> float:
    patches = Patches(a.shape[1:])
    x, y = (embed(part, patches) for part in (a, b))
    return frechet_distance(x.reshape(-1, x.shape[2]), y.reshape(-1, y.shape[2]))


def worse(sharp: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {
        "sharp": sharp,
        "median": median_filter(sharp, (1, 1, 5, 5)),
        "blurred": gaussian_filter(sharp, (0, 0, 2, 2)),
        "noise": rng.uniform(-1, 1, sharp.shape).astype(np.float32),
    }


def test_blur_and_noise_are_worse_than_sharp_images() -> None:
    real = scenes(60, 1)
    found = {name: distance(x, real) for name, x in worse(scenes(60, 0)).items()}
    assert 3 * found["sharp"] < found["median"] < found["blurred"] < found["noise"], found
    slight = gaussian_filter(scenes(60, 0), (0, 0, 0.6, 0.6))
    assert distance(slight, real) > 2 * found["sharp"]


def test_the_same_on_real_pictures() -> None:
    paths = sorted(OPENMOJI.glob("*.png"))
    if not paths:
        pytest.skip("no pictures in ../shared/data/images/openmoji_64")
    chosen = np.random.default_rng(0).permutation(len(paths))[:120]
    x = np.stack([Image().load(paths[i], (3, 64, 64)) for i in chosen])
    found = {name: distance(each, x[60:]) for name, each in worse(x[:60]).items()}
    assert 4 * found["sharp"] < found["median"] < found["blurred"] < found["noise"], found


def test_features_are_those_of_patches_at_the_same_places() -> None:
    patches = Patches((3, 40, 24))
    assert patches.name == "patches64of8x8-scales1+2-of-3x40x24"
    x = torch.rand(5, 3, 40, 24) * 2 - 1
    features = patches(x)
    assert features.shape == (5, 64, 2 * 3 * 64) and features.dtype == np.float64
    assert np.array_equal(features, Patches((3, 40, 24))(x))
    assert np.allclose(patches(x[3:4])[0], features[3])
    flat = patches(torch.full((1, 3, 40, 24), 0.5))[0].reshape(64, 2, 3, 8, 8)
    assert np.allclose(flat[..., 0, 0], 0.5 * 0.5)  # half the mean
    assert np.abs(flat).sum() == pytest.approx(0.25 * 64 * 6)
    for shape in ((3, 15, 40), (2,), (1, 800)):
        assert not Patches.supports(shape)
        with pytest.raises(ValueError, match="at least 16"):
            Patches(shape)
    with pytest.raises(ValueError, match=r"3, 40, 24"):
        patches(x[..., :20])


def test_an_evaluation_measures_all_patches_together() -> None:
    sharp, real, train = scenes(40, 0), scenes(40, 1), scenes(90, 2)
    name = "frechet/patches64of8x8-scales1+2-of-3x32x32@40"
    for seen in (None, train):
        pair = real if seen is not None else np.concatenate([real, scenes(40, 3)])
        report = evaluate(sharp, pair, train=seen, embedding=Patches((3, 32, 32)))
        assert list(report.values) == list(report.floor) == [name] and report.better == {name: "lower"}
        assert report.values[name] == pytest.approx(report.floor[name], rel=1.0) and report.values[name] > 0
    blurred = evaluate(gaussian_filter(sharp, (0, 0, 1, 1)), real, train=train, embedding=Patches((3, 32, 32)))
    assert blurred.values[name] > 5 * report.values[name] and blurred.floor == report.floor


def test_images_have_patches_as_a_second_embedding() -> None:
    assert [each.name for each in Image().embeddings((1, 28, 28))] == [
        "pixels1x16x16-of-28x28",
        "patches64of8x8-scales1+2-of-1x28x28",
    ]
    assert [each.name for each in Image().embeddings((1, 8, 8))] == ["pixels1x8x8-of-8x8"]
