"""Tests of path length regularisation: values for generators with a known Jacobian, running mean, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from audiogan.losses.path_length import PathLength, path_lengths


class Linear(nn.Module):
    """Generator whose styles are doubled latents. The image is a matrix times the style of each layer, summed over
    layers."""

    layers = 3

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)
        self.factor = nn.Parameter(torch.tensor(2.0))

    def mapping(self, latent: Tensor) -> Tensor:
        return self.factor * latent

    def synthesis(self, ws: Tensor) -> Tensor:
        return (ws.sum(1) @ self.matrix.T).view(len(ws), 1, 4, 4)


class Bent(Linear):
    """Generator whose path lengths depend on the style."""

    def synthesis(self, ws: Tensor) -> Tensor:
        return super().synthesis(ws.square())


def test_lengths_are_those_of_the_jacobian() -> None:
    matrix = torch.randn(16, 5)
    y = torch.randn(2, 1, 4, 4)
    found = path_lengths(Linear(matrix), torch.zeros(2, 5), lambda *shape: y)
    # |J^T y| of each layer, for an image y of unit power with 16 pixels.
    assert torch.allclose(found, (y.flatten(1) / 4 @ matrix).norm(dim=1), rtol=1e-5)


def test_an_orthogonal_generator_pays_little_and_a_crooked_one_much() -> None:
    torch.manual_seed(0)
    even = torch.linalg.qr(torch.randn(16, 16))[0]
    crooked = even @ torch.diag(torch.tensor([4.0] + [0.1] * 15))
    values = []
    for matrix in (even, crooked):
        penalty = PathLength(weight=1.0, every=1, batch_shrink=1, decay=0.0)
        values.append(penalty(Linear(matrix), {"latent": torch.randn(512, 16)}, torch.randn).item())
    assert values[0] < 0.05 and values[1] > 10 * values[0]


def test_the_mean_runs_and_is_saved() -> None:
    penalty = PathLength(every=1, batch_shrink=1, decay=0.9)
    net = Linear(torch.eye(16))
    # The norm of y is 4, and it is divided by the root of 16 pixels, so path lengths are 1.
    y = torch.full((4, 1, 4, 4), 1.0)
    for expected in (0.1, 0.19, 0.271):
        value = penalty(net, {"latent": torch.randn(4, 16)}, lambda *shape: y)
        assert penalty.mean.item() == pytest.approx(expected, rel=1e-4)
        assert value.item() == pytest.approx(2.0 * (1 - expected) ** 2, rel=1e-4)
    other = PathLength()
    other.load_state_dict(penalty.state_dict())
    assert torch.equal(other.mean, penalty.mean) and not penalty.mean.requires_grad


def test_it_is_lazy_on_half_the_batch_and_reaches_every_weight() -> None:
    drawn: list[tuple[int, ...]] = []

    def randn(*shape: int) -> Tensor:
        drawn.append(shape)
        return torch.ones(shape)

    torch.manual_seed(0)
    net, z = Bent(torch.randn(16, 5)), torch.randn(7, 5)
    value = PathLength(weight=3.0, every=8)(net, {"latent": z}, randn)
    assert drawn == [(3, 1, 4, 4)]
    gradients = torch.autograd.grad(value, list(net.parameters()))
    assert all(torch.isfinite(g).all() and g.abs().sum() > 0 for g in gradients)
    eager = PathLength(weight=3.0, every=1)(net, {"latent": z}, randn)
    assert value.item() == pytest.approx(8 * eager.item())
    with torch.no_grad():  # The value can be computed without gradients.
        assert PathLength(weight=3.0, every=1)(net, {"latent": z}, randn).item() == pytest.approx(eager.item())
    assert math.isfinite(PathLength()(net, {"latent": z[:1]}, torch.randn).item())


def test_descending_it_evens_the_lengths_out() -> None:
    torch.manual_seed(0)
    even = torch.linalg.qr(torch.randn(16, 16))[0]
    net = Linear(even @ torch.diag(torch.tensor([3.0] + [0.5] * 15)))
    penalty, optimizer = PathLength(weight=1.0, every=1, batch_shrink=1), torch.optim.Adam(net.parameters(), lr=0.02)

    def spread() -> float:
        lengths = path_lengths(net, torch.zeros(256, 16), torch.randn)
        return (lengths.std() / lengths.mean()).item()

    before = spread()
    for _ in range(150):
        optimizer.zero_grad()
        penalty(net, {"latent": torch.randn(32, 16)}, torch.randn).backward()
        optimizer.step()
    assert spread() < 0.6 * before


def test_wrong_use_is_named() -> None:
    with pytest.raises(ValueError, match="every=0"):
        PathLength(every=0)
    with pytest.raises(ValueError, match="batch_shrink=0"):
        PathLength(batch_shrink=0)
    with pytest.raises(ValueError, match="decay=1"):
        PathLength(decay=1.0)
