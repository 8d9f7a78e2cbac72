"""Tests of the doctor: logs of other programs, rules that are skipped, and files that are not logs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from audiogan.errors import UserError
from audiogan.monitors import History, Missing, diagnose
from audiogan.monitors.history import canonical_name


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("d_loss", "critic/loss"),
        ("loss_G", "generator/loss"),
        ("lossD_A", "critic a/loss"),
        ("Loss_D", "critic/loss"),
        ("errD", "critic/loss"),
        ("Loss/G/loss", "generator/loss"),
        ("train/disc_loss", "critic/loss"),
        ("netG/grad_norm", "generator/grad_norm"),
        ("critic/grad_norm", "critic/grad_norm"),
        ("D(G(z))", "critic/fake_logits"),
        ("Loss/scores/real", "critic/real_logits"),
        ("discriminator_accuracy", "critic/accuracy"),
        ("d_loss_real", None),
        ("val_loss", None),
        ("lr", None),
        ("Timing/sec_per_kimg", None),
    ],
)
def test_names_of_other_people(name: str, ours: str | None) -> None:
    assert canonical_name(name) == ours


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_foreign_log_of_a_vanishing_gradient(tmp_path: Path) -> None:
    def row(i: int) -> dict[str, object]:
        return {"iter": 10 * i, "d_loss": 1.4 * math.exp(-i / 2), "g_loss": 1 + i / 3, "netG_grad_norm": math.exp(-i)}

    diagnosis = diagnose(write(tmp_path / "log.txt", [row(i) for i in range(1, 21)]))
    kinds = {f.kind: f for f in diagnosis.findings}
    assert kinds["vanishing gradient"].severity_rank >= 1 and 60 < kinds["vanishing gradient"].step < 200
    assert "overpowering critic" in kinds
    assert "memorising critic" in diagnosis.abstained and "mode collapse" in diagnosis.abstained
    assert "could not be judged: mode collapse" in diagnosis.verdict.text


def test_a_csv_with_nan_is_an_explosion_at_its_row(tmp_path: Path) -> None:
    lines = ["epoch,loss_D,loss_G"] + [f"{i},0.{6 + i % 3},0.{7 + i % 2}" for i in range(1, 30)] + ["30,nan,nan"]
    (tmp_path / "history.csv").write_text("\n".join(lines))
    diagnosis = diagnose(tmp_path)
    explosion = next(f for f in diagnosis.findings if f.kind == "explosion")
    assert explosion.step == 30 and explosion.severity == "failure" == diagnosis.verdict.severity


def test_losses_that_came_back_are_worth_a_note(tmp_path: Path) -> None:
    rows = [{"step": i, "d_loss": 1.0 + i % 3 / 10, "g_loss": 5e5 if i == 40 else 1.0 + i % 2} for i in range(1, 80)]
    diagnosis = diagnose(write(tmp_path / "metrics.jsonl", rows))
    assert [(f.kind, f.step) for f in diagnosis.findings if f.severity_rank == 2] == [("explosion", 40)]
    # The finding is still listed.
    assert diagnosis.verdict.severity == "note" and "recovered" in diagnosis.verdict.text


def test_stylegans_log_and_rows_without_a_step(tmp_path: Path) -> None:
    wobble = [0.9 + 0.05 * math.sin(7 * i) for i in range(40)]
    stylegan = [{"Loss/D/loss": {"num": 4, "mean": w, "std": 0.1}, "Loss/G/loss": {"mean": 2 * w}} for w in wobble]
    diagnosis = diagnose(write(tmp_path / "stats.jsonl", [{**r, "timestamp": 1.6e9} for r in stylegan]))
    assert set(diagnosis.figures) == {"critic/loss", "generator/loss"}
    assert diagnosis.verdict.step == 40 and diagnosis.verdict.severity == "note"
    (tmp_path / "log.json").write_text(json.dumps([{"g_loss": w, "d_loss": w} for w in wobble]))
    assert diagnose(tmp_path / "log.json").rows == 40


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file"),
        ('{"step": 1, "val_loss": 2}\n', "contains only step, val_loss"),
        ("[1, 2", "not valid JSON"),
    ],
)
def test_files_that_say_nothing(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(UserError, match=said):
        diagnose(tmp_path)
    with pytest.raises(UserError, match="no such"):
        diagnose(tmp_path / "none")


def test_a_run_that_went_back_forgets_what_it_takes_again() -> None:
    history = History({"step": s, "critic/loss": v} for s, v in [(10, 1.0), (20, 2.0), (30, 9.0), (20, 3.0)])
    assert history.find_curve("critic/loss").steps.tolist() == [10, 20]
    assert history.find_curve("critic/loss").last == 3.0
    with pytest.raises(Missing, match="only 2 values"):
        history.require_curve("critic/loss", 3)
