"""Test that a game that must run in one process raises an error before training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from audiogan.core import Engine, Player, Stream, Trainer

sys.path.insert(0, str(Path(__file__).parent))
import torch
from toys import Dirac, Numbers, sgd


class Alone(Dirac):
    single_process = "each process would keep a history of its own"


def trainer(game: Dirac, world: int) -> Trainer:
    engine = Engine("cpu")
    engine.world_size = world  # As under torchrun. `prepare` communicates with other processes after the check.
    engine.prepare = lambda game: None  # type: ignore[method-assign]
    players = [Player("slope", ("slope",), sgd(0.1)), Player("fake", ("fake",), sgd(0.1))]
    return Trainer(game, players, {"train": Stream(Numbers(torch.zeros(4, 1)), 2)}, engine=engine, steps=1)


def test_several_processes_are_refused_with_the_reason() -> None:
    with pytest.raises(ValueError) as caught:
        trainer(Alone(), 2)
    assert str(caught.value) == (
        "Alone must run in one process, not 2: each process would keep a history of its own; start it without torchrun"
    )


def test_one_process_and_other_games_are_not() -> None:
    assert trainer(Alone(), 1).step == 0
    assert trainer(Dirac(), 2).step == 0
