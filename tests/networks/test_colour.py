"""Tests of the colourisation network: the lightness of the source is preserved, colours come from the U-Net."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audiogan.games import Generative
from audiogan.inputs import Signal
from audiogan.modalities import Image
from audiogan.model.generator import Generator
from audiogan.networks.base import GeneratorNet
from audiogan.networks.colour import Colouriser
from audiogan.representations import Lab
from audiogan.representations.lab import grey_to_lightness, rgb_to_lightness


def net(**options: object) -> Colouriser:
    torch.manual_seed(0)
    return Colouriser((3, 32, 32), (1, 32, 32), width=4, **options)  # type: ignore[arg-type]


def test_lightness_is_that_of_the_source() -> None:
    source = torch.rand(2, 1, 32, 32) * 2 - 1
    made = net()(source=source).detach()
    assert made.shape == (2, 3, 32, 32) and isinstance(net(), GeneratorNet)
    assert torch.equal(made[:, :1], grey_to_lightness(source))  # bit for bit
    made[:, 1:] = torch.rand(2, 2, 32, 32) * 2 - 1  # Random colours, many of which are outside sRGB.
    image = Lab((3, 32, 32)).decode(made)
    assert float((rgb_to_lightness(image) - grey_to_lightness(source)).abs().max()) < 0.005  # 0.25 of L*


def test_colour_depends_on_the_source_and_on_the_latent() -> None:
    source = torch.rand(2, 1, 32, 32) * 2 - 1
    plain, drawn = net(norm="none", dropout=0), net(norm="none", latent_dim=3)
    assert plain.takes == {"source"} and drawn.takes == {"source", "latent"}
    assert not torch.allclose(plain(source)[0, 1:], plain(source)[1, 1:])
    first, second = (drawn.eval()(source, torch.randn(2, 3)) for _ in range(2))
    assert torch.equal(first[:, 0], second[:, 0]) and not torch.allclose(first[:, 1:], second[:, 1:])
    plain(source)[:, 1:].square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in plain.parameters())


def test_receptive_field_and_sizes() -> None:
    network = net(depth=3).eval()
    assert network.multiple == 8 and network.receptive_field == network.unet.receptive_field
    assert network(torch.zeros(1, 1, 16, 40)).shape == (1, 3, 16, 40)
    with pytest.raises(ValueError, match="use multiples of 8"):
        network(torch.zeros(1, 1, 12, 16))


def test_wrong_channels() -> None:
    with pytest.raises(ValueError, match=r"shape=\(3, 32, 32\) must be .* source=\(3, 32, 32\) must be .* Grey"):
        Colouriser((3, 32, 32), (3, 32, 32))


def test_size_of_the_network_of_the_paper() -> None:
    """The U-Net of pix2pix has 54,413,955 parameters. This one has two input channels and one output channel fewer."""
    with torch.device("meta"):
        network = Colouriser((3, 256, 256), (1, 256, 256))
    assert sum(p.numel() for p in network.parameters()) == 54_413_955 - 2 * 64 * 16 - (128 * 16 + 1)


def test_lightness_stays_in_a_file_of_any_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Colouriser((3, 16, 16), (1, 16, 16), width=4, depth=2, norm="none").eval()
    torch.nn.init.normal_(network.unet.ups[0].weight, std=0.5)  # strong colours
    source = Signal("source", (1, 16, 16), Image())
    game = Generative(network, Lab((3, 16, 16)), {"source": source})
    model = Generator(game, Image(), {"name": "colour", "facts": {"labels": []}}, tmp_path, 0)
    grey = torch.rand(1, 37, 51) * 2 - 1
    made = torch.from_numpy(model.apply(grey.numpy()))
    assert made.shape == (3, 37, 51) and float(made.std(0).mean()) > 0.1
    assert float((rgb_to_lightness(made) - grey_to_lightness(grey)).abs().max()) < 0.005
    whole = network(torch.nn.functional.pad(grey[None], (0, 1, 0, 3), "reflect")).detach()
    assert torch.allclose(Lab((3, 40, 52)).decode(whole)[0, :, 8:24, 8:40], made[:, 8:24, 8:40], atol=1e-4)  # no seams
