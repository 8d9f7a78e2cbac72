"""Tests of the U-Net of pix2pix: size of the paper, image sizes, latents, receptive field."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reach import reach
from torch import nn

from audiogan.networks.base import GeneratorNet
from audiogan.networks.unet import UNet


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes_of_the_authors_code() -> None:
    with torch.device("meta"):
        assert count(UNet((3, 256, 256), (3, 256, 256))) == 54_413_955
        assert count(UNet((3, 128, 128), (3, 128, 128))) == 41_828_995
        assert count(UNet((3, 256, 256), (3, 256, 256), width=32)) == 13_608_259
        widths = [conv.out_channels for conv in UNet((3, 256, 256), (3, 256, 256)).downs]
    assert widths == [64, 128, 256, 512, 512, 512, 512, 512]


@pytest.mark.parametrize(("side", "halvings", "dropouts"), [(256, 8, 3), (128, 7, 2), (64, 6, 1)])
def test_dropout_in_the_layers_of_the_authors_code(side: int, halvings: int, dropouts: int) -> None:
    net = UNet((1, side, side), (1, side, side), width=2)
    assert net.depth == halvings and net.multiple == side
    assert [i for i, each in enumerate(net.dropouts) if isinstance(each, nn.Dropout)] == list(range(4, 4 + dropouts))


def test_weights_begin_as_in_the_paper() -> None:
    torch.manual_seed(0)
    net = UNet((3, 64, 64), (3, 64, 64), width=16)
    for conv in [*net.downs, *net.ups]:
        assert conv.weight.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
def test_signals_pass_with_every_norm(norm: str) -> None:
    torch.manual_seed(0)
    net = UNet((2, 64, 64), (3, 64, 64), width=8, norm=norm)
    out = net(source=torch.randn(2, 3, 64, 64))
    assert out.shape == (2, 2, 64, 64) and 0.05 < out.std().item() < 1
    out.square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


@pytest.mark.parametrize("size", [(64, 96), (32, 32)])
def test_other_sizes_that_are_multiples(size: tuple[int, int]) -> None:
    net = UNet((1, 96, 160), (1, None, None), width=4)
    assert net.depth == 5
    assert net(source=torch.randn(2, 1, *size)).shape == (2, 1, *size)
    with pytest.raises(ValueError, match="a source of 48 x 64 does not fit; use multiples of 32"):
        net(source=torch.randn(2, 1, 48, 64))


def test_nothing_is_drawn_in_evaluation() -> None:
    net, x = UNet((1, 64, 64), (1, 64, 64), width=4, norm="instance"), torch.randn(2, 1, 64, 64)
    assert not torch.equal(net(source=x), net(source=x))  # dropout
    net.eval()
    state = torch.get_rng_state()
    assert torch.equal(net(source=x), net(source=x))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_latent_changes_the_output() -> None:
    net = UNet((1, 32, 32), (2, 32, 32), latent_dim=3, width=4).eval()
    assert isinstance(net, GeneratorNet) and net.takes == {"source", "latent"} and net.latent == "normal"
    x = torch.randn(2, 2, 32, 32)
    assert not torch.equal(net(source=x, latent=torch.zeros(2, 3)), net(source=x, latent=torch.ones(2, 3)))
    for latent in (None, torch.zeros(2, 4)):
        with pytest.raises(ValueError, match=r"expected latents \[2, 3\]"):
            net(source=x, latent=latent)
    assert UNet((1, 32, 32), (1, 32, 32), width=4).takes == {"source"}


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("depth", [2, 3])
def test_the_receptive_field_is_exact(depth: int, norm: str) -> None:
    net = UNet((1, 64, 64), (2, 64, 64), width=6, depth=depth, norm=norm)
    assert net.receptive_field == 3 * (2**depth - 1) == reach(net, 2**depth, 64)


def test_an_instance_norm_sees_the_whole_picture() -> None:
    net = UNet((1, 64, 64), (1, 64, 64), width=4, depth=2, norm="instance")
    assert net.receptive_field is None and reach(net, 16, 64) > 60


@pytest.mark.parametrize(
    ("shape", "source", "options", "words"),
    [
        ((1, 30, 64), (1, 30, 64), {}, "30 x 64 pixels do not halve twice; use 32 x 64"),
        ((1, 64, 64), (1, 64, 64), {"depth": 7}, "depth=7 must be from 2 to 6"),
        ((1, 64, 64), (1, 32, 32), {}, r"source=\(1, 32, 32\) and shape=\(1, 64, 64\) must agree"),
        ((64,), (1, 64, 64), {}, r"shape=\(64,\) must be \(channels, height, width\)"),
        ((1, 64, 64), (1, 64, 64), {"norm": "layer"}, "norm='layer' must be one of batch, instance, none"),
        ((1, 64, 64), (1, 64, 64), {"dropout": 1.0}, r"dropout=1\.0"),
        ((1, 64, 64), (1, 64, 64), {"width": 0}, "width=0"),
    ],
)
def test_wrong_use_is_named(shape: Any, source: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        UNet(shape, source, **options)


def test_a_source_with_other_channels_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected a source \[B, 3, H, W\], got \[2, 1, 64, 64\]"):
        UNet((1, 64, 64), (3, 64, 64), width=2)(source=torch.zeros(2, 1, 64, 64))
