"""Tests of blind degradations: kernels, sizes, noise, reproducibility, training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from audiogan.data import open_shapes
from audiogan.data.degrade import BlindDegradation, CameraNoise, RandomBlur, RandomResize
from audiogan.data.degrade.blind import bell_kernel, convolve, sinc_kernel
from audiogan.errors import UserError
from audiogan.run.config import compose
from audiogan.run.training import open_data


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def picture(channels: int = 3, side: int = 64) -> torch.Tensor:
    table = open_shapes(2, size=side, kind="plain")
    return table.signals(np.arange(1))[0, :channels]


def test_bell_kernels_have_the_requested_spread() -> None:
    at = np.arange(41) - 20
    kernel = bell_kernel(41, 3.0, 1.5, 0.0, 1.0)
    assert kernel.sum() == pytest.approx(1)
    assert math.sqrt(kernel.sum(0) @ at**2) == pytest.approx(3.0, rel=0.01)  # along x
    assert math.sqrt(kernel.sum(1) @ at**2) == pytest.approx(1.5, rel=0.01)  # along y
    turned = bell_kernel(41, 3.0, 1.5, math.pi / 2, 1.0)
    np.testing.assert_allclose(turned, kernel.T, atol=1e-12)
    flat, peaked = (bell_kernel(21, 2.0, 2.0, 0.0, power)[10] for power in (4.0, 0.5))
    assert flat[11] / flat[10] > 0.95 and peaked[11] / peaked[10] < 0.8
    plateau = bell_kernel(21, 2.0, 2.0, 0.0, 2.0, plateau=True)[10]
    assert plateau[12] / plateau[10] == pytest.approx(0.5)  # Half the peak value at one standard deviation.


def test_the_sinc_kernel_passes_low_frequencies_only() -> None:
    response = np.abs(np.fft.fft(sinc_kernel(61, math.pi / 2).sum(0), 240))
    assert response[0] == pytest.approx(1) and response[20] == pytest.approx(1, abs=0.15)  # 1/12 cycles per pixel
    assert response[90:120].max() < 0.1  # Above 3/8 cycles per pixel. The cutoff is 1/4.


def test_convolution_keeps_flat_images_and_small_ones() -> None:
    flat = torch.full((3, 2, 5), 0.25)
    torch.testing.assert_close(convolve(flat, bell_kernel(21, 3.0, 3.0, 0.0, 1.0)), flat)


def test_blur_removes_detail_and_can_be_left_out() -> None:
    x = picture()
    rough = [float(RandomBlur(std=(1.0, 3.0), sinc=0)(x, rng(i)).diff(dim=-1).abs().mean()) for i in range(8)]
    assert max(rough) < float(x.diff(dim=-1).abs().mean())
    assert torch.equal(RandomBlur(probability=0.0)(x, rng()), x)


def test_sizes_of_random_resizing() -> None:
    sides = [RandomResize()(picture(), rng(i)).shape[-1] for i in range(200)]
    assert 9 <= min(sides) < 20 and 80 < max(sides) <= 96
    assert 0.6 < np.mean([side < 64 for side in sides]) < 0.8


def test_noise_of_both_kinds() -> None:
    x = torch.zeros(3, 64, 64)
    made = [CameraNoise(std=25.0, poisson=1.0, grey=0.5)(x, rng(i)) for i in range(24)]
    spread = sorted({round(float(y.std()), 2) for y in made})
    assert spread[0] == pytest.approx(2 * math.sqrt(0.5 / 256), abs=0.01)  # Poisson: variance = mean / photons
    assert spread[-1] == pytest.approx(25 / 127.5, abs=0.01)
    same = [torch.equal(y[0], y[1]) for y in made]
    assert any(same) and not all(same)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_sources_are_small_degraded_images(factor: int, channels: int) -> None:
    x, degrade = picture(channels), BlindDegradation(factor=factor)
    y = degrade(x, rng())
    assert y.shape == (channels, 64 // factor, 64 // factor) and y.dtype == torch.float32
    assert float(y.min()) >= -1 and float(y.max()) <= 1
    levels = (y + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    assert torch.equal(y, degrade(x, rng())) and not torch.equal(y, degrade(x, rng(1)))
    plain = torch.nn.functional.interpolate(x[None], y.shape[1:], mode="area")[0]
    mean = torch.stack([degrade(x, rng(i)) for i in range(16)]).mean(0)
    assert float((mean - plain).abs().mean()) < 0.15  # The position of the content does not change.


def test_a_factor_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="factor=3 does not divide"):
        BlindDegradation(factor=3)(picture())


def test_super_resolution_learns_from_blind_degradations_by_one_override() -> None:
    cfg = compose("super-resolution", ["degradation=blind", "data.size=16", "factor=2"])
    table, _ = open_data(cfg)
    source = table.columns["source"]
    assert source.shape == (3, 8, 8) and isinstance(source.function, BlindDegradation)
