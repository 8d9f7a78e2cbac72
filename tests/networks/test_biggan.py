"""Tests of BigGAN: size of the paper, all image sizes, conditioning, truncation, standing statistics."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from audiogan.losses import Hinge, OrthogonalRegularisation
from audiogan.networks.base import CriticOutput
from audiogan.networks.biggan import BigGANCritic, BigGANGenerator, ConditionalBatchNorm, SelfAttention, truncate_normal

SMALL: dict[str, Any] = {"classes": 3, "width": 4}


def generator(side: int = 16, **options: Any) -> BigGANGenerator:
    return BigGANGenerator((1, side, side), **{"latent_dim": 9, "embed_dim": 5, **SMALL, **options})


def critic(side: int = 16, **options: Any) -> BigGANCritic:
    return BigGANCritic((1, side, side), **{**SMALL, **options})


def test_the_papers_size_has_the_papers_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 pixels, ch = 96, 1000 classes: 158.3 million parameters in table 1, without the shared embedding (1000 x
    128)."""
    for slow in ("orthogonal_", "kaiming_uniform_"):
        monkeypatch.setattr(nn.init, slow, lambda w, **options: w)
    g = BigGANGenerator((3, 128, 128), classes=1000)
    assert sum(p.numel() for p in g.parameters()) == 70_305_988 + 128_000
    del g
    assert sum(p.numel() for p in BigGANCritic((3, 128, 128), classes=1000).parameters()) == 87_982_370


@pytest.mark.slow
def test_the_papers_size_takes_a_step_of_each_player() -> None:
    torch.manual_seed(0)
    g, d = BigGANGenerator((3, 128, 128), classes=1000), BigGANCritic((3, 128, 128), classes=1000)
    z, weights, real = torch.randn(2, 120), torch.eye(1000)[[3, 7]], torch.rand(2, 3, 128, 128) * 2 - 1
    for net, lr in ((d, 2e-4), (g, 5e-5)):
        optimizer = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.0, 0.999))
        fake = g(z, classes=weights)
        if net is d:
            loss = Hinge().critic(d(real, classes=weights), d(fake.detach(), classes=weights))
        else:
            penalty = OrthogonalRegularisation()(g, {"latent": z, "classes": weights}, torch.randn)
            loss = Hinge().generator(d(fake, classes=weights)) + penalty
        before = [p.detach().clone() for p in net.parameters()]
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss) and all(torch.isfinite(p).all() for p in net.parameters())
        moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
        # The factor of the attention is still 0, so the attention layer has no gradient.
        assert sum(moved) > 0.8 * len(moved)


@pytest.mark.parametrize("side", [8, 14, 20, 24, 28, 32, 64, 128])
@pytest.mark.parametrize("classes", [0, 3])
def test_any_side_that_halves_to_four_to_seven(side: int, classes: int) -> None:
    g, d = generator(side, width=1, classes=classes), critic(side, width=1, classes=classes)
    weights = torch.eye(3)[:2] if classes else None
    x = g(torch.randn(2, 9), classes=weights)
    assert x.shape == (2, 1, side, side) and x.abs().max() <= 1
    assert d(x, classes=weights).shape == (2,) and d.features(x).shape == (2, d.head.features)


@pytest.mark.parametrize("side", [18, 3, 4, 7, 30])
def test_other_sides_are_named(side: int) -> None:
    with pytest.raises(ValueError, match=f"4 to 7 times a power of two.*got {side}"):
        generator(side)


def test_every_weight_of_both_networks_learns() -> None:
    torch.manual_seed(0)
    g, d = generator(), critic()
    for net in (g, d):
        assert isinstance(net.attention, SelfAttention)
        # The factor is initially 0, so that layers behind it would have no gradient.
        nn.init.constant_(net.attention.amount, 0.5)
    weights = torch.eye(3)
    d(g(torch.randn(3, 9), classes=weights), classes=weights).square().sum().backward()
    for name, weight in [*g.named_parameters(), *d.named_parameters()]:
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_each_part_of_the_latent_enters_at_its_own_block() -> None:
    torch.manual_seed(0)
    g = generator(latent_dim=8).eval()  # parts of 3, 3 and 2
    z, weights = torch.randn(1, 8), torch.eye(3)[:1]
    seen: list[torch.Tensor] = []
    for block in g.blocks:
        block.register_forward_hook(lambda module, inputs, out: seen.append(out.detach()))
    for first, parts in ((0, slice(0, 3)), (1, slice(3, 6)), (2, slice(6, 8))):
        moved = z.clone()
        moved[:, parts] += 1
        seen.clear()
        a, b = g(z, classes=weights), g(moved, classes=weights)
        same = [torch.equal(x, y) for x, y in zip(seen[:2], seen[2:], strict=True)]
        assert same == [first > 1, False] if first else same == [False, False]
        assert not torch.equal(a, b)


def test_batch_norm_knows_the_class_and_is_otherwise_batch_norm() -> None:
    norm = ConditionalBatchNorm(6, 3)
    x = torch.randn(64, 6, 5, 5) * 3 + 2
    nn.init.zeros_(norm.gain.weight)
    nn.init.zeros_(norm.shift.weight)
    assert torch.allclose(norm(x, torch.randn(64, 3)), nn.BatchNorm2d(6, affine=False)(x), atol=1e-6)
    norm.gain.weight.data[2, 1] = 0.5
    norm.shift.weight.data[4, 1] = -2.0
    out = norm(x, torch.eye(3)[1].expand(64, -1))
    assert torch.allclose(out.std((0, 2, 3)), torch.tensor([1, 1, 1.5, 1, 1, 1]), atol=1e-3)
    assert torch.allclose(out.mean((0, 2, 3)), torch.tensor([0, 0, 0, 0, -2.0, 0]), atol=1e-5)


def test_mixtures_of_classes_lie_between() -> None:
    torch.manual_seed(0)
    g, z = generator().eval(), torch.randn(1, 9)
    a, mixed, b = (g(z, classes=torch.tensor([c])) for c in ([1.0, 0, 0], [0.5, 0.5, 0], [0, 1.0, 0]))
    assert 0 < (mixed - a).norm() < (a - b).norm() and 0 < (mixed - b).norm() < (a - b).norm()


def test_attention_brings_what_is_far_away() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(16), torch.randn(1, 16, 9, 9)
    assert torch.equal(attention(x), x)
    nn.init.ones_(attention.amount)
    far = x.clone()
    far[..., 8, 8] += 3
    assert (attention(far) - attention(x))[..., 0, 0].abs().max() > 1e-4


def test_attention_sits_where_it_is_asked_to() -> None:
    assert generator(28).attention.query.in_channels == 8  # Width 4, times 2 at half the side.
    assert generator(28, attention=0).attention is None and critic(28, attention=0).attention is None
    assert critic(32, attention=8).place == 1 and generator(32, attention=8).place == 0
    assert generator(128, width=1).place == 3 and critic(128, width=1).place == 0  # 64 pixels, as in the paper.
    with pytest.raises(ValueError, match=r"attention=5 must be one of \[8, 16\]"):
        generator(16, attention=5)


@pytest.mark.parametrize("net", [generator(), critic()], ids=["generator", "critic"])
def test_weights_start_orthogonal_and_spectral_norm_holds_them(net: nn.Module) -> None:
    net = copy.deepcopy(net).eval()
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            w = module.weight.detach().flatten(1)
            gram = w @ w.T if len(w) <= w.shape[1] else w.T @ w
            assert torch.allclose(gram, torch.eye(len(gram)), atol=1e-4), name
            assert hasattr(module, "parametrizations") != (name == "embed"), name
            if name != "embed":
                module.parametrizations.weight.original.data *= 7
                assert torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2).item() == pytest.approx(
                    1, abs=0.01
                )
    assert not any("original" in name for name, _ in generator(spectral_norm=False).named_parameters())
    assert not any("original" in name for name, _ in critic(spectral_norm=False).named_parameters())


def test_samples_depend_on_latent_and_class_alone() -> None:
    torch.manual_seed(0)
    g = generator()
    g.train()
    for _ in range(3):
        g(torch.randn(16, 9), classes=torch.eye(3)[torch.randint(3, (16,))])
    g.eval()
    z, weights = torch.randn(8, 9), torch.eye(3)[torch.arange(8) % 3]
    whole = g(z, classes=weights)
    assert torch.equal(whole, g(z, classes=weights))
    assert torch.allclose(whole[3:4], g(z[3:4], classes=weights[3:4]), atol=1e-5)


def test_standing_statistics_are_those_of_the_batches() -> None:
    torch.manual_seed(0)
    g = generator(spectral_norm=False)
    z, weights = torch.randn(64, 9), torch.eye(3)[torch.arange(64) % 3]
    with torch.no_grad():
        g.start.weight *= 3  # Averaged weights need other statistics.
        g.train()
        expected = g(z, classes=weights)
        g.eval()
        stale = (g(z, classes=weights) - expected).abs().mean()
        inputs = {"latent": z, "classes": weights}
        g.update_standing_statistics([inputs, {name: value.flip(0) for name, value in inputs.items()}])
        assert not g.training and g.norm.momentum == 0.1
        assert (g(z, classes=weights) - expected).abs().mean() < 0.05 * stale


@pytest.mark.parametrize("threshold", [0.3, 1.0, 2.0])
def test_truncation_gives_the_truncated_normal_distribution_in_order(threshold: float) -> None:
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    x = truncate_normal(z, threshold)
    t = torch.tensor(threshold)
    inside = torch.erf(t / math.sqrt(2))
    variance = 1 - 2 * t * torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi) / inside
    assert x.abs().max() <= threshold and x.var() == pytest.approx(variance.item(), rel=0.01)
    assert (x[z.argsort()].diff() >= 0).all()
    share = (x < 0.5 * threshold).float().mean()  # Value of its distribution function at another point.
    assert share == pytest.approx((0.5 + 0.5 * torch.erf(0.5 * t / math.sqrt(2)) / inside).item(), abs=0.005)


def test_truncation_ends_at_the_mean_and_at_the_identity() -> None:
    z = torch.tensor([-6.0, -1.0, 0.0, 0.3, 5.0])
    assert torch.equal(truncate_normal(z, math.inf), z) and torch.allclose(truncate_normal(z, 50.0), z, atol=1e-4)
    assert torch.equal(truncate_normal(z, 0.0), torch.zeros(5))
    g = generator().eval()
    z, weights = torch.randn(4, 9), torch.eye(3)[[0, 1, 0, 1]]
    assert torch.equal(g.forward_truncated(math.inf, z, classes=weights), g(z, classes=weights))
    means = g.forward_truncated(0.0, z, classes=weights)
    assert torch.allclose(means[0], means[2], atol=1e-6) and not torch.allclose(means[0], means[1], atol=1e-4)
    for wrong in (-1.0, math.nan):
        with pytest.raises(ValueError, match="truncation="):
            g.forward_truncated(wrong, z, classes=weights)


@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
def test_critics_of_every_conditioning(conditioning: str) -> None:
    d = critic(conditioning=conditioning)
    out = d(torch.randn(2, 1, 16, 16), classes=torch.eye(3)[:2])
    if conditioning == "auxiliary":
        assert isinstance(out, CriticOutput) and out.classes.shape == (2, 3)
        out = out.logits
    assert out.shape == (2,)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: BigGANGenerator((1, 28, 32)), r"square.*\[1, 28, 32\]"),
        (lambda: generator(width=0), "width=0"),
        (lambda: generator(latent_dim=2), "latent_dim=2.*3 parts"),
        (lambda: generator(multipliers=(2, 1)), r"multipliers=\[2, 1\].*need 3"),
        (lambda: generator()(torch.randn(2, 8), classes=torch.eye(3)[:2]), r"\[B, 9\], got \[2, 8\]"),
        (lambda: generator()(torch.randn(2, 9)), "takes the inputs: classes, latent; got: latent"),
        (
            lambda: generator(classes=0)(torch.randn(2, 9), classes=torch.eye(3)[:2]),
            "takes the inputs: latent; got: classes, latent",
        ),
        (lambda: critic()(torch.randn(2, 1, 16, 15), classes=torch.eye(3)[:2]), r"\[B, 1, 16, 16\], got"),
    ],
)
def test_wrong_use_is_named(make: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()
