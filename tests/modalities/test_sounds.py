from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from waves import load_wav

from audiogan.files import atomic_write
from audiogan.modalities.wav import save_wav, scale_to_peak


def tone(channels: int = 1, samples: int = 4000, level: float = 0.5) -> np.ndarray:
    t = np.arange(samples) / 16000
    return np.stack([level * np.sin(2 * np.pi * (220 + 110 * c) * t) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(("subtype", "accuracy"), [("PCM_16", 6e-5), ("PCM_24", 3e-7), ("FLOAT", 0.0)])
def test_round_trip(tmp_path: Path, channels: int, subtype: str, accuracy: float) -> None:
    wave = tone(channels)
    save_wav(tmp_path / "new folder" / "é.wav", wave, 16000, subtype=subtype)
    back, rate = load_wav(tmp_path / "new folder" / "é.wav")
    assert back.shape == wave.shape and back.dtype == np.float32 and rate == 16000
    assert np.abs(back - wave).max() <= accuracy
    assert soundfile.info(tmp_path / "new folder" / "é.wav").subtype == subtype


def test_one_dimension_is_one_channel(tmp_path: Path) -> None:
    save_wav(tmp_path / "a.WAV", tone()[0], 8000)
    back, rate = load_wav(tmp_path / "a.WAV")
    assert back.shape == (1, 4000) and rate == 8000


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_too_loud_is_clamped_and_never_wraps(tmp_path: Path, subtype: str) -> None:
    wave = tone(level=3.0)
    save_wav(tmp_path / "loud.wav", wave, 16000, subtype=subtype)
    back, _ = load_wav(tmp_path / "loud.wav")
    assert np.abs(back - np.clip(wave, -1, 1)).max() < 1e-4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused_and_the_old_file_stays(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "kept.wav"
    save_wav(path, tone(), 16000)
    before = path.read_bytes()
    wave = tone()
    wave[0, 7] = bad
    with pytest.raises(ValueError, match=r"kept\.wav: 1 of 4000 samples"):
        save_wav(path, wave, 16000)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "wave", "options", "message"),
    [
        ("x.flac", tone(), {}, "end in .wav"),
        ("x.wav", np.zeros((1, 0)), {}, r"\[1, 0\]"),
        ("x.wav", np.zeros((2, 1, 5)), {}, r"\[2, 1, 5\]"),
        ("x.wav", tone(), {"subtype": "VORBIS"}, "VORBIS"),
    ],
)
def test_misuse_names_the_file(tmp_path: Path, name: str, wave: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        save_wav(tmp_path / name, wave, 16000, **options)
    assert not list(tmp_path.iterdir())


def test_comment_travels_with_the_file(tmp_path: Path) -> None:
    save_wav(tmp_path / "a.wav", tone(), 16000, comment='{"sounds": 3}')
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert file.comment == '{"sounds": 3}'
    assert np.abs(load_wav(tmp_path / "a.wav")[0] - tone()).max() < 6e-5
    longest = "é" * 1000
    save_wav(tmp_path / "a.wav", tone(), 16000, comment=longest)
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert file.comment == longest
    with pytest.raises(ValueError, match=r"a\.wav.*2001 bytes"):
        save_wav(tmp_path / "a.wav", tone(), 16000, comment=longest + "x")


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_write(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_level_is_that_of_the_training_data() -> None:
    waves = np.stack([np.full((1, 8), v, np.float32) for v in (2.0, 0.1, 0.0)])
    assert np.abs(scale_to_peak(waves, "peak")).max(axis=(1, 2)) == pytest.approx([0.95, 0.95, 0.0])
    assert np.abs(scale_to_peak(waves, "none")).max(axis=(1, 2)) == pytest.approx([1.0, 0.1, 0.0])
    assert scale_to_peak(waves, "peak").dtype == np.float32
