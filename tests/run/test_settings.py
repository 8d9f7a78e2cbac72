"""Tests of the settings of a composed configuration: numbers, learning rates, data paths, config.yaml of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tiny import TINY

from audiogan.cli import main
from audiogan.core import load_state
from audiogan.errors import UserError
from audiogan.evaluation.data_sets import open_evaluation_data
from audiogan.model.loading import load
from audiogan.run.config import compose
from audiogan.run.folder import run_folder_name
from audiogan.run.training import open_data

Captured = pytest.CaptureFixture[str]
POINTS = ("data.count=60", "batch_size=4", "widths=[8,8]", "callbacks.previews=null", "engine.threads=1")


pytestmark = pytest.mark.usefixtures("here")


def checkpoint(run: Path) -> dict[str, torch.Tensor]:
    (path,) = (run / "checkpoints").glob("step-*.ckpt")
    return load_state(path)["trainer"]["game"]


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("trainer.steps", "1e3", 1000),
        ("batch_size", "8.0", 8),
        ("seed", "1e2", 100),
        ("seed", "9223372036854775807", 2**63 - 1),
        ("checkpoints.keep", "3.0", 3),
        ("data.count", "1e3", 1000),
        ("callbacks.log.every", "1e1", 10),
        ("players.critic.repeats", "2.0", 2),
        ("engine.accumulate", "2.0", 2),
        ("game.generator.widths", "[1e1,8]", [10, 8]),
    ],
)
def test_whole_numbers_may_be_written_with_an_exponent(key: str, written: str, meant: object) -> None:
    value = OmegaConf.select(compose("points", [f"{key}={written}"]), key)
    value = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
    assert value == meant and all(type(n) is int for n in (value if isinstance(value, list) else [value]))


def test_a_number_that_others_refer_to_is_whole_for_them_too() -> None:
    cfg = compose("drums", ["network=wavegan", "data.length=2.048e3", "++model_size=2e0"])
    assert repr([cfg.data.length, cfg.game.generator.model_size, cfg.game.critic.model_size]) == "[2048, 2, 2]"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed=99999999999999999999", "seed=99999999999999999999 must be a whole number from 0 to 9223372036854775807"),
        ("seed=-1", "from 0 to"),
        ("seed=1.5", "seed=1.5 must be a whole number"),
        ("batch_size=1e20", "batch_size=100000000000000000000 must be a whole number from 1 to"),
        ("trainer.steps=1e30", "trainer.steps=1000000000000000"),
        ("trainer.steps=2.5", "trainer.steps=2.5 must be a whole number"),
        ("trainer.minutes=nan", "trainer.minutes=nan must be a finite number"),
        ("data.count=1e20", "data.count=1"),
        ("data.count=2.5", "data.count=2.5 must be a whole number"),
        ("engine.threads=two", "engine.threads='two' must be a whole number"),
        ("players.critic.repeats=1.5", "players.critic.repeats=1.5"),
        ("checkpoints.keep=99999999999999999999", "checkpoints.keep=99999999999999999999"),
        ("lr.critic=-1", "lr.critic=-1"),
        ("lr.critic=inf", "lr.critic=inf"),
        ("lr=fast", "lr.critic='fast'"),
        ("lr=null", "lr.critic=None must be a number"),
        ("betas=[0.5]", "two numbers"),
        ("betas=[0.5,2]", "two numbers from 0 to below 1"),
        ("data.seed=-1", "data.seed=-1"),
        ("callbacks.ema.decay=2", "decay"),
    ],
)
def test_numbers_out_of_range_are_one_line(override: str, words: str, capsys: Captured) -> None:
    assert main(["train", "points", override]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("config", "rates"),
    [
        ("points", {"critic", "generator"}),
        ("drums", {"critic", "generator", "autoencoder"}),
        ("md-gan", {"critic", "generator"}),
    ],
)
def test_one_rate_is_that_of_every_player(config: str, rates: set[str]) -> None:
    cfg = compose(config, ["lr=0.5"])
    assert dict(cfg.lr) == dict.fromkeys(rates, 0.5)
    assert {player.optimizer.lr for player in cfg.players.values() if player} == {0.5}
    with pytest.raises(UserError, match=r"lr=0.5 .* lr.critic=0.1"):
        compose(config, ["lr=0.5", "lr.critic=0.1"])


def test_one_rate_in_a_file_is_that_of_every_player() -> None:
    Path("mine.yaml").write_text("defaults: [points, _self_]\nlr: 1e-3\n")
    assert dict(compose("mine.yaml").lr) == {"critic": 0.001, "generator": 0.001}


@pytest.mark.parametrize("key", ["root", "labels", "cache"])
def test_a_path_that_yaml_reads_as_a_number_is_one_line(key: str) -> None:
    Path("mine.yaml").write_text(f"defaults: [drums, _self_]\ndata: {{{key}: 2024}}\n")
    with pytest.raises(UserError, match=rf"data.{key}=2024 must be text; put it in quotes"):
        compose("mine.yaml")


def test_a_run_keeps_absolute_paths_of_its_data(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sounds").mkdir()
    Path("list.csv").touch()
    Path("sounds/inside.csv").touch()
    Path("runs").mkdir()
    typed = ["data.root=sounds", "+data.cache=kept"]
    beside, inside = (compose("drums", [*typed, f"data.labels={name}.csv"]) for name in ("list", "inside"))
    assert (beside.data.root, beside.data.cache) == (str(here / "sounds"), str(here / "kept"))
    assert (beside.data.labels, inside.data.labels) == (str(here / "list.csv"), str(here / "sounds/inside.csv"))
    assert beside.run_dir == str(Path("runs") / run_folder_name("drums", [*typed, "data.labels=list.csv"]))
    monkeypatch.setenv("HOME", str(here))
    home = compose("drums", ["data.root=~/sounds", "run_dir=~/mine"])
    assert (home.data.root, home.run_dir) == (str(here / "sounds"), str(here / "mine"))


def test_names_of_data_sets_stay_names(here: Path) -> None:
    assert compose("drums", ["data.root=drums"]).data.root == "drums"
    assert compose("handwriting", ["data.root=digits"]).data.root == "digits"
    named = compose("handwriting", ["data.root=digits"])
    Path("digits").mkdir()  # Created after training started, or on another machine.
    assert "scikit-learn" in open_data(named)[0].source
    assert compose("handwriting", ["data.root=digits"]).data.root == str(here / "digits")


def test_a_run_finds_its_data_from_anywhere(
    tiny_sounds: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    shutil.copytree(tiny_sounds, "drums")
    assert main(["train", "drums", *TINY, "trainer.steps=1", "data.root=drums", "run_dir=run"]) == 0
    shutil.copytree(tiny_sounds / "kick", "elsewhere/drums/kick")
    monkeypatch.chdir("elsewhere")
    sets = open_evaluation_data(load("../run"), None)
    assert str(here / "drums") in sets.real.source and len(sets.real) == 10
    assert len(open_evaluation_data(load("../run"), "drums").real) == 20  # The folder in the working folder is used.
    capsys.readouterr()
    main(["evaluate", "../run", "--no-classifier"])
    assert "data changed" not in capsys.readouterr().out
    (here / "drums/kick/0.wav").unlink()
    main(["evaluate", "../run", "--no-classifier"])
    assert "the training data changed after training, from 30 to" in capsys.readouterr().out


def test_a_model_keeps_no_path_of_its_labels(tiny_sounds: Path) -> None:
    from audiogan.run.model_files import read_bundle

    files = [path.relative_to(tiny_sounds) for path in sorted(tiny_sounds.rglob("*.wav"))]
    Path("list.csv").write_text("path,label\n" + "".join(f"{file},{file.parent}\n" for file in files))
    typed = [*TINY, "trainer.steps=1", f"data.root={tiny_sounds}", "data.labels=list.csv", "run_dir=run"]
    assert main(["train", "drums", *typed]) == 0
    assert main(["export", "run", "m.AUDIOGAN"]) == 0
    assert main(["sample", "-n", "1", "--run", "m.AUDIOGAN", "out"]) == 0
    data = read_bundle("m.AUDIOGAN")[0]["config"]["data"]
    assert "root" not in data and data["labels"] == "auto"


def test_a_runs_own_configuration_trains_the_same_again(capsys: Captured) -> None:
    assert main(["train", "points", *POINTS, "loss=hinge", "trainer.steps=3", "run_dir=first"]) == 0
    assert main(["train", "first/config.yaml", "run_dir=second"]) == 0
    one, two = checkpoint(Path("first")), checkpoint(Path("second"))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
    # The same holds for the config.yaml of the second run.
    assert main(["train", "second/config.yaml", "run_dir=third"]) == 0
    capsys.readouterr()
    assert main(["train", "first/config.yaml"]) == 0
    printed = capsys.readouterr().out
    assert "nothing to do" in printed and "changed since" not in printed
    assert main(["train", "first/config.yaml", "seed=1"]) == 0
    assert Path("runs/first,seed=1/report.html").is_file()


@pytest.mark.parametrize("override", ["lr=0.1", "lr.critic=0.1", "betas=[0,0.9]", "classes=0", "+foo=1"])
def test_a_setting_without_effect_in_a_runs_own_configuration_is_refused(override: str, capsys: Captured) -> None:
    cfg = compose("points", POINTS)
    cfg.facts.modality = {"_target_": "audiogan.modalities.Points"}
    Path("config.yaml").write_text(OmegaConf.to_yaml(cfg, resolve=True))
    assert main(["train", "config.yaml", override]) == 2
    assert "cannot be changed" in capsys.readouterr().err


def test_a_run_folder_in_place_of_a_configuration_says_what_to_name(capsys: Captured) -> None:
    Path("run").mkdir()
    Path("run/config.yaml").touch()
    assert main(["train", "run"]) == 2
    assert "run/config.yaml" in capsys.readouterr().err


def test_callbacks_that_change_a_training_show_in_its_name() -> None:
    quiet = ["callbacks.log.every=5", "callbacks.previews.count=4", "callbacks.monitors.every=7", "~callbacks.previews"]
    assert run_folder_name("points", [*quiet, "trainer.steps=5", "engine.threads=1", "checkpoints.keep=1"]) == "points"
    assert run_folder_name("points", [*quiet, "callbacks.ema.decay=0.5"]) == "points,callbacks.ema.decay=0.5"
    assert run_folder_name("points", ["callbacks.guard=null"]) == "points,callbacks.guard=null"
    names = {run_folder_name("points", [f"callbacks.anneal.start={start}"]) for start in (0.2, 0.5)}
    assert len(names) == 2


def test_a_callback_that_changed_is_said_when_a_run_goes_on(capsys: Captured) -> None:
    command = ["train", "points", *POINTS, "run_dir=run", "trainer.steps=1"]
    assert main(command) == 0
    assert main([*command, "callbacks.ema.decay=0.5", "callbacks.log.every=3"]) == 0
    assert "changed since that checkpoint: callbacks.ema.decay: 0.999 -> 0.5\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["d.AUDIOGAN", "d.Audiogan"])
def test_endings_of_models_are_read_in_any_case(name: str, capsys: Captured) -> None:
    assert main(["export", "drums", name]) == 0
    assert load(name).labels == load("drums").labels
    assert main(["export", "drums", "d.wav"]) == 2
