"""Tests of `audiogan encode` with folders: all sound formats, and folders that are equal or nested."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

import audiogan
from audiogan.commands import encode
from audiogan.errors import UserError
from audiogan.latents.recording import prepare_recording
from audiogan.modalities.reading.reader import SoundReader

RATE = 16_000


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    encode.add_parser(parser.add_subparsers(dest="command"))
    arguments = ["encode", *map(str, words), "--run", "drums", "--seconds", "0.1"]
    return encode.run(parser.parse_args(arguments), arguments) or 0


def hit(rate: int = RATE) -> np.ndarray:
    t = np.arange(rate // 2) / rate
    return (0.6 * np.sin(2 * np.pi * 180 * t) * np.exp(-9 * t)).astype(np.float32)


def test_every_kind_of_sound_file_in_a_folder_is_taken_or_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    kinds = {"a.WAVE": "WAV", "b.caf": "CAF", "c.w64": "W64", "d.au": "AU", "e.aifc": "AIFF", "f.mp3": "MP3"}
    for name, kind in kinds.items():
        sf.write(folder / name, hit(), RATE, format=kind)
    sf.write(folder / "g.opus", hit(48_000), 48_000, format="OGG", subtype="OPUS")
    sf.write(folder / "no-ending", hit(), RATE, format="WAV")
    (folder / "h.m4a").write_bytes(b"ftyp")
    (folder / "i.flac").write_bytes(b"fLaC")
    assert call(folder, out) == 0
    assert sorted(p.name[0] for p in out.glob("*-imitation.wav")) == list("abcdefg")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("skipped")]
    for name in ("h.m4a", "i.flac", "no-ending"):
        assert sum(name in line for line in said) == 1, said


def test_the_folder_of_the_recordings_is_not_that_of_the_imitations(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", hit(), RATE)
    os.symlink(tmp_path, tmp_path.parent / f"{tmp_path.name}-link")
    for out in (tmp_path, tmp_path.parent / f"{tmp_path.name}-link", tmp_path / "x" / ".."):
        with pytest.raises(UserError, match="the same folder"):
            call(tmp_path, out)
    with pytest.raises(UserError, match="a file"):
        call(tmp_path, tmp_path / "a.wav")
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_recordings_in_a_folder_inside_that_of_the_imitations(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sf.write(tmp_path / "in" / "a.wav", hit(), RATE)
    for _ in range(2):
        assert call(tmp_path / "in", tmp_path) == 0
    assert sorted(p.name for p in tmp_path.glob("*.wav")) == ["a-imitation.wav", "a-recording.wav"]


def test_one_line_for_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "cut.flac").write_bytes(b"fLaC")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("no sound")
    for source, said in (
        (tmp_path / "none.wav", "no such file"),
        (tmp_path / "cut.flac", r"cut\.flac: not a sound file that can be read \(cut off"),
        (tmp_path / "empty", "no sound files"),
        (tmp_path / "text", r"no sound files.*notes\.txt"),
    ):
        with pytest.raises(UserError, match=said):
            call(source, tmp_path / "out")
    with pytest.raises(UserError, match="no such file"):
        prepare_recording(audiogan.load("drums"), tmp_path / "none.wav")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["antiphase", "offset", "drift", "units", "768 kHz"])
def test_a_recording_is_prepared_as_without_its_fault(change: str) -> None:
    drums = audiogan.load("drums")
    x: Any = np.pad(hit(), (20_000, 8000))
    plain = prepare_recording(drums, x, RATE)
    faulty = {
        "antiphase": (np.stack([x, -x]), RATE),
        "offset": (x + 0.3, RATE),
        "drift": (x + np.linspace(0.4, 0.1, len(x)), RATE),
        "units": (x * 32768, RATE),
        "768 kHz": (np.pad(hit(768_000), (960_000, 0)), 768_000),
    }[change]
    np.testing.assert_allclose(prepare_recording(drums, *faulty), plain, atol=0.06)


def test_ultrasound_is_silence() -> None:
    high = 0.5 * np.sin(np.arange(48_000) * 2 * np.pi * 20_000 / 48_000)
    for x in (high, np.pad(high, 9000), high + 0.2):
        with pytest.raises(UserError, match="16,000 Hz"):
            prepare_recording(audiogan.load("drums"), x, 48_000)


def test_a_file_is_loaded_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 40_000), RATE)
    whole = sf.read(tmp_path / "a.flac", dtype="float32", always_2d=True)[0]
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    with SoundReader(tmp_path / "cut.flac") as file:
        cut = file.read_seconds(10)
    assert file.sample_rate == RATE and 10_000 < len(cut) < 20_000
    np.testing.assert_array_equal(cut, whole[: len(cut)])


@pytest.mark.parametrize("name", ["contact-sheet.png", "a-imitation.wav", "a-recording.wav"])
def test_files_of_the_persons_own_are_not_replaced(name: str, tmp_path: Path) -> None:
    recording, out = tmp_path / "a.wav", tmp_path / "out"
    sf.write(recording, hit(), RATE)
    out.mkdir()
    sf.write(out / name, hit(), RATE, format="WAV")
    before = (out / name).read_bytes()
    with pytest.raises(UserError, match=re.escape(name)):
        call(recording, out)
    assert [path.name for path in out.iterdir()] == [name] and (out / name).read_bytes() == before
    (out / name).unlink()
    for _ in range(2):  # The files of an earlier call are replaced.
        assert call(recording, out) == 0


def test_sounds_in_the_folder_for_the_imitations_are_named_as_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    out.mkdir(parents=True)
    sf.write(out / "own.wav", hit(), RATE)
    with pytest.raises(UserError, match=r"1 sound file in .*out, the folder for the imitations"):
        call(folder, out)
    sf.write(folder / "a.wav", hit(), RATE)
    for _ in range(2):
        assert call(folder, out) == 0
        assert "skipped: 1 sound file in" in capsys.readouterr().out
