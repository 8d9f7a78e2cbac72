from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from waves import load_wav

import audiogan
from audiogan.commands import encode
from audiogan.data.toys.drum_machine import render
from audiogan.errors import UserError
from audiogan.modalities.wav import save_wav
from audiogan.model.sampling import read_recipe


def call(*words: object) -> int:
    parser = argparse.ArgumentParser()
    encode.add_parser(parser.add_subparsers(dest="command"))
    arguments = ["encode", *map(str, words)]
    return encode.run(parser.parse_args(arguments), arguments) or 0


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    for label in ("kick", "snare"):
        wave = render(label, sample_rate=44100, length=44100, rng=np.random.default_rng(0))
        save_wav(folder / label / "one.wav", wave, 44100)
    return folder


def test_a_recording_becomes_two_files_a_picture_and_a_recipe(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(recordings / "kick" / "one.wav", out, "--run", "drums", "--class", "kick", "--seconds", "0.3") == 0
    assert sorted(p.name for p in out.iterdir()) == ["contact-sheet.png", "one-imitation.wav", "one-recording.wav"]
    recipe = read_recipe(out / "one-imitation.wav")
    assert recipe.classes == {"kick": 1.0}
    wave, rate = load_wav(out / "one-imitation.wav")
    drums = audiogan.load("drums")
    assert rate == 16000
    np.testing.assert_allclose(wave, drums.render(recipe)[0], atol=1e-4)
    assert soundfile.info(out / "one-recording.wav").frames == 16384
    with Image.open(out / "contact-sheet.png") as picture:
        assert picture.width > 600
    said = capsys.readouterr().out
    assert "dB from it" in said and "of 100 random sounds" in said and str(out) in said


def test_all_sounds_of_a_folder_are_imitated_and_the_rest_is_named(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_wav(recordings / "silent.wav", np.zeros(16000, np.float32), 16000)
    (recordings / "notes.txt").write_text("no sound")
    # The output folder is inside the source folder, but its files are not encoded in the next call.
    out = recordings / "out"
    for _ in range(2):
        assert call(recordings, out, "--run", "drums", "--seconds", "0.1") == 0
    names = sorted(p.name for p in out.glob("*.wav"))
    assert names == [f"{k}-one-{w}.wav" for k in ("kick", "snare") for w in ("imitation", "recording")]
    assert "silent.wav: silent" in capsys.readouterr().out


def test_what_is_wrong_is_one_line_and_nothing_is_left_behind(recordings: Path, tmp_path: Path) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    save_wav(empty.parent / "silent.wav", np.zeros(16000, np.float32), 16000)
    for words, said in (
        ((tmp_path / "missing.wav", out), "missing.wav"),
        ((empty, out), "no sound files"),
        ((tmp_path / "silent.wav", out, "--run", "drums"), "silent"),
        ((recordings, out, "--run", "drums", "--class", "cowbell"), "cowbell"),
        ((recordings, out, "--run", "drums", "--seconds", "-1"), "seconds"),
    ):
        with pytest.raises(UserError, match=said):
            call(*words)
    assert not out.exists()
