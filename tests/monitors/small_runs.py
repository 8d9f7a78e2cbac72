"""Small training runs on real data of three kinds, healthy or built to fail in a chosen way."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Callback, Engine, Player, Stream, Trainer
from audiogan.data.columns import Labels, Signals
from audiogan.data.table import Table
from audiogan.games import Adversarial
from audiogan.losses import R1, NonSaturating
from audiogan.metrics import LogMel
from audiogan.monitors import Guard, Monitors
from audiogan.representations import Identity, LogMagnitude, SoundFormat
from audiogan.run.callbacks import MetricsLog


def table(x: np.ndarray, targets: np.ndarray) -> Table:
    """Return a labelled data set in memory."""
    labels = Labels(targets.astype(np.int64), [str(label) for label in np.unique(targets)])
    return Table({"x": Signals(x.astype(np.float32)), "label": labels}, len(x))


def parted(data: Table, train: int) -> tuple[Table, Table]:
    """Return random training examples, and the remaining examples."""
    order = np.random.default_rng(0).permutation(len(data))
    return data.take(order[:train]), data.take(order[train:])


class Flat:
    """Embedding that returns the values of a signal as features."""

    name = "flat"

    def __call__(self, x: Tensor) -> np.ndarray:
        return x.flatten(1).double().numpy()


@lru_cache
def ring() -> Table:
    """Return points from eight Gaussians on a circle of radius 1."""
    rng = np.random.default_rng(0)
    which = rng.integers(8, size=2000)
    angle = which * np.pi / 4
    return table(np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.normal(size=(2000, 2)), which)


@lru_cache
def cloud() -> Table:
    """Return points from one Gaussian in 32 dimensions. It is easy to imitate, and a critic can only memorise 30
    points."""
    return table(np.random.default_rng(0).normal(size=(300, 32)), np.zeros(300))


@lru_cache
def digits() -> Table:
    """Return the 1,797 handwritten digits of scikit-learn, 8x8 pixels in -1 ... 1."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return table(data.images[:, None] / 8 - 1, data.target)


@lru_cache
def drums() -> Table:
    """Return 400 sounds of four drums, 512 samples at 4 kHz."""
    from audiogan.data.toys.drum_machine import render

    rng = np.random.default_rng(0)
    names = ("kick", "snare", "clap", "cowbell")
    waves = [render(names[i % 4], sample_rate=4000, length=512, rng=rng) for i in range(400)]
    return table(np.stack(waves)[:, None], np.arange(400) % 4)


class Maker(nn.Module):
    """Generator with two hidden layers, and a tanh if signals have a limited range."""

    latent = "normal"

    def __init__(self, shape: tuple[int, ...], classes: int = 0, width: int = 64, gain: float = 1.0) -> None:
        super().__init__()
        self.shape, self.classes, self.latent_dim, self.gain = shape, classes, 16, gain
        self.takes = frozenset({"latent", "classes"} if classes else {"latent"})
        self.body = nn.Sequential(
            nn.Linear(16 + classes, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, int(np.prod(shape))),
        )  # fmt: skip

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        x = latent if classes is None else torch.cat([latent, classes], 1)
        x = self.body(x).unflatten(1, self.shape) * self.gain
        return torch.tanh(x) if len(self.shape) > 1 else x


class Judge(nn.Module):
    """Critic: signals and class weights to logits. A dead critic returns a constant."""

    def __init__(self, shape: tuple[int, ...], classes: int = 0, width: int = 64, dead: bool = False) -> None:
        super().__init__()
        self.classes, self.dead = classes, dead
        self.takes = frozenset({"classes"} if classes else ())
        self.body = nn.Sequential(
            nn.Linear(int(np.prod(shape)) + classes, width), nn.LeakyReLU(0.2), nn.Linear(width, width),
            nn.LeakyReLU(0.2), nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        x = x.flatten(1)
        logits = self.body(x if classes is None else torch.cat([x, classes], 1)).squeeze(1)
        return logits * 0.0 + 0.5 if self.dead else logits


class Offset(nn.Module):
    """Generator of a Gaussian whose mean is learned."""

    latent, classes, takes = "normal", 0, frozenset({"latent"})

    def __init__(self, dim: int, start: float, scale: float) -> None:
        super().__init__()
        self.shape, self.latent_dim, self.scale = (dim,), dim, scale
        self.point = nn.Parameter(torch.full((dim,), start))

    def forward(self, latent: Tensor) -> Tensor:
        return self.point + self.scale * latent


class Slope(nn.Module):
    """Linear critic. Alternating gradient descent against it circles around the equilibrium (Mescheder et al. 2018)."""

    classes, takes = 0, frozenset[str]()

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([0.5, -0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.slope


class Minimax(NonSaturating):
    """Loss of Goodfellow et al. 2014, equation 1: the generator minimises log(1 - D(G(z))), whose gradient vanishes."""

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -F.softplus(fake_logits).mean()


def small_run(
    data: Table,
    run_dir: Path,
    *,
    steps: int,
    every: int = 20,
    train: int | None = None,
    classes: int = 0,
    loss: Any = None,
    penalties: Any = None,
    lr: tuple[float, float] = (1e-3, 1e-3),
    betas: tuple[float, float] = (0.0, 0.9),
    optimizer: Any = torch.optim.Adam,
    repeats: int = 1,
    batch_size: int = 64,
    width: int = 128,
    gain: float = 1.0,
    dead: bool = False,
    nets: tuple[nn.Module, nn.Module] | None = None,
    guard: Guard | None = None,
    monitored: bool = True,
) -> tuple[Trainer, Monitors]:
    """Return a trainer with monitors, before training. ``lr`` is the learning rate of the critic and of the
    generator."""
    torch.manual_seed(0)
    run_dir.mkdir(parents=True, exist_ok=True)
    own, held_out = parted(data, train or len(data) * 4 // 5)
    sound = len(data.shape) == 2
    shown = LogMagnitude(SoundFormat(512), n_fft=64, hop_length=32) if sound else Identity(data.shape)
    shown.fit([own.signals(slice(None))])
    if nets is None:
        nets = Maker(shown.shape, classes, width, gain), Judge(shown.shape, classes, width, dead)
    penalties = [R1(weight=1.0, every=4)] if penalties is None else penalties
    game = Adversarial(*nets, loss or NonSaturating(), shown, penalties=penalties)
    options = {"betas": betas} if optimizer is torch.optim.Adam else {}
    players = [
        Player("critic", ("critic",), partial(optimizer, lr=lr[0], **options), repeats=repeats),
        Player("generator", ("generator",), partial(optimizer, lr=lr[1], **options)),
    ]
    log = MetricsLog(run_dir, every=max(1, every // 2))
    features = LogMel(4000, 0.128, segments=4, bands=16) if sound else Flat()
    monitors = Monitors(run_dir, log, train=own, held_out=held_out, every=every, embedding=features)
    callbacks: dict[str, Callback] = {"guard": guard} if guard else {}
    callbacks |= {"log": log} | ({"monitors": monitors} if monitored else {})
    streams = {"train": Stream(own, batch_size)}
    return Trainer(game, players, streams, callbacks, Engine("cpu"), steps=steps), monitors
