"""Tests of the super-resolution generator: size of the paper, initialisation, receptive field, tiling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from audiogan.model.translation.tiling import apply_tiled
from audiogan.networks.base import GeneratorNet
from audiogan.networks.srresnet import SRResNet, icnr


def make(factor: int = 4, side: int = 8, channels: int = 3, **options: Any) -> SRResNet:
    torch.manual_seed(0)
    shape, source = (channels, factor * side, factor * side), (channels, side, side)
    return SRResNet(shape, source, **{"width": 4, "blocks": 2, **options})


def test_sizes_of_the_published_network() -> None:
    with torch.device("meta"):
        net = SRResNet((3, 128, 128), (3, 32, 32))
    assert sum(p.numel() for p in net.parameters()) == 1_517_571 and net.factor == 4


def test_the_default_of_the_configuration_enlarges_photographs_quickly() -> None:
    with torch.device("meta"):
        net = SRResNet((3, 128, 128), (3, 32, 32), width=32, blocks=8, upsampling="direct")
    assert net.macs == 9 * (3 * 32 + 16 * 32 * 32 + 32 * 48) == 162_144  # 12 million pixels: 2e12 operations


@pytest.mark.parametrize("upsampling", ["progressive", "direct"])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_images_of_every_size_are_enlarged(factor: int, upsampling: str) -> None:
    net = make(factor, upsampling=upsampling)
    assert isinstance(net, GeneratorNet) and net.takes == {"source"} and net.factor == factor
    for height, width in ((8, 8), (1, 5)):
        out = net(source=torch.randn(2, 3, height, width))
        assert out.shape == (2, 3, factor * height, factor * width)
    out.square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "nearest"])
def test_training_starts_near_the_interpolated_source(interpolation: str) -> None:
    net, x = make(interpolation=interpolation, upsampling="direct", width=16), torch.rand(2, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        out, difference = net(source=x), {}
        for mode in ("bicubic", "bilinear", "nearest"):
            plain = F.interpolate(x, scale_factor=4.0, mode=mode)
            difference[mode] = float((out - plain).abs().mean())
    assert min(difference, key=difference.__getitem__) == interpolation and 0 < difference[interpolation] < 0.2


@pytest.mark.parametrize(
    ("upsampling", "factor"), [("direct", 3), ("direct", 4), ("progressive", 2), ("progressive", 4)]
)
def test_the_receptive_field_is_exact(upsampling: str, factor: int) -> None:
    net = make(factor, channels=1, blocks=1, upsampling=upsampling).double()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=1.5 * (module.weight[0].numel()) ** -0.5)
    source = torch.randn(1, 1, 1, 24, dtype=torch.float64).expand(-1, -1, 3, -1)
    changed = source.repeat(24, 1, 1, 1)
    for column in range(24):
        changed[column, :, :, column] += 1.0
    with torch.no_grad():
        out = net(source=torch.cat([source, changed]))
    touched = (out[1:] != out[:1]).flatten(1, 2).any(1)  # [changed column, column of the output]
    distance = (torch.arange(24)[:, None] - torch.arange(24 * factor)[None] // factor).abs()
    assert int(distance[touched].max()) == net.receptive_field == {"direct": 4, "progressive": 5}[upsampling]


@pytest.mark.parametrize("upsampling", ["progressive", "direct"])
def test_tiles_have_no_seams(upsampling: str) -> None:
    net = make(4, upsampling=upsampling).eval()
    picture = np.random.default_rng(0).uniform(-1, 1, (3, 37, 50)).astype(np.float32)

    @torch.no_grad()
    def process(tiles: Any) -> list[np.ndarray]:
        return [net(source=torch.from_numpy(np.ascontiguousarray(tile))[None])[0].numpy() for tile in tiles]

    whole, *parts = (
        np.concatenate(list(apply_tiled(picture, process, (8, 8), net.receptive_field, net.multiple, size)), 1)
        for size in (64, 16, 7)
    )
    assert whole.shape == (3, 148, 200)
    for part in parts:
        np.testing.assert_allclose(part, whole, atol=1e-5)
    inner = whole[:, 40:-40, 40:-40]
    np.testing.assert_allclose(process([picture])[0][:, 40:-40, 40:-40], inner, atol=1e-5)


def test_icnr_makes_a_pixel_shuffle_start_without_checkerboard() -> None:
    conv = nn.Conv2d(3, 2 * 9, 3, padding=1)
    icnr(conv, 3)
    out = F.pixel_shuffle(conv(torch.randn(1, 3, 5, 5)), 3)
    assert torch.equal(out, F.interpolate(out[..., ::3, ::3], scale_factor=3.0, mode="nearest"))


@pytest.mark.parametrize(
    ("shape", "source", "options", "words"),
    [
        ((3, 32, 32), (1, 8, 8), {}, "same number of channels"),
        ((3, 32, 32), (3, 8, 16), {}, "a whole factor"),
        ((3, 30, 30), (3, 8, 8), {}, "a whole factor"),
        ((3, 4, 4), (3, 8, 8), {}, "a whole factor"),
        ((3, 32, 32), (3, None, None), {}, r"must be \(channels, height, width\)"),
        ((3, 24, 24), (3, 8, 8), {}, "factor 3 is not a power of two; use upsampling=direct"),
        ((3, 32, 32), (3, 8, 8), {"upsampling": "transposed"}, "must be one of progressive, direct"),
        ((3, 32, 32), (3, 8, 8), {"interpolation": "cubic"}, "must be one of bicubic, bilinear, nearest"),
        ((3, 32, 32), (3, 8, 8), {"width": 0}, "width=0"),
    ],
)
def test_wrong_arguments(shape: Any, source: Any, options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SRResNet(shape, source, **{"width": 4, "blocks": 1, **options})


def test_wrong_sources() -> None:
    with pytest.raises(ValueError, match=r"expected a source \[B, 3, H, W\]"):
        make()(source=torch.zeros(1, 1, 8, 8))
