"""Tests of recipes in untrusted files."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.modalities.animation import animate
from audiogan.modalities.image import Image
from audiogan.model.recipe import Recipe
from audiogan.model.sampling import read_recipe

RECIPE = Recipe("m", (0.5, -1.0), {"kick": 1.0}, {}, 3)


def png(path: Path, width: int, height: int, comment: str | None = None) -> Path:
    """Return a PNG whose header declares this size, with hardly any pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    if comment is not None:
        parts.append(chunk(b"iTXt", b"Comment\0\0\0\0\0" + comment.encode()))
    parts += [chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


@pytest.mark.parametrize("side", [5_000, 12_000, 50_000])
@pytest.mark.parametrize("comment", [None, RECIPE.to_json()])
def test_large_pictures_are_refused_by_their_header(
    side: int, comment: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    large = png(tmp_path / "large.png", side, side, comment)
    for ends in (["--from", str(large), "--to", "3"], ["--from", "3", "--to", str(large)]):
        assert main(["morph", *ends, "--run", "drums", str(tmp_path / "out")]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and str(large) in lines[0] and "pixels" in lines[0]
    assert not [one for one in recwarn.list if "bomb" in str(one.message)] and not (tmp_path / "out").exists()


def test_a_recipe_is_found_before_and_behind_the_pixels(tmp_path: Path) -> None:
    Image().save(tmp_path / "ours.png", np.zeros((1, 8, 8), np.float32), RECIPE.to_json())
    assert read_recipe(tmp_path / "ours.png") == RECIPE
    content = (tmp_path / "ours.png").read_bytes()
    start = content.index(b"iTXt") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    moved = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    (tmp_path / "moved.png").write_bytes(moved)
    assert read_recipe(tmp_path / "moved.png") == RECIPE


@pytest.mark.parametrize("suffix", [".wav", ".png"])
def test_files_without_a_recipe_are_one_line_with_the_reason(suffix: str, tmp_path: Path) -> None:
    def reason(name: str) -> str:
        with pytest.raises(UserError, match=rf"{name}{suffix}: ") as caught:
            read_recipe(tmp_path / f"{name}{suffix}")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no such file" in reason("nowhere")
    (tmp_path / f"link{suffix}").symlink_to("nowhere")
    assert "does not exist" in reason("link")
    (tmp_path / f"folder{suffix}").mkdir()
    assert "a folder" in reason("folder")
    (tmp_path / f"empty{suffix}").touch()
    assert "empty" in reason("empty")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    assert "not a regular file" in reason("pipe")
    (tmp_path / f"text{suffix}").write_text("hello")
    assert "System error" not in reason("text")
    Pillow.new("L", (4, 4)).save(tmp_path / f"other{suffix}", "JPEG")
    reason("other")


def test_half_a_picture_is_one_line(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64)).astype(np.float32)
    Image().save(tmp_path / "a.png", noise)
    whole = (tmp_path / "a.png").read_bytes()
    for size in (9, 20, 40, len(whole) // 2):
        (tmp_path / "a.png").write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"a\.png: "):
            read_recipe(tmp_path / "a.png")
    info = PngInfo()
    info.add_text("Comment", "x" * 2_000_000, zip=True)
    Pillow.new("L", (4, 4)).save(tmp_path / "long.png", pnginfo=info)
    with pytest.raises(UserError, match=r"long\.png: "):
        read_recipe(tmp_path / "long.png")


def test_an_animation_skips_pictures_that_are_no_previews(tmp_path: Path) -> None:
    for step in (1, 4):
        Image().write_preview(tmp_path, step, np.zeros((1, 1, 8, 8), np.float32))
    folder = tmp_path / "previews"
    png(folder / "step-00000002.png", 40_000, 40_000)
    (folder / "step-00000003.png").write_bytes(b"")
    with Pillow.open(animate(tmp_path)) as moving:
        assert 1 <= moving.n_frames <= 2  # Equal frames may be merged.
    for step in (1, 4):
        (folder / f"step-{step:08d}.png").unlink()
    with pytest.raises(UserError, match="previews"):
        animate(tmp_path)
