"""Tests of `Generator`: reproducible sounds, and damaged or malicious checkpoints."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from waves import load_wav

import audiogan
from audiogan.cli import main
from audiogan.core import load_state, save_state
from audiogan.modalities.wav import save_wav
from audiogan.model.loading import from_checkpoint


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> audiogan.Generator:
    return audiogan.load(tiny_run)


def newest(run: Path) -> Path:
    return run / "checkpoints/step-00000004.ckpt"


def test_a_model_says_what_it_makes(model: audiogan.Generator, tiny_run: Path) -> None:
    assert (model.sample_rate, model.shape, model.step) == (16000, (1, 2048), 4)
    assert model.labels == ["kick", "snare"] and model.checkpoint == newest(tiny_run) and "step=4" in repr(model)
    waves = model.sample(3, seed=1)
    assert isinstance(waves, np.ndarray) and waves.shape == (3, 1, 2048) and waves.dtype == np.float32
    assert np.abs(waves).max() <= 1 and waves.std() > 1e-4


def test_a_run_can_be_named_in_several_ways(
    model: audiogan.Generator, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = model.sample(1, seed=3)
    for name in (str(tiny_run), tiny_run / "checkpoints", newest(tiny_run)):
        assert np.array_equal(audiogan.load(name).sample(1, seed=3), wanted)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run, tmp_path / "runs/deep/mine")
    assert audiogan.load().checkpoint == newest(Path("runs/deep/mine"))
    alone = Path(shutil.copy(newest(tiny_run), tmp_path / "renamed.bin"))  # A checkpoint needs no other files.
    assert np.array_equal(audiogan.load(alone).sample(1, seed=3), wanted)


def test_a_sound_depends_on_its_seed_alone(model: audiogan.Generator) -> None:
    many = model.sample(18, seed=5)
    assert np.array_equal(many, model.sample(18, seed=5))
    for i in (1, 17):
        assert np.array_equal(many[i], model.sample(1, seed=5 + i)[0])
    assert not np.allclose(many[0], many[1], atol=1e-3)
    assert not np.array_equal(model.sample(2), model.sample(2))


@pytest.mark.parametrize("name", ["drums", "digits"])
def test_a_sound_has_the_same_bits_in_any_company_and_in_any_thread(name: str) -> None:
    model, threads = audiogan.load(name), torch.get_num_threads()
    recipes = model.recipes(12, seed=3)
    wanted = model.render(recipes)
    assert np.array_equal(model.render(recipes[7]), wanted[7:8])
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            assert np.array_equal(model.render(recipes[::-1]), wanted[::-1])
    finally:
        torch.set_num_threads(threads)
    with ThreadPoolExecutor(6) as pool:  # Several threads use one model.
        parts = list(pool.map(lambda i: model.render(recipes[i : i + 2]), range(11)))
    assert all(np.array_equal(part, wanted[i : i + 2]) for i, part in enumerate(parts))


def test_labels(model: audiogan.Generator) -> None:
    _, names = model.sample_with_labels(40, seed=1)
    assert set(names) == {"kick", "snare"}
    kicks, names = model.sample_with_labels(5, seed=1, label="kick")
    snares = model.sample(5, seed=1, label="snare")
    assert names == ["kick"] * 5 and not np.allclose(kicks, snares, atol=1e-4)


def test_truncation_makes_sounds_more_alike(model: audiogan.Generator) -> None:
    def spread(truncation: float) -> float:
        return float(model.sample(8, seed=1, label="kick", truncation=truncation).std(axis=0).mean())

    assert spread(0.01) < 0.1 * spread(1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "seed="),
        ({"truncation": 0}, "truncation=0"),
        ({"truncation": float("nan")}, "truncation=nan"),
        ({"truncation": float("inf")}, "truncation=inf"),
        ({"label": "gong"}, "'gong'.*kick, snare"),
    ],
)
def test_bad_wishes_are_one_line(model: audiogan.Generator, options: dict[str, Any], words: str) -> None:
    with pytest.raises(audiogan.UserError, match=words) as caught:
        model.sample(**options)
    assert "\n" not in str(caught.value)


def test_the_averaged_weights_are_used(model: audiogan.Generator, tiny_run: Path) -> None:
    state = load_state(newest(tiny_run))
    average = state["trainer"]["callbacks"]["ema"]["nets"]
    mine = dict(model.game.nets["generator"].named_parameters())
    assert all(torch.equal(average[f"generator.{name}"], weight) for name, weight in mine.items())
    state["trainer"]["callbacks"] = {}
    raw = from_checkpoint(state, newest(tiny_run))
    assert not np.allclose(raw.sample(1, seed=1), model.sample(1, seed=1), atol=1e-4)


def test_a_model_without_classes_has_no_labels(tiny_run: Path, tiny_sounds: Path, tmp_path: Path) -> None:
    from tiny import TINY

    from audiogan.run.config import compose
    from audiogan.run.training import train

    overrides = [*TINY, f"data.root={tiny_sounds}", "trainer.steps=1", f"run_dir={tmp_path}", "classes=0"]
    train(compose("drums", [*overrides, "callbacks.previews=null"]), progress=False, echo=lambda line: None)
    plain = audiogan.load(tmp_path)
    assert plain.labels == [] and plain.sample_with_labels(2, seed=1)[1] == ["", ""]
    with pytest.raises(audiogan.UserError, match="without classes"):
        plain.sample(label="kick")


def test_wav_round_trip(model: audiogan.Generator, tmp_path: Path) -> None:
    wave = model.sample(1, seed=2)[0]
    for subtype, error in (("PCM_16", 1 / 32768), ("FLOAT", 0)):
        path = tmp_path / "new folder" / f"{subtype}.wav"
        save_wav(path, wave, model.sample_rate, subtype=subtype)
        back, rate = load_wav(path)
        assert rate == 16000 and back.shape == (1, 2048) and np.abs(back - wave).max() <= error
        assert soundfile.info(path).subtype == subtype


class Touch:
    """Object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def hostile_files(folder: Path, flag: Path, genuine: Path) -> dict[str, Path]:
    files = {name: folder / f"{name}.ckpt" for name in ("pickle", "zip", "cut", "empty", "text")}
    files["pickle"].write_bytes(pickle.dumps(Touch(flag)))
    torch.save({"trainer": Touch(flag)}, files["zip"])
    files["cut"].write_bytes(genuine.read_bytes()[:5000])
    files["empty"].touch()
    files["text"].write_text("trainer: !!python/object/apply:os.system ['true']\n")
    return files | {"folder": folder, "nowhere": folder / "nowhere"}


@pytest.mark.parametrize("kind", ["pickle", "zip", "cut", "empty", "text", "folder", "nowhere"])
def test_foreign_files_run_nothing(
    kind: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = tmp_path / "flag"
    path = hostile_files(tmp_path, flag, newest(tiny_run))[kind]
    refused(path, tmp_path, capsys)
    assert not flag.exists()


def refused(path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the single line that the command prints for `path`."""
    for command in (["sample", "-n", "1", "--run", str(path), str(folder / "out")], ["evaluate", str(path)]):
        assert main(command) == 2
        error = capsys.readouterr().err.strip()
        assert str(path) in error and len(error.splitlines()) == 1 and len(error) < 1000, error
    assert not (folder / "out").exists()
    return error


def put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(state: dict[str, Any]) -> None:
        *path, last = key.split(".")
        for name in path:
            state = state[name]
        state[last] = value

    return change


def hostile_states(flag: Path) -> dict[str, Callable[[dict[str, Any]], None]]:
    mkdir = {"_target_": "os.mkdir", "path": str(flag)}
    text = f"{{_target_:os.mkdir,path:{flag}}}"
    return {
        "os": put("config.game.augment", mkdir),
        "data": put("config.data", mkdir),
        "in a tuple": put("config.game.penalties", (mkdir,)),
        "interpolated": put("config.game.augment", f"${{oc.create:{text}}}"),
        "interpolated when built": put("config.game.augment", f"\\${{oc.create:{text}}}"),
        "interpolated twice": put("config.game.augment", f"\\\\\\${{oc.create:{text}}}"),
        "environment": put("config.representation.power", "${oc.env:HOME}"),
        "a function of ours": put("config.game.augment", {"_target_": "audiogan.core.save_state", "path": str(flag)}),
        "another game": put("config.game", {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}),
        "no game": put("config.game", None),
        "a text": put("config", "text"),
        "no facts": put("config.facts", {}),
        "too few labels": put("config.facts.inputs.classes.labels", ["kick"]),
        "labels of another kind": put("config.facts.labels", [1, 2]),
        "a rate of 0": put("config.facts.modality.sample_rate", 0),
        "terabytes": put(
            "config.game.critic", {"_target_": "torch.nn.Linear", "in_features": 10**7, "out_features": 10**7}
        ),
        "no weights": put("trainer.game", {}),
        "a list": put("trainer", [1]),
        "a step of text": put("trainer.step", "x"),
    }


@pytest.mark.parametrize("kind", hostile_states(Path()))
def test_hostile_checkpoints_run_nothing(
    kind: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, path = tmp_path / "flag", tmp_path / "hostile.ckpt"
    state = load_state(newest(tiny_run))
    hostile_states(flag)[kind](state)
    save_state(path, state)
    if kind == "data":  # Sampling needs no data.
        assert main(["evaluate", str(path)]) == 2
        assert "os.mkdir" in capsys.readouterr().err
    else:
        refused(path, tmp_path, capsys)
    assert not flag.exists()


def test_labels_cannot_lead_out_of_the_folder(tiny_run: Path, tmp_path: Path) -> None:
    state = load_state(newest(tiny_run))
    state["config"]["facts"]["labels"] = ["../../escaped", f"{tmp_path}/escaped"]
    save_state(tmp_path / "hostile.ckpt", state)
    out = tmp_path / "a/b/out"
    assert main(["sample", "-n", "4", "--seed", "1", "--run", str(tmp_path / "hostile.ckpt"), str(out)]) == 0
    assert len(list(out.glob("*.wav"))) == 4
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == {tmp_path / "hostile.ckpt", *out.iterdir()}


def test_weights_that_are_no_numbers_are_one_line(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = load_state(newest(tiny_run))
    for weight in state["trainer"]["callbacks"]["ema"]["nets"].values():
        weight.fill_(float("nan")) if weight.is_floating_point() else None
    save_state(tmp_path / "nan.ckpt", state)
    assert "finite" in refused(tmp_path / "nan.ckpt", tmp_path, capsys)


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    (run / "checkpoints/step-00000005.ckpt").write_bytes(newest(run).read_bytes()[:-9])
    with pytest.warns(UserWarning, match="step-00000005"):
        assert audiogan.load(run).step == 4
