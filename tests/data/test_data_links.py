"""Tests of links that lead out of a data folder: they are used only if a setting allows it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image as Pillow

from audiogan.data.images.scan import scan_images
from audiogan.data.images.sources import open_images
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.scan import scan_folder
from audiogan.errors import UserError


def burst(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, 1600), 16_000)
    return path


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Create a data folder with links of all kinds, beside a private folder."""
    private = tmp_path / "private"
    burst(private / "diary.wav", 1)
    burst(private / "deep" / "more.wav", 2)
    (private / "notes.txt").write_text("x")
    root = tmp_path / "shared"
    burst(root / "a" / "own.wav", 3)
    burst(root / "b" / "own.wav", 4)
    burst(tmp_path / "shared-too" / "near.wav", 5)  # The path begins with the characters of the root's path.
    os.symlink(private, root / "c")
    os.symlink("../private/deep", root / "relative")
    os.symlink("c", root / "chain")  # A link inside the folder to a link that leads out of it.
    os.symlink(private / "diary.wav", root / "a" / "diary.wav")
    os.symlink(private / "notes.txt", root / "a" / "notes.txt")
    os.symlink(tmp_path / "shared-too" / "near.wav", root / "b" / "near.wav")
    os.symlink("own.wav", root / "a" / "again.wav")
    os.symlink("a", root / "alias")
    os.symlink("/nowhere/gone.wav", root / "b" / "gone.wav")
    return root


def test_links_that_lead_out_are_listed_but_not_used(shared: Path) -> None:
    scan = scan_folder(shared, progress=False)
    assert {row["path"]: row["reason"] for row in scan.rows()} == {
        "a/again.wav": "usable",
        "a/diary.wav": "outside link",
        "a/notes.txt": "outside link",
        "a/own.wav": "duplicate",
        "alias": "folder link",
        "b/gone.wav": "unreadable",
        "b/near.wav": "outside link",
        "b/own.wav": "usable",
        "c": "outside link",
        "chain": "outside link",
        "relative": "outside link",
    }
    assert scan.labels == ["a", "b"]
    details = {row["path"]: row["detail"] for row in scan.rows()}
    assert details["c"] == f"to {shared.parent / 'private'}"
    assert "6 outside link (" in scan.summary() and "data.links=follow" in scan.summary()


def test_they_are_used_when_asked_for(shared: Path) -> None:
    scan = scan_folder(shared, links="follow", progress=False)
    used = {row["path"] for row in scan.rows() if row["reason"] in ("usable", "duplicate")}
    assert {"a/diary.wav", "b/near.wav"} < used and scan.counts.get("outside link") is None
    assert sum(path.endswith("more.wav") for path in used) == 1  # Each real folder is visited once.
    assert len(open_audio_folder(shared, links="follow", progress=False)) == 5
    assert len(open_audio_folder(shared, links="inside", progress=False)) == 2
    with pytest.raises(UserError, match=r"data\.links='all': choose one of inside, follow"):
        scan_folder(shared, links="all", progress=False)


def test_the_root_may_be_a_link(shared: Path, tmp_path: Path) -> None:
    os.symlink(shared, tmp_path / "link")
    assert scan_folder(tmp_path / "link", progress=False).counts == scan_folder(shared, progress=False).counts


def test_images_behind_links_that_lead_out(tmp_path: Path) -> None:
    for i, name in enumerate(("private/x", "shared/a", "shared/b")):
        (tmp_path / name).mkdir(parents=True)
        Pillow.fromarray(np.full((8, 8), 50 * i, np.uint8)).save(tmp_path / name / "1.png")
    root = tmp_path / "shared"
    os.symlink(tmp_path / "private", root / "c")
    os.symlink(tmp_path / "private" / "x" / "1.png", root / "a" / "2.png")
    scan = scan_images(root, progress=False)
    assert scan.counts == {"usable": 2, "outside link": 2} and scan.labels == ["a", "b"]
    assert len(open_images(root, links="follow", progress=False)) == 3
