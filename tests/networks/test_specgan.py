"""Tests of SpecGAN: size of the paper, TensorFlow's SAME padding in two dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from audiogan.networks.blocks import SameConv2d, SameConvTranspose2d
from audiogan.networks.specgan import SpecGANCritic, SpecGANGenerator
from audiogan.representations import LogMagnitude, SoundFormat


def same_convolution(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """Convolve `[B, C, H, W]` with `[C', C, K, K]` by TensorFlow's definition of SAME padding, tap by tap."""
    kernel = weight.shape[-1]
    outputs = [-(-size // stride) for size in x.shape[2:]]
    totals = [max((out - 1) * stride + kernel - size, 0) for out, size in zip(outputs, x.shape[2:], strict=True)]
    x = np.pad(x, ((0, 0), (0, 0), *((total // 2, total - total // 2) for total in totals)))
    y = np.zeros((len(x), len(weight), *outputs))
    for i in range(outputs[0]):
        for j in range(outputs[1]):
            patch = x[:, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            y[:, :, i, j] = np.einsum("bcij,ocij->bo", patch, weight)
    return y


@pytest.mark.parametrize(("size", "generator", "critic"), [(64, 19_065_345, 17_427_969), (32, 5_180_673, 4_361_985)])
def test_parameter_counts(size: int, generator: int, critic: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in SpecGANGenerator(model_size=size).parameters()) == generator
        assert sum(p.numel() for p in SpecGANCritic(model_size=size).parameters()) == critic


def test_convolution_is_tensorflows_same() -> None:
    layer, x = SameConv2d(2, 3, 5, 2), torch.randn(2, 2, 8, 12)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    expected = same_convolution(x.double().numpy(), layer.weight.detach().double().numpy(), 2)
    assert np.allclose(layer(x).detach(), expected, atol=1e-5)


def test_transposed_convolution_is_the_transpose() -> None:
    """<A x, y> = <x, A' y> for random x and y, with the convolution A written out above and TensorFlow's transpose
    A'."""
    layer = SameConvTranspose2d(3, 2, 5, 2).double()
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    y = torch.randn(1, 3, 4, 6, dtype=torch.float64)
    got = layer(y).detach()
    assert got.shape == (1, 2, 8, 12)
    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal((1, 2, 8, 12))
        left = (same_convolution(x, layer.weight.detach().numpy(), 2) * y.numpy()).sum()
        assert left == pytest.approx((x * got.numpy()).sum(), abs=1e-9)


@pytest.mark.parametrize("channels", [1, 2])
def test_shapes_ranges_and_gradients(channels: int) -> None:
    generator = SpecGANGenerator(latent_dim=9, model_size=2, channels=channels)
    critic = SpecGANCritic(model_size=2, channels=channels)
    image = generator(torch.rand(3, 9) * 2 - 1)
    assert tuple(image.shape[1:]) == LogMagnitude(SoundFormat(16384, channels)).shape and image.abs().max() <= 1
    logits = critic(image)
    assert logits.shape == (3,)
    logits.sum().backward()
    for name, parameter in [*generator.named_parameters(), *critic.named_parameters()]:
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_spectral_norm_bounds_every_layer() -> None:
    critic = SpecGANCritic(model_size=4, spectral_norm=True)
    for _ in range(30):
        critic(torch.randn(1, 1, 128, 128))
    for layer in [*critic.layers, critic.head.score]:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2) == pytest.approx(1, abs=0.1)


def test_wrong_use_is_named() -> None:
    generator, critic = SpecGANGenerator(model_size=1), SpecGANCritic(model_size=1)
    with pytest.raises(ValueError, match=r"expected \[B, 100\], got \[100\]"):
        generator(torch.rand(100))
    with pytest.raises(ValueError, match=r"expected \[B, 1, 128, 128\], got \[2, 2, 129, 129\]"):
        critic(torch.rand(2, 2, 129, 129))
    with pytest.raises(ValueError, match="SpecGANGenerator takes the inputs: latent; got: classes, latent"):
        generator(torch.rand(2, 100), classes=torch.rand(2, 3))
    with pytest.raises(ValueError, match="latent_dim=0"):
        SpecGANGenerator(latent_dim=0)
