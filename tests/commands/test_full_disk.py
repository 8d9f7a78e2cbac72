"""Tests of commands on a full disk: one line with the file and the reason, and no incomplete files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from room import room

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.modalities.animation import animate
from audiogan.modalities.image import Image
from audiogan.modalities.points import Points
from audiogan.modalities.sound import Sound
from audiogan.modalities.wav import save_wav
from audiogan.run.optional import ignore_write_errors


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def frames(folder: Path) -> Path:
    for step in (1, 2):
        Image().write_preview(folder, step, noise(4, 3, 32, 32) / step)
    return folder / "previews" / "animation.gif"


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.wav": lambda path: save_wav(path, noise(1, 40_000), 16000, comment="{}"),
    "b.wav": lambda path: Sound(16000).save(path, noise(1, 40_000), "{}"),
    "c.png": lambda path: Sound(16000).sheet(path, noise(4, 1, 4000)),
    "d.png": lambda path: Image().save(path, noise(3, 64, 64)),
    "e.png": lambda path: Image().sheet(path, noise(9, 3, 64, 64)),
    "f.npy": lambda path: Points().save(path, noise(4000, 2)),
    "g.png": lambda path: Points().sheet(path, noise(400, 2)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_is_named_and_the_old_file_stays(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    before = path.read_bytes()
    for size in (0, 100, len(before) - 1):
        with room(size), pytest.raises(UserError, match=rf"^{path}: cannot be written \(File too large\)$"):
            WRITERS[name](path)
        assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_an_animation_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = frames(tmp_path)
    with room(1000), pytest.raises(UserError, match=rf"^{path}: cannot be written \(File too large\)$"):
        animate(tmp_path)
    assert not path.exists() and len(list(path.parent.iterdir())) == 2


def test_a_training_goes_on_without_a_preview_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with room(0), ignore_write_errors(tmp_path):
        Points().write_preview(tmp_path, 1, noise(4, 2))
    assert f"{tmp_path}: cannot be written (File too large)" in capsys.readouterr().err
    with pytest.raises(UserError, match="other"), ignore_write_errors(tmp_path):
        raise UserError("other")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("channels", [1, 2])
def test_sounds_have_the_bytes_that_libsndfile_writes(subtype: str, channels: int, tmp_path: Path) -> None:
    wave = noise(channels, 20_001)
    save_wav(tmp_path / "a.wav", wave, 22_050, subtype=subtype)
    with soundfile.SoundFile(tmp_path / "b.wav", "w", 22_050, channels, subtype, format="WAV") as file:
        file.write(wave.T)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("comment", ["", "{}", "\u00e9" * 1000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_comment_follows_the_samples(subtype: str, comment: str, channels: int, tmp_path: Path) -> None:
    wave = noise(channels, 20_001)
    save_wav(tmp_path / "a.wav", wave, 22_050, subtype=subtype, comment=comment)
    save_wav(tmp_path / "b.wav", wave, 22_050, subtype=subtype)
    commented, bare = (tmp_path / "a.wav").read_bytes(), (tmp_path / "b.wav").read_bytes()
    assert commented[:4] == b"RIFF" and commented[8 : len(bare)] == bare[8:]
    assert int.from_bytes(commented[4:8], "little") == len(commented) - 8
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert file.comment == comment and file.frames == 20_001


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "-n", "2"],
        ["morph", "--from", "1", "--to", "2", "--steps", "3"],
        ["kit", "--pads", "2"],
        ["kit", "--pads", "2", "--format", "hydrogen"],
        ["encode", "RECORDING", "--seconds", "0.1"],
    ],
)
def test_commands_say_it_in_one_line(
    command: list[str], tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    save_wav(tmp_path / "a.wav", noise(1, 8000), 16000)
    command = [part.replace("RECORDING", str(tmp_path / "a.wav")) for part in command]
    with room(2000):
        assert main([*command, "--run", str(tiny_run), str(out)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and str(out) in lines[0] and "File too large" in lines[0] and ".tmp" not in lines[0]
    assert not out.exists()
