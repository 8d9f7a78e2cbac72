"""Tests of runs in two stages: paused players, stored weights, exact resumption."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from audiogan.core import EMA, Engine, FirstStage, Game, Player, Stream, Trainer
from audiogan.data.toys.points import open_points


class Sides(Game):
    """A game with one weight for each player. Each player moves its weight towards 1."""

    def __init__(self) -> None:
        super().__init__({name: nn.Linear(1, 1, bias=False) for name in ("generator", "critic")})
        self.seen: list[frozenset[str]] = []

    def losses(self, player: str, batch: Any, context: Any) -> dict[str, torch.Tensor]:
        self.seen.append(context.paused)
        return {"loss": (self.nets[player].weight - 1).square().sum()}


def trainer(steps: int = 10, fraction: float = 0.5, **options: Any) -> Trainer:
    torch.manual_seed(0)
    sgd = partial(torch.optim.SGD, lr=0.1)
    players = [Player(name, (name,), sgd) for name in ("critic", "generator")]
    callbacks = {"ema": EMA(["generator"], decay=0.5), "first_stage": FirstStage(fraction, **options)}
    streams = {"train": Stream(open_points(count=100), batch_size=4)}
    return Trainer(Sides(), players, streams, callbacks, Engine("cpu"), steps=steps)


def test_the_critic_rests_in_the_first_stage() -> None:
    run = trainer()
    before = run.game.nets["critic"].weight.clone()
    run.steps = 5
    run.callbacks["first_stage"].fraction = 0.99
    run.run()
    assert torch.equal(run.game.nets["critic"].weight, before)
    assert run.game.seen == [frozenset({"critic"})] * 5


def test_weights_at_the_end_of_the_first_stage_are_the_average_then() -> None:
    run, half = trainer(10), trainer(5, 0.9)
    half.run()
    run.run()
    stage = run.callbacks["first_stage"]
    assert stage.finished and run.paused == frozenset()
    expected = half.callbacks["ema"].nets["generator"].weight
    assert torch.equal(stage.nets["generator"].weight, expected)
    assert not torch.equal(run.callbacks["ema"].nets["generator"].weight, expected)
    assert run.game.seen.count(frozenset()) == 10  # Both players are updated in the last five steps.


@pytest.mark.parametrize("at", [3, 7])
def test_a_resumed_run_continues_in_its_stage(at: int) -> None:
    whole, first, second = trainer(), trainer(), trainer()
    whole.run()
    while first.step < at:
        first._step()
    second.load_state_dict(first.state_dict())
    second.run()
    for key, value in whole.state_dict()["callbacks"]["first_stage"]["first_stage"].items():
        assert torch.equal(value, second.state_dict()["callbacks"]["first_stage"]["first_stage"][key])
    for mine, theirs in zip(whole.game.parameters(), second.game.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("fraction", [0, 1, -1, True, "half"])
def test_a_fraction_outside_the_run_is_refused(fraction: Any) -> None:
    with pytest.raises(ValueError, match="fraction"):
        FirstStage(fraction)


@pytest.mark.parametrize("options", [{"nets": ["critique"]}, {"paused": ["critique"]}])
def test_unknown_names_are_refused_with_those_that_exist(options: Any) -> None:
    with pytest.raises(ValueError, match=r"critique.*choose one of .*critic"):
        trainer(**options)
