"""Tests of the augmentation gain in known cases: other real data, noise, wrong labels."""

from __future__ import annotations

import numpy as np
import pytest

from audiogan.data.images.sources import open_images
from audiogan.data.table import Table
from audiogan.metrics import ClassifierRecipe, Report, augmentation_gain

QUICK = ClassifierRecipe(widths=(8, 16), features=32, examples=3_200)
Parts = tuple[Table, Table, Table]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Return digits for training, digits as samples of a perfect generator, and held-out digits."""
    known, held_out = open_images("digits").split(0.3)
    train, more = known.split(0.6)
    return train, more, held_out  # type: ignore[return-value]


def measure(
    parts: Parts, fake: np.ndarray, asked: np.ndarray, seeds: int = 2, recipe: ClassifierRecipe = QUICK
) -> Report:
    train, _, held_out = parts
    options = {"subset_size": 30, "num_seeds": seeds, "recipe": recipe, "progress": False}
    return augmentation_gain(train, held_out, fake, asked, **options)


def made(parts: Parts) -> tuple[np.ndarray, np.ndarray]:
    more = parts[1]
    return more.signals(np.arange(len(more))).numpy(), more.targets


def by_size(report: Report, metric: str) -> tuple[float, float]:
    """Return the results with all real examples, and with a few."""
    every, few = (value for name, value in report.values.items() if name.startswith(f"{metric}/"))
    return every, few


def test_a_perfect_generator_helps_most_where_real_examples_are_few(parts: Parts) -> None:
    train, more, held_out = parts
    report = measure(parts, *made(parts))
    every, few = by_size(report, "gain")
    assert few > 0.08 and few > every > -0.03
    assert by_size(report, "accuracy_augmented")[1] > 0.88 and by_size(report, "accuracy_real")[0] > 0.9
    suffix = f"cnn32r{QUICK.key[:4]}@{len(train)}+{len(more)}x2"
    assert f"gain/{suffix}" in report.values and f"accuracy_real/{suffix}" in report.values
    assert report.better[f"gain/{suffix}"] == "higher" and report.better[f"accuracy_real/{suffix}"] == "baseline"
    assert f"gain/{suffix}".replace(f"@{len(train)}+", "@30+") in report.values
    assert report.counts == {"train": len(train), "held_out": len(held_out), "generated": len(more)}
    for metric in (0, 1):
        gain = by_size(report, "accuracy_augmented")[metric] - by_size(report, "accuracy_real")[metric]
        assert by_size(report, "gain")[metric] == pytest.approx(gain)


def test_wrong_labels_do_harm(parts: Parts) -> None:
    fake, asked = made(parts)
    every, few = by_size(measure(parts, fake, (asked + 1) % 10, seeds=1), "gain")
    assert every < -0.1 and few < -0.3


def test_the_same_figures_again(parts: Parts) -> None:
    fake, asked = made(parts)
    hasty = ClassifierRecipe(widths=(8, 8), features=16, examples=640, least=10)
    first, again = (measure(parts, fake[:50], asked[:50], seeds=1, recipe=hasty).values for _ in range(2))
    assert first == again
    assert all(value == 0 for name, value in first.items() if name.startswith("gain_spread"))


def test_what_cannot_be_compared_is_named(parts: Parts) -> None:
    fake, asked = made(parts)
    with pytest.raises(ValueError, match="0 generated"):
        measure(parts, fake[:0], asked[:0])
    with pytest.raises(ValueError, match="num_seeds=0"):
        measure(parts, fake, asked, seeds=0)
