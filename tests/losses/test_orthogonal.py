"""Tests of the orthogonal penalty: the equation of the paper, applied to weights only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from audiogan.losses import OrthogonalRegularisation


def value(network: nn.Module, **options: object) -> Tensor:
    penalty = OrthogonalRegularisation(**{"weight": 1.0, **options})  # type: ignore[arg-type]
    return penalty(network, {"latent": torch.zeros(1, 1)}, torch.randn)


def equation(w: Tensor) -> Tensor:
    """Return |W W^T (1 - I)|_F^2, computed as written."""
    gram = w @ w.T
    return (gram * (1 - torch.eye(len(w), dtype=w.dtype))).square().sum()


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (40, 2)])
def test_it_is_the_equation_and_so_is_its_gradient(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(shape[1], shape[0]).double()
    layer.weight = nn.Parameter(torch.randn(*shape, dtype=torch.float64))
    expected = equation(layer.weight)
    (slope,) = torch.autograd.grad(expected, layer.weight)
    found = value(layer)
    found.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert layer.weight.grad is not None and torch.allclose(layer.weight.grad, slope, rtol=1e-4, atol=1e-5)
    assert layer.bias.grad is None


def test_filters_of_a_convolution_are_rows() -> None:
    layer = nn.Conv2d(3, 4, 2)
    assert value(layer).item() == pytest.approx(equation(layer.weight.detach().reshape(4, 12)).item(), rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_descending_it_turns_filters_apart_and_leaves_their_lengths(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(shape[1], shape[0], bias=False)
    lengths = layer.weight.detach().norm(dim=1)
    before = value(layer).item()
    for _ in range(200):
        (slope,) = torch.autograd.grad(value(layer), layer.weight)
        with torch.no_grad():
            layer.weight -= 0.02 * slope
    after = value(layer).item()
    if shape[0] <= shape[1]:  # More filters than inputs cannot all be orthogonal.
        assert after < 1e-3 * before
        assert torch.allclose(layer.weight.norm(dim=1), lengths, rtol=0.3)
    assert after < before


def test_embeddings_gains_and_biases_are_left_out() -> None:
    network = nn.ModuleDict({"embed": nn.Linear(4, 4), "norm": nn.BatchNorm1d(4), "dense": nn.Linear(4, 4)})
    assert torch.equal(value(network), value(network["dense"]))
    assert value(network, excluded_parameters=()) > value(network)
    with pytest.raises(ValueError, match="BatchNorm1d has no weight matrices"):
        value(network["norm"])


def test_under_spectral_norm_it_sees_the_weights_before_it() -> None:
    layer = nn.Linear(5, 3)
    plain = value(layer)
    assert torch.equal(value(spectral_norm(layer)), plain)


def test_weight_and_every_scale_it() -> None:
    layer = nn.Linear(5, 3)
    assert OrthogonalRegularisation().weight == 1e-4 and OrthogonalRegularisation().every == 1
    assert value(layer, weight=0.5, every=4).item() == pytest.approx(2 * value(layer).item())
    with pytest.raises(ValueError, match="every=0"):
        OrthogonalRegularisation(every=0)
