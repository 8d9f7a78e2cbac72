"""Tests of the probe and the rules on games that translate, with and without pairs."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import Flat
from torch import Tensor, nn

from audiogan.core import EMA, Engine, Player, Stream, Trainer
from audiogan.games import Adversarial, Cycle
from audiogan.losses import L1, LeastSquares
from audiogan.monitors import Guard, Monitors, Probe, read_findings
from audiogan.representations import Identity
from audiogan.run.callbacks import MetricsLog

sys.path.insert(0, str(Path(__file__).parents[1] / "games"))
from translators import Critic, Translator, domains, paired, source


class Constant(Translator):
    """Collapsed translator: the same output for every source."""

    def forward(self, source: Tensor) -> Tensor:
        return self.dense(0 * source)


def pairs(generator: nn.Module) -> tuple[Adversarial, Any, list[str]]:
    torch.manual_seed(0)
    distances = {} if isinstance(generator, Constant) else {"l1": L1(10.0)}
    it = Adversarial(generator, Critic(source=True), LeastSquares(), Identity((2,)), source(), distances=distances)
    return it, paired(400), ["critic"]


def unpaired(generator: nn.Module) -> tuple[Cycle, Any, list[str]]:
    torch.manual_seed(0)
    generators = {"there": generator, "back": type(generator)()}
    critics = {"of_first": Critic(), "of_second": Critic()}
    return (
        Cycle(generators, critics, LeastSquares(), Identity((2,)), source("x"), cycle=L1(0.3)),
        domains(400),
        [*critics],
    )


def small_run(kind: Any, generator: nn.Module, run_dir: Path, steps: int = 200) -> tuple[Trainer, Monitors]:
    it, data, critics = kind(generator)
    train, held_out = data.split(0.25)
    streams = {"train": Stream(train, 16)}
    if kind is unpaired:
        streams = {f"domain_{k}": Stream(train.take(it.source_and_target_rows(train)[k]), 16, seed=k) for k in (0, 1)}
    adam: Any = partial(torch.optim.Adam, lr=0.02, betas=(0.5, 0.9))
    players = [
        Player("critic", critics, adam, tuple(streams), role="critic"),
        Player("generator", list(it.generators), adam, tuple(streams), role="generator"),
    ]
    run_dir.mkdir()
    log = MetricsLog(run_dir, every=10)
    monitors = Monitors(run_dir, log, train=train, held_out=held_out, every=10, embedding=Flat())
    callbacks: dict[str, Any] = {"guard": Guard("stop"), "ema": EMA(list(it.generators)), "log": log}
    run = Trainer(it, players, streams, callbacks | {"monitors": monitors}, Engine("cpu", threads=1), steps=steps)
    return run, monitors


def figures(it: Any, data: Any) -> dict[str, float]:
    train, held_out = data.split(0.25)
    return {name.split("/")[0]: value for name, value in Probe(it, Flat(), train, held_out).measure().items()}


@pytest.mark.parametrize("kind", [pairs, unpaired])
def test_figures_of_translators(kind: Any) -> None:
    it, data, _ = kind(Translator(1.0))
    found = figures(it, data)
    assert {"diversity", "kernel", "accuracy_train", "accuracy_held_out", "train_over_held_out"} <= set(found)
    collapsed = figures(kind(Constant())[0], data)
    assert collapsed["diversity"] == pytest.approx(0.05, abs=0.01) and found["diversity"] > 0.15


def test_sources_and_targets_are_of_the_domains_of_the_first_generator() -> None:
    it, data, _ = unpaired(Translator(1.0, 3.0))
    probe = Probe(it, Flat(), data, data)
    assert abs(float(probe.inputs["source"][:, 0].mean())) < 0.5, "sources are of the first domain"
    assert float(probe.real.x[:, 0].mean()) > 2.5, "real examples are of the second"


def test_the_critic_of_pairs_judges_outputs_with_their_sources() -> None:
    it, data, _ = pairs(Translator(1.0))
    probe = Probe(it, Flat(), data, data)
    assert torch.equal(probe.beside["source"], probe.inputs["source"])
    rows = {tuple(row) for row in data.examples(slice(None))["source"].numpy().round(5).tolist()}
    assert {tuple(row) for row in probe.inputs["source"].numpy().round(5).tolist()} <= rows


@pytest.mark.parametrize("kind", [pairs, unpaired])
def test_a_collapsed_translator_is_found_and_a_healthy_one_is_not(kind: Any, tmp_path: Path) -> None:
    found = {}
    for name, generator in (("healthy", Translator(1.0)), ("collapsed", Constant())):
        run, monitors = small_run(kind, generator, tmp_path / name)
        run.run()
        assert monitors.probe is not None and run.step == 200
        found[name] = {f.kind for f in read_findings(tmp_path / name / "findings.jsonl") if f.severity != "note"}
        assert bool(torch.isfinite(torch.cat([p.detach().flatten() for p in run.game.parameters()])).all())
    assert "mode collapse" in found["collapsed"] and not found["healthy"], found
