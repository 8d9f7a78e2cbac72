"""Tests of properties that all image translation networks share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.resnet import ResNetGenerator
from audiogan.networks.unet import UNet

SHAPE = (1, 16, 16)


@pytest.mark.parametrize(
    "make",
    [
        lambda: UNet(SHAPE, SHAPE, width=8, norm="instance", dropout=0),
        lambda: UNet(SHAPE, SHAPE, width=8, norm="none", dropout=0),
        lambda: ResNetGenerator(SHAPE, SHAPE, width=8, blocks=1),
        lambda: ResNetGenerator(SHAPE, SHAPE, width=8, blocks=1, norm="none", upsampling="nearest"),
    ],
    ids=["U-Net", "U-Net without norm", "ResNet", "ResNet without norm"],
)
def test_they_learn_a_translation(make: Any) -> None:
    torch.manual_seed(0)
    net = make()
    adam = torch.optim.Adam(net.parameters(), 2e-3)
    source = F.interpolate(torch.rand(8, 1, 4, 4) * 1.6 - 0.8, scale_factor=4)
    target = -source.flip(3) if isinstance(net, UNet) else -source
    start = float(F.l1_loss(net(source=source), target).detach())
    for _ in range(60):
        loss = F.l1_loss(net(source=source), target)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert float(F.l1_loss(net.eval()(source=source), target).detach()) < 0.5 * start


def test_receptive_fields_by_hand() -> None:
    assert receptive_field([Layer(1)]) == 0
    assert receptive_field([Layer(3, 1, 1), Layer(5, 1, 2)]) == 3
    # Down: inputs 2i - 1 ... 2i + 2. Up: outputs 2i - 1 ... 2i + 2. Output 0 depends on i = -1 and 0, and thus on
    # inputs -3 ... 2.
    assert receptive_field([Layer(4, 2, 1), Layer(4, 2, 1, transposed=True)]) == 3
    assert receptive_field([Layer(2, 2), Layer(2, 2, transposed=True)]) == 1
