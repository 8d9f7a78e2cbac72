"""Tests of file kinds: hidden files, archives, other formats, and folders that are not classes."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image as Pillow

from audiogan.data.images.scan import scan_images
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.scan import scan_folder
from audiogan.errors import UserError


def burst(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, 1600), 16_000, format="WAV")
    return path


def classes(root: Path, names: str = "kick snare", each: int = 2, first: int = 0) -> Path:
    for k, name in enumerate(names.split()):
        for i in range(each):
            burst(root / name / f"{i}.wav", first + 10 * k + i)
    return root


def reasons(root: Path) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in scan_folder(root, progress=False).rows()}


@pytest.mark.parametrize(
    "folder",
    [
        ".Trash-1000/files", ".Trashes/501", "$RECYCLE.BIN/S-1", "__MACOSX/kick", "kick/@eaDir", "lost+found",
        "System Volume Information", ".ipynb_checkpoints", "#recycle", "FOUND.000", "snare/.AppleDouble",
    ],
)  # fmt: skip
def test_hidden_folders_are_no_classes_and_no_originals(tmp_path: Path, folder: str) -> None:
    classes(tmp_path)
    burst(tmp_path / folder / "old.wav", 0)  # The same sound as kick/0.wav.
    scan = scan_folder(tmp_path, progress=False)
    assert scan.counts == {"usable": 4, "hidden": 1}
    assert (scan.labels, scan.class_counts) == (["kick", "snare"], [2, 2])
    assert "1 hidden (" in scan.summary() and "not searched" in scan.summary()


def test_hidden_files_are_not_among_the_broken_ones(tmp_path: Path) -> None:
    classes(tmp_path)
    names = ["._0.wav", ".DS_Store", ".secret.wav", "Thumbs.db", "desktop.ini", "Icon\r"]
    for name in names:
        (tmp_path / "kick" / name).write_bytes(b"\0\5\26\7")
    found = reasons(tmp_path)
    assert {name: found[f"kick/{name}"] for name in names} == dict.fromkeys(names, "hidden")
    assert "unreadable" not in found.values()
    assert "macOS metadata of 0.wav" in scan_folder(tmp_path, progress=False).summary()


def test_a_hidden_root_is_scanned(tmp_path: Path) -> None:
    assert len(open_audio_folder(classes(tmp_path / ".cache" / ".drums"), progress=False)) == 4


def test_hidden_images_are_left_out(tmp_path: Path) -> None:
    for i, name in enumerate(["a/1.png", "b/1.png", ".ipynb_checkpoints/1-checkpoint.png", "a/._1.png", "a/.2.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Pillow.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(tmp_path / name)
    scan = scan_images(tmp_path, progress=False)
    assert scan.labels == ["a", "b"] and scan.counts == {"usable": 2, "hidden": 3}


def test_archives_other_formats_and_missing_extensions_are_told_apart(tmp_path: Path) -> None:
    classes(tmp_path)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("kick.wav", b"x")
    (tmp_path / "zipped").write_bytes((tmp_path / "more.zip").read_bytes())
    for name in ("pack.RAR", "kit.tar.gz", "kit.7z", "kit.zip.001", "kit.part1.rar"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("loop.rx2", "bank.SF2", "voice.m4a", "clip.mov", "raw.pcm"):
        (tmp_path / name).write_bytes(b"x")
    burst(tmp_path / "no extension", 90)
    burst(tmp_path / "kick" / "boom.1", 91)
    sf.write(tmp_path / "tone", np.zeros(100), 16_000, format="FLAC")
    for name in ("notes.txt", "sampler.nki", "README", "unfinished.wav.part", "cover.jpg"):
        (tmp_path / name).write_bytes(b"RIFF....WAVEfmt " if "part" in name else b"x")
    scan = scan_folder(tmp_path, progress=False)
    assert scan.counts == {"usable": 4, "unreadable": 5, "archive": 7, "misnamed": 3, "not audio": 5}
    rows = {row["path"]: row for row in scan.rows()}
    assert rows["zipped"]["reason"] == "archive"
    assert "add .wav" in rows["no extension"]["detail"] and "add .flac" in rows["tone"]["detail"]
    assert rows["kick/boom.1"]["reason"] == "misnamed"
    assert "loop" in rows["loop.rx2"]["detail"] and "bank" in rows["bank.SF2"]["detail"]
    (tmp_path / "tone").rename(tmp_path / "tone.flac")
    assert reasons(tmp_path)["tone.flac"] == "silent"


def test_a_folder_with_nothing_but_archives_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(b"x")
    burst(tmp_path / ".hidden.wav", 1)
    with pytest.raises(UserError, match=r"1 hidden \(.*, 1 archive \(unpack it"):
        open_audio_folder(tmp_path, progress=False)


def hints(root: Path, **how: str) -> str:
    return "\n".join(scan_folder(root, progress=False, **how).hints())


@pytest.mark.parametrize("inner", ["My Drums", "a/b", "train"])
def test_one_folder_around_the_classes_is_said(tmp_path: Path, inner: str) -> None:
    root = classes(tmp_path / inner)
    burst(tmp_path / "__MACOSX" / "x" / "y.wav", 5)
    burst(tmp_path / "demo.wav", 77)
    assert f"data.root={shlex.quote(str(root))}" in hints(tmp_path)
    assert hints(tmp_path, labels="none") == "" and hints(root) == ""


@pytest.mark.parametrize(
    "parts",
    ["train test", "Training Testing", "train val test", "train_set valid_set", "TRAIN DEV", "train-clean eval-clean"],
)
def test_parts_of_a_data_set_are_not_taken_for_classes_without_a_word(tmp_path: Path, parts: str) -> None:
    for k, part in enumerate(parts.split()):
        classes(tmp_path / part, first=100 * k)
    train, other = parts.split()[0], parts.split()[1]
    said = hints(tmp_path)
    assert f"data.root={tmp_path / train}" in said and "--data" in said
    assert hints(tmp_path / train) == "" and other in said
    tmp_path.rename(tmp_path.with_name("moved"))
    tmp_path.mkdir()
    tmp_path.with_name("moved").rename(tmp_path / "inner")
    assert f"data.root={tmp_path / 'inner' / train}" in hints(tmp_path)


@pytest.mark.parametrize("names", ["train plane ship", "test tone", "training test kick hat", "kick snare"])
def test_classes_that_are_called_like_parts_are_classes(tmp_path: Path, names: str) -> None:
    assert hints(classes(tmp_path, names)) == ""


@pytest.mark.parametrize("folds", ["fold1 fold2 fold3", "Split-1 Split-2"])
def test_numbered_parts_are_not_taken_for_classes_without_a_word(tmp_path: Path, folds: str) -> None:
    assert "not classes" in hints(classes(tmp_path, folds)) and "data.labels" in hints(tmp_path)


def test_training_on_clean_images_shows_hints_of_its_own(tmp_path: Path) -> None:
    for i, name in enumerate(["pack/a/1.png", "pack/b/1.png"]):
        (tmp_path / name).parent.mkdir(parents=True)
        Pillow.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(tmp_path / name)
    (hint,) = scan_images(tmp_path, progress=False).hints()
    assert f"data.root={tmp_path / 'pack'}" in hint and hint in scan_images(tmp_path, progress=False).summary()
