"""Tests of morphs in a folder: files of an earlier morph are replaced, and files of the user are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from room import room
from stub_generator import Stub

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.modalities.image import Image
from audiogan.modalities.points import Points
from audiogan.modalities.wav import save_wav
from audiogan.model.morphing import write_morph
from audiogan.model.sampling import read_recipe, write_samples


def morph(out: Path, start: str = "kick-3", end: str = "snare-8", steps: int = 9, stub: Any = None) -> list[Any]:
    return write_morph(stub or Stub(), out, start, end, steps, echo=lambda line: None)


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def names(steps: int) -> set[str]:
    return {f"morph-{i + 1:0{len(str(steps))}}.wav" for i in range(steps)} | {"morph.wav", "contact-sheet.png"}


@pytest.mark.parametrize("steps", [2, 3, 9, 12, 100])
def test_the_steps_of_an_earlier_morph_go(steps: int, tmp_path: Path) -> None:
    morph(tmp_path, steps=11)
    recipes = morph(tmp_path, "tom-1", "ride-2", steps)
    assert {path.name for path in tmp_path.iterdir()} == names(steps)
    assert [read_recipe(path) for path in sorted(tmp_path.glob("morph-*"))] == recipes


def test_sounds_give_way_to_images(tmp_path: Path) -> None:
    morph(tmp_path)
    morph(tmp_path, steps=2, stub=Stub(modality=Image()))
    assert {path.name for path in tmp_path.iterdir()} == {"morph-1.png", "morph-2.png", "contact-sheet.png"}


@pytest.mark.parametrize("name", ["morph-2.wav", "morph-12.wav", "morph-07.png", "morph.wav", "contact-sheet.png"])
@pytest.mark.parametrize("earlier", [False, True])
def test_files_of_the_persons_own_are_named_and_kept(name: str, earlier: bool, tmp_path: Path) -> None:
    if earlier:
        morph(tmp_path)
        if name == "morph.wav":
            pytest.skip("it is of the morph")
    save_wav(tmp_path / "own.wav", np.full(100, 0.5), 8000)
    (tmp_path / "own.wav").rename(tmp_path / name)
    before, stub = contents(tmp_path), Stub()
    with pytest.raises(UserError, match=rf"{name}: "):
        morph(tmp_path, steps=3, stub=stub)
    assert contents(tmp_path) == before and not stub.rendered


def test_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("name,bpm\n")
    (tmp_path / "morph-notes.wav").write_text("mine")
    (tmp_path / "morph-1.txt").write_text("mine")
    morph(tmp_path), morph(tmp_path, steps=2)
    assert {path.name for path in tmp_path.iterdir()} == names(2) | {"samples.csv", "morph-notes.wav", "morph-1.txt"}


def test_a_sample_of_a_class_called_morph_is_no_step(tmp_path: Path) -> None:
    write_samples(Stub(["morph"]), tmp_path, 1, seed=7, echo=lambda line: None)  # type: ignore[arg-type]
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"morph-7\.wav: a sample"):
        morph(tmp_path)
    assert contents(tmp_path) == before


def test_a_full_disk_leaves_the_earlier_morph_whole(tmp_path: Path) -> None:
    morph(tmp_path / "out")
    before = contents(tmp_path / "out")
    for out in ("out", "new"):
        with room(400), pytest.raises(UserError, match=rf"^{tmp_path}/{out}/[\w.-]+: cannot be written"):
            morph(tmp_path / out, "tom-1", "ride-2", 3)
    assert contents(tmp_path / "out") == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_model_may_be_named_by_another_path(tmp_path: Path) -> None:
    (file,) = write_samples(
        Stub(name="runs/a/step-1.ckpt"), tmp_path, 1, seed=2, echo=lambda line: None  # type: ignore[arg-type]
    )  # fmt: skip
    recipes = morph(tmp_path / "out", str(file), "snare-8", 2, Stub(name="../a/step-1.ckpt"))
    assert {recipe.model for recipe in recipes} == {"../a/step-1.ckpt"}
    with pytest.raises(UserError, match="different models"):
        morph(tmp_path / "out", str(file), "snare-8", 2, Stub(name="other"))


def test_wrong_wishes_leave_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for start, steps, words in [
        ("kick", 9, "CLASS-SEED"),
        ("kick-" + "9" * 5000, 9, "CLASS-SEED"),
        ("nope.wav", 9, "no such file"),
        ("3", 1, "steps=1"),
        ("3", 10**9, "steps=1000000000"),
    ]:
        with pytest.raises(UserError, match=words):
            morph(out, start, "snare-8", steps)
    with pytest.raises(UserError, match="points cannot be morphed"):
        morph(out, stub=Stub(modality=Points()))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="not a folder"):
        morph(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["morph", str(tmp_path / "out"), "--run", "drums", "--from", "kick-3", "--to", "snare-8"]
    assert main([*base, "--steps", "3"]) == 0 and {p.name for p in (tmp_path / "out").iterdir()} == names(3)
    assert main([*base, "--steps", "x"]) == 2 and "--steps 'x': write a whole number" in capsys.readouterr().err
