"""Tests of the `Monitors` callback: exact resumption, removal of findings, cost, verdict, metrics."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import Flat, digits, parted, ring, small_run

from audiogan.features.embedding import embed
from audiogan.monitors import Finding, Probe, read_findings, write_findings
from audiogan.monitors.probe import auc, fit_bandwidth, mean_similarity


def rows(run_dir: Path) -> list[dict[str, float]]:
    own = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "examples_per_second")} for row in own]


def test_a_resumed_run_looks_and_finds_as_one_never_stopped(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    options = {"penalties": (), "lr": (1e-4, 2e-3), "betas": (0.5, 0.9)}
    whole, _ = small_run(digits(), tmp_path / "whole", steps=75, every=10, **options)
    whole.run()
    half, monitors = small_run(digits(), tmp_path / "half", steps=75, every=10, **options)
    while half.step < 45:
        half._step()
    state = copy.deepcopy(half.state_dict())
    while half.step < 58:  # Steps that are repeated after resuming.
        half._step()
    assert monitors.findings and monitors.findings[-1].step > 45
    again, _ = small_run(digits(), tmp_path / "half", steps=75, every=10, **options)
    again.load_state_dict(state)
    again._step()
    assert all(f.step <= 45 for f in read_findings(tmp_path / "half" / "findings.jsonl"))
    again.run()
    assert rows(tmp_path / "half") == rows(tmp_path / "whole")
    assert read_findings(tmp_path / "half" / "findings.jsonl") == read_findings(tmp_path / "whole" / "findings.jsonl")


def test_watching_does_not_touch_the_training(tmp_path: Path) -> None:
    watched, _ = small_run(digits(), tmp_path / "a", steps=25, every=5)
    alone, _ = small_run(digits(), tmp_path / "b", steps=25, monitored=False)
    watched.run()
    alone.run()
    for name, weight in alone.game.state_dict().items():
        assert torch.equal(weight, watched.game.state_dict()[name])


def test_a_short_run_is_said_to_be_too_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer, _ = small_run(ring(), tmp_path, steps=3)
    trainer.run()
    (verdict,) = read_findings(tmp_path / "findings.jsonl")
    assert verdict.kind == "verdict" and verdict.severity == "note" and "too few measurements" in verdict.text
    assert "verdict: too few" in capsys.readouterr().out


def test_looks_become_rarer_where_measuring_is_dear(tmp_path: Path) -> None:
    def looks(batch_size: int) -> int:
        run_dir = tmp_path / str(batch_size)
        trainer, _ = small_run(digits(), run_dir, steps=60, every=4, batch_size=batch_size)
        trainer.run()
        return sum("monitor/saturation" in row for row in rows(run_dir))

    assert looks(2) == 2 < looks(128)  # The first and the last step.


def test_diversity_is_one_for_real_data_and_tells_modes(tmp_path: Path) -> None:
    data = ring()
    x = data.signals(slice(None)).double().numpy()
    first, second = x[:64], x[64:128]
    width = fit_bandwidth(first, 0.05)
    assert mean_similarity(first, width) == pytest.approx(0.05, rel=1e-3)
    assert 0.05 / mean_similarity(second, width) == pytest.approx(1.0, abs=0.4)
    one_mode = x[data.targets == 3][:64]
    assert 0.05 / mean_similarity(one_mode, width) == pytest.approx(1 / 8, abs=0.05)
    assert 0.05 / mean_similarity(np.zeros((64, 2)), width) == pytest.approx(0.05)


def test_outputs_of_one_class_that_are_all_alike_show_within_the_class(tmp_path: Path) -> None:
    trainer, _ = small_run(digits(), tmp_path, steps=1, classes=10)
    own, held_out = parted(digits(), 1000)
    game = trainer.game

    def generate(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        first_of = torch.tensor([int(np.flatnonzero(own.targets == c)[0]) for c in range(10)])
        # One picture per class, independent of the latent.
        return own.signals(first_of[inputs["classes"].argmax(1)].numpy())

    game.generate = generate  # type: ignore[assignment]
    figures = {k.split("/")[0]: v for k, v in Probe(game, Flat(), own, held_out).measure().items()}
    assert figures["classes"] >= 0.9 and figures["diversity"] > 0.3
    assert figures["diversity_within"] == pytest.approx(0.05)


def test_figures_name_their_extractor_and_count_and_separation_needs_no_threshold(tmp_path: Path) -> None:
    trainer, _ = small_run(digits(), tmp_path, steps=1)
    own, _ = parted(digits(), 1000)
    names = Probe(trainer.game, Flat(), own, count=32).measure()
    assert {"diversity/flat@32", "kernel/flat@32", "classes/flat@32", "saturation"} == set(names)
    a, b = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0])
    assert auc(a, b) == auc(1000 * a - 7, 1000 * b - 7) == pytest.approx((3 + 1.5) / 6)
    assert embed(own.signals(slice(3)), Flat()).shape == (3, 64)


def test_findings_survive_the_file(tmp_path: Path) -> None:
    finding = Finding("explosion", 7, "failure", "the loss is “inf”", "slow down", "lr.critic=1", {"x": float("inf")})
    path = tmp_path / "deep" / "findings.jsonl"
    write_findings(path, [finding])
    path.write_text(path.read_text() + '{"kind": 3}\nnot json\n{"kind": "x", "step": 1, "severity": "loud"}\n{"cut')
    assert read_findings(path) == [finding]
    assert read_findings(tmp_path / "none.jsonl") == []
