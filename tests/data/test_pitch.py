"""Tests of pitch tracking: voiced frames are found, noise is unvoiced, and batches contain the pitch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiogan.data.measures import PitchTrack
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.pitch import measure_pitch
from audiogan.data.toys.points import open_points
from audiogan.errors import UserError


def glide(start: float, end: float, seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    """Return a voice-like tone with ten harmonics, `[T]`."""
    phase = 2 * np.pi * np.cumsum(np.geomspace(start, end, round(seconds * rate))) / rate
    return np.sum([np.sin(k * phase) / k for k in range(1, 11)], axis=0) / 3


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize(("start", "end"), [(90, 130), (220, 160), (300, 380)])
def test_a_gliding_voice_is_followed(rate: int, start: float, end: float) -> None:
    hop = rate // 62
    pitch = measure_pitch(glide(start, end, rate=rate)[None, None], rate, hop)[0]
    assert len(pitch) == 1 + -(-rate // hop) and pitch.dtype == np.float32
    there = np.isfinite(pitch)
    truth = np.geomspace(start, end, rate)[np.minimum(np.arange(len(pitch)) * hop, rate - 1)]
    assert there.mean() > 0.8
    assert np.abs(np.log2(pitch[there] / truth[there]))[2:-2].max() < 0.06


def test_noise_and_silence_have_hardly_any() -> None:
    noise = np.random.default_rng(0).standard_normal((20, 1, 16000))
    assert np.isfinite(measure_pitch(noise, 16000, 256)).mean() < 0.25
    assert np.isnan(measure_pitch(np.zeros((2, 1, 5000)), 16000, 256)).all()
    assert measure_pitch(np.zeros((2, 2, 300)), 16000, 256).shape == (2, 3)


def test_pauses_are_unvoiced() -> None:
    wave = np.concatenate([glide(150, 150, 0.4), np.zeros(4000), glide(160, 150, 0.4)])
    pitch = measure_pitch(wave[None, None], 16000, 256)[0]
    assert np.isnan(pitch[28:37]).all() and np.isfinite(pitch[4:20]).all() and np.isfinite(pitch[46:60]).all()


def test_batches_have_the_pitch_of_their_sounds(tiny_sounds: Path) -> None:
    plain = open_audio_folder(tiny_sounds, length=2048, progress=False)
    data = plain.with_column("pitch", PitchTrack(256, progress=False))
    rng = np.random.default_rng(0)
    batch = data.batch(np.array([5, 2]), rng)
    assert batch["pitch"].shape == (2, 9) and set(batch) == {"x", "label", "pitch"}
    train, held_out = data.split(0.25)
    assert (len(train), len(held_out)) == tuple(map(len, plain.split(0.25)))
    expected = measure_pitch(train.signals(np.array([3])).numpy(), 16000, 256)
    assert np.array_equal(train.batch(np.array([3]), rng)["pitch"].numpy(), expected, equal_nan=True)


def test_the_pitch_of_points_is_an_error() -> None:
    with pytest.raises(UserError, match="pitch is measured on sounds, but this is other data: 10 points"):
        PitchTrack(256)(open_points(count=10))
    assert PitchTrack(256, enabled=False)(open_points(count=10)) is None
