"""Tests of the PatchGAN critic: size of the paper, patches, sources, classes, features."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from audiogan.losses import R1
from audiogan.networks.base import CriticNet, CriticOutput
from audiogan.networks.patchgan import PatchCritic

SIZE = (3, 256, 256)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes_of_the_authors_code() -> None:
    with torch.device("meta"):
        assert count(PatchCritic(SIZE, SIZE)) == 2_768_705
        # Without biases before an instance norm, which have no effect.
        assert count(PatchCritic(SIZE, norm="instance")) + 128 + 256 + 512 == 2_764_737
        logits = PatchCritic(SIZE)(torch.zeros(1, *SIZE)).logits
    assert logits.shape == (1, 1, 30, 30)


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_depends_on_its_patch(layers: int, patch: int) -> None:
    torch.manual_seed(0)
    net = PatchCritic((1, 256, 256), width=2, layers=layers, norm="none").double()
    x = torch.randn(1, 1, 256, 256, dtype=torch.float64, requires_grad=True)
    logits: Any = net(x).logits
    middle = logits.shape[-1] // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle], x)
    rows, columns = (gradient[0, 0].abs().sum(axis) > 0 for axis in (1, 0))
    assert net.patch == patch
    for touched in (rows.nonzero(), columns.nonzero()):
        assert int(touched[-1] - touched[0]) + 1 == patch


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("size", [(64, 64), (48, 100)])
def test_every_size_and_norm(size: tuple[int, int], norm: str) -> None:
    torch.manual_seed(0)
    net = PatchCritic((1, 64, 64), (2, 64, 64), classes=3, width=8, norm=norm)
    assert isinstance(net, CriticNet) and net.takes == {"source", "classes"}
    x, source, classes = torch.randn(2, 1, *size), torch.randn(2, 2, *size), torch.eye(3)[:2]
    out = net(x, source=source, classes=classes)
    assert isinstance(out, CriticOutput) and isinstance(out.logits, torch.Tensor) and out.features is not None
    assert out.logits.shape == (2, 1, size[0] // 8 - 2, size[1] // 8 - 2) and out.classes is None
    assert [f.shape[1] for f in out.features] == [8, 16, 32, 64]
    assert net.features(x, source=source).shape == (2, 64)
    out.logits.square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in net.parameters())
    swapped: Any = net(x, source=source, classes=classes.flip(0)).logits
    assert not torch.equal(swapped, out.logits)


def test_spectral_norm_covers_every_layer() -> None:
    net = PatchCritic((1, 64, 64), classes=2, width=4, norm="none", spectral_norm=True)
    layers = [module for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 6 and all(is_parametrized(layer) for layer in layers)


def test_a_gradient_penalty_is_one_of_single_pictures() -> None:
    net = PatchCritic((1, 64, 64), width=4, norm="instance")
    x = torch.randn(3, 1, 64, 64)

    def critic(x: torch.Tensor) -> Any:
        logits: Any = net(x).logits
        return logits.mean((1, 2, 3))

    whole = R1(every=1)(critic, x, x, torch.rand)
    single = torch.stack([R1(every=1)(critic, each[None], each[None], torch.rand) for each in x]).mean()
    torch.testing.assert_close(whole, single)
    whole.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_inputs_that_do_not_fit_are_named() -> None:
    net = PatchCritic((1, 64, 64), (2, 64, 64), classes=3, width=2)
    x, source = torch.zeros(2, 1, 64, 64), torch.zeros(2, 2, 64, 64)
    with pytest.raises(ValueError, match="the source is missing"):
        net(x, classes=torch.eye(3)[:2])
    with pytest.raises(ValueError, match=r"expected a source \[2, 2, 64, 64\], got \[2, 2, 32, 32\]"):
        net(x, source=source[..., :32, :32])
    with pytest.raises(ValueError, match=r"expected classes \[2, 3\], got none"):
        net(x, source=source)
    with pytest.raises(ValueError, match=r"images \[B, 1, H, W\]"):
        net(source, source=source)
    with pytest.raises(ValueError, match="the source is not expected"):
        PatchCritic((1, 64, 64), width=2)(x, source=source)
    with pytest.raises(ValueError, match="layers=5 needs images of 96 pixels"):
        PatchCritic((1, 64, 64), layers=5)
