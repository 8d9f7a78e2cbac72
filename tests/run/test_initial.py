"""Tests of runs that start from a trained model (`init`)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from states import assert_same, final, state_at
from tiny import TINY

import audiogan
from audiogan.cli import main
from audiogan.core import Anneal, FineTuning, load_newest_checkpoint
from audiogan.core.trainer import Trainer
from audiogan.data.toys.drum_machine import render
from audiogan.errors import UserError
from audiogan.modalities.wav import save_wav
from audiogan.run.config import compose
from audiogan.run.initial import read_initial
from audiogan.run.training import train

TONENOISE = (
    *("data.length=2048", "data.holdout=0", "batch_size=2", "engine.threads=1", "callbacks.previews=null"),
    *("callbacks.monitors=null", "game.generator.width=8", "game.generator.blocks=1"),
    *("game.critic.mel_widths=[4,4]", "game.critic.stft_widths=[4,4]", "game.critic.onset_widths=[4,4]"),
)
"""Overrides that make the default drum network small."""


def folder_of_sounds(root: Path, labels: list[str], count: int = 4) -> Path:
    for k, label in enumerate(labels):
        for i in range(count):
            wave = render("snare", sample_rate=16000, length=2048, rng=np.random.default_rng(9 * k + i))
            save_wav(root / label / f"{i}.wav", wave, 16000)
    return root


def trained(run_dir: Path, config: str, *overrides: str) -> list[str]:
    """Train without progress bar and return the printed lines."""
    lines: list[str] = []
    train(compose(config, [*overrides, f"run_dir={run_dir}"]), progress=False, echo=lines.append)
    return lines


def game_of(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_newest_checkpoint(run_dir / "checkpoints")[1]["trainer"]["game"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a small drum model with the classes a, b and c."""
    folder = tmp_path_factory.mktemp("model")
    data = folder_of_sounds(folder / "data", ["a", "b", "c"])
    trained(folder / "run", "drums", *TONENOISE, f"data.root={data}", "warm_up=1", "trainer.steps=2")
    return folder / "run"


def test_classes_are_matched_by_name(model: Path, tmp_path: Path) -> None:
    data = folder_of_sounds(tmp_path / "data", ["c", "new", "a"])
    lines = trained(tmp_path / "run", "drums", *TONENOISE, f"data.root={data}", f"init={model}", "trainer.steps=0")
    assert "init: classes: new new; dropped b" in lines
    old, new = audiogan.load(model).game.state_dict(), game_of(tmp_path / "run")  # a, b, c -> a, c, new
    latent = 64
    places = {
        "nets.generator.mapping.0.weight": (1, latent),  # latent, classes, knobs
        "nets.encoder.out.weight": (1, old["nets.encoder.out.weight"].shape[1] - 3 - 4),  # features, classes, knobs
        "nets.listener.out.weight": (0, 0),  # classes, knobs
        "nets.listener.out.bias": (0, 0),
        **{f"nets.critic.critics.{i}.head.embed.weight": (1, 0) for i in range(3)},
    }
    for name, (dim, start) in places.items():
        before, after = old[name].movedim(dim, 0), new[name].movedim(dim, 0)
        rows = before[start : start + 3]
        expected = torch.cat([before[:start], rows[[0, 2]], rows.mean(0)[None], before[start + 3 :]])
        torch.testing.assert_close(after, expected, msg=name)
    assert all(torch.equal(new[n], v) for n, v in old.items() if n.startswith("nets.") and n not in places)


@pytest.mark.parametrize("labels", [["new"], []])
def test_data_with_one_class_or_without_classes(model: Path, tmp_path: Path, labels: list[str]) -> None:
    data = folder_of_sounds(tmp_path / "data", labels or ["."])
    options = [] if labels else ["data.labels=none"]
    lines = trained(
        tmp_path / "r", "drums", *TONENOISE, f"data.root={data}", f"init={model}", "trainer.steps=1", *options
    )
    assert any(line.startswith(f"init: {model}; trained: generator") for line in lines), lines
    assert audiogan.load(tmp_path / "r").sample(2, seed=0).shape == (2, 1, 2048)


def test_the_scale_of_the_knobs_stays(model: Path, tmp_path: Path) -> None:
    data = folder_of_sounds(tmp_path / "data", ["a"])
    same = (*TONENOISE, f"data.root={data}", f"init={model}")

    def scale(run: Path) -> Any:
        return OmegaConf.load(run / "config.yaml").facts.inputs.knobs.scale

    for steps in (1, 2):  # The second training resumes.
        trained(tmp_path / "run", "drums", *same, f"trainer.steps={steps}")
        assert scale(tmp_path / "run") == scale(model)
    assert audiogan.load(tmp_path / "run").inputs["knobs"].scale.to_dict() == OmegaConf.to_container(scale(model))
    assert scale(model) != scale_without_init(tmp_path, data)


def scale_without_init(folder: Path, data: Path) -> Any:
    trained(folder / "other", "drums", *TONENOISE, f"data.root={data}", "trainer.steps=0")
    return OmegaConf.load(folder / "other/config.yaml").facts.inputs.knobs.scale


def test_a_resumed_run_has_the_same_bits_and_does_not_need_the_model(model: Path, tmp_path: Path) -> None:
    bundle, data = tmp_path / "m.audiogan", folder_of_sounds(tmp_path / "data", ["a", "new"])
    assert main(["export", str(model), str(bundle)]) == 0
    short = ("callbacks.fine_tuning.hold=2", "callbacks.fine_tuning.ramp=3", "checkpoints.every_steps=1")
    same = (*TONENOISE, *short, f"data.root={data}", f"init={bundle}", "checkpoints.keep=9")
    trained(tmp_path / "whole", "drums", *same, "trainer.steps=6")
    for stop in (1, 3):
        shutil.copytree(tmp_path / "whole", tmp_path / f"part{stop}")
        for path in (tmp_path / f"part{stop}/checkpoints").glob("*.ckpt"):
            if int(path.stem[5:]) > stop:
                path.unlink()
    bundle.unlink()
    for stop in (1, 3):
        lines = trained(tmp_path / f"part{stop}", "drums", *same, "trainer.steps=6")
        assert any("resuming from" in line for line in lines)
        assert not any(line.startswith("init:") for line in lines)
        assert_same(final(tmp_path / f"part{stop}"), final(tmp_path / "whole"))


def test_a_trained_generator_waits_for_a_new_critic(model: Path, tmp_path: Path) -> None:
    bundle, data = tmp_path / "m.audiogan", folder_of_sounds(tmp_path / "data", ["a", "b", "c"])
    assert main(["export", str(model), str(bundle)]) == 0
    same = (*TONENOISE, f"data.root={data}", f"init={bundle}", "checkpoints.every_steps=1", "checkpoints.keep=9")
    lines = trained(tmp_path / "r", "drums", *same, "callbacks.fine_tuning.hold=2", "trainer.steps=3")
    assert f"init: {bundle}; trained: generator; with new weights: critic, encoder, listener" in lines
    states = [state_at(tmp_path / "r", step)["game"] for step in (1, 2, 3)]
    expected = read_initial(str(bundle)).weights

    def same_weights(a: dict[str, Any], b: dict[str, Any], net: str) -> bool:
        names = [name for name in b if name.startswith(f"nets.{net}.") and name in a]
        return all(torch.equal(a[name], b[name]) for name in names)

    assert same_weights(expected, states[0], "generator") and same_weights(states[0], states[1], "generator")
    assert not same_weights(states[1], states[2], "generator")
    for net in ("critic", "encoder", "listener"):
        assert not same_weights(states[0], states[1], net), net
    ema = load_newest_checkpoint(tmp_path / "r/checkpoints")[1]["trainer"]["callbacks"]["ema"]["nets"]
    assert not torch.equal(ema["generator.out.weight"], expected["nets.generator.out.weight"])


def test_a_training_bundle_contains_all_networks(model: Path, tmp_path: Path) -> None:
    bundle, data = tmp_path / "m.audiogan", folder_of_sounds(tmp_path / "data", ["a", "b", "c"])
    assert main(["export", str(model), str(bundle), "--training"]) == 0
    lines = trained(tmp_path / "r", "drums", *TONENOISE, f"data.root={data}", f"init={bundle}", "trainer.steps=0")
    assert f"init: {bundle}; trained: generator, critic, encoder, listener" in lines
    new = game_of(tmp_path / "r")
    for name, value in audiogan.load(model).game.nets.state_dict().items():
        torch.testing.assert_close(new[f"nets.{name}"], value, rtol=1e-3, atol=1e-3)
    sampling = tmp_path / "s.audiogan"
    assert main(["export", str(model), str(sampling)]) == 0 and sampling.stat().st_size < bundle.stat().st_size
    np.testing.assert_array_equal(audiogan.load(bundle).sample(2, seed=1), audiogan.load(sampling).sample(2, seed=1))
    with pytest.raises(UserError, match="has no critic"):
        audiogan.model.bundle.save_bundle(tmp_path / "x.audiogan", audiogan.load(sampling), training=True)
    assert main(["export", str(model), str(tmp_path / "x.onnx"), "--training"]) == 2


def test_a_shipped_model_may_have_a_training_bundle(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audiogan.run.initial.TRAINING_BUNDLES", tmp_path)
    assert not any(name.startswith("nets.critic.") for name in read_initial("drums").weights)
    assert main(["export", str(model), str(tmp_path / "drums.audiogan"), "--training"]) == 0
    assert any(name.startswith("nets.critic.") for name in read_initial("drums").weights)


def test_the_warm_up_is_left_out(model: Path) -> None:
    assert compose("drums").warm_up == 300
    assert compose("drums", ["init=drums"]).warm_up == 0
    assert compose("drums", ["init=drums", "warm_up=7"]).warm_up == 7
    assert compose("drums", ["init=drums"]).init == "drums"
    assert compose("drums", [f"init={model}"]).init == str(model.absolute())


def test_learning_rates_rise(tmp_path: Path) -> None:
    for annealed in ([], ["callbacks.anneal=null"]):
        trainer = points_trainer(tmp_path, *annealed)
        assert any(isinstance(c, Anneal) for c in trainer.callbacks.values()) == (not annealed)
        fine_tuning = trainer.callbacks["fine_tuning"]
        assert isinstance(fine_tuning, FineTuning)
        fine_tuning.begin(trainer, ["generator"], ["generator"])
        rates = []
        for trainer.step in range(7):
            for callback in ("anneal", "fine_tuning"):
                if callback in trainer.callbacks:
                    trainer.callbacks[callback].on_step(trainer)
            rates.append([trainer.optimizers[name].param_groups[0]["lr"] for name in ("generator", "critic")])
        assert [rate for rate, _ in rates] == pytest.approx([0.01, 0.01, 0.0025, 0.005, 0.0075, 0.01, 0.01])
        assert all(rate == 0.01 for _, rate in rates)


def points_trainer(folder: Path, *overrides: str) -> Trainer:
    from audiogan.run.training import build_trainer, open_data

    small = ["data.count=100", "batch_size=4", "widths=[4]", "lr=0.01", "callbacks.previews=null"]
    small += ["callbacks.fine_tuning.hold=2", "callbacks.fine_tuning.ramp=3", f"run_dir={folder}"]
    cfg = compose("points", [*small, *overrides])
    return build_trainer(cfg, *open_data(cfg), progress=False)


def test_a_finished_first_stage_is_not_repeated(tmp_path: Path) -> None:
    small = ("data.size=16", "width=4", "batch_size=2", "game.critic.layers=1", "factor=2", "blocks=1")
    same = (*small, "engine.threads=1", "callbacks.monitors=null", "callbacks.previews=null", "trainer.steps=4")
    trained(tmp_path / "a", "super-resolution", *same)
    trained(tmp_path / "b", "super-resolution", *same, f"init={tmp_path / 'a'}")
    first = [audiogan.load(tmp_path / name).first_stage for name in "ab"]
    assert_same(first[0], first[1])
    rows = [json.loads(line) for line in (tmp_path / "b/metrics.jsonl").read_text().splitlines()]
    assert any("critic/loss" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init=nothing"], "nothing: no such run, checkpoint or model"),
        (["init=digits"], "its weights fit no generator of this configuration"),
        (["init=digits", "data.sample_rate=8000"], "its sounds have 16000 Hz, but data.sample_rate=8000"),
        (["init=''"], "init is empty"),
        (["init=3"], "init=3 must be text"),
    ],
)
def test_errors_are_one_clear_line(
    arguments: list[str], message: str, tiny_sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(["train", "drums", *TINY, f"data.root={tiny_sounds}", f"run_dir={run}", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
    assert not run.exists()


def test_a_model_of_another_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "points", "init=digits", "data.count=100", f"run_dir={tmp_path / 'run'}"]) == 2
    assert "init=digits: a model of kind sound, but the data is of kind points" in capsys.readouterr().err


def test_a_damaged_model_is_one_clear_line(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.audiogan"
    assert main(["export", str(model), str(path)]) == 0
    path.write_bytes(path.read_bytes()[:-100])
    assert main(["train", "drums", f"init={path}", f"run_dir={tmp_path / 'run'}"]) == 2
    assert f"init={path}: " in capsys.readouterr().err


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    same = ("data.count=100", "batch_size=4", "trainer.steps=0", "callbacks.previews=null", "callbacks.monitors=null")
    trained(tmp_path / "a", "points", *same, "widths=[4,4]")
    lines = trained(tmp_path / "b", "points", *same, "widths=[4,5]", f"init={tmp_path / 'a'}")
    assert f"init: {tmp_path / 'a'}; partly trained: generator, critic" in lines
    (line,) = [line for line in lines if "the shape differs" in line]
    assert "[5, 4], in the model [4, 4]" in line
    old, new = game_of(tmp_path / "a"), game_of(tmp_path / "b")
    kept = [name for name in old if name.startswith("nets.") and old[name].shape == new[name].shape]
    assert kept and all(torch.equal(old[name], new[name]) for name in kept)
