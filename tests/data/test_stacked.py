"""Tests of stacked digits: three random digits as colour channels, with the class of each channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiogan.data import open_images, open_stacked_digits
from audiogan.data.images.stacked import CHANNEL_LABELS
from audiogan.errors import UserError


def test_each_channel_is_a_digit_of_the_class_that_the_column_says() -> None:
    grey, stacked = open_images("digits"), open_stacked_digits("digits", count=50)
    assert stacked.shape == (3, 8, 8) and len(stacked) == 50 and not stacked.labels
    known = {grey.signals([i]).numpy().tobytes(): int(grey.targets[i]) for i in range(len(grey))}
    batch = stacked.batch(np.arange(50))
    for image, labels in zip(batch["x"], batch[CHANNEL_LABELS], strict=True):
        assert [known[channel.numpy().tobytes()] for channel in image] == labels.tolist()


def test_the_images_depend_on_the_seed_only() -> None:
    first, again, other = (open_stacked_digits("digits", 20, seed=seed).signals(np.arange(20)) for seed in (1, 1, 2))
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize("options", [{"count": 0}, {"seed": -1}, {"count": True}])
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(UserError, match="must be a whole number"):
        open_stacked_digits("digits", **options)


def test_images_without_classes_are_refused(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", images=images)
    with pytest.raises(UserError, match="need images with classes"):
        open_stacked_digits(tmp_path / "some.npz")
