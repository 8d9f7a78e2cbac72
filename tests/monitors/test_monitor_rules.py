"""Tests of the rules on small real runs: each failure is detected, and healthy runs have no findings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import Judge, Minimax, Offset, Slope, cloud, digits, drums, ring, small_run

from audiogan.losses import GradientPenalty, Wasserstein
from audiogan.monitors import Finding, History, Watch, diagnose, read_findings

TOO_FAST: dict[str, Any] = {"penalties": (), "lr": (1e-4, 2e-3), "betas": (0.5, 0.9)}


def findings_of(run_dir: Path, data: Any, **options: Any) -> list[Finding]:
    torch.set_num_threads(1)
    trainer, _ = small_run(data(), run_dir, **options)
    trainer.run()
    return read_findings(run_dir / "findings.jsonl")


def first(findings: list[Finding], kind: str, least: int = 1) -> Finding:
    found = [f for f in findings if f.kind == kind and f.severity_rank >= least]
    assert found, f"no {kind} among {[(f.kind, f.severity, f.step) for f in findings]}"
    assert found[0].text and found[0].advice and found[0].figures and "=" in found[0].override
    return found[0]


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (ring, {"steps": 240}),
        (digits, {"steps": 240}),
        (digits, {"steps": 240, "classes": 10}),
        (digits, {"steps": 120, "loss": Wasserstein(), "penalties": [GradientPenalty()], "repeats": 3}),
        (drums, {"steps": 200}),
    ],
    ids=["points", "images", "images of a class", "images, WGAN-GP", "sounds"],
)
def test_a_healthy_run_gets_no_more_than_notes(tmp_path: Path, data: Any, options: dict[str, Any]) -> None:
    findings = findings_of(tmp_path, data, **options)
    assert [f for f in findings if f.severity_rank] == []
    assert findings[-1].kind == "verdict" and "no failure was detected" in findings[-1].text


@pytest.mark.parametrize("data", [ring, digits, drums], ids=["points", "images", "sounds"])
def test_a_collapse_is_called_before_half_of_the_steps(tmp_path: Path, data: Any) -> None:
    findings = findings_of(tmp_path, data, steps=240, **TOO_FAST)
    collapse = first(findings, "mode collapse", least=2)
    assert collapse.step < 120
    assert findings[-1].severity == "failure" and "mode collapse" in findings[-1].text


def test_a_saturating_loss_against_a_sharp_critic_loses_its_gradient(tmp_path: Path) -> None:
    options = {"loss": Minimax(), "penalties": (), "lr": (1e-3, 1e-5), "repeats": 2}
    findings = findings_of(tmp_path, digits, steps=140, **options)
    vanished = first(findings, "vanishing gradient")
    assert vanished.figures["gradient"] < 0.01 * vanished.figures["early gradient"]
    assert vanished.override == "loss=non-saturating"
    assert not [f for f in findings if f.kind == "mode collapse" and f.severity_rank]  # Outputs have never improved.


def test_a_critic_that_is_far_too_fast_is_overpowering(tmp_path: Path) -> None:
    findings = findings_of(tmp_path, digits, steps=160, penalties=(), lr=(2e-3, 2e-5), repeats=2)
    assert first(findings, "overpowering critic").figures["separation"] > 0.99


def test_a_critic_with_few_examples_knows_them_by_heart(tmp_path: Path) -> None:
    torch.manual_seed(0)  # Outputs are as good as real data, so the critic can distinguish them only by memorising.
    nets = Offset(32, 0.0, 1.0), Judge((32,), width=128)
    findings = findings_of(
        tmp_path, cloud, steps=160, penalties=(), train=40, lr=(1e-3, 1e-4), batch_size=40, nets=nets
    )
    memory = first(findings, "memorising critic")
    assert memory.figures["train over held out"] > 0.8
    assert memory.figures["accuracy on train"] > memory.figures["accuracy on held out"]


def test_players_that_run_in_circles_do_not_converge(tmp_path: Path) -> None:
    options = {
        "penalties": (),
        "loss": Wasserstein(),
        "optimizer": torch.optim.SGD,
        "nets": (Offset(2, 0.5, 0.05), Slope()),
    }
    findings = findings_of(tmp_path, ring, steps=440, every=8, lr=(0.1, 0.1), **options)
    circles = next(f for f in findings if "oscillates" in f.text)
    assert circles.kind == "non-convergence"
    # Logits have two periods per revolution.
    assert circles.figures["period"] == pytest.approx(math.pi / 0.1, rel=0.15)


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (digits, {"dead": True}, "is constant"),
        (digits, {"lr": (0.0, 0.0), "optimizer": torch.optim.SGD}, "does not learn"),
        (drums, {"gain": 1000.0}, "saturated"),
    ],
    ids=["critic that says nothing", "nothing moves", "outputs at the edge"],
)
def test_a_dead_start_is_called_dead(tmp_path: Path, data: Any, options: dict[str, Any], said: str) -> None:
    dead = first(findings_of(tmp_path, data, steps=120, **options), "dead start", least=2)
    assert said in dead.text


def test_the_doctor_finds_afterwards_what_was_found_live(tmp_path: Path) -> None:
    live = findings_of(tmp_path, digits, steps=160, **TOO_FAST)
    (tmp_path / "findings.jsonl").unlink()
    diagnosis = diagnose(tmp_path)
    assert [(f.kind, f.step, f.severity) for f in diagnosis.findings] == [
        (f.kind, f.step, f.severity) for f in live if f.kind != "verdict"
    ]
    assert diagnosis.verdict.severity == "failure"


# Values at every 100th step of two real runs of 1,500 steps on MNIST: a DCGAN with the hinge loss that collapsed to one
# image per class, and a DCGAN with the non-saturating loss that did not.
ONE_PICTURE_A_CLASS = [
    0.050,
    0.072,
    0.085,
    0.101,
    0.093,
    0.096,
    0.093,
    0.093,
    0.094,
    0.087,
    0.089,
    0.075,
    0.089,
    0.078,
    0.070,
]
MANY_PICTURES = [
    0.050,
    0.077,
    0.092,
    0.298,
    0.406,
    0.743,
    0.718,
    0.680,
    0.800,
    0.696,
    0.715,
    0.811,
    0.667,
    0.962,
    1.098,
]
DIVERSITY = [0.05, 0.13, 0.28, 0.34, 0.38, 0.40, 0.42, 0.44, 0.45, 0.46, 0.47, 0.48, 0.48, 0.49, 0.49]
KERNEL = [3.53, 1.09, 0.40, 0.30, 0.24, 0.20, 0.17, 0.15, 0.13, 0.11, 0.10, 0.09, 0.08, 0.07, 0.06]


@pytest.mark.parametrize(("within", "collapsed"), [(ONE_PICTURE_A_CLASS, True), (MANY_PICTURES, False)])
def test_a_class_that_is_one_picture_is_a_collapse_though_the_whole_gets_better(
    within: list[float], collapsed: bool
) -> None:
    history, watch = History(settings={"trainer.steps": 1500}), Watch()
    found: list[Finding] = []
    for i, (inside, diversity, kernel) in enumerate(zip(within, DIVERSITY, KERNEL, strict=True)):
        row = {"step": max(100 * i, 1), "monitor/diversity/x@64": diversity, "monitor/kernel/x@64": kernel}
        history.add({**row, "monitor/diversity_within/x@64": inside, "critic/separation": 0.7})
        found += watch.check(history)
    failures = [f for f in found if f.kind == "mode collapse" and f.severity == "failure"]
    assert bool(failures) == collapsed and all(f.step <= 750 for f in failures)
    verdict = watch.verdict(history)
    assert ("mode collapse" in verdict.text and verdict.severity == "failure") == collapsed
