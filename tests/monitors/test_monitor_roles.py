"""Tests of the roles of players: from the configuration, or from names in logs of other programs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.core import Engine, Game, Play, Player, Stream, Trainer
from audiogan.monitors import Guard, History, Monitors, diagnose
from audiogan.monitors.advice import scale_learning_rates
from audiogan.monitors.collapse import _finding as collapsed
from audiogan.monitors.overpowering import overpowering_critic
from audiogan.run.callbacks import MetricsLog

# Names and scores from which a wrong role would be inferred: a generator called "d" that also records real logits.
ROLES = {"players.a.role": "critic", "players.d.role": "generator", "players.E.role": "other"}


def test_names_and_scores_do_not_matter_where_there_are_roles() -> None:
    history = History(settings=ROLES)
    row = {
        "a/loss": 1.0,
        "d/loss": 2.0,
        "d/real_logits": 0.0,
        "d/fake_logits": 0.0,
        "E/loss": 3.0,
        "generator/loss": 4.0,
    }
    history.add({"step": 1, **row})
    assert history.players("critic") == ["a"] and history.players("generator") == ["d"]
    assert history.find_curve("d/loss").last == 2.0 and history.find_curve("E/loss").last == 3.0


def test_the_name_in_the_log_is_that_of_the_player_not_of_its_section() -> None:
    history = History(settings={"players.first.role": "critic", "players.first.name": "Judge A"})
    history.add({"step": 1, "Judge A/loss": 1.0, "first/loss": 2.0})
    assert history.players("critic") == ["Judge A"] and history.roles == {"Judge A": "critic"}


@pytest.mark.parametrize("settings", [None, {"trainer.steps": 9}, {"players.critic": None, "lr.critic": 0.1}])
def test_logs_without_roles_are_read_by_names(settings: Any) -> None:
    history = History([{"step": 1, "d_loss": 1.0, "loss_G": 2.0}], settings)
    assert history.players("critic") == ["critic"] and history.players("generator") == ["generator"]
    own = History([{"step": 1, "x/real_logits": 1.0, "x/fake_logits": 0.0, "y/fake_logits": 0.0}], settings)
    assert own.players("critic") == ["x"] and own.players("generator") == ["y"]


class Two(Game):
    """A game of a line and a slope, trained by players called ``a`` and ``b``."""

    def __init__(self) -> None:
        super().__init__({"line": nn.Linear(1, 1), "slope": nn.Linear(1, 1)})

    def losses(self, player: str, batch: dict[str, Tensor], context: Play) -> dict[str, Tensor]:
        fake = self.nets["slope"](self.nets["line"](context.randn(len(batch["x"]), 1)))
        real = self.nets["slope"](batch["x"])
        context.record(real_logits=real[:, 0], fake_logits=fake[:, 0])  # Both players record both kinds of logits.
        return {"loss": F.softplus(fake - real if player == "a" else real - fake).mean()}


class Numbers:
    def __len__(self) -> int:
        return 64

    def batch(self, indices: np.ndarray, rng: Any) -> dict[str, Tensor]:
        return {"x": torch.from_numpy(indices.astype(np.float32) / 64)[:, None]}


def test_a_run_with_players_a_and_b_is_read_rightly(tmp_path: Path) -> None:
    sgd: Any = partial(torch.optim.SGD, lr=0.01)
    players = [Player("a", ("slope",), sgd, role="critic"), Player("b", ("line",), sgd, role="generator")]
    log = MetricsLog(tmp_path, every=1)
    monitors = Monitors(tmp_path, log, every=1)
    callbacks: Any = {"guard": Guard(), "log": log, "monitors": monitors}
    trainer = Trainer(Two(), players, {"train": Stream(Numbers(), 8)}, callbacks, Engine("cpu"), steps=12)
    trainer.run()
    for history in (
        monitors.history,
        History(read(tmp_path), {"players.a.role": "critic", "players.b.role": "generator"}),
    ):
        assert history.players("critic") == ["a"] and history.players("generator") == ["b"]
        assert len(history.find_curve("a/separation")) and len(history.find_curve("b/grad_norm"))
    assert History(read(tmp_path)).players("generator") == []  # Names and scores alone do not determine the role.
    (tmp_path / "config.yaml").write_text("players: {a: {role: critic}, b: {role: generator}}\n")
    reasons = diagnose(tmp_path).abstained
    assert not any("no critic" in reason for reason in reasons.values())
    assert "overpowering critic" not in reasons


def read(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


RATES = {
    "players.a.role": "critic",
    "players.b.role": "generator",
    "players.a.optimizer.lr": 0.2,
    "players.b.optimizer.lr": 0.4,
    "lr.critic": 0.2,
    "lr.generator": 0.1,  # Not the learning rate of b.
}


def test_overrides_name_the_keys_of_these_players() -> None:
    history = History(settings=RATES)
    assert scale_learning_rates(history, 0.5) == "players.b.optimizer.lr=0.2 lr.critic=0.1"
    assert scale_learning_rates(history, 0.5, "critic") == "lr.critic=0.1"
    assert collapsed(history, "failure", "", {}).override == "players.b.optimizer.lr=0.2"
    for step in range(1, 13):
        history.add({"step": step, "a/separation": 1.0, "a/loss": 1.0 if step < 6 else 0.0})
    found = overpowering_critic(history)
    assert found is not None and found.override == "lr.critic=0.05" and found.text.startswith("a is right")


def test_the_guard_clips_these_players(capsys: pytest.CaptureFixture[str]) -> None:
    players = [SimpleNamespace(name=name, role=ROLES[f"players.{name}.role"]) for name in ("a", "d", "E")]
    trainer: Any = SimpleNamespace(players=players, callbacks={}, engine=SimpleNamespace(is_main_process=True))
    Guard()._report(trainer, "failure", 3, "it burst")
    said = "".join(capsys.readouterr())
    assert "players.a.clip=1 players.d.clip=1" in said and "players.E" not in said


@pytest.mark.parametrize(("name", "critics"), [("points", 1), ("semi-supervised", 1), ("md-gan", 4), ("drums", 1)])
def test_shipped_configurations_have_roles(name: str, critics: int) -> None:
    from audiogan.run.config import compose

    roles = {key: player.get("role", "other") for key, player in compose(name).players.items() if player}
    assert [key for key, role in roles.items() if role == "generator"] == ["generator"]
    assert sum(role == "critic" for role in roles.values()) == critics
    assert all(role == "critic" for key, role in roles.items() if key.startswith("critic"))
