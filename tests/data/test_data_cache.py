"""Tests of cache folders: damaged or changed folders are not used."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from PIL import Image as Pillow

from audiogan.data import cache
from audiogan.data.images.sources import open_images
from audiogan.data.sounds.folder import open_audio_folder

SIZE = 3 * cache.BLOCK * cache.BLOCKS + 12_345


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a complete cache folder with a small file and a file that counts as large."""
    monkeypatch.setattr(cache, "FULL_CHECK_LIMIT", 1 << 20)

    def build(folder: Path) -> str:
        (folder / "large").write_bytes(bytes(range(256)) * (SIZE // 256) + b"end")
        (folder / "small").write_bytes(b"content")
        return "group-1"

    folder = cache.open_or_build(tmp_path, "group-1", build)
    assert cache.is_intact(folder)
    return folder


def overwrite(path: Path, at: int, *, keep_time: bool) -> None:
    info = path.stat()
    with open(path, "rb+") as file:
        file.seek(at)
        file.write(b"\xff" * 4000)
    if keep_time:
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    else:
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))


@pytest.mark.parametrize("at", [0, 100, SIZE // 2, SIZE - 4001])
def test_a_large_file_that_was_written_to_is_noticed(sealed: Path, at: int) -> None:
    overwrite(sealed / "large", at, keep_time=False)
    assert not cache.is_intact(sealed)


@pytest.mark.parametrize("at", [0, SIZE - 4001])
def test_damage_is_noticed_without_a_change_of_time(sealed: Path, at: int) -> None:
    overwrite(sealed / "large", at, keep_time=True)
    assert not cache.is_intact(sealed)


def test_a_copy_with_other_times_is_intact(sealed: Path) -> None:
    for path in sealed.iterdir():
        os.utime(path, ns=(5, 5))
    assert cache.is_intact(sealed)


@pytest.mark.parametrize("seal", [{}, {"small": 7}, {"small": [7]}, [], None, {"absent": [0, 0, 0, 0]}])
def test_a_seal_that_says_nothing_is_not_believed(sealed: Path, seal: object) -> None:
    (sealed / cache.SEAL_FILE).write_text(json.dumps(seal))
    assert not cache.is_intact(sealed)


def sounds(root: Path, seed: int) -> Path:
    root.mkdir()
    for i in range(3):
        sf.write(root / f"{i}.wav", np.random.default_rng([seed, i]).uniform(-0.5, 0.5, 1600), 16_000)
        os.utime(root / f"{i}.wav", ns=(1, 1))
    return root


def by_copying_over(old: Path, new: Path) -> None:
    for path in new.iterdir():
        shutil.copy2(path, old / path.name)


def by_swapping_folders(old: Path, new: Path) -> None:
    old.rename(old.with_name("before"))
    new.rename(old)


def by_moving_files(old: Path, new: Path) -> None:
    for path in new.iterdir():
        path.replace(old / path.name)


@pytest.mark.parametrize("how", [by_copying_over, by_swapping_folders, by_moving_files])
def test_replaced_files_of_the_same_size_and_time_are_noticed(
    tmp_path: Path, how: Callable[[Path, Path], None]
) -> None:
    old, new = sounds(tmp_path / "old", 1), sounds(tmp_path / "new", 2)
    want = open_audio_folder(new, length=1600, progress=False).signals(slice(None))
    before = open_audio_folder(old, length=1600, progress=False)
    assert open_audio_folder(old, length=1600, progress=False).scan.folder == before.scan.folder
    how(old, new)
    after = open_audio_folder(old, length=1600, progress=False)
    assert torch.equal(after.signals(slice(None)), want)


def test_a_replaced_image_and_a_replaced_array_are_noticed(tmp_path: Path) -> None:
    for name, level in (("old", 10), ("new", 200)):
        (tmp_path / name).mkdir()
        Pillow.fromarray(np.full((8, 8), level, np.uint8)).save(tmp_path / name / "a.bmp")
        np.savez(tmp_path / f"{name}.npz", x=np.full((2, 8, 8), level, np.uint8))
        for path in (tmp_path / name / "a.bmp", tmp_path / f"{name}.npz"):
            os.utime(path, ns=(1, 1))
    for old, new in ((tmp_path / "old", tmp_path / "new"), (tmp_path / "old.npz", tmp_path / "new.npz")):
        assert open_images(old, progress=False).signals([0]).max() < 0
        old.rename(tmp_path / "before" if old.is_dir() else tmp_path / "before.npz")
        new.rename(old)
        assert open_images(old, progress=False).signals([0]).min() > 0
