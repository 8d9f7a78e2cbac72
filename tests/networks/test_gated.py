"""Tests of gated convolutions for inpainting: known pixels, sizes, receptive field, critic."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from audiogan.networks.base import CriticNet, GeneratorNet
from audiogan.networks.gated import GatedConv2d, GatedGenerator, InpaintingCritic, fill_smoothly

SHAPE = (3, 32, 32)


def network(**options: Any) -> GatedGenerator:
    torch.manual_seed(0)
    return GatedGenerator(SHAPE, SHAPE, **{"width": 8, "dilations": (2,), "levels": 2, **options})


def example(height: int = 32, width: int = 32) -> tuple[Tensor, Tensor]:
    """Return two images, and masks with a rectangle."""
    mask = torch.zeros(2, 1, height, width)
    mask[:, :, 6:14, 3:20] = 1
    return 2 * torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) - 1, mask


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("size", [(32, 32), (16, 44)])
def test_known_pixels_are_those_of_the_source(size: tuple[int, int], stages: int) -> None:
    net, (source, mask) = network(stages=stages), example(*size)
    out = net(source=source, mask=mask)
    hole = (mask > 0.5).expand_as(source)
    assert torch.equal(out[~hole], source[~hole]) and isinstance(net, GeneratorNet)
    assert float(out[hole].detach().abs().max()) < 1 and float(out[hole].detach().std()) > 0.01
    blanked = torch.where(hole, 0.7, source)
    assert torch.equal(net(source=blanked, mask=mask), out)  # The values of missing pixels have no effect.
    assert torch.equal(net(source=source, mask=torch.zeros_like(mask)), source)
    assert torch.equal(net(source=source, mask=0.9 * mask), out)
    out.square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())


def test_an_image_without_known_pixels_is_finite() -> None:
    source, mask = example()
    assert bool(torch.isfinite(network()(source=source, mask=torch.ones_like(mask))).all())


def test_the_first_filling_averages_the_known_pixels_nearby() -> None:
    weight = torch.ones(1, 1, 32, 32)
    weight[..., 8:24, 8:24] = 0
    flat = fill_smoothly(0.3 * weight, weight, 4)
    assert torch.allclose(flat, torch.full_like(flat, 0.3))
    sides = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32)
    filled = fill_smoothly(sides * weight, weight, 4)
    hole = weight == 0
    assert torch.equal(filled[~hole], sides[~hole]) and float((filled - sides)[hole].abs().mean()) < 0.15
    assert not fill_smoothly(0 * weight, 0 * weight, 2).any()


def test_gates_keep_the_scale_at_the_start() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 16, 24, 24)
    for _ in range(4):
        x = GatedConv2d(16, 16)(x)
    assert 0.5 < float(x.detach()[..., 4:-4, 4:-4].square().mean()) < 2


@pytest.mark.parametrize("options", [{}, {"levels": 0}, {"stages": 2, "levels": 1}])
def test_no_output_depends_on_pixels_outside_the_receptive_field(options: dict[str, Any]) -> None:
    net = network(**options).double()
    field, width = net.receptive_field, 4 * ((2 * net.receptive_field + 20) // 4)
    source, mask = torch.rand(1, 3, 16, width, dtype=torch.float64), torch.zeros(1, 1, 16, width, dtype=torch.float64)
    mask[..., 2:14] = (torch.rand(1, 1, 16, 12) > 0.5).double()
    mask[:, :, 4:8] = 1
    mask[:, :, :, ::3] = 0
    base = net(source=source, mask=mask)
    for column in (0, width // 2 // 3 * 3, width - 1):
        changed = source.clone()
        changed[..., column] += 0.5
        other = mask.clone()
        other[..., column] = 1 - other[..., column]
        for out in (net(source=changed, mask=mask), net(source=source, mask=other)):
            touched = (out != base).flatten(0, 2).any(0).nonzero().flatten()
            assert int((touched - column).abs().max()) <= field


def test_paper_size() -> None:
    """Both stages have the layers of the authors' first stage. The number of parameters follows from their table of
    widths."""
    layers = [(5, 5, 48), (3, 24, 96), (3, 48, 96), (3, 48, 192), *[(3, 96, 192)] * 8]  # kernel, inputs, outputs
    layers += [(3, 96, 96), (3, 48, 96), (3, 48, 48), (3, 24, 24), (3, 12, 3)]
    expected = sum(kernel**2 * i * o + o for kernel, i, o in layers)
    with torch.device("meta"):
        net = GatedGenerator((3, 256, 256), (3, 256, 256), width=48, dilations=(2, 4, 8, 16), stages=2)
    assert sum(p.numel() for p in net.parameters()) == 2 * expected == 3_262_302


@pytest.mark.slow
def test_a_step_at_paper_size() -> None:
    shape, (source, mask) = (3, 256, 256), example(256, 256)
    net = GatedGenerator(shape, shape, width=48, dilations=(2, 4, 8, 16), stages=2, levels=0)
    critic = InpaintingCritic(shape, width=64, layers=5)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    losses = []
    for _ in range(3):
        loss = (net(source=source, mask=mask) - 0.5 * source).abs().mean()
        (loss - 0.001 * critic(net(source=source, mask=mask), mask=mask).logits.mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[2] < losses[0]


def test_the_critic_receives_the_mask() -> None:
    torch.manual_seed(0)
    critic, (x, mask) = InpaintingCritic(SHAPE, width=4, layers=2), example()
    assert isinstance(critic, CriticNet) and critic.takes == {"mask"}
    out = critic(x, mask=mask)
    assert out.logits.shape == (2, 1, 6, 6) and len(out.features or ()) == 3
    assert not torch.equal(out.logits, critic(x, mask=1 - mask).logits)
    assert critic.features(x, mask=mask).shape == (2, 16)
    with pytest.raises(ValueError, match="expected a source"):
        critic(x, mask=mask[..., :16])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 6}, "width=6 must be a multiple of 4"),
        ({"stages": 3}, "stages=3 must be 1 or 2"),
        ({"levels": 6}, r"shape=\(3, 32, 32\) must be multiples of 64"),
        ({"levels": 7}, "levels=7 must be from 0 to 6"),
        ({"dilations": (2, 0)}, "dilations=0"),
        ({"source": (1, 32, 32)}, "must agree in channels"),
    ],
)
def test_bad_settings_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        GatedGenerator(**{"shape": SHAPE, "source": SHAPE, **options})


def test_bad_inputs_are_named() -> None:
    net, (source, mask) = network(), example()
    with pytest.raises(ValueError, match=r"mask: expected \[B, 1, 32, 32\], got \[2, 1, 32, 16\]"):
        net(source=source, mask=mask[..., :16])
    with pytest.raises(ValueError, match="use multiples of 4"):
        net(source=source[..., :30], mask=mask[..., :30])
