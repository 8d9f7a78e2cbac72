"""Small games with known solutions, for tests of the trainer."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Engine, Game, Play, Player, Stream, Trainer


class Numbers:
    """A data set of vectors."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"x": self.x[torch.from_numpy(np.asarray(indices))]}


def sgd(lr: float) -> Any:
    return partial(torch.optim.SGD, lr=lr)


def adam(lr: float) -> Any:
    return partial(torch.optim.Adam, lr=lr, betas=(0.0, 0.9))


class Point(nn.Module):
    """A network that consists of one number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([[value]]))

    def forward(self) -> Tensor:
        return self.value


class Dirac(Game):
    """The Dirac-GAN (Mescheder et al. 2018, section 2): real data is 0, the fake sample is a number, the critic is
    linear."""

    def __init__(self, r1: float = 0.0) -> None:
        super().__init__({"fake": Point(1.0), "slope": Point(1.0)})
        self.r1 = r1

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        slope, fake = self.nets["slope"](), self.nets["fake"]()
        context.record(slope=slope, fake=fake)
        if player == "fake":
            return {"loss": -F.softplus(slope * fake).sum()}
        real = batch["x"].requires_grad_()
        scores = real * slope
        losses = {"loss": F.softplus(slope * fake).sum() + F.softplus(-scores).mean()}
        if self.r1:
            (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            losses["r1"] = 0.5 * self.r1 * gradient.square().sum(1).mean()
        return losses


def dirac(r1: float, steps: int) -> tuple[Trainer, list[float]]:
    """Train a Dirac-GAN and return the distance from the equilibrium after each step."""
    game = Dirac(r1)
    distances: list[float] = []

    from audiogan.core import Callback

    class Watch(Callback):
        def on_step(self, trainer: Trainer) -> None:
            distances.append(float(sum(p.detach().square() for p in game.parameters()).sqrt()))

    players = [Player("slope", ("slope",), sgd(0.2)), Player("fake", ("fake",), sgd(0.2))]
    trainer = Trainer(
        game, players, {"train": Stream(Numbers(torch.zeros(4, 1)), 2)}, {"watch": Watch()}, Engine("cpu"), steps=steps
    )
    trainer.run()
    return trainer, distances


class Line(Game):
    """A generator and a critic for normally distributed numbers. All random numbers come from ``context``."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__(
            {
                "maker": nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, dim)),
                "judge": nn.Sequential(
                    nn.Linear(dim, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)
                ),
            }
        )

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        fake = self.nets["maker"](context.randn(len(batch["x"]), 4))
        if player == "maker":
            return {"loss": F.softplus(-self.nets["judge"](fake)).mean()}
        real = batch["x"].requires_grad_()
        real_scores, fake_scores = self.nets["judge"](real), self.nets["judge"](fake.detach())
        (gradient,) = torch.autograd.grad(real_scores.sum(), real, create_graph=True)
        context.record(real_scores=real_scores, fake_scores=fake_scores)
        return {
            "loss": F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean(),
            "r1": 0.05 * gradient.square().sum(1).mean(),
        }

    def sample(self, n: int, *, nets: Any = None, rng: torch.Generator | None = None) -> Tensor:
        with torch.no_grad():
            return (nets or self.nets)["maker"](torch.randn(n, 4, generator=rng))


def line_trainer(
    *, steps: int, batch_size: int = 16, repeats: int = 1, engine: Engine | None = None, **options: Any
) -> Trainer:
    torch.manual_seed(0)
    data = 3.0 + 0.5 * torch.randn(256, 1)
    players = [
        Player("judge", ("judge",), adam(5e-3), repeats=repeats),
        Player("maker", ("maker",), adam(5e-3)),
    ]
    streams = {"train": Stream(Numbers(data), batch_size, seed=3)}
    return Trainer(
        Line(), players, streams, options.pop("callbacks", None), engine or Engine("cpu"), steps=steps, **options
    )
