"""Tests of `audiogan apply` with sounds of any sample rate, length and number of channels."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fake_translator import Translator

from audiogan.errors import UserError
from audiogan.inputs import Signal
from audiogan.modalities import Sound
from audiogan.modalities.reading import Unreadable
from audiogan.model.translation import formats
from audiogan.model.translation.files import apply_files
from audiogan.model.translation.signals import Translation, apply_signal


def tone(seconds: float, rate: int, channels: int = 1, hz: float = 200.0) -> np.ndarray:
    """Return sines ``[n, channels]`` with a different pitch in each channel."""
    time = np.arange(round(seconds * rate))[:, None] / rate
    return 0.5 * np.sin(2 * np.pi * hz * (1 + np.arange(channels)) * time)


def translated(generator: Any, source: Path, target: Path, **options: Any) -> tuple[np.ndarray, Any]:
    apply_files(generator, source, target, echo=lambda line: None, **options)
    wave, _ = soundfile.read(target, always_2d=True)
    return wave, soundfile.info(target)


def translated_content(translation: Translation, source: Any, target: Path, format: str | None) -> list[str]:
    lines: list[str] = []
    with tempfile.TemporaryFile() as temporary_file:
        formats.translate_sound_file(translation, source, temporary_file, lambda share: None, lines.append)(
            target, format
        )
    return lines


@pytest.mark.parametrize("field", [4, None])
@pytest.mark.parametrize("frames", [1, 2, 15, 16, 17, 1000, 70_001])
def test_any_length(tmp_path: Path, field: int | None, frames: int) -> None:
    wave = np.random.default_rng(0).uniform(-0.9, 0.9, (frames, 1))
    soundfile.write(tmp_path / "a.wav", wave, 8000, "FLOAT")
    made, info = translated(Translator((1, 16), field), tmp_path / "a.wav", tmp_path / "b.wav")
    assert info.subtype == "FLOAT" and info.samplerate == 8000
    np.testing.assert_allclose(made, -wave, atol=1e-6)


@pytest.mark.parametrize("rate", [4000, 11_025, 44_100, 48_000])
def test_any_rate(tmp_path: Path, rate: int) -> None:
    wave = tone(1.2345, rate, 2)
    soundfile.write(tmp_path / "a.wav", wave, rate, "PCM_24")
    made, info = translated(Translator((1, None), 4), tmp_path / "a.wav", tmp_path / "b.wav")
    assert info.samplerate == rate and info.subtype == "PCM_24" and made.shape == wave.shape
    inside = slice(rate // 20, -rate // 20)
    assert np.abs(made + wave)[inside].max() < 0.01


@pytest.mark.parametrize(("file", "model"), [(1, 1), (2, 1), (5, 1), (1, 2), (2, 2), (4, 2)])
def test_channels(tmp_path: Path, file: int, model: int) -> None:
    wave = tone(0.3, 8000, file)
    soundfile.write(tmp_path / "a.wav", wave, 8000, "FLOAT")
    generator = Translator((model, 64), None)
    made, _ = translated(generator, tmp_path / "a.wav", tmp_path / "b.wav")
    expected = np.repeat(wave, 2, axis=1) if (file, model) == (1, 2) else wave
    np.testing.assert_allclose(made, -expected, atol=1e-6)
    assert set(generator.net.shapes) == {(model, 64)}


def test_channels_that_do_not_fit(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1, 8000, 3), 8000)
    with pytest.raises(UserError, match=r"a\.wav: it has 3 channels; the model takes 2"):
        translated(Translator((2, 64)), tmp_path / "a.wav", tmp_path / "b.wav")
    assert not (tmp_path / "b.wav").exists()


def test_another_signal_of_another_size(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1, 8000), 8000)
    generator = Translator((1, 64), None, {"voice": Signal("voice", (1, 32), Sound(8000))})
    generator.net.made = lambda inputs: inputs["source"] + inputs["voice"].mean()
    for length, fits in ((32, True), (33, False)):
        voice = {"voice": np.full((1, length), 0.1, np.float32)}
        if fits:
            made, _ = translated(generator, tmp_path / "a.wav", tmp_path / "b.wav", inputs=voice, overwrite=True)
            np.testing.assert_allclose(made, tone(0.1, 8000) + 0.1, atol=1e-3)
        else:
            with pytest.raises(UserError, match=r"voice: it has the size \[33\]; give the size \[32\]"):
                translated(generator, tmp_path / "a.wav", tmp_path / "b.wav", inputs=voice, overwrite=True)


@pytest.mark.parametrize(
    ("name", "subtype", "target", "expected"),
    [
        ("a.wav", "PCM_U8", "b.wav", "PCM_U8"),
        ("a.wav", "DOUBLE", "b.wav", "DOUBLE"),
        ("a.flac", "PCM_24", "b.flac", "PCM_24"),
        ("a.wav", "FLOAT", "b.flac", "PCM_24"),
        ("a.ogg", "VORBIS", "b.ogg", "VORBIS"),
        ("a.ogg", "VORBIS", "b.wav", "PCM_24"),
        ("a.aiff", "PCM_16", "b.aif", "PCM_16"),
    ],
)
def test_sample_types(tmp_path: Path, name: str, subtype: str, target: str, expected: str) -> None:
    soundfile.write(tmp_path / name, tone(0.2, 8000), 8000, subtype)
    made, info = translated(Translator((1, 64)), tmp_path / name, tmp_path / target)
    assert info.subtype == expected and len(made) == 1600


def test_higher_sample_rate(tmp_path: Path) -> None:
    """A model from 8 kHz to 16 kHz writes 16 kHz, unless the source has a higher sample rate."""
    for rate, expected in ((8000, 16_000), (4000, 16_000), (44_100, 44_100)):
        soundfile.write(tmp_path / "a.wav", tone(0.5, rate), rate)
        generator = Translator((1, 64), 4, k=2)
        made, info = translated(generator, tmp_path / "a.wav", tmp_path / "b.wav", overwrite=True)
        assert info.samplerate == expected and len(made) == expected // 2


def test_level_of_the_modality(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.2 * tone(1, 8000), 8000, "FLOAT")
    made, _ = translated(Translator((1, 64), normalize="peak"), tmp_path / "a.wav", tmp_path / "b.wav")
    assert abs(np.abs(made).max() - 0.95) < 1e-3
    generator = Translator((1, 64))
    generator.net.made = lambda inputs: 10 * inputs["source"]
    made, _ = translated(generator, tmp_path / "a.wav", tmp_path / "c.wav")
    assert abs(np.abs(made).max() - 1) < 1e-3  # scaled, not clipped
    assert np.abs(made - tone(1, 8000) / np.abs(tone(1, 8000)).max()).max() < 1e-3


def test_file_and_array_give_the_same(tmp_path: Path) -> None:
    wave = tone(0.5, 8000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, 8000, "FLOAT")
    generator = Translator((1, 64), None)
    assert (apply_signal(generator, tmp_path / "a.wav") == apply_signal(generator, wave.T)).all()


def test_long_sounds_need_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiogan.model.translation.tiling.MAX_TILES", 2)
    peaks = []
    for seconds in (60, 600):
        with soundfile.SoundFile(tmp_path / "a.wav", "w", 44_100, 1) as file:
            for _ in range(seconds):
                file.write(tone(1, 44_100)[:, 0])
        translation = Translation(Translator((1, 1 << 14), None))
        tracemalloc.start()
        translated_content(translation, tmp_path / "a.wav", tmp_path / "b.wav", "WAV")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert soundfile.info(tmp_path / "b.wav").frames == 44_100 * seconds
    assert peaks[1] < 1.2 * peaks[0] + 1_000_000


def test_hostile_files(tmp_path: Path) -> None:
    translation = Translation(Translator((1, 64)))
    soundfile.write(tmp_path / "a.wav", tone(1, 8000), 8000)
    good = (tmp_path / "a.wav").read_bytes()
    for bad in (b"x", b"RIFF", good[:44]):
        with pytest.raises(Unreadable):
            translated_content(translation, bad, tmp_path / "b.wav", "WAV")
    lines = translated_content(translation, good[: len(good) // 2], tmp_path / "b.wav", "WAV")
    assert len(soundfile.read(tmp_path / "b.wav")[0]) == 3989 and "damaged after 0.50 s" in lines[0]
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan]), 8000, "FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: cannot be read \(it holds NaN"):
        translated(Translator((1, 64)), tmp_path / "nan.wav", tmp_path / "c.wav")


def test_folder(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    soundfile.write(source / "a.WAV", tone(0.1, 8000), 8000)
    soundfile.write(source / "deep" / "b.au", tone(0.1, 8000), 8000, "PCM_16")
    (source / "bad.wav").write_bytes(b"x")
    (source / "c.mp4").write_bytes(b"x")
    (source / "notes.txt").write_text("x")
    done = apply_files(Translator((1, 64)), source, out, echo=lambda line: None)
    assert {path.relative_to(out).as_posix() for path in done.files} == {"a.WAV", "deep/b.wav"}
    assert len(done.failed) == 2
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"a.WAV", "b.wav"}


def test_content_in_the_format_of_the_source(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tone(0.1, 8000), 8000)
    translated_content(Translation(Translator((1, 64))), (tmp_path / "a.flac").read_bytes(), tmp_path / "b", None)
    assert soundfile.info(tmp_path / "b").format == "FLAC"
