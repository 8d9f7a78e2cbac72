"""Tests of falling learning rates: by player, by shape, and in a resumed run."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from audiogan.core import Anneal, Callback, Move, Trainer

sys.path.insert(0, str(Path(__file__).parent))
from toys import line_trainer

RATE = 5e-3


class Rates(Callback):
    """Callback that stores the learning rates of each update, relative to the configured rates."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def on_move(self, trainer: Trainer, move: Move) -> None:
        rate = trainer.optimizers[move.player.name].param_groups[0]["lr"]
        self.seen.setdefault(move.player.name, []).append(rate / RATE)


def rates(anneal: Anneal, steps: int = 10) -> dict[str, list[float]]:
    watch = Rates()
    line_trainer(steps=steps, callbacks={"anneal": anneal, "watch": watch}).run()
    return watch.seen


def half_cosine(share: float, min_factor: float) -> float:
    return min_factor + (1 - min_factor) * (1 + math.cos(math.pi * share)) / 2


def test_shapes() -> None:
    assert rates(Anneal(0, min_factor=0))["maker"] == pytest.approx([1 - i / 10 for i in range(10)])
    assert rates(Anneal(0.8, min_factor=0.7))["maker"] == pytest.approx([1] * 9 + [0.7])
    cosine = rates(Anneal(0.2, "cosine", 0.1))["maker"]
    assert cosine == pytest.approx([1, 1] + [half_cosine(i / 8, 0.1) for i in range(8)])
    assert rates(Anneal(1, "cosine"))["maker"] == [1] * 10


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_the_rate_at_the_end_is_the_least(shape: str) -> None:
    trainer = line_trainer(steps=4, callbacks={"anneal": Anneal(0.5, shape, 0.05)})
    trainer.run()
    assert trainer.optimizers["maker"].param_groups[0]["lr"] == pytest.approx(0.05 * RATE)


def test_some_players_only() -> None:
    seen = rates(Anneal(0, min_factor=0, players=["judge"]))
    assert seen["maker"] == [1] * 10 and seen["judge"] == pytest.approx([1 - i / 10 for i in range(10)])


def test_settings_of_a_player_replace_the_common_ones() -> None:
    seen = rates(Anneal(0.5, min_factor=0.0, players={"judge": {"shape": "cosine", "start": 0}, "maker": None}))
    assert seen["judge"] == pytest.approx([half_cosine(i / 10, 0) for i in range(10)])
    assert seen["maker"] == pytest.approx([1] * 6 + [0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize("stop", [2, 13])
def test_a_resumed_run_has_the_rates_of_one_that_never_stopped(stop: int) -> None:
    class Stop(Callback):
        def on_step(self, trainer: Trainer) -> None:
            if trainer.step == stop:
                trainer.stop("requested")

    def anneal() -> Anneal:
        return Anneal(0.25, "cosine", players={"judge": {"start": 0.5}})

    whole, watch, rest_watch = rates(anneal(), 20), Rates(), Rates()
    first = line_trainer(steps=20, callbacks={"anneal": anneal(), "watch": watch, "stop": Stop()})
    first.run()
    rest = line_trainer(steps=20, callbacks={"anneal": anneal(), "watch": rest_watch})
    rest.load_state_dict(first.state_dict())
    rest.run()
    assert {name: watch.seen[name] + rest_watch.seen[name] for name in whole} == whole


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -0.1}, r"start=-0\.1 must be from 0 to 1"),
        ({"min_factor": 2}, "min_factor=2 must be from 0 to 1"),
        ({"shape": "square"}, "shape='square' must be one of linear, cosine"),
        ({"players": {"judge": {"start": 3}}}, r"players\.judge\.start=3"),
        ({"players": {"judge": {"begin": 0.3}}}, r"players\.judge\.begin is not a setting; .* shape, min_factor"),
        ({"players": "judge"}, "players='judge' must be a list"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Anneal(**options)


@pytest.mark.parametrize("players", [["nobody"], {"nobody": {"start": 0}}])
def test_a_player_that_does_not_exist_is_named(players: Any) -> None:
    with pytest.raises(ValueError, match="no player is called 'nobody'; players are judge, maker"):
        line_trainer(steps=1, callbacks={"anneal": Anneal(players=players)})
