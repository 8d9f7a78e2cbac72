"""Tests of the trainer on games with known solutions."""

from __future__ import annotations

import copy
import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import EMA, Anneal, Callback, Engine, Game, Move, Play, Player, Stream, Trainer

sys.path.insert(0, str(Path(__file__).parent))
from toys import Numbers, adam, dirac, line_trainer


def test_dirac_gan_oscillates_without_regularisation() -> None:
    _, distances = dirac(r1=0.0, steps=400)
    assert min(distances[200:]) > 1.0  # The weights circle around the equilibrium and do not approach it.


def test_dirac_gan_converges_with_r1() -> None:
    _, distances = dirac(r1=1.0, steps=400)
    assert distances[-1] < 1e-3


class Mapped(Game):
    """A cycle game: one generator adds 4, the other subtracts 4, and linear critics match means."""

    def __init__(self) -> None:
        def affine() -> nn.Module:
            return nn.Linear(1, 1)

        super().__init__({"up": affine(), "down": affine(), "judge_a": affine(), "judge_b": affine()})

    def losses(self, player: str, batch: dict[str, dict[str, Tensor]], context: Play) -> dict[str, Tensor]:
        a, b = batch["a"]["x"], batch["b"]["x"]
        if player == "makers":
            fake_b = context.compute_once("fake_b", lambda: self.nets["up"](a))
            fake_a = context.compute_once("fake_a", lambda: self.nets["down"](b))
            context.store("fake_a", fake_a)
            context.store("fake_b", fake_b)
            cycle = (self.nets["down"](fake_b) - a).abs().mean() + (self.nets["up"](fake_a) - b).abs().mean()
            fool = F.softplus(-self.nets["judge_a"](fake_a)).mean() + F.softplus(-self.nets["judge_b"](fake_b)).mean()
            return {"fool": fool, "cycle": 0.2 * cycle}
        terms = {}
        for side, real in (("a", a), ("b", b)):
            real = real.requires_grad_()
            net, fake = self.nets[f"judge_{side}"], context.get_stored(f"fake_{side}")
            assert not fake.requires_grad
            scores = net(real)
            (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            terms[side] = F.softplus(-scores).mean() + F.softplus(net(fake)).mean() + 0.5 * gradient.square().mean()
        return terms


def test_cycle_game_with_two_generators_learns_both_maps() -> None:
    torch.manual_seed(0)
    game = Mapped()
    a, b = torch.randn(512, 1), 4.0 + torch.randn(512, 1)
    players = [
        Player("makers", ("up", "down"), adam(2e-2), streams=("a", "b")),
        Player("judges", ("judge_a", "judge_b"), adam(5e-2), streams=("a", "b")),
    ]
    streams = {"a": Stream(Numbers(a), 64, seed=1), "b": Stream(Numbers(b), 64, seed=2)}
    Trainer(game, players, streams, engine=Engine("cpu"), steps=600).run()
    with torch.no_grad():
        there = game.nets["up"](a)
        back = game.nets["down"](there)
    assert abs(float(there.mean()) - 4.0) < 0.3
    assert float((back - a).abs().mean()) < 0.2


class Count(Callback):
    def __init__(self) -> None:
        self.moves: list[tuple[int, str, int]] = []
        self.batches: list[float] = []

    def on_move(self, trainer: Trainer, move: Move) -> None:
        self.moves.append((move.step, move.player.name, move.repeat))
        self.batches.append(float(move.losses["loss"]))


def test_critic_moves_n_times_on_fresh_batches() -> None:
    count = Count()
    trainer = line_trainer(steps=3, repeats=5, callbacks={"count": count})
    trainer.run()
    expected = [(s, *m) for s in range(3) for m in [*(("judge", r) for r in range(5)), ("maker", 0)]]
    assert count.moves == expected
    assert trainer.streams["train"].position == 18
    assert len(set(count.batches)) == len(count.batches)


def test_n_critic_game_learns_the_mean() -> None:
    trainer = line_trainer(steps=400, batch_size=64, repeats=3)
    trainer.run()
    samples = trainer.game.sample(2000, rng=torch.Generator().manual_seed(0))
    assert abs(float(samples.mean()) - 3.0) < 0.3


class Pretrained(Game):
    """A game with a likelihood stage followed by adversarial training: it learns the mean of a normal distribution."""

    def __init__(self) -> None:
        super().__init__(
            {"place": nn.Linear(1, 1), "judge": nn.Sequential(nn.Linear(1, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))}
        )

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        x = batch["x"]
        fake = self.nets["place"](torch.ones_like(x)) + context.randn(len(x), 1)
        if player == "likelihood":
            return {"nll": 0.5 * (x - self.nets["place"](torch.ones_like(x))).square().mean()}
        if player == "place":
            return {"fool": F.softplus(-self.nets["judge"](fake)).mean()}
        return {
            "loss": F.softplus(-self.nets["judge"](x)).mean() + F.softplus(self.nets["judge"](fake.detach())).mean()
        }


def test_likelihood_pretraining_then_adversarial_play() -> None:
    torch.manual_seed(0)
    place: list[float] = []

    class Watch(Callback):
        def on_step(self, trainer: Trainer) -> None:
            place.append(float(trainer.game.nets["place"](torch.ones(1, 1))))

    count = {"likelihood": 0, "judge": 0, "place": 0}

    class Moves(Callback):
        def on_move(self, trainer: Trainer, move: Move) -> None:
            count[move.player.name] += 1

    players = [
        Player("likelihood", ("place",), adam(2e-2), active=(0, 300)),
        Player("judge", ("judge",), adam(5e-3), active=(300, None)),
        Player("place", ("place",), adam(5e-3), active=(300, None), every=2),
    ]
    streams = {"train": Stream(Numbers(5.0 + torch.randn(512, 1)), 64)}
    Trainer(Pretrained(), players, streams, {"watch": Watch(), "moves": Moves()}, Engine("cpu"), steps=500).run()
    assert count == {"likelihood": 300, "judge": 200, "place": 100}
    assert abs(place[299] - 5.0) < 0.3  # After the likelihood stage, the mean is correct.
    assert abs(place[-1] - 5.0) < 0.8  # Adversarial training keeps the mean.


def test_only_the_mover_is_unfrozen() -> None:
    seen: dict[str, list[str]] = {}

    class Spy(Game):
        def __init__(self) -> None:
            super().__init__({"one": nn.Linear(1, 1), "two": nn.Linear(1, 1)})

        def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
            seen[player] = [name for name, net in self.nets.items() if next(net.parameters()).requires_grad]
            return {"loss": self.nets["two"](self.nets["one"](batch["x"])).square().mean()}

    game = Spy()
    players = [Player("one", ("one",), sgd_once), Player("two", ("two",), sgd_once)]
    Trainer(game, players, {"train": Stream(Numbers(torch.ones(4, 1)), 2)}, engine=Engine("cpu"), steps=1).run()
    assert seen == {"one": ["one"], "two": ["two"]}


def sgd_once(params: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.1)


def test_ema_follows_its_formula() -> None:
    ema = EMA(["maker"], decay=0.9, ramp=10)
    trainer = line_trainer(steps=0, callbacks={"ema": ema})
    expected = [p.detach().clone() for p in trainer.game.nets["maker"].parameters()]
    for step in range(30):
        trainer.steps = step + 1
        trainer.run()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = [
            decay * e + (1 - decay) * p.detach()
            for e, p in zip(expected, trainer.game.nets["maker"].parameters(), strict=True)
        ]
    for mine, want in zip(ema.nets["maker"].parameters(), expected, strict=True):
        torch.testing.assert_close(mine, want)


def test_annealed_rates_fall_to_a_hundredth_at_the_end_of_the_budget() -> None:
    seen = []

    class Watch(Callback):
        def on_move(self, trainer: Trainer, move: Move) -> None:
            seen.append(trainer.optimizers["maker"].param_groups[0]["lr"] / 5e-3)

    line_trainer(steps=10, callbacks={"anneal": Anneal(0.5), "watch": Watch()}).run()
    assert seen[::2] == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    trainer = line_trainer(steps=4, callbacks={"anneal": Anneal(1.0)})
    trainer.run()
    assert trainer.optimizers["maker"].param_groups[0]["lr"] == 5e-3
    with pytest.raises(ValueError, match=r"start=1\.5"):
        Anneal(1.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nets": ("nobody",)}, "network 'nobody'"),
        ({"streams": ("nothing",)}, "stream 'nothing'"),
        ({"name": "maker"}, "have the same name"),
    ],
)
def test_wrong_players_are_named(change: dict[str, object], words: str) -> None:
    options = {"name": "judge", "nets": ("judge",), "optimizer": sgd_once} | change
    good = line_trainer(steps=1)
    with pytest.raises(ValueError, match=words):
        Trainer(good.game, [*good.players[1:], Player(**options)], good.streams, engine=Engine("cpu"), steps=1)  # type: ignore[arg-type]


def test_ema_averages_running_statistics_and_copies_other_buffers() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(1)
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            return self.norm(x)

    class Plain(Game):
        def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
            return {"loss": self.nets["net"](batch["x"]).square().mean()}

    ema, net = EMA(["net"], decay=0.5, ramp=1.0), Net()
    seen: list[Tensor] = []

    class Watch(Callback):
        def on_move(self, trainer: Trainer, move: Move) -> None:
            seen.append(net.norm.running_mean.clone())  # type: ignore[operator, union-attr]

    streams = {"train": Stream(Numbers(3.0 + torch.randn(64, 1)), 16)}
    players = [Player("net", ("net",), sgd_once)]
    Trainer(Plain({"net": net}), players, streams, {"ema": ema, "watch": Watch()}, Engine("cpu"), steps=3).run()
    expected = torch.zeros(1)
    for value in seen:
        expected = 0.5 * expected + 0.5 * value
    torch.testing.assert_close(ema.nets["net"].norm.running_mean, expected)  # type: ignore[union-attr]
    assert float(ema.nets["net"].count) == 3.0 and int(ema.nets["net"].norm.num_batches_tracked) == 3  # type: ignore[union-attr]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_refused_step_changes_no_weight(precision: str) -> None:
    applied: list[bool] = []

    class Refuse(Callback):
        def on_gradients(self, trainer: Trainer, move: Move) -> bool:
            assert move.losses
            return move.step % 2 == 0

        def on_move(self, trainer: Trainer, move: Move) -> None:
            applied.append(move.applied)

    class Asked(Refuse):
        def on_gradients(self, trainer: Trainer, move: Move) -> bool:
            return True

    trainer = line_trainer(steps=1, engine=Engine("cpu", precision=precision))
    trainer = Trainer(
        trainer.game,
        trainer.players,
        trainer.streams,
        {"refuse": Refuse(), "asked": Asked()},
        trainer.engine,
        steps=4,
    )
    weights = [copy.deepcopy(trainer.game.state_dict())]
    for trainer.steps in (1, 2, 3):
        trainer.run()
        weights.append(copy.deepcopy(trainer.game.state_dict()))
    same = [all(torch.equal(a[k], b[k]) for k in a) for a, b in itertools.pairwise(weights)]
    assert same == [False, True, False]
    assert applied[::4] == [True, False, True]  # Two players, and both callbacks record every update.


def test_the_clock_of_a_run_runs_while_it_does() -> None:
    now, seen = [50.0], []

    class Tick(Callback):
        def on_start(self, trainer: Trainer) -> None:
            now[0] += 20.0  # Preparation before training does not count as training time.
            seen.append(trainer.seconds)

        def on_step(self, trainer: Trainer) -> None:
            now[0] += 2.0
            seen.append(trainer.seconds)

    toy = line_trainer(steps=1, engine=Engine("cpu"))
    trainer = Trainer(toy.game, toy.players, toy.streams, {"tick": Tick()}, toy.engine, steps=2, clock=lambda: now[0])
    trainer.run()
    now[0] += 100.0
    trainer.steps = 3
    trainer.run()
    assert seen == [0.0, 2.0, 4.0, 6.0] and trainer.seconds == 6.0
