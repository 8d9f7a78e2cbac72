"""Tests of R3GAN: networks of the paper, initial blocks, no normalisation, classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from audiogan.networks.r3gan import R3GANCritic, R3GANGenerator, ResNeXtBlock

SMALL = {"widths": (8, 8), "blocks": 1, "group_channels": 4}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("side", "widths", "millions"),
    [(256, (768, 768, 768, 768, 384, 192, 96), (23.058, 23.010)), (32, (768,) * 4, (20.732, 20.684))],
    ids=["FFHQ-256", "CIFAR-10"],
)
def test_the_networks_of_the_paper(side: int, widths: tuple[int, ...], millions: tuple[float, float]) -> None:
    with torch.device("meta"):
        networks = R3GANGenerator((3, side, side), widths=widths), R3GANCritic((3, side, side), widths=widths)
    assert [round(count(network) / 1e6, 3) for network in networks] == list(millions)


def test_a_block_is_the_identity_before_training() -> None:
    block, x = ResNeXtBlock(8, 2, 4, depth=4), torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    assert block.grouped.groups == 4


def test_initial_weights_follow_the_depth() -> None:
    shallow, deep = (ResNeXtBlock(64, 2, 16, depth).expand.weight.std().item() for depth in (1, 16))
    assert shallow / deep == pytest.approx(2.0, rel=0.1)


def test_there_is_no_normalisation() -> None:
    critic = R3GANCritic((1, 8, 8), **SMALL)
    x = torch.randn(4, 1, 8, 8)
    # The logit of a sample does not depend on other samples.
    assert torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-6)


def test_classes_change_images_and_logits() -> None:
    generator, critic = R3GANGenerator((1, 8, 8), 4, 3, **SMALL), R3GANCritic((1, 8, 8), 3, **SMALL)
    latent, classes = torch.randn(3, 4), torch.eye(3)
    images = generator(latent=latent, classes=classes)
    assert images.shape == (3, 1, 8, 8)
    assert not torch.allclose(images, generator(latent=latent, classes=classes.flip(0)))
    assert critic(images, classes=classes).shape == (3,)
    assert not torch.allclose(critic(images, classes=classes), critic(images, classes=classes.roll(1, 0)))
    assert critic.features(images).shape == (3, 8)


def test_spectral_norm_gives_finite_logits() -> None:
    critic = R3GANCritic((1, 8, 8), **SMALL, spectral_norm=True)
    assert critic(torch.randn(2, 1, 8, 8)).isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"widths": (8,)}, "need 2 widths"), ({"group_channels": 3}, "not a multiple"), ({"blocks": 0}, "blocks")],
)
def test_sizes_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        R3GANGenerator((1, 8, 8), **{**SMALL, **options})
