"""Tests of the score of ``+critic=metric`` on the command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from every_command import Run, resumed, trained
from own_modules import write_module

from audiogan.errors import UserError
from audiogan.games import MetricLearning
from audiogan.run.scoring import start_scoring
from audiogan.run.trust import trust_modules

TEXT = "def closeness(output, target, sample_rate):\n    return 1 - float(abs(output - target).mean())\n"
SMALL = [
    *("data.root={sounds}", "data.length=4096", "data.holdout=0.5", "batch_size=2", "game.generator.n_fft=256"),
    *("game.generator.hop_length=128", "game.generator.widths=[4,4]", "game.generator.hidden=8", "game.history=8"),
    *("game.generator.layers=1", "game.critic.width=2", "game.critic.n_ffts=[256]", "game.scored=1", "game.delay=1"),
    *("callbacks.first_stage.fraction=0.1", "game.warm_up=2", "game.replayed=2", "game.clean=1"),
]


class Recorder:
    """Stand-in for a game that records the function of its score."""

    def __init__(self, score: str) -> None:
        self.score, self.function = score, None

    def start_scoring(self, function: Any = None) -> None:
        self.function = function


def test_a_function_needs_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = write_module(tmp_path, TEXT)
    game = Recorder(f"{name}:closeness")
    with pytest.raises(UserError, match=rf"game.score={name}:closeness: .* not trusted; .*add --trust {name}$"):
        start_scoring(game)
    with trust_modules(name):
        start_scoring(game)
        assert game.function.__name__ == "closeness"
        with pytest.raises(UserError, match=f"{name} defines no function other"):
            start_scoring(Recorder(f"{name}:other"))
    start_scoring(Recorder("pesq"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import audiogan.games.metric as module

    def missing(package: str) -> None:
        raise UserError(f"speech metrics need the package {package}")

    monkeypatch.setattr(module, "import_speech_package", missing)
    game = SimpleNamespace(score="pesq", workers=1, replay=SimpleNamespace())
    with pytest.raises(UserError, match="need the package pesq"):
        MetricLearning.start_scoring(game)


def test_a_run_with_a_score_of_the_user_resumes_exactly(
    tiny_sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = write_module(tmp_path, TEXT)
    overrides = ["+critic=metric", f"game.score={name}:closeness", *SMALL]
    run = Run(tmp_path, "enhance", [each.replace("{sounds}", str(tiny_sounds)) for each in overrides], trust=[name])
    trained(run)
    rows = (run.path / "metrics.jsonl").read_text()
    assert "critic/prediction" in rows and "critic/score" in rows and "generator/loss" in rows
    resumed(run)
