"""`audiogan evaluate`: a table, a file, a section of the report; and why it cannot be done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from audiogan.cli import main
from audiogan.data.drum_machine import render
from audiogan.sounds import save_wav


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 sounds that no training saw, in no classes."""
    folder = tmp_path_factory.mktemp("others")
    for i in range(45):
        wave = render(("tom", "clap")[i % 2], sample_rate=16000, length=2048, rng=np.random.default_rng([7, i]))
        save_wav(folder / f"{i}.wav", wave, 16000)
    return folder


def test_a_run_is_measured_against_a_folder(
    tiny_run: Path, others: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    assert main(["evaluate", str(run), "--data", str(others), "-n", "25"]) == 0
    printed = capsys.readouterr().out
    stored = json.loads((run / "evaluation.json").read_text())
    name = next(key for key in stored["values"] if key.startswith("frechet/"))
    assert "@25" in name and name in printed and "floor" in printed and "step 4" in printed
    assert stored["values"][name] > stored["floor"][name] and stored["counts"] == {"fake": 25, "real": 25, "train": 30}
    assert name in (run / "report.html").read_text()
    assert any(key.startswith("train_distance/") for key in stored["values"])
    assert main(["evaluate", str(run), "--data", str(others), "-n", "25"]) == 0
    assert json.loads((run / "evaluation.json").read_text()) == stored


def test_without_the_training_data_a_folder_is_enough(
    tiny_run: Path, others: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from audiogan.core import load_state, save_state

    state = load_state(tiny_run / "checkpoints/step-00000004.ckpt")
    state["config"]["data"]["root"] = str(tmp_path / "gone")
    save_state(tmp_path / "run/checkpoints/step-00000004.ckpt", state)
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(others)]) == 0
    assert "frechet/" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "gone" in capsys.readouterr().err


def test_labels_of_the_training_do_not_matter_to_the_folder(
    tiny_run: Path, tiny_sounds: Path, others: Path, tmp_path: Path
) -> None:
    from audiogan.core import load_state, save_state

    state = load_state(tiny_run / "checkpoints/step-00000004.ckpt")
    state["config"]["data"]["labels"] = "folders"
    save_state(tmp_path / "a.ckpt", state)
    assert main(["evaluate", str(tmp_path / "a.ckpt"), "--data", str(others)]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "at least 20"),
        (["-n", "5"], "at least 20"),
        (["-n", "0"], "-n 0"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    arguments: list[str], words: str, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tiny_run), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert words in error and len(error.splitlines()) == 1
    assert not (tiny_run / "evaluation.json").exists()
