"""Tests of bundles: the same sounds as the run, names, and errors for damaged files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import audiogan
from audiogan.cli import main
from audiogan.model.bundle import save_bundle
from audiogan.run.model_files import ABOUT, CARD, WEIGHTS, read_bundle, shipped_models


@pytest.fixture(scope="module")
def bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(tmp_path_factory.mktemp("models") / "tiny.audiogan", audiogan.load(tiny_run), "# Tiny\n")


def test_a_model_sounds_as_its_run(bundle: Path, tiny_run: Path) -> None:
    run, model = audiogan.load(tiny_run), audiogan.load(bundle)
    assert (model.labels, model.step, model.shape, model.sample_rate) == (run.labels, run.step, run.shape, 16000)
    assert model.card == "# Tiny\n" and run.card == ""
    wanted, found = run.sample(8, seed=3, label="kick"), model.sample(8, seed=3, label="kick")
    assert np.square(found - wanted).mean() < 1e-4 * np.square(wanted).mean()
    drawn = model.sample_with_labels(40, seed=0)[1]
    assert drawn == run.sample_with_labels(40, seed=0)[1]  # Classes have the same frequencies.


def test_a_model_holds_no_word_of_where_it_was_made(bundle: Path, tiny_sounds: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        about = archive.read(ABOUT).decode()
    assert str(tiny_sounds.parent) not in about
    assert "critic" not in json.loads(about)["config"]["game"]


def test_the_same_model_makes_the_same_bytes(bundle: Path, tmp_path: Path) -> None:
    again = save_bundle(tmp_path / "again.audiogan", audiogan.load(bundle), "# Tiny\n")
    assert again.read_bytes() == bundle.read_bytes()


def rewritten(bundle: Path, out: Path, changes: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(out, "w") as new:
        for name in (WEIGHTS, ABOUT, CARD):
            new.writestr(name, changes.get(name, old.read(name)))
    return out


def test_damaged_and_foreign_files_say_so(bundle: Path, tmp_path: Path) -> None:
    about, _, _ = read_bundle(bundle)
    with zipfile.ZipFile(bundle) as archive:
        weights = archive.read(WEIGHTS)
    flipped = weights[:-1] + bytes([weights[-1] ^ 1])
    later = json.dumps({**about, "format": 99}).encode()
    evil = json.loads(json.dumps(about))
    evil["config"]["game"]["generator"]["_target_"] = "os.system"
    cases = {
        "checksum": rewritten(bundle, tmp_path / "a.audiogan", {WEIGHTS: flipped}),
        "format 99": rewritten(bundle, tmp_path / "b.audiogan", {ABOUT: later}),
        "os.system": rewritten(bundle, tmp_path / "c.audiogan", {ABOUT: json.dumps(evil).encode()}),
        "damaged": rewritten(bundle, tmp_path / "d.audiogan", {ABOUT: b"[1"}),
        "not a bundle": tmp_path / "e.audiogan",
    }
    cases["not a bundle"].write_bytes(b"RIFF")
    for words, path in cases.items():
        with pytest.raises(audiogan.UserError, match=words) as caught:
            audiogan.load(path)
        assert path.name in str(caught.value)


def test_export_from_the_command_line(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("card.md").write_text("# Mine\n")
    assert main(["export", str(tiny_run), "mine.audiogan", "--card", "card.md"]) == 0
    assert main(["sample", "-n", "2", "--seed", "1", "--run", "mine.audiogan", "out"]) == 0
    assert len(list(Path("out").glob("*.wav"))) == 2 and audiogan.load("mine.audiogan").card == "# Mine\n"
    capsys.readouterr()
    assert main(["export", str(tiny_run), "mine.zip"]) == 2 and "mine.zip" in capsys.readouterr().err
    assert main(["export", str(tiny_run), "no.audiogan", "--card", "none.md"]) == 2
    assert main(["evaluate", "mine.audiogan"]) == 2 and "--data" in capsys.readouterr().err
    assert not Path("no.audiogan").exists()


@pytest.mark.parametrize("name", sorted(shipped_models()))
def test_shipped_models(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = audiogan.load(name)
    assert model.name == name and model.checkpoint.stat().st_size <= 8e6
    assert model.card == model.checkpoint.with_suffix(".md").read_text(encoding="utf-8")
    for part in ("## Data", "## Licence", "## Limits", "## Measured"):
        assert part in model.card
    if "text" in model.inputs:
        waves = model.sample(2, seed=0, inputs={"text": "One, two."})
        assert np.isfinite(waves).all() and 0.1 < np.abs(waves).max() <= 1
        return
    if model.game.required_inputs:  # type: ignore[attr-defined]
        x = 0.1 * np.random.default_rng(0).standard_normal((1, 8000)).astype(np.float32)
        assert model.apply(x).shape == x.shape and np.isfinite(model.apply(x)).all()
        return
    waves, labels = model.sample_with_labels(32, seed=0)
    assert np.isfinite(waves).all() and np.abs(waves).max() <= 1 and np.abs(waves.mean(axis=2)).max() < 0.005
    assert len(set(labels)) > 4 and np.abs(waves).max(axis=2).min() > 0.1
    Path(name).mkdir()  # A folder of this name that is not a run does not hide the shipped model.
    assert audiogan.load(name).name == name
    assert main(["list", "models"]) == 0 and name in capsys.readouterr().out


@pytest.mark.skipif("drums" not in shipped_models(), reason="no drum model ships")
def test_without_a_run_the_shipped_drums_are_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "-n", "3", "--seed", "4", "--class", "kick", "--knob", "decay=0.9", "out"]) == 0
    assert len(list(Path("out").glob("kick-*.wav"))) == 3
    assert str(Path(audiogan.__file__).parent) not in Path("out/samples.csv").read_text()
