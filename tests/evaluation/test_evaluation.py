"""Tests of `audiogan evaluate`: table, JSON file, section of the report, and errors."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from audiogan.cli import main
from audiogan.data.toys.drum_machine import render
from audiogan.errors import UserError
from audiogan.evaluation.evaluate import evaluate_run
from audiogan.metrics import Report
from audiogan.modalities.wav import save_wav
from audiogan.model.generator import Generator
from audiogan.model.loading import load
from audiogan.model.recipe import Recipe


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use classifiers that are trained in a second."""
    from audiogan.metrics import ClassifierRecipe, augmentation_gain, classifier, gain, train_classifier

    recipe = ClassifierRecipe(widths=(8, 16), features=32, examples=3000)
    monkeypatch.setattr(classifier, "train_classifier", partial(train_classifier, recipe=recipe))
    short = ClassifierRecipe(widths=(8, 16), features=32, examples=320, least=10)
    monkeypatch.setattr(gain, "augmentation_gain", partial(augmentation_gain, recipe=short, num_seeds=2))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 45 sounds without classes that are not training data."""
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


def test_a_model_in_the_box_with_a_voice_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(220):
        wave = render(("tom", "clap")[i % 2], sample_rate=16000, length=2048, rng=np.random.default_rng([7, i]))
        save_wav(tmp_path / f"{i}.wav", wave, 16000)
    assert main(["evaluate", "digits", "--data", str(tmp_path), "-n", "20"]) == 0
    assert "frechet/" in capsys.readouterr().out


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


def trained(folder: Path, name: str, *overrides: str) -> Path:
    """Return the folder of a run of two training steps."""
    from audiogan.run import config
    from audiogan.run.training import train

    common = ("trainer.steps=2", "batch_size=8", "engine.threads=1", "callbacks.previews.count=4")
    cfg = config.compose(name, [*common, f"run_dir={folder / name}", *overrides])
    train(cfg, progress=False, echo=lambda line: None)
    return folder / name


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(
        tmp_path_factory.mktemp("digits"), "handwriting", "data.root=digits", "network=mlp", "widths=[16,16]"
    )


def by_metric(report: Report) -> dict[str, str]:
    """Return the full name of each metric that uses a classifier of the labels, by metric."""
    return {name.split("/")[0]: name for name in report.values if "/cnn32-" in name}


def test_images_with_labels_are_judged_by_a_classifier_of_them(digits_run: Path) -> None:
    said: list[str] = []
    report = evaluate_run(str(digits_run), count=60, echo=said.append)
    names = by_metric(report)
    assert {"inception", "frechet", "kernel", "precision_capped", "recall_capped", "agreement"} <= set(names)
    assert "60 generated against 60 real images" in said[0] and any("classifier of 10 classes" in line for line in said)
    agreement = names["agreement"]
    assert agreement.endswith("@60") and report.floor[agreement] > 0.9 and report.values[agreement] < 0.5
    assert report.floor[names["inception"]] > 6 and set(report.details[agreement]) <= {str(i) for i in range(10)}
    assert any(name.startswith("frechet/pixels") for name in report.values)
    stored = json.loads((digits_run / "evaluation.json").read_text())
    assert stored["values"] == report.values and stored["details"] == report.details
    assert agreement in (digits_run / "report.html").read_text()
    assert evaluate_run(str(digits_run), count=60, echo=said.append) == report


def test_classes_have_the_shares_of_the_training_data(digits_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def rendered(self: Generator, recipes: list[Recipe]) -> np.ndarray:
        asked.extend(recipe.label for recipe in recipes)
        return render_recipes(self, recipes)

    render_recipes = Generator.render
    monkeypatch.setattr(Generator, "render", rendered)
    evaluate_run(str(digits_run), count=60, seed=3, classifier=False, echo=lambda line: None)
    generator = load(str(digits_run))
    counts = generator.game.inputs["classes"].counts
    for label, share in zip(generator.labels, counts / counts.sum(), strict=True):
        assert abs(asked.count(label) - 60 * share) < 1
    assert len(asked) == 60


def test_a_classifier_is_trained_only_where_it_is_wanted(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audiogan.metrics import classifier

    def fit(*args: object, **settings: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr(classifier, "fit", fit)
    monkeypatch.setenv("AUDIOGAN_CACHE", str(tmp_path))
    report = evaluate_run(str(digits_run), count=40, classifier=False, echo=lambda line: None)
    assert report.values and all("/pixels" in name or "sharpness@" in name for name in report.values)
    with pytest.raises(AssertionError, match="trained"):
        evaluate_run(str(digits_run), count=40, echo=lambda line: None)


def test_what_samples_and_critic_are_good_for(digits_run: Path) -> None:
    report = evaluate_run(str(digits_run), count=40, classifier=False, gain=True, transfer=True, echo=lambda line: None)
    values = {name.partition("@")[0]: value for name, value in report.values.items()}
    transfer = {name: value for name, value in values.items() if name.startswith("transfer/")}
    assert list(transfer) == ["transfer/critic", "transfer/untrained-critic", "transfer/picture"]
    assert min(transfer.values()) > 0.5
    gains = [name for name in report.values if name.startswith("gain/")]
    assert len(gains) == 2 and gains[0].endswith("+1618x2") and all(-1 < report.values[name] < 1 for name in gains)


def test_an_extractor_of_the_users_own(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_mine.py").write_text("import torch\nnet = torch.nn.Flatten()\n")
    monkeypatch.chdir(tmp_path)
    report = evaluate_run(str(digits_run), count=40, classifier=False, extractor="of_mine:net", echo=lambda line: None)
    assert sum("/of_mine.net-" in name for name in report.values) == 9
    with pytest.raises(UserError, match="--extractor of_mine:gone"):
        evaluate_run(str(digits_run), count=40, extractor="of_mine:gone")


def test_modes_of_stacked_digits_are_counted(tmp_path: Path) -> None:
    small = ["data=stacked-digits", "data.root=digits", "data.count=300", "widths=[8,8]", "group_channels=4"]
    report = evaluate_run(str(trained(tmp_path, "r3gan", *small)), count=20, echo=lambda line: None)
    (name,) = (name for name in report.values if name.startswith("modes/"))
    assert name.endswith("@512") and 100 < report.floor[name] <= 512 and 1 <= report.values[name] <= 512
    assert report.better[name] == "higher" and report.better[name.replace("modes/", "kl/")] == "lower"


def test_points_are_asked_for_their_modes(tmp_path: Path) -> None:
    run = trained(tmp_path, "points", "data.count=400", "widths=[16,16]")
    report = evaluate_run(str(run), count=40, echo=lambda line: None)
    assert report.counts["real"] == 40 and report.floor["share_at_modes/3sigma@40"] > 0.9
    assert report.values["modes/3sigma@40"] < report.floor["modes/3sigma@40"] <= 25
    assert any(name.startswith("frechet/coordinates2@") for name in report.values)
    for wanted in ({"gain": True}, {"transfer": True}):
        with pytest.raises(UserError, match="labelled training data and held-out data"):
            evaluate_run(str(run), count=40, echo=lambda line: None, **wanted)


def test_a_critic_that_classifies_is_asked_to(tmp_path: Path) -> None:
    run = trained(tmp_path, "semi-supervised", "data.root=digits", "width=8", "game.critic.widths=[16]")
    report = evaluate_run(str(run), count=40, classifier=False, echo=lambda line: None)
    assert 0 <= report.values["accuracy/critic@179"] < 0.6
    with pytest.raises(UserError, match="is unconditional"):
        evaluate_run(str(run), count=40, classifier=False, gain=True, echo=lambda line: None)


def test_samples_are_drawn_beside_real_ones(
    tiny_run: Path, others: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    sheet = tmp_path / "new/sheet.png"
    command = ["evaluate", str(run), "--data", str(others), "-n", "25", "--no-classifier", "--sheet"]
    assert main([*command, str(sheet)]) == 0
    with Image.open(sheet) as image:
        wide, high = image.size
    assert wide > 500 and high > 500
    (tmp_path / "file").write_text("")
    assert main([*command, str(tmp_path / "file/sheet.png")]) == 2
    assert "file" in capsys.readouterr().err


def test_each_class_has_its_own_examples_beside_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import audiogan
    from audiogan.data.sounds.folder import open_audio_folder
    from audiogan.evaluation.side_by_side import side_by_side
    from audiogan.modalities import Sound

    for name in ("kick", "snare", "cowbell"):
        for i in range(3):
            wave = np.random.default_rng([len(name), i]).uniform(-1, 1, (1, 16384))
            wave *= {"kick": 0.1, "snare": 0.2, "cowbell": 0.3}[name] / np.abs(wave).max()
            save_wav(tmp_path / f"data/{name}/{i}.wav", wave.astype(np.float32), 16000)
    data = open_audio_folder(tmp_path / "data", normalize="none", cache=tmp_path / "cache", progress=False)
    seen: dict[str, tuple[np.ndarray, list[str]]] = {}
    monkeypatch.setattr(Sound, "sheet", lambda self, path, x, titles: seen.update({str(path): (x, titles)}))
    drums = audiogan.load("drums")
    side_by_side(tmp_path / "a.png", drums, data, seed=5)
    x, titles = seen[str(tmp_path / "a.png")]
    assert titles == ["kick real", "kick real", "kick", "kick", "snare real", "snare real", "snare", "snare"]
    assert np.abs(x[[0, 1, 4, 5]]).max((1, 2)) == pytest.approx([0.1, 0.1, 0.2, 0.2], abs=1e-3)
    assert np.array_equal(x[6:], drums.sample(2, seed=5, label="snare"))
    with pytest.raises(UserError, match="none of them"):
        side_by_side(tmp_path / "b.png", drums, data.take(np.flatnonzero(data.targets == data.labels.index("cowbell"))))
    unlabelled = open_audio_folder(
        tmp_path / "data", labels="none", normalize="none", cache=tmp_path / "cache", progress=False
    )
    side_by_side(tmp_path / "c.png", drums, unlabelled)
    assert seen[str(tmp_path / "c.png")][1] == ["real"] * 9 + ["generated"] * 9
