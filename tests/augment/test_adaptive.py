"""Tests of adaptive augmentation: the probability follows the overfitting of the critic, also in a resumed run."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from audiogan.augment import AdaptiveAugment, Augment, Shift
from audiogan.core import Callback, Engine, Game, Move, Play, Player, Stream, Trainer, load_state, save_state


class Scores(Game):
    """A critic that returns its input as logits, so that the data determines the measured overfitting."""

    def __init__(self, augment: nn.Module | None) -> None:
        super().__init__({"critic": nn.Linear(1, 1)})
        self.augment = augment

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        context.record(real_logits=batch["x"][:, 0])
        return {"loss": self.nets["critic"](batch["x"]).square().mean()}


class Given:
    def __init__(self, values: list[float]) -> None:
        self.values = torch.tensor(values)[:, None]

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        return {"x": self.values[torch.from_numpy(np.asarray(indices))]}


def trainer(values: list[float], p: float, steps: int, augment: Any = "default", **options: Any) -> Trainer:
    torch.manual_seed(0)
    ada = AdaptiveAugment(**{"ramp_kimg": 0.2, **options})  # 200 examples from 0 to 1
    stream = Stream(Given(values), 10, shuffle=False)
    game = Scores(Augment([Shift(3)], p) if augment == "default" else augment)
    player = Player("critic", ("critic",), partial(torch.optim.SGD, lr=0.0))
    return Trainer(game, [player], {"train": stream}, {"ada": ada}, Engine("cpu"), steps=steps)


def probability(run: Trainer) -> float:
    return float(run.game.augment.p)  # type: ignore[union-attr, arg-type]


OVERFIT = [1.0] * 20
FAIR = [1.0, -1.0] * 10


def test_p_rises_while_the_critic_knows_its_examples_and_falls_when_it_does_not() -> None:
    run = trainer(OVERFIT, 0.0, 8)
    run.run()
    assert probability(run) == pytest.approx(2 * 40 / 200)  # Two changes of p, each after 4 updates of 10 examples.
    run = trainer(FAIR, 0.5, 4)
    run.run()
    assert probability(run) == pytest.approx(0.5 - 40 / 200)


@pytest.mark.parametrize(("values", "p", "end"), [(OVERFIT, 0.5, 0.8), (FAIR, 0.3, 0.0)])
def test_p_stays_within_its_limits(values: list[float], p: float, end: float) -> None:
    run = trainer(values, p, 40)
    run.run()
    assert probability(run) == pytest.approx(end)


def test_p_stands_still_at_the_target_and_between_changes() -> None:
    run = trainer([1.0] * 8 + [-1.0] * 2, 0.3, 12)  # mean sign 0.6
    run.run()
    assert probability(run) == pytest.approx(0.3)
    run = trainer(OVERFIT, 0.3, 3)
    run.run()
    assert probability(run) == pytest.approx(0.3)


def test_the_boundary_of_least_squares_is_not_zero() -> None:
    run = trainer([0.4] * 20, 0.5, 4, real_fake_threshold=0.5)
    run.run()
    assert probability(run) < 0.5


def test_a_resumed_run_goes_on_as_if_never_stopped(tmp_path: Any) -> None:
    values = [*OVERFIT, *FAIR]
    whole = trainer(values, 0.2, 23, every=4)
    whole.run()
    first = trainer(values, 0.2, 10, every=4)  # The run stops between two changes of p.
    first.run()
    save_state(tmp_path / "x.ckpt", first.state_dict())
    second = trainer(values, 0.0, 23, every=4)
    second.load_state_dict(load_state(tmp_path / "x.ckpt"))
    assert second.callbacks["ada"].counts[1] == 20  # type: ignore[attr-defined]
    second.run()
    assert probability(second) == probability(whole) and probability(whole) != pytest.approx(0.2)


def test_processes_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has only positive logits. The stub of all_reduce simulates a second process with as many negative
    ones."""
    run = trainer(OVERFIT, 0.5, 4)
    run.engine.world_size = 2

    def reduce(counts: Tensor) -> None:
        counts += torch.tensor([-counts[0], counts[1]])

    monkeypatch.setattr("torch.distributed.all_reduce", reduce)
    ada = run.callbacks["ada"]
    for _ in range(4):
        notes = {"real_logits": torch.ones(10)}
        ada.on_move(run, Move(run.players[0], 0, 0, {}, torch.zeros(()), notes, 20))
    assert probability(run) == pytest.approx(0.5 - 80 / 200)


def test_a_move_that_was_refused_does_not_count() -> None:
    run = trainer(OVERFIT, 0.25, 4)
    broken = Move(run.players[0], 0, 0, {}, torch.zeros(()), {"real_logits": torch.full((10,), torch.nan)}, 10, False)
    run.callbacks["ada"].on_move(run, broken)
    run.run()
    assert probability(run) == pytest.approx(0.45)


def test_p_is_noted_for_whoever_is_told_of_a_move() -> None:
    seen: list[float] = []

    class Log(Callback):
        def on_move(self, trainer: Trainer, move: Move) -> None:
            seen.append(float(move.recorded_values["augment_p"]))

    run = trainer(OVERFIT, 0.25, 5)
    run.callbacks = {"log": Log(), **run.callbacks}  # The log callback is called before the callback that changes p.
    run.run()
    assert seen == pytest.approx([0.25] * 4 + [0.45])


@pytest.mark.parametrize("augment", [None, Shift(3)])
def test_a_game_without_a_probability_is_named(augment: Any) -> None:
    with pytest.raises(ValueError, match=type(augment).__name__):
        trainer(OVERFIT, 0.0, 1, augment)


def test_wrong_use_is_named() -> None:
    for option in ({"target": 2}, {"every": 0}, {"ramp_kimg": 0}, {"max_p": 1.2}):
        ((key, value),) = option.items()
        with pytest.raises(ValueError, match=f"{key}={value}"):
            AdaptiveAugment(**option)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no player 'judge'"):
        trainer(OVERFIT, 0.0, 1, player="judge")
    run = trainer(OVERFIT, 0.0, 1)
    with pytest.raises(ValueError, match="no real_logits"):
        run.callbacks["ada"].on_move(run, Move(run.players[0], 0, 0, {}, torch.zeros(())))
