"""Tests of `VAEGAN`: gradients of each player, training on drums, exact resumption."""

from __future__ import annotations

import functools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from audiogan.augment import Shift
from audiogan.core import EMA, Engine, Play, Player, Stream, Trainer, load_state, save_state
from audiogan.core.engine import frozen_except
from audiogan.data.table import Table
from audiogan.data.toys.drum_machine import drum_machine
from audiogan.games import VAEGAN
from audiogan.losses import R1, NonSaturating, PartialTracks, Pitch, SpectralDistance, Width
from audiogan.losses.auxiliary_targets import stereo_width
from audiogan.networks.multiview import MultiViewCritic
from audiogan.networks.tonenoise import Listener, ToneNoiseEncoder, ToneNoiseGenerator
from audiogan.representations import SoundFormat, Waveform

LENGTH, RATE = 4096, 8000
FRAMES: dict[str, Any] = {"n_fft": 256, "hop_length": 128}
OWNS = {
    "critic": ("critic",),
    "generator": ("generator", "encoder"),
    "autoencoder": ("generator", "encoder"),
}


def game(classes: int = 0, knobs: int = 0, width: int = 8, **options: Any) -> VAEGAN:
    torch.manual_seed(0)
    sound: dict[str, Any] = {"format": SoundFormat(LENGTH, sample_rate=RATE), **FRAMES}
    made: dict[str, Any] = {"latent_dim": 8, "classes": classes, "knobs": knobs}
    if knobs:
        options["listener"] = Listener(classes=classes, knobs=knobs, widths=(4, 4, 4), hidden=8, **sound)
    given = {
        "generator": ToneNoiseGenerator(width=width, blocks=2, bands=16, style_dim=2 * width, **sound, **made),
        "critic": MultiViewCritic(classes=classes, n_mels=16, mel_widths=(4, 4, 4), stft_widths=(4, 4, 4, 4), **sound),
        "encoder": ToneNoiseEncoder(widths=(4, 8, width), hidden=2 * width, **sound, **made),
        "loss": NonSaturating(),
        "representation": Waveform(SoundFormat(LENGTH)),
        "distance": SpectralDistance(**sound),
        "auxiliary_targets": [Pitch(), Width(), PartialTracks(6, sound["format"], FRAMES["hop_length"])],
    }
    return VAEGAN(**{**given, **options})


@functools.cache
def drums() -> Table:
    return drum_machine(24, sample_rate=RATE, length=LENGTH)


def batch(n: int = 4, classes: int = 0, knobs: int = 0) -> dict[str, Tensor]:
    label = {"label": torch.arange(n) % classes} if classes else {}
    turned = {"knobs": torch.randn(n, knobs, generator=torch.Generator().manual_seed(0))} if knobs else {}
    return {"x": drums().signals(slice(n)), **label, **turned}


def context(player: str, step: int = 0, **options: Any) -> Play:
    scratch = Play(step, **options)
    scratch.begin_move(player)
    return scratch


@pytest.mark.parametrize(("classes", "knobs"), [(0, 0), (3, 0), (3, 2), (0, 2)])
@pytest.mark.parametrize("player", ["critic", "generator", "autoencoder"])
def test_each_player_teaches_its_own_networks_alone(player: str, classes: int, knobs: int) -> None:
    it = game(classes, knobs, penalties=[R1(1.0, every=1)]).requires_grad_(False)
    hears = ({"knobs", "class"} if classes else {"knobs"}) if knobs else set()
    names = {
        "critic": {"loss", "r1"},
        "generator": {"loss", "distance", "kl"} | hears,
        "autoencoder": {"distance", "kl"},
    }
    with frozen_except(it, OWNS[player]):
        losses = it.losses(player, batch(6, classes, knobs), context(player))
        assert set(losses) == names[player] and all(term.shape == () for term in losses.values())
        sum(losses.values()).backward()  # type: ignore[union-attr]
    assert_taught(it, OWNS[player])


def assert_taught(it: VAEGAN, nets: tuple[str, ...]) -> None:
    """Check that all weights of these networks have a gradient, and no other weights."""
    for name, weight in it.named_parameters():
        taught = weight.grad is not None and bool(weight.grad.abs().sum() > 0)
        assert taught == (name.split(".")[1] in nets), name


@pytest.mark.parametrize(("classes", "hears"), [(0, {"knobs"}), (3, {"class", "knobs"})])
def test_the_listener_learns_from_real_sounds_alone(classes: int, hears: set[str]) -> None:
    it = game(classes, knobs=2)
    losses = it.losses("listener", batch(6, classes, knobs=2), context("listener"))
    assert set(losses) == hears
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert_taught(it, ("listener",))


def test_a_generator_that_need_not_decode_plays_the_ordinary_game() -> None:
    it = game(share=0.0)
    losses = it.losses("generator", batch(), context("generator"))
    assert set(losses) == {"loss"}
    losses["loss"].backward()
    assert all(weight.grad is None for weight in it.nets["encoder"].parameters())
    with pytest.raises(ValueError, match=r"share=1\.5"):
        game(share=1.5)


class Fixed(nn.Module):
    """Encoder that returns a fixed mean and log-variance."""

    latent_dim, takes = 8, frozenset[str]()

    def __init__(self, mean: float, log_variance: float) -> None:
        super().__init__()
        self.stats = nn.Parameter(torch.tensor([mean, log_variance]))

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.stats.expand(len(signal), 8, 2).unbind(2)
        return mean, log_variance


def test_what_the_autoencoder_minimises_is_what_the_papers_say() -> None:
    for mean, log_variance in ((0.0, 0.0), (1.5, -2.0)):
        prior, posterior = (
            torch.distributions.Normal(0.0, 1.0),
            torch.distributions.Normal(mean, float(np.exp(log_variance / 2))),
        )
        losses = game(encoder=Fixed(mean, log_variance), kl_weight=0.5).losses(
            "autoencoder", batch(), context("autoencoder")
        )
        expected = 0.5 * torch.distributions.kl_divergence(posterior, prior)
        torch.testing.assert_close(losses["kl"], expected, atol=1e-6, rtol=1e-5)


def test_latents_are_drawn_as_the_encoder_says_by_the_games_own_numbers() -> None:
    it, drawn = game(encoder=Fixed(0.5, -2.0)), []
    it.nets["generator"].mapping.register_forward_pre_hook(lambda net, inputs: drawn.append(inputs[0].detach()))
    for seed in (0, 1, 0):
        it.losses("autoencoder", batch(24), context("autoencoder", seed=seed))
        torch.rand(3)
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])
    both = torch.cat(drawn[:2])
    assert both.shape == (48, 8) and abs(both.mean() - 0.5) < 0.08 and both.std() == pytest.approx(np.exp(-1), rel=0.1)


def test_the_autoencoder_learns_drums() -> None:
    """80 steps on 24 synthetic drums halve the distance (to 0.45), and each reconstruction is nearest to its own
    drum."""
    it, data = game(width=24), drums()
    before, _ = heard(it, data)
    adam = partial(torch.optim.Adam, lr=4e-3, betas=(0.9, 0.99))
    players = [Player("autoencoder", OWNS["autoencoder"], adam)]
    Trainer(it, players, {"train": Stream(data, 6, seed=0)}, engine=Engine("cpu", threads=1), steps=80).run()
    after, to_another = heard(it, data)
    assert after.mean() < 0.55 * before.mean()
    assert (after < to_another).float().mean() > 0.8


@torch.no_grad()
def heard(it: VAEGAN, data: Table) -> tuple[Tensor, Tensor]:
    """Return the distances of reconstructions from their drum, and from the next drum, which has another class."""
    signals = data.signals(slice(None))
    generator, encoder = (it.nets[name].eval() for name in ("generator", "encoder"))
    made = generator(encoder(signals)[0])
    own, other = (
        [it.distance(m[None], s[None]) for m, s in zip(made, x, strict=True)] for x in (signals, signals.roll(1, 0))
    )
    it.train()
    return torch.stack(own), torch.stack(other)


def trainer(steps: int) -> Trainer:
    it = game(classes=11, penalties=[R1(1.0, every=2)], augment=Shift(64, min_samples=0))
    adam = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.99))
    active = {"critic": (2, None), "generator": (2, None), "autoencoder": (0, 2)}
    players = [Player(name, OWNS[name], adam, active=when) for name, when in active.items()]
    return Trainer(
        it,
        players,
        {"train": Stream(drums(), 6, seed=1)},
        {"ema": EMA(["generator"])},
        Engine("cpu", threads=1),
        steps=steps,
    )


@pytest.mark.parametrize("stop", [1, 3])  # The run stops during the warm-up, and during adversarial training.
def test_a_resumed_run_ends_bit_identical(stop: int, tmp_path: Path) -> None:
    whole, first, second = trainer(6), trainer(stop), trainer(6)
    for run in (whole, first):
        torch.rand(3)  # Random numbers drawn between two runs must have no effect.
        run.run()
    save_state(tmp_path / "half", first.state_dict())
    second.load_state_dict(load_state(tmp_path / "half"))
    second.run()
    for name, run in (("whole", whole), ("resumed", second)):
        state = run.state_dict()
        del state["seconds"], state["engine"]
        save_state(tmp_path / name, state)
    sums = [safe_open(tmp_path / name, "pt").metadata()["sha256"] for name in ("whole", "resumed", "half")]
    assert sums[0] == sums[1] != sums[2]
    inputs = whole.game.draw(2, torch.Generator().manual_seed(0))  # type: ignore[operator]
    assert torch.equal(*(run.game.generate(inputs) for run in (whole, second)))  # type: ignore[operator]


def test_samples_are_of_the_prior_and_repeat() -> None:
    it = game(classes=3)
    one, two = (it.sample(5, rng=torch.Generator().manual_seed(1)) for _ in range(2))
    assert one.shape == (5, 1, LENGTH) and torch.equal(one, two) and it.nets["generator"].training


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="latent_dim=5, and the generator 8"):
        game(encoder=ToneNoiseEncoder(SoundFormat(LENGTH), latent_dim=5, widths=(4, 4, 4), hidden=8, **FRAMES))

    class Uniform(ToneNoiseGenerator):
        latent = "uniform"

    with pytest.raises(ValueError, match="normal"):
        game(generator=Uniform(SoundFormat(LENGTH), latent_dim=8, width=8, blocks=1, bands=4, style_dim=8))
    with pytest.raises(ValueError, match="no labels"):
        game(classes=3).losses("autoencoder", batch(), context("autoencoder"))


@pytest.mark.parametrize(("wanted", "wide"), [(0.0, False), (0.5, True)])
def test_the_generator_learns_how_wide_the_data_is(wanted: float, wide: bool) -> None:
    sound: dict[str, Any] = {"format": SoundFormat(LENGTH, channels=2, sample_rate=RATE), **FRAMES}
    stereo = ToneNoiseGenerator(width=8, blocks=1, bands=8, style_dim=8, latent_dim=8, **sound)
    it = game(
        generator=stereo,
        encoder=Fixed(0.5, -2.0),
        critic=MultiViewCritic(n_mels=16, mel_widths=(4, 4, 4), stft_widths=(), **sound),
        distance=SpectralDistance(**sound),
        representation=Waveform(sound["format"]),
    )
    with torch.no_grad():
        # The parameter starts on the wrong side of 0, where the sound gives no gradient.
        stereo.affine.bias[-1] = -1.0 if wide else 1.0
    middle, side = torch.randn(2, 4, 1, LENGTH)
    data = {"x": 0.2 * torch.cat([middle + wanted * side, middle - wanted * side], dim=1)}
    optimizer = torch.optim.Adam(stereo.parameters(), 0.02)
    for step in range(120):
        losses = it.losses("autoencoder", data, context("autoencoder", step))
        optimizer.zero_grad()
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    assert set(losses) == {"distance", "kl", "width"} and losses["width"] < 0.1
    found = stereo_width(stereo.eval()(0.5 + 0.3 * torch.randn(6, 8)).detach())
    assert (0.3 < found.median() < 0.7) if wide else (found == 0).all()


def test_the_voice_learns_the_pitch_of_the_data() -> None:
    """Half of the frames have a pitch. The other frames contribute no loss and no NaN."""
    sound: dict[str, Any] = {"format": SoundFormat(LENGTH, sample_rate=RATE), **FRAMES}
    voice = ToneNoiseGenerator(width=8, blocks=1, bands=8, style_dim=8, latent_dim=8, voice=True, **sound)
    it = game(generator=voice)
    data = batch()
    pitch = torch.full((4, 1 + LENGTH // 128), 140.0)
    pitch[:, ::2] = float("nan")
    optimizer = torch.optim.Adam([*voice.parameters(), *it.nets["encoder"].parameters()], 0.02)
    apart = []
    for step in range(30):
        losses = it.losses("autoencoder", {**data, "pitch": pitch}, context("autoencoder", step))
        assert set(losses) == {"distance", "kl", "pitch"} and all(torch.isfinite(v) for v in losses.values())
        apart.append(float(losses["pitch"].detach()))
        optimizer.zero_grad()
        sum(losses.values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        assert all(w.grad is None or torch.isfinite(w.grad).all() for w in voice.parameters())
    assert apart[-1] < 0.3 * apart[0]
    nothing = it.losses("autoencoder", {**data, "pitch": torch.full_like(pitch, float("nan"))}, context("autoencoder"))
    assert nothing["pitch"] == 0
