"""Tests of CycleGAN's generator: size of the paper, image sizes, upsampling, receptive field."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reach import reach
from torch import nn

from audiogan.networks.base import GeneratorNet
from audiogan.networks.resnet import ResNetGenerator

IDLE_BIASES = 64 + 128 + 256 + 128 + 64  # Biases of the authors' code before an instance norm, which have no effect.


@pytest.mark.parametrize(("blocks", "width", "authors"), [(9, 64, 11_378_179), (6, 64, 7_837_699), (9, 32, 2_850_563)])
def test_sizes_of_the_authors_code(blocks: int, width: int, authors: int) -> None:
    with torch.device("meta"):
        net = ResNetGenerator((3, 256, 256), (3, 256, 256), width=width, blocks=blocks)
    idle = (IDLE_BIASES + blocks * 2 * 256) * width // 64
    assert sum(p.numel() for p in net.parameters()) + idle == authors


@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_signals_pass_at_every_size(norm: str, upsampling: str) -> None:
    torch.manual_seed(0)
    net = ResNetGenerator((2, 32, 32), (3, 32, 32), width=6, blocks=3, norm=norm, upsampling=upsampling)
    assert isinstance(net, GeneratorNet) and net.takes == {"source"} and net.multiple == 4
    for size in ((32, 32), (8, 44)):
        out = net(source=torch.randn(2, 3, *size))
        assert out.shape == (2, 2, *size) and 0.05 < out.std().item() < 1
    out.square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


def test_nothing_is_drawn() -> None:
    net, x = ResNetGenerator((1, 16, 16), (1, 16, 16), width=4, blocks=1), torch.randn(2, 1, 16, 16)
    state = torch.get_rng_state()
    # With instance norm, training and evaluation mode are equal.
    assert torch.equal(net(source=x), net.eval()(source=x))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize(("upsampling", "field"), [("transposed", 20), ("nearest", 23)])
def test_the_receptive_field_is_exact(upsampling: str, field: int, norm: str) -> None:
    net = ResNetGenerator((1, 64, 64), (2, 64, 64), width=4, blocks=1, norm=norm, upsampling=upsampling)
    assert net.receptive_field == field == reach(net, 8, 64)
    assert ResNetGenerator((1, 64, 64), (2, 64, 64), width=4, blocks=1).receptive_field is None


def checkers(net: nn.Module) -> float:
    """Return the mean relative difference of neighbouring pixels for a flat source, far from the border."""
    out = net(source=torch.full((1, 1, 128, 128), 0.3))[..., 48:-48, 48:-48]
    return float((out[..., 0::2, :] - out[..., 1::2, :]).abs().mean() / (out.abs().mean() + 1e-9))


def test_nearest_upsampling_makes_no_checkerboard() -> None:
    torch.manual_seed(0)
    nets = [
        ResNetGenerator((1, 64, 64), (1, 64, 64), width=8, blocks=2, norm="none", upsampling=kind).eval()
        for kind in ("transposed", "nearest")
    ]
    with torch.no_grad():
        transposed, nearest = map(checkers, nets)
    assert transposed > 0.01 and nearest < 1e-5


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((1, 30, 64), {}, "multiples of 4"),
        ((1, 4, 4), {}, "at least 8"),
        ((1, 64, 64), {"upsampling": "cubic"}, "upsampling='cubic' must be one of transposed, nearest"),
        ((1, 64, 64), {"norm": "layer"}, "norm='layer'"),
        ((1, 64, 64), {"blocks": 0}, "blocks=0"),
    ],
)
def test_wrong_use_is_named(shape: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ResNetGenerator(shape, shape, **options)


@pytest.mark.parametrize("size", [(30, 32), (4, 32)])
def test_sources_that_do_not_fit_are_named(size: tuple[int, int]) -> None:
    net = ResNetGenerator((1, 32, 32), (1, 32, 32), width=2, blocks=1)
    with pytest.raises(ValueError, match="use multiples of 4 and at least 8"):
        net(source=torch.zeros(1, 1, *size))
