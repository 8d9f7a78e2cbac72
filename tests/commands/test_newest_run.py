"""Tests of commands without --run: the run that they choose, and the line that they print about it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import audiogan.model.loading
from audiogan.commands.newest import load_morph_model, load_sound_model
from audiogan.commands.studio import _chosen

SOUND = "{_target_: audiogan.modalities.Sound, sample_rate: 16000}"
IMAGE = "{_target_: audiogan.modalities.Image}"
POINTS = "{_target_: audiogan.modalities.Points}"


def _run(name: str, age: int, modality: str, labels: str = "[]") -> None:
    """Create a folder that looks like a run folder."""
    folder = Path("runs") / name / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "step-00000001.ckpt").write_text("")
    os.utime(folder / "step-00000001.ckpt", (10**9 - age, 10**9 - age))
    facts = f"facts: {{modality: {modality}, labels: {labels}, classes: {labels.count(',') + (labels != '[]')}}}\n"
    (folder.parent / "config.yaml").write_text(facts)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of names with which `load` is called, in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    names: list[str] = []
    monkeypatch.setattr(audiogan.model.loading, "load", lambda run: names.append(Path(run).stem))
    return names


def test_the_newest_run_of_sounds_is_taken_and_named(loaded: list[str]) -> None:
    said: list[str] = []
    load_sound_model(None, said.append)
    assert loaded == ["drums"] and said[0].startswith("model: drums, shipped with audiogan: no run below runs/")
    _run("points", 0, POINTS)
    load_sound_model(None, said.append)
    assert loaded[1:] == ["drums"] and "no run of sounds below runs/" in said[1]
    _run("older", 3, SOUND)
    _run("newer", 2, SOUND)
    _run("images", 1, IMAGE)
    load_sound_model(None, said.append)
    assert loaded[2:] == ["newer"] and "newer, the newest run of sounds" in said[2] and len(said) == 3
    load_sound_model("digits", said.append)
    assert loaded[3:] == ["digits"] and len(said) == 3


@pytest.mark.parametrize(
    ("ends", "taken"),
    [
        (("1", "2"), "images"),
        (("kick-1", "snare-2"), "classes"),
        (("cat-1", "dog-2"), "images"),
        (("kick-1", "dog-2"), "drums"),
        (("a.wav", "7"), "sounds"),
        (("a.png", "7"), "images"),
        (("a.WAV", "kick-2"), "classes"),
    ],
)
def test_a_morph_takes_a_run_that_knows_both_ends(loaded: list[str], ends: tuple[str, str], taken: str) -> None:
    _run("points", 0, POINTS)
    _run("images", 1, IMAGE, "[cat, dog]")
    _run("sounds", 2, SOUND)
    _run("classes", 3, SOUND, "[kick, snare]")
    said: list[str] = []
    load_morph_model(None, ends, said.append)
    assert loaded == [taken] and len(said) == 1 and taken in said[0]


def test_the_studio_plays_a_run_of_sounds_and_else_watches_the_newest(
    loaded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _run("points", 0, POINTS)
    assert _chosen(None)[1] == Path("runs/points") and loaded == ["drums"]
    _run("sounds", 1, SOUND)
    assert _chosen(None)[1] is None and loaded == ["drums", "sounds"]
    assert "runs/sounds, the newest run of sounds" in capsys.readouterr().out
