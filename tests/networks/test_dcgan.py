"""Tests of DCGAN: architecture of the paper, image sizes, running statistics, conditioning."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from audiogan.networks.base import CriticOutput
from audiogan.networks.dcgan import DCGANCritic, DCGANGenerator, coarsest_grid

WIDTHS_OF_THE_PAPER = [1024, 512, 256, 128, 3]


def kinds(network: nn.Module, *kind: type[nn.Module]) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, kind)]


def test_the_paper_s_generator_is_one_number_away() -> None:
    with torch.device("meta"):
        generator = DCGANGenerator((3, 64, 64), width=128)
        critic = DCGANCritic((3, 64, 64), width=128)
    ups = kinds(generator, nn.ConvTranspose2d)
    assert [conv.out_channels for conv in ups] == WIDTHS_OF_THE_PAPER and ups[0].in_channels == 100
    assert [norm.num_features for norm in kinds(generator, nn.BatchNorm2d)] == WIDTHS_OF_THE_PAPER[:-1]
    assert [conv.out_channels for conv in kinds(critic, nn.Conv2d)] == WIDTHS_OF_THE_PAPER[-2::-1]
    # No norm on the first layer.
    assert [norm.num_features for norm in kinds(critic, nn.BatchNorm2d)] == [256, 512, 1024]


def test_there_are_no_hidden_dense_layers_and_no_pooling() -> None:
    generator, critic = DCGANGenerator((1, 32, 32), width=4), DCGANCritic((1, 32, 32), width=4)
    assert not kinds(generator, nn.Linear)
    assert [dense.out_features for dense in kinds(critic, nn.Linear)] == [1]
    assert all(conv.stride == (2, 2) for conv in kinds(critic, nn.Conv2d))


def test_weights_begin_as_in_section_4() -> None:
    torch.manual_seed(0)
    generator, critic = DCGANGenerator((3, 32, 32), width=32), DCGANCritic((3, 32, 32), width=32)
    for conv in kinds(generator, nn.ConvTranspose2d) + kinds(critic, nn.Conv2d):
        assert conv.weight.std().item() == pytest.approx(0.02, rel=0.1) and abs(conv.weight.mean()) < 0.003


@settings(max_examples=12, deadline=None)
@given(
    side=st.sampled_from([8, 10, 12, 14, 16, 20, 28, 32, 48, 56, 64]),
    channels=st.sampled_from([1, 2, 3]),
    classes=st.sampled_from([0, 3]),
    kernel=st.sampled_from([4, 5]),
    norm=st.sampled_from(["batch", "layer", "none"]),
    conditioning=st.sampled_from(["projection", "embedding", "auxiliary"]),
)
def test_any_size_that_halves_fits(
    side: int, channels: int, classes: int, kernel: int, norm: str, conditioning: str
) -> None:
    shape = (channels, side, side)
    generator = DCGANGenerator(shape, latent_dim=6, classes=classes, width=4, kernel=kernel)
    critic = DCGANCritic(shape, classes=classes, width=4, kernel=kernel, norm=norm, conditioning=conditioning)
    weights = torch.eye(3)[[0, 2]] if classes else None
    x = generator(torch.randn(2, 6), classes=weights)
    out = critic(x, classes=weights)
    assert x.shape == (2, *shape) and x.abs().max() <= 1
    guess: Tensor | None
    score, guess = out[:2] if isinstance(out, CriticOutput) else (out, None)
    assert score.shape == (2,) and (guess is None or guess.shape == (2, 3))
    assert (guess is not None) == (conditioning == "auxiliary" and classes > 0)
    assert critic.features(x).shape == (2, critic.head.features)


@pytest.mark.parametrize("side", [4, 7, 9, 18, 30, 36])
def test_sizes_that_do_not_halve_are_refused_with_sizes_that_do(side: int) -> None:
    with pytest.raises(
        ValueError, match=rf"images of {side} pixels do not halve .* use (\d+), (\d+) or (\d+)"
    ) as caught:
        DCGANGenerator((1, side, side))
    for proposed in str(caught.value).rpartition("use ")[2].replace(" or", ",").split(", "):
        assert 4 <= coarsest_grid((1, int(proposed), int(proposed)))[0] <= 7


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
def test_every_weight_of_both_networks_learns(norm: str, conditioning: str) -> None:
    torch.manual_seed(0)
    generator = DCGANGenerator((1, 16, 16), latent_dim=6, classes=3, width=4)
    critic = DCGANCritic((1, 16, 16), classes=3, width=4, norm=norm, conditioning=conditioning)
    weights = torch.eye(3)
    out = critic(generator(torch.rand(3, 6), classes=weights), classes=weights)
    sum(part.square().sum() for part in (out[:2] if isinstance(out, CriticOutput) else (out,))).backward()
    for name, weight in [*generator.named_parameters(), *critic.named_parameters()]:
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_images_of_a_batch_see_each_other_only_in_training() -> None:
    torch.manual_seed(0)
    generator = DCGANGenerator((1, 16, 16), latent_dim=6, width=4)
    z = torch.rand(8, 6)
    for _ in range(3):
        generator(z)
    assert not torch.allclose(generator(z)[:2], generator(z[:2]), atol=1e-4)
    generator.eval()
    assert torch.allclose(generator(z)[:2], generator(z[:2]), atol=1e-6)
    assert torch.equal(generator(z), generator(z))


@pytest.mark.parametrize("norm", ["layer", "none"])
def test_a_critic_for_gradient_penalties_judges_each_image_alone(norm: str) -> None:
    torch.manual_seed(0)
    critic, x = DCGANCritic((1, 16, 16), width=4, norm=norm), torch.randn(4, 1, 16, 16)
    assert torch.allclose(critic(x)[:2], critic(x[:2]), atol=1e-6)
    batch = DCGANCritic((1, 16, 16), width=4)
    assert not torch.allclose(batch(x)[:2], batch(x[:2]), atol=1e-6)


def test_spectral_norm_bounds_every_layer() -> None:
    torch.manual_seed(0)
    critic = DCGANCritic((1, 16, 16), classes=3, width=8, norm="none", spectral_norm=True)
    for _ in range(30):
        critic(torch.randn(2, 1, 16, 16), classes=torch.eye(3)[:2])
    critic.eval()
    layers = kinds(critic, nn.Conv2d, nn.Linear)
    assert len(layers) == 4 and all(is_parametrized(layer, "weight") for layer in layers)
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_mixtures_of_classes_lie_between() -> None:
    torch.manual_seed(0)
    generator = DCGANGenerator((1, 16, 16), latent_dim=6, classes=2, width=4).eval()
    z = torch.rand(1, 6)
    a, mixed, b = (generator(z, classes=torch.tensor([c])) for c in ([1.0, 0.0], [0.5, 0.5], [0.0, 1.0]))
    assert (mixed - a).norm() < (a - b).norm() and (mixed - b).norm() < (a - b).norm()


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="square"):
        DCGANGenerator((1, 28, 32))
    with pytest.raises(ValueError, match="norm='instance' must be one of batch, layer, none"):
        DCGANCritic((1, 28, 28), norm="instance")
    with pytest.raises(ValueError, match="width=0"):
        DCGANCritic((1, 28, 28), width=0)
    with pytest.raises(ValueError, match=r"expected \[B, 1, 28, 28\], got"):
        DCGANCritic((1, 28, 28), width=4)(torch.zeros(2, 1, 28, 27))
    for classes, weights in ((2, None), (0, torch.eye(2))):
        with pytest.raises(ValueError, match="takes the inputs"):
            DCGANGenerator((1, 8, 8), classes=classes, width=4)(torch.zeros(2, 100), classes=weights)
