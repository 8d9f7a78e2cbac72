"""Tests of StyleGAN: sizes and equations of the papers, determinism, mixing, truncation, growing resolution."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import EMA, Engine, Player, Stream, Trainer, load_state, save_state
from audiogan.games import Adversarial
from audiogan.losses import R1, NonSaturating
from audiogan.losses.path_length import PathLength
from audiogan.networks.stylegan import Growth, StyleGANCritic, StyleGANGenerator, grid_sizes
from audiogan.networks.stylegan_blocks import BinomialFilter, EqualLinear, ModulatedConv2d, UpConv2d, upsample2x
from audiogan.representations import Identity

SMALL = {"channel_base": 112, "channel_max": 16}


def generator(size: int = 28, classes: int = 0, **options: object) -> StyleGANGenerator:
    torch.manual_seed(0)
    return StyleGANGenerator((1, size, size), 8, 12, classes, **{**SMALL, **options})  # type: ignore[arg-type]


def critic(size: int = 28, classes: int = 0, **options: object) -> StyleGANCritic:
    torch.manual_seed(0)
    return StyleGANCritic((1, size, size), classes, **{**SMALL, **options})  # type: ignore[arg-type]


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_papers_size_has_the_papers_number_of_parameters() -> None:
    big, judge = StyleGANGenerator((3, 1024, 1024)), StyleGANCritic((3, 1024, 1024))
    assert big.layers == 18 and big.sides == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    # Numbers printed by the authors' code for configuration F.
    assert (count(big), count(judge)) == (30_370_060, 29_012_513)


@pytest.mark.parametrize(
    ("size", "sides"), [(28, [7, 14, 28]), (64, [4, 8, 16, 32, 64]), (6, [6]), (48, [6, 12, 24, 48])]
)
def test_sizes_that_halve_down_to_four(size: int, sides: list[int]) -> None:
    assert grid_sizes(size) == sides
    net, judge = generator(size), critic(size)
    x = net(torch.randn(2, 8))
    assert x.shape == (2, 1, size, size) and judge(x).shape == (2,)
    assert judge.features(x).shape == (2, 16) and net.layers == 2 * len(sides)


def test_a_small_class_embedding_leaves_the_variety_within_a_class() -> None:
    def share_within(scale: float) -> float:
        net, classes = generator(classes=4, mapping_layers=2, class_scale=scale), torch.eye(4).repeat_interleave(16, 0)
        ws = net.mapping(torch.randn(64, 8, generator=torch.Generator().manual_seed(1)), classes).view(4, 16, -1)
        return (ws.var(1).mean() / ws.flatten(0, 1).var(0).mean()).item()

    assert share_within(0.1) > 0.9 > share_within(1.0)


def test_a_tanh_bounds_images() -> None:
    bounded, unbounded = (generator(tanh=tanh)(torch.randn(8, 8)).abs().max() for tanh in (True, False))
    assert bounded <= 1 < unbounded


@pytest.mark.parametrize("up", [False, True])
def test_scaling_activations_is_the_papers_weight_modulation(up: bool) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv2d(6, 5, 4, up=up, gain=1.5)
    x, w, bias = torch.randn(3, 6, 7, 7), torch.randn(3, 4), torch.randn(5, 1, 1)
    # Equations 1 and 3: weights are modulated and demodulated for each sample, followed by a grouped convolution.
    weight = conv.conv.weight * conv.conv.scale * conv.affine(w)[:, None, :, None, None]
    weight = 1.5 * weight / (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    if up:
        stacked = weight.transpose(1, 2).reshape(18, 5, 3, 3)
        grown = F.conv_transpose2d(x.view(1, 18, 7, 7), stacked, stride=2, groups=3).view(3, 5, 15, 15)
        expected = BinomialFilter(1, gain=4.0)(grown)
    else:
        stacked = weight.reshape(15, 6, 3, 3)
        expected = F.conv2d(x.view(1, 18, 7, 7), stacked, padding=1, groups=3).view(3, 5, 7, 7)
    torch.testing.assert_close(conv(x, w, bias), expected + bias, rtol=1e-4, atol=1e-5)


def test_demodulation_undoes_the_size_of_a_style() -> None:
    conv = ModulatedConv2d(16, 8, 4, gain=1.0)
    nn.init.zeros_(conv.affine.weight)
    x, w, none = torch.randn(2, 16, 8, 8), torch.zeros(2, 4), torch.zeros(8, 1, 1)
    before = conv(x, w, none)
    nn.init.constant_(conv.affine.bias, 50.0)
    torch.testing.assert_close(conv(x, w, none), before, rtol=1e-3, atol=1e-4)
    assert 0.5 < before.std() < 2


def test_filters_keep_a_constant_and_remove_the_finest_pattern() -> None:
    flat = torch.ones(1, 2, 8, 8)
    assert torch.allclose(BinomialFilter(1, stride=2)(flat)[..., 1:-1, 1:-1], torch.ones(()))
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float().expand(1, 1, 8, 8) * 2 - 1
    assert BinomialFilter(1, stride=2)(board)[..., 1:-1, 1:-1].abs().max() < 1e-6
    # Upsampling by zeros and blur equals bilinear upsampling, except at the borders.
    x = torch.randn(1, 1, 8, 8)
    zeros = torch.zeros(1, 1, 17, 17)
    zeros[..., :16:2, :16:2] = x
    torch.testing.assert_close(
        BinomialFilter(1, gain=4.0)(F.pad(zeros, (1, 0, 1, 0)))[..., 2:14, 2:14], upsample2x(x)[..., 2:14, 2:14]
    )
    assert UpConv2d(2, 3, up=True)(torch.randn(1, 2, 7, 7)).shape == (1, 3, 14, 14)


def test_learning_rates_are_equalised_and_the_mapping_learns_a_hundred_times_slower() -> None:
    layer, slow = EqualLinear(64, 64), EqualLinear(64, 64, lr_factor=0.01)
    x = torch.randn(256, 64)
    for each, expected in ((layer, 1.0), (slow, 0.01)):
        before = each(x).detach()
        assert before.std().item() == pytest.approx(1, rel=0.1)
        with torch.no_grad():
            each.weight += 0.1 * torch.sign(torch.randn_like(each.weight))  # as Adam moves
            assert (each(x) - before).std().item() == pytest.approx(0.1 * expected, rel=0.1)


@pytest.mark.parametrize("modulation", ["demodulate", "adain"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_weight_of_both_networks_learns(modulation: str, progressive: bool) -> None:
    net = generator(classes=3, modulation=modulation, progressive=progressive)
    judge = critic(classes=3, progressive=progressive)
    if progressive:
        net.level.fill_(1.5), judge.level.fill_(1.5)
    for layer in net.convs:
        nn.init.constant_(layer.strength, 0.1)  # type: ignore[arg-type]
    weights = torch.eye(3)
    judge(net(torch.randn(3, 8), classes=weights), classes=weights).square().sum().backward()
    for name, weight in [*net.named_parameters(), *judge.named_parameters()]:
        if progressive and name.startswith("entries.0"):  # The layer of this resolution is no longer in use.
            continue
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), name
        # Instance norm removes the mean of each channel.
        assert weight.grad.abs().sum() > 0, name


def test_eval_is_deterministic_and_training_is_not() -> None:
    net = generator()
    for layer in net.convs:
        nn.init.constant_(layer.strength, 0.5)  # type: ignore[arg-type]
    z = torch.randn(4, 8)
    net.eval()
    assert torch.equal(net(z), net(z))
    assert torch.allclose(net(z)[1:2], net(z[1:2]), atol=1e-5)
    twin = generator()
    twin.load_state_dict(net.state_dict())
    assert torch.equal(twin.eval()(z), net(z))
    net.train()
    net.mixing = 0.0
    torch.manual_seed(1)
    a, b = net(z), net(z)
    torch.manual_seed(1)
    assert not torch.equal(a, b) and torch.equal(net(z), a)
    for layer in net.convs:
        nn.init.zeros_(layer.strength)  # type: ignore[arg-type]
    assert torch.equal(net(z), net(z))


def test_styles_are_mixed_in_training_from_a_random_layer_on() -> None:
    net = generator(28)
    seen: list[Tensor] = []
    net.synthesis = lambda ws: seen.append(ws.detach()) or torch.zeros(())  # type: ignore[method-assign,assignment]
    torch.manual_seed(0)
    z = torch.randn(4000, 8)
    net(z)
    (ws,) = seen
    own = (ws == net.mapping(z)[:, None]).all(2)  # [B, layers]: whether the style is that of the first latent.
    # First styles of the first latent, then styles of the second latent.
    assert own[:, 0].all() and (own[:, :-1] >= own[:, 1:]).all()
    starts = own.sum(1)
    assert (starts < net.layers).float().mean() == pytest.approx(0.9, abs=0.02)
    assert set(starts.tolist()) == set(range(1, net.layers + 1))
    net.eval()(z[:5])
    assert (seen[1] == net.mapping(z[:5])[:, None]).all()


def test_truncation_leans_towards_the_mean_style_of_the_class() -> None:
    net = generator(classes=3)
    weights = F.one_hot(torch.arange(600) % 3, 3).float()
    torch.manual_seed(0)
    for _ in range(4):
        net(torch.randn(600, 8), classes=weights)
    net.eval()
    z = torch.randn(3000, 8)
    for k in range(3):
        mean = net.mapping(z, classes=torch.eye(3)[k].expand(3000, -1)).mean(0)
        others = [net.w_avg[i] for i in range(3) if i != k]
        assert (net.w_avg[k] - mean).norm() < 0.3 * min((other - mean).norm() for other in others)
    z, one = z[:8], torch.eye(3)[1].expand(8, -1)
    assert torch.allclose(net.forward_truncated(1.0, z, classes=one), net(z, classes=one), atol=1e-5)
    still = net.forward_truncated(0.0, z, classes=one)
    assert torch.allclose(still, still[:1].expand_as(still), atol=1e-5)
    spread = [net.forward_truncated(psi, z, classes=one).std(0).mean().item() for psi in (0.0, 0.3, 0.7, 1.0)]
    assert spread == sorted(spread)
    unseen = generator(classes=3)
    unseen(torch.randn(4, 8), classes=torch.eye(3)[:1].expand(4, -1))
    assert unseen.w_avg[0].abs().sum() > 0 and unseen.w_avg[1:].abs().sum() == 0


def test_synthesis_of_the_mapping_is_the_generator_and_takes_a_style_a_layer() -> None:
    net = generator(classes=2).eval()
    z, weights = torch.randn(4, 8), torch.eye(2)[[0, 1, 0, 1]]
    w = net.mapping(z, classes=weights)
    ws = w[:, None].repeat(1, net.layers, 1)
    assert torch.equal(net.synthesis(ws), net(z, classes=weights))
    for layer in range(net.layers):
        if layer == 1:  # The colours of the coarsest resolution shift the whole image.
            continue
        other = ws.clone()
        other[:, layer] = w.flip(0)
        assert not torch.allclose(net.synthesis(other), net.synthesis(ws), atol=1e-6), layer
    assert torch.allclose(net.mapping(3 * z, classes=weights), w, atol=1e-5)  # z is normalised
    with pytest.raises(ValueError, match=r"\[B, 6, 12\], got \[4, 5, 12\]"):
        net.synthesis(ws[:, 1:])


@pytest.mark.parametrize("conditioning", ["projection", "embedding", "auxiliary"])
def test_the_critic_knows_classes(conditioning: str) -> None:
    judge = critic(classes=3, conditioning=conditioning)
    x = torch.randn(3, 1, 28, 28)
    logits, again = judge(x, classes=torch.eye(3)), judge(x, classes=torch.eye(3)[[1, 2, 0]])
    if conditioning == "auxiliary":
        assert logits[0].shape == (3,) and logits[1].shape == (3, 3) and torch.equal(logits[0], again[0])
    else:
        assert logits.shape == (3,) and not torch.allclose(logits, again)


def test_spectral_norm_bounds_every_layer() -> None:
    judge = critic(classes=2, spectral_norm=True)
    for _ in range(20):
        judge(torch.randn(4, 1, 28, 28), classes=torch.eye(2)[[0, 1, 0, 1]])
    judge.eval()
    layers = [m for m in judge.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    sizes = [m.weight.flatten(1) * getattr(m, "weight_scale", 1.0) for m in layers]
    assert len(sizes) > 8
    assert all(torch.linalg.matrix_norm(w, 2).item() == pytest.approx(1, rel=0.2) for w in sizes)


class Images:
    """Data set of sixty images of two kinds, bright and dark."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.label = torch.arange(60) % 2
        shade = (self.label * 2 - 1).float().view(-1, *[1] * len(shape))
        self.x = 0.6 * shade + 0.1 * torch.randn(60, *shape, generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return 60

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"x": self.x[indices], "label": self.label[indices]}


def train(
    net: StyleGANGenerator, judge: StyleGANCritic, steps: int, batch: int = 8, growth: Growth | None = None
) -> Trainer:
    adam = partial(torch.optim.Adam, lr=0.01, betas=(0.0, 0.99))
    penalties = {"penalties": [R1(0.1, every=4)], "generator_penalties": [PathLength(every=4)]}
    game = Adversarial(net, judge, NonSaturating(), Identity(net.shape), **penalties)
    players = [Player("critic", ("critic",), adam), Player("generator", ("generator",), adam)]
    callbacks = {"ema": EMA(["generator"]), "growth": growth or Growth()}
    trainer = Trainer(game, players, {"train": Stream(Images(net.shape), batch)}, callbacks, Engine("cpu"), steps=steps)
    trainer.run()
    return trainer


@pytest.mark.parametrize("modulation", ["demodulate", "adain"])
def test_it_learns_which_class_is_bright(modulation: str) -> None:
    net = generator(8, classes=2, modulation=modulation)
    trainer = train(net, critic(8, classes=2), steps=100)
    game = trainer.game
    assert isinstance(game, Adversarial)
    z = torch.randn(32, 8, generator=torch.Generator().manual_seed(1))
    dark, bright = (game.generate({"latent": z, "classes": torch.eye(2)[[k] * 32]}).mean() for k in (0, 1))
    assert dark < bright - 0.4
    means = [game.generate({"latent": z, "classes": torch.eye(2)[[k] * 32]}, truncation=0.0) for k in (0, 1)]
    assert means[0].std(0).max() < 1e-5 and means[0].mean() < means[1].mean() - 0.4


def test_growth_is_a_function_of_the_step() -> None:
    growth = Growth(hold=10, fade=4)
    levels = [growth.level_at(step, 3) for step in (0, 10, 12, 13, 14, 24, 26, 28, 10_000)]
    assert levels == [0.0, 0.0, 0.5, 0.75, 1.0, 1.0, 1.5, 2.0, 2.0]
    with pytest.raises(ValueError, match="fade=0"):
        Growth(fade=0)


def test_a_growing_network_is_smooth_in_its_level_and_ends_as_an_ordinary_one() -> None:
    net, judge = generator(progressive=True).eval(), critic(progressive=True).eval()
    full = generator().eval()
    full.load_state_dict({k: v for k, v in net.state_dict().items() if k != "level"})
    z = torch.randn(4, 8)

    def at(level: float) -> tuple[Tensor, Tensor]:
        net.level.fill_(level), judge.level.fill_(level)
        return net(z), judge(x)

    x = torch.randn(4, 1, 28, 28)
    coarse, _ = at(0.0)
    blocks = coarse.unflatten(2, (7, 4)).unflatten(4, (7, 4))
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))  # 7 x 7 pixels, repeated
    for level in (0.0, 0.5, 1.0, 1.5, 2.0):
        nearby = [max(level - 1e-4, 0.0), min(level + 1e-4, 2.0)]
        for before, after in zip(at(nearby[0]), at(nearby[1]), strict=True):
            assert torch.allclose(before, after, atol=1e-2), level
    assert torch.equal(at(2.0)[0], full(z))
    judge.level.fill_(0.0)  # Details finer than the resolution in use have no effect.
    detail = torch.tensor([1.0, -1.0]).repeat(14).expand(4, 1, 28, 28)
    assert torch.allclose(judge(x + detail), judge(x), atol=1e-4)


def test_checkpoints_and_averages_hold_how_far_a_network_has_grown(tmp_path: Path) -> None:
    def fresh(steps: int) -> Trainer:
        net, judge = generator(8, 2, progressive=True), critic(8, 2, progressive=True)
        return train(net, judge, steps, growth=Growth(hold=2, fade=4))

    trainer = fresh(4)
    assert trainer.game.nets["critic"].level == 0.5 == trainer.game.nets["generator"].level
    save_state(tmp_path / "a.ckpt", trainer.state_dict())
    whole = fresh(6)
    resumed = fresh(0)
    resumed.load_state_dict(load_state(tmp_path / "a.ckpt"))
    resumed.steps = 6
    resumed.run()
    for name, value in whole.game.state_dict().items():
        assert torch.equal(value, resumed.game.state_dict()[name]), name
    average = resumed.callbacks["ema"].nets["generator"]  # type: ignore[attr-defined]
    # An average is one step late, because the resolution grows after the updates.
    assert average.level == 0.75 and whole.game.nets["generator"].level == 1.0 and average.w_seen.sum() > 0


@pytest.mark.parametrize(("size", "batch"), [(8, 2), pytest.param(1024, 1, marks=pytest.mark.slow)])
def test_the_papers_size_takes_a_step(size: int, batch: int) -> None:
    """512 channels and 512 styles: a second at 8 pixels. At the paper's 1024 pixels, a minute and 6 GB."""
    torch.manual_seed(0)
    net, judge = StyleGANGenerator((3, size, size)), StyleGANCritic((3, size, size))
    assert [layer.bias.numel() for layer in net.convs][:3] == [512] * 3
    before = net.constant.detach().clone()
    trainer = train(net, judge, steps=1, batch=batch)
    assert trainer.step == 1 and not torch.equal(net.constant, before)
    assert all(torch.isfinite(p).all() for p in trainer.game.parameters())


def test_wrong_use_is_named() -> None:
    for size in (36, 3, 26):
        with pytest.raises(ValueError, match=f"{size}.*halve down"):
            grid_sizes(size)
    with pytest.raises(ValueError, match=r"\(1, 28, 32\).*square"):
        StyleGANGenerator((1, 28, 32))
    with pytest.raises(ValueError, match=r"modulation='weights'.*demodulate, adain"):
        generator(modulation="weights")
    with pytest.raises(ValueError, match="mixing=2"):
        generator(mixing=2.0)
    with pytest.raises(ValueError, match="takes the inputs: classes, latent; got: latent"):
        generator(classes=2)(torch.zeros(1, 8))
    with pytest.raises(ValueError, match="takes the inputs: latent; got: classes, latent"):
        generator()(torch.zeros(1, 8), classes=torch.eye(2)[:1])
    with pytest.raises(ValueError, match=r"\[B, 1, 28, 28\], got \[1, 1, 32, 32\]"):
        critic()(torch.zeros(1, 1, 32, 32))
