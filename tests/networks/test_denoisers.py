"""Tests of FFDNet and DnCNN: sizes of the papers, receptive field, initialisation, training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from reach import reach
from torch import nn
from torch.nn import functional as F

from audiogan.networks.base import GeneratorNet
from audiogan.networks.dncnn import DnCNN
from audiogan.networks.ffdnet import FFDNet

SHAPE = (3, 16, 16)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes_of_the_papers() -> None:
    with torch.device("meta"):
        # The paper's FFDNet has a noise-level map for each colour channel as an input of the first convolution.
        assert count(FFDNet((3, 64, 64), (3, 64, 64), width=96, layers=12)) == 853_836 - 3 * 96 * 9
        assert count(FFDNet((1, 64, 64), (1, 64, 64), width=64, layers=15)) == 485_316 - 1 * 64 * 9
        assert count(DnCNN((1, 64, 64), (1, 64, 64), layers=17)) == 556_097
        assert count(DnCNN((1, 64, 64), (1, 64, 64), layers=20)) == 667_073


@pytest.mark.parametrize(
    ("make", "distance"),
    [
        (lambda: FFDNet((1, 48, 48), (1, None, None), width=4, layers=3), 7),
        (lambda: FFDNet((1, 48, 48), (1, None, None), width=4, layers=6), 13),
        (lambda: DnCNN((1, 48, 48), (1, None, None), width=4, layers=5), 5),
        (lambda: DnCNN((1, 48, 48), (1, None, None), width=4, layers=4, norm="none"), 4),
    ],
)
def test_the_receptive_field_is_how_far_an_output_depends_on_the_source(make: Any, distance: int) -> None:
    net = make()
    assert net.receptive_field == reach(net, 4, 48) == distance
    assert isinstance(net, GeneratorNet) and net.takes == {"source"}


def test_instance_norm_depends_on_the_whole_image() -> None:
    assert DnCNN(SHAPE, SHAPE, norm="instance").receptive_field is None


@pytest.mark.parametrize("kind", [FFDNet, DnCNN])
def test_any_size_and_the_source_before_training(kind: Any) -> None:
    net = kind(SHAPE, (3, None, None), width=4, layers=4)
    source = 2 * torch.randn(2, 3, 10, 22)
    assert torch.equal(net(source=source), source)


@pytest.mark.parametrize("kind", [FFDNet, DnCNN])
def test_they_learn_to_denoise(kind: Any) -> None:
    torch.manual_seed(0)
    net = kind(SHAPE, SHAPE, width=24, layers=10)
    adam = torch.optim.Adam(net.parameters(), 1e-3)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        clean = F.interpolate(torch.rand(8, 3, 4, 4) * 1.6 - 0.8, scale_factor=4)
        return clean, clean + 0.3 * torch.randn_like(clean)

    for _ in range(60):
        clean, noisy = batch()
        loss = F.l1_loss(net(source=noisy), clean)
        adam.zero_grad()
        loss.backward()
        adam.step()
    clean, noisy = batch()
    assert F.l1_loss(net.eval()(source=noisy), clean) < 0.85 * F.l1_loss(noisy, clean)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FFDNet((3, 15, 16), (3, 15, 16)), "must be even"),
        (lambda: FFDNet(SHAPE, SHAPE)(source=torch.zeros(1, 3, 15, 16)), "use multiples of 2"),
        (lambda: FFDNet(SHAPE, SHAPE, layers=1), "FFDNet: layers=1 must be at least 2"),
        (lambda: DnCNN(SHAPE, SHAPE, layers=2), "DnCNN: layers=2 must be at least 3"),
        (lambda: DnCNN(SHAPE, SHAPE, width=0), "width=0 must be at least 1"),
        (lambda: DnCNN(SHAPE, SHAPE, norm="layer"), "norm='layer'"),
        (lambda: DnCNN(SHAPE, (1, 16, 16)), "must have the same channels"),
    ],
)
def test_bad_arguments_are_named(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
