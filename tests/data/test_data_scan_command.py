"""Tests of ``audiogan data scan``: settings as in training, and folders of images."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image as Pillow

from audiogan.cli import main

Captured = pytest.CaptureFixture[str]


def burst(path: Path, seed: int, samples: int = 2048) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, samples), 16_000)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for i in range(20):
        burst(tmp_path / "sounds" / f"{i}.wav", i)
    burst(tmp_path / "sounds" / "long.wav", 99, 20_480)
    (tmp_path / "list.csv").write_text("file;class\n" + "".join(f"{i}.wav;{'ab'[i % 2]}\n" for i in range(20)))
    return tmp_path / "sounds"


def scan(capsys: Captured, *arguments: object, code: int = 0) -> str:
    assert main(["data", "scan", *map(str, arguments)]) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_settings_are_those_of_a_training(sounds: Path, capsys: Captured) -> None:
    said = scan(capsys, sounds, "data.length=2048", "data.long=slice", "data.holdout=0.2", "data.labels=none")
    assert "21 usable -> 30 clips of 0.13 s" in said and "no labels" in said
    assert "training: 26 of 30 clips" in said and "4 held out" in said
    assert "at 44,100 Hz" in scan(capsys, sounds, "--config", "drums-44k")


def test_flags_are_settings_with_another_name(sounds: Path, tmp_path: Path, capsys: Captured) -> None:
    flags = ("--length", 2048, "--long", "slice", "--labels", tmp_path / "list.csv", "--channels", 2, "--trim")
    settings = ("data.length=2048", "data.long=slice", f"data.labels={tmp_path}/list.csv", "data.channels=2")
    assert scan(capsys, sounds, *flags) in scan(capsys, sounds, *settings, "data.trim=true")


def test_arguments_may_stand_in_any_order(sounds: Path, tmp_path: Path, capsys: Captured) -> None:
    table = tmp_path / "t.csv"
    said = scan(capsys, sounds, "--csv", table, "data.length=2048", "--long", "slice", "data.labels=none")
    assert scan(capsys, "--long=slice", "--csv", table, sounds, "data.length=2048", "data.labels=none") == said
    with open(table, newline="") as file:
        assert {row["path"]: row["clips"] for row in csv.DictReader(file)}["long.wav"] == "10"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data.foo=1"], "data.foo"),
        (["+data.foo=1"], "data.foo: there is no such setting; there are sample_rate"),
        (["data.root=elsewhere"], "the folder sets it too"),
        (["--length", "100", "data.length=200"], "--length sets it too"),
        (["nonsense"], "write KEY=VALUE"),
        (["data.long=middle"], "data.long='middle'"),
        (["--long", "middle"], "data.long='middle'"),
        (["--config", "points"], "neither sounds nor images"),
        (["--config", "nowhere.yaml"], "no such file"),
        (["data.labels=nowhere.csv"], "nowhere.csv"),
        (["--links", "all"], "data.links='all'"),
    ],
)
def test_what_cannot_be_is_one_line(sounds: Path, arguments: list[str], words: str, capsys: Captured) -> None:
    said = scan(capsys, sounds, *arguments, code=2)
    assert words in said and len(said.splitlines()) == 1


def pictures(root: Path, count: int = 6) -> Path:
    for i in range(count):
        path = root / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.full((8, 8), 30 * i, np.uint8)).save(path)
    return root


def test_a_folder_of_images_is_known(tmp_path: Path, capsys: Captured) -> None:
    root = pictures(tmp_path / "images")
    said = scan(capsys, root, "--csv", tmp_path / "t.csv")
    assert "6 usable -> 6 images, 8x8 grey, 2 classes" in said and "a/0.png" in (tmp_path / "t.csv").read_text()
    assert "16x16" in scan(capsys, root, "data.size=16", "data.channels=3")
    assert "data.length" in scan(capsys, root, "--length", 100, code=2)


def test_a_folder_with_more_images_than_sounds(sounds: Path, capsys: Captured) -> None:
    burst(pictures(sounds.parent / "mixed") / "one.wav", 1)
    said = scan(capsys, sounds.parent / "mixed")
    assert "1 usable -> 1 clips" in said and "6 files are images; scan them with: audiogan data scan --images" in said
    assert "6 usable -> 6 images" in scan(capsys, "--images", sounds.parent / "mixed")
    assert main(["train", "drums", f"data.root={pictures(sounds.parent / 'only')}", f"run_dir={sounds.parent}/r"]) == 2
    assert "6 are images: train on them with audiogan train images" in capsys.readouterr().err


def test_what_else_a_training_takes(tmp_path: Path, capsys: Captured) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((4, 8, 8), np.uint8), y=np.array([0, 0, 1, 1]))
    assert "4 grey images of 8x8" in scan(capsys, tmp_path / "x.npz")
    assert "1,797 grey images" in scan(capsys, "digits")
    assert "not downloaded yet; run: audiogan data get drums" in scan(capsys, "drums", code=2)
    (tmp_path / "pack.zip").write_bytes(b"x")
    assert "unpack the archive" in scan(capsys, tmp_path / "pack.zip", code=2)
    assert "is not a folder" in scan(capsys, tmp_path / "x.npz", "--csv", tmp_path / "t.csv", code=2)


def test_the_table_replaces_only_an_older_table(sounds: Path, tmp_path: Path, capsys: Captured) -> None:
    own = tmp_path / "list.csv"
    before = own.read_bytes()
    assert str(own) in scan(capsys, sounds, "data.length=2048", "--csv", own, code=2)
    assert own.read_bytes() == before
    assert "a folder" in scan(capsys, sounds, "data.length=2048", "--csv", tmp_path, code=2)
    for _ in range(2):
        scan(capsys, sounds, "data.length=2048", "--csv", tmp_path / "new" / "table.csv")


def test_too_few_to_hold_any_out_is_said(sounds: Path, capsys: Captured) -> None:
    (sounds / "long.wav").unlink()
    few = scan(capsys, sounds, "data.length=2048", "data.holdout=0.25", "data.labels=none")
    assert "15 of 20 clips" in few and "5 held out" in few
    (sounds / "0.wav").unlink()
    assert "none held out (fewer than 20 examples)" in scan(capsys, sounds, "data.length=2048", "data.holdout=0.25")
    assert "held out" not in scan(capsys, sounds, "data.length=2048", "data.holdout=0")
