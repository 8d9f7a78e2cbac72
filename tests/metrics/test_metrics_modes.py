"""Tests of the number of modes of stacked digits, with a known classifier."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audiogan.metrics.modes import count_stacked_modes


class Brightness:
    """A classifier of two classes, 0 for dark and 1 for bright channels."""

    labels = ("dark", "bright")
    name = "brightness"

    def __call__(self, x: torch.Tensor) -> np.ndarray:
        return x.double().mean((1, 2, 3))[:, None].numpy()

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        bright = (features[:, 0] > 0).astype(float)
        return np.stack([1 - bright, bright], axis=1)


def images(*codes: tuple[int, int, int]) -> np.ndarray:
    return np.array([[np.full((4, 4), 2 * bit - 1) for bit in code] for code in codes], np.float32)


def test_a_mode_is_the_triple_of_the_classes_of_the_channels() -> None:
    every = [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
    full = count_stacked_modes(iter([images(*every[:3]), images(*every[3:])]), Brightness())
    assert full.modes == 8 and full.kl == pytest.approx(0)
    one = count_stacked_modes(iter([images((0, 1, 0), (0, 1, 0))]), Brightness())
    assert one.modes == 1 and one.kl == pytest.approx(np.log(8))
