"""Tests of folders of kits: files of the user are kept, a kit finds its model, and impossible classes are refused."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from test_kit_commands import run

import audiogan
from audiogan import Generator, UserError
from audiogan.kits import Kit, make_kit
from audiogan.model.bundle import save_bundle

KIT = ("kit", "k", "--run", "drums", "--seed", 1, "--pads", 2)


@pytest.mark.parametrize("name", ["contact-sheet.png", "k.sfz", "samples/036-kick.wav", "kit.json"])
def test_files_of_the_user_are_not_replaced(here: Path, name: str) -> None:
    mine = here / "k" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match=f"contains another {name}"):
        run(*KIT)
    assert [path for path in here.rglob("*") if path.is_file()] == [mine] and mine.read_text() == "mine"


@pytest.mark.parametrize(
    ("format", "name"), [("wav", "map.csv"), ("decent", "k.dspreset"), ("hydrogen", "k.h2drumkit"), ("sfz", "k.sfz")]
)
def test_nor_beside_the_same_kit(here: Path, format: str, name: str) -> None:
    run(*KIT)
    (here / "k" / name).write_text("mine")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=f"contains another {name}"):
        run(*KIT, "--format", format)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_the_same_kit_again_and_in_all_formats(here: Path) -> None:
    for _ in range(2):
        for format in ("sfz", "decent", "hydrogen", "wav"):
            assert run(*KIT, "--format", format) == 0


@pytest.fixture(scope="module")
def model(drums: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that is not shipped."""
    return save_bundle(tmp_path_factory.mktemp("models") / "mine.audiogan", drums)


@pytest.fixture
def made(here: Path, model: Path) -> Path:
    """Make a kit in a folder next to the file of its model, with relative paths. Then change the working folder."""
    (here / "run").mkdir()
    shutil.copy(model, here / "run" / "m.audiogan")
    run("kit", "k", "--run", "run/m.audiogan", "--seed", 1, "--pads", 1)
    (here / "else").mkdir()
    os.chdir(here / "else")
    return here / "k"


@pytest.mark.parametrize("name", ["../k/kit.json", "../k"])
def test_a_kit_finds_its_model_wherever_one_stands(made: Path, name: str) -> None:
    assert run("kit", "again", "--from", name) == 0
    again = made.parent / "else" / "again"
    first, second = (Kit.from_json((folder / "kit.json").read_bytes()) for folder in (made, again))
    assert first == second
    wav = "samples/036-kick.wav"
    assert (made / wav).read_bytes() == (again / wav).read_bytes()


def test_never_the_model_of_another_folder(made: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the same name is in the working folder. It is not a model, so loading it would fail."""
    (here / "else" / "run").mkdir()
    (here / "else" / "run" / "m.audiogan").write_text("other")
    assert run("kit", "again", "--from", "../k") == 0


@pytest.mark.parametrize("how", ["together", "kit", "beside"])
def test_models_and_kits_that_moved(made: Path, here: Path, how: str) -> None:
    (here / "moved").mkdir()
    shutil.move(made, here / "moved" / "k")
    if how == "together":
        shutil.move(here / "run", here / "moved" / "run")
    elif how == "beside":
        shutil.move(here / "run" / "m.audiogan", here / "moved" / "k" / "m.audiogan")
    assert run("kit", "again", "--from", here / "moved" / "k") == 0
    for path in here.rglob("m.audiogan"):
        path.unlink()
    with pytest.raises(UserError, match=r"m\.audiogan' was not found; give it with --run"):
        run("kit", "again2", "--from", here / "moved" / "k")


def test_kits_of_earlier_versions_name_their_model_as_it_was_typed(here: Path, model: Path, drums: Generator) -> None:
    shutil.copy(model, here / "m.audiogan")
    kit = make_kit(audiogan.load("m.audiogan"), 1, seed=1)
    (here / "old").mkdir()
    (here / "old" / "kit.json").write_text(kit.to_json())
    assert run("kit", "again", "--from", "old") == 0


@pytest.mark.parametrize(
    "places",
    [
        ["/dev/zero", "../secret.txt", "//host/share/m.ckpt", "\\\\host\\m.ckpt"],
        ["x" * 5000 + ".ckpt", "a\0.ckpt"],
        "a",
        7,
        [1, None, {}],
        ["../fifo.ckpt"],
        ["../secret.ckpt/"],
        {"a": "b"},
    ],
)
def test_a_strangers_places_open_nothing_but_models(here: Path, kit: Kit, places: object) -> None:
    (here / "k").mkdir()
    os.mkfifo(here / "fifo.ckpt")
    (here / "secret.ckpt").mkdir()
    content = {**json.loads(Kit(kit.pads, "gone.ckpt").to_json()), "model_files": places}
    (here / "k" / "kit.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="was not found; give it with --run"):
        run("kit", "out", "--from", "k")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.zip", "cannot be read"),
        ("other.zip", "has no kit.json"),
        ("cut.zip", "damaged ZIP"),
        ("k.h2drumkit", "unpack it"),
        ("empty", "has no kit"),
    ],
)
def test_other_things_given_as_a_kit(here: Path, name: str, says: str) -> None:
    (here / "empty").mkdir()
    with zipfile.ZipFile(here / "other.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    (here / "cut.zip").write_bytes((here / "other.zip").read_bytes()[:-30])
    with pytest.raises(UserError, match=says):
        run("kit", "out", "--from", name)


def test_a_kit_in_an_archive(here: Path) -> None:
    run(*KIT)
    with zipfile.ZipFile(here / "k.zip", "w") as archive:
        for file in sorted((here / "k").rglob("*")):
            archive.write(file, Path("mine") / file.relative_to(here / "k"))
    run("kit", "out", "--from", "k.zip")
    assert Kit.from_json((here / "out/kit.json").read_text()) == Kit.from_json((here / "k/kit.json").read_text())


def test_a_file_of_the_kit_given_as_the_kit(here: Path) -> None:
    run(*KIT)
    with pytest.raises(UserError, match=r"give the kit\.json next to it"):
        run("kit", "out", "--from", "k/k.sfz")


def test_empty_names_of_classes_are_skipped(here: Path) -> None:
    run("kit", "k", "--run", "drums", "--seed", 1, "--pads", 2, "--class", "kick, ,")
    assert {pad.layers[0].label for pad in Kit.from_json((here / "k/kit.json").read_text()).pads} == {"kick"}
    for text in ("", ",", " , "):
        with pytest.raises(UserError, match="no class named"):
            run("kit", "out", "--run", "drums", "--class", text)


def test_more_classes_than_pads_are_refused(here: Path, drums: Generator) -> None:
    with pytest.raises(UserError, match="pads=2: too few for the 4 classes kick, snare, tom, ride"):
        run("kit", "out", "--run", "drums", "--pads", 2, "--class", "kick,snare,tom,ride,kick")
    assert not (here / "out").exists()
    assert len(make_kit(drums, 2, seed=1, labels=["kick", "snare", "kick"]).pads) == 2
    assert len(make_kit(drums, 2, seed=1).pads) == 2  # Of the ten classes, a kit of two pads uses the first two.
    with pytest.raises(UserError, match="one of the names is empty"):
        make_kit(drums, 2, seed=1, labels=["kick", ""])
