"""Tests of the overrides in findings: the configuration of the run accepts each of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from audiogan.monitors import (
    History,
    Monitors,
    collapse,
    convergence,
    dead,
    diagnose,
    explosion,
    memorising,
    overpowering,
    vanishing,
)
from audiogan.monitors.advice import clear_invalid_override, first_valid_override
from audiogan.monitors.callback import read_settings
from audiogan.monitors.finding import Finding
from audiogan.monitors.guard import Guard
from audiogan.run.config import compose
from audiogan.run.packaged import shipped_configs

RUNS = [(name,) for name in shipped_configs()] + [
    ("points", "loss=wgan"),
    ("points", "loss=wgan-gp"),
    ("points", "game.penalties=null"),
    ("drums", "network=wavegan", "loss=hinge"),
    ("handwriting", "network=biggan", "loss=least-squares"),
    ("md-gan", "game.penalties=null", "workers=2"),
    ("semi-supervised", "~players.generator"),
]


def settings_of(run: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Return the settings of a run as stored in its folder."""
    name, *overrides = run
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(compose(name, overrides), resolve=True))
    return read_settings(folder)


def of_memorising(history: History) -> Finding | None:
    for step in range(1, 4):
        figures = {"train_over_held_out": 0.9, "accuracy_train": 1.0, "accuracy_held_out": 0.5}
        history.add({"step": step, **{f"monitor/{name}": value for name, value in figures.items()}})
    return memorising.memorising_critic(history)


def of_overpowering(history: History, critic: str) -> Finding | None:
    for step in range(1, 12):
        row = {f"{critic}/separation": 1.0, f"{critic}/loss": 1.0 if step < 6 else 0.0}
        history.add({"step": step, **row, f"{critic}/real_logits": 1.0, f"{critic}/fake_logits": -1.0})
    return overpowering.overpowering_critic(history)


FINDINGS: dict[str, Callable[[History], Finding | None]] = {
    "mode collapse": lambda history: collapse._finding(history, "failure", "", {}),
    "non-convergence": lambda history: convergence._finding(history, "failure", "", {}),
    "dead start": lambda history: dead._finding(history, "", {}),
    "explosion": lambda history: explosion.explosion_finding(history, 1, "failure", "", {}),
    "memorising": of_memorising,
    "overpowering": lambda history: of_overpowering(history, history.configured_players("critic")[0]),
    "vanishing": lambda history: vanishing._finding(history, 0.1, 0.1, 1.0, 1.0),
}


@pytest.mark.parametrize("run", RUNS, ids=" ".join)
def test_what_is_offered_can_be_pasted(run: tuple[str, ...], tmp_path: Path) -> None:
    settings = settings_of(run, tmp_path)
    for kind, find in FINDINGS.items():
        finding = find(History(settings=settings))
        assert finding is not None and finding.advice
        if not finding.override:
            assert kind in ("mode collapse", "memorising")  # For these findings, there may be no valid override.
            continue
        cfg = compose(run[0], [*run[1:], *finding.override.split()])
        assert all(player is None or "_target_" in player for player in cfg.players.values()), finding.override


def test_several_critics_get_advice_of_their_own(tmp_path: Path) -> None:
    history = History(settings=settings_of(("md-gan",), tmp_path))
    assert FINDINGS["overpowering"](history).override == "lr.critic=0.000125"  # type: ignore[union-attr]
    assert FINDINGS["mode collapse"](history).override == "lr.generator=0.00025"  # type: ignore[union-attr]
    assert of_memorising(history).override == "game.penalties.r1.weight=10"  # type: ignore[union-attr]


def test_a_configuration_of_ones_own_is_offered_the_keys_it_has() -> None:
    settings = {"name": "mine", "lr.critic": 0.1, "players.critic": None}
    assert (
        first_valid_override(settings, ["loss=wgan-gp", "players.critic.clip=1", "", "lr.critic=0.025"])
        == "lr.critic=0.025"
    )
    assert first_valid_override(settings, ["loss=wgan-gp"]) == ""
    assert (
        first_valid_override({"lr.critic": 0.1}, ["loss=wgan-gp"]) == "loss=wgan-gp"
    )  # Without a configuration, overrides cannot be tested.
    assert first_valid_override({"trainer.steps": 9}, ["loss=wgan-gp"]) == ""  # Log of another program.
    assert (
        clear_invalid_override(Finding("k", 1, "note", "t", override="lr.critic=1"), settings).override == "lr.critic=1"
    )


def test_the_monitors_of_a_run_offer_only_what_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_of(("md-gan",), tmp_path)
    monitors = Monitors(tmp_path)
    names = ("generator", "critic_0")
    trainer: Any = SimpleNamespace(
        optimizers={n: SimpleNamespace(param_groups=[{"lr": 1.0}]) for n in names},
        players=[],
        steps=9,
        minutes=None,
        game=None,
    )
    monitors._prepare(trainer)
    assert "lr.critic_0" not in monitors.history.settings
    monitors.report([Finding("explosion", 1, "failure", "it burst", "advice", "players.critic.clip=1")])
    monitors.report([Finding("explosion", 2, "failure", "it burst", "advice", "players.generator.clip=1")])
    assert [f.override for f in monitors.findings] == ["", "players.generator.clip=1"]
    said = (tmp_path / "findings.jsonl").read_text()
    assert '"override": ""' in said and "players.critic.clip" not in said


def test_the_guard_names_the_players_there_are(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    players = [SimpleNamespace(name=name, role="other") for name in ("critic_0", "critic_1", "generator")]
    trainer: Any = SimpleNamespace(players=players, callbacks={}, engine=SimpleNamespace(is_main_process=True))
    Guard()._report(trainer, "failure", 3, "it burst")
    said = "".join(capsys.readouterr())
    assert "players.generator.clip=1" in said and "critic.clip=1" not in said.replace("players.critic.clip, ", "")


@pytest.mark.parametrize("name", ["md-gan", "semi-supervised", "points"])
def test_the_doctor_offers_only_what_can_be_pasted(name: str, tmp_path: Path) -> None:
    settings_of((name,), tmp_path)
    critic = "critic_1" if name == "md-gan" else "critic"
    rows = []
    for step in range(1, 40):
        measured = {"train_over_held_out": 0.9, "accuracy_train": 1.0, "accuracy_held_out": 0.5}
        distance = {"monitor/kernel/x@64": 1.0, "monitor/diversity/x@64": 0.05}
        distance |= {f"monitor/{name}": value for name, value in measured.items()}
        gone = float(np.exp(-step))
        row = {f"{critic}/separation": 1.0, f"{critic}/loss": gone, "generator/grad_norm": gone}
        row |= {f"{critic}/real_logits": 1.0, f"{critic}/fake_logits": -1.0, "generator/fake_logits": -1.0}
        rows.append({"step": 400 * step, **row, **distance, "generator/loss": 1.0})
    rows[-1]["generator/loss"] = "nan"
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    guard = Finding("explosion", 9, "failure", "burst; the step was not applied", "advice", "players.critic.clip=1")
    (tmp_path / "findings.jsonl").write_text(guard.to_json() + "\n")
    diagnosis = diagnose(tmp_path)
    overrides = {f.kind: f.override for f in [*diagnosis.findings, diagnosis.verdict]}
    assert {"explosion", "overpowering critic", "vanishing gradient", "memorising critic"} <= set(overrides)
    assert sum(map(bool, overrides.values())) >= 3
    for override in overrides.values():
        compose(name, override.split())
    assert [f.override for f in diagnosis.findings if f.step == 9] == ["" if name == "md-gan" else guard.override]
