"""Tests of sounds with DC offsets, silence, unusual scales and ultrasonic content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from audiogan.data.sounds.decode import Decoded, DecodeSettings, decode
from audiogan.modalities.reading.levels import Windows, infer_full_scale

RATE = 16_000


def kick(at: float, seconds: float, level: float = 0.5, rate: int = RATE) -> np.ndarray:
    x, t = np.zeros(round(seconds * rate)), np.arange(round(0.4 * rate)) / rate
    begin = round(at * rate)
    x[begin : begin + len(t)] = level * np.sin(2 * np.pi * (50 * t + 8 * (1 - np.exp(-40 * t)))) * np.exp(-9 * t)
    return x


def judged(path: Path, x: np.ndarray, rate: int = RATE, subtype: str = "PCM_16", **settings: Any) -> Decoded:
    sf.write(path / "a.wav", x, rate, subtype=subtype)
    return decode(path / "a.wav", DecodeSettings(**settings))


def only(found: Decoded) -> np.ndarray:
    assert found.reason == "usable", found
    (clip,) = found.clips
    return clip


@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("imbalance", [1.0, 0.99])
def test_channels_that_cancel_out_are_not_silence(tmp_path: Path, channels: int, imbalance: float) -> None:
    x = np.stack([kick(0.1, 0.6) * (1 if c % 2 == 0 else -imbalance) for c in range(channels)], axis=1)
    found = judged(tmp_path, x, normalize="none", length=9600)
    np.testing.assert_allclose(only(found)[0], x[:, 0], atol=1e-4)
    assert found.flags == ("out of phase",) and "channel 1" in found.detail
    assert not judged(tmp_path, x, channels=channels).flags and not judged(tmp_path, x, channel_mode="keep").flags


def test_each_mixed_channel_is_judged_by_itself_and_slices_are_mixed_alike(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 9600)
    x = np.stack([kick(0.1, 0.6), noise, -kick(0.1, 0.6), noise], axis=1)
    clip = only(judged(tmp_path, x, channels=2, normalize="none", length=9600))
    np.testing.assert_allclose(clip, x[:, :2].T, atol=1e-4)
    found = judged(tmp_path, x[:, [0, 2]], long="slice", length=4800, normalize="none")
    np.testing.assert_allclose(np.concatenate(list(found.clips), axis=1)[0], x[:, 0], atol=1e-4)


def test_a_dead_channel_and_nearly_cancelling_ones_are_mixed_as_ever(tmp_path: Path) -> None:
    x = kick(0.1, 0.6)
    for other in (0 * x, -0.9 * x, 0.5 * x):
        found = judged(tmp_path, np.stack([x, other], axis=1), normalize="none", length=9600)
        np.testing.assert_allclose(only(found)[0], (x + other) / 2, atol=1e-4)
        assert not found.flags
    assert judged(tmp_path, np.zeros((9600, 2))).reason == "silent"


@pytest.mark.parametrize(
    "offset", [0.3, -0.3, 0.05, 0.03, np.linspace(0.3, 0.1, 40_000), np.linspace(0.3, -0.3, 40_000)]
)
@pytest.mark.parametrize("level", [0.5, 0.05])
def test_an_offset_is_neither_onset_nor_level(tmp_path: Path, offset: Any, level: float) -> None:
    plain = only(judged(tmp_path, kick(1.5, 2.5, level), subtype="FLOAT"))
    found = judged(tmp_path, kick(1.5, 2.5, level) + offset, subtype="FLOAT")
    np.testing.assert_allclose(only(found), plain, atol=0.01)
    assert found.flags == ("offset",)


def test_offsets_of_single_channels_long_files_slices_and_short_files(tmp_path: Path) -> None:
    x = np.stack([kick(1.5, 2.5) + 0.3, kick(1.5, 2.5) - 0.2], axis=1)
    clip = only(judged(tmp_path, x, channels=2))
    assert abs(int(np.argmax(np.abs(clip[0]) > 0.1)) - 80) < 3
    np.testing.assert_allclose(clip[0], clip[1], atol=1e-3)
    long = judged(tmp_path, kick(9.5, 11) + 0.3)  # More than one block.
    assert abs(int(np.argmax(np.abs(only(long)[0]) > 0.1)) - 80) < 3
    slices = judged(tmp_path, kick(9.5, 11) + 0.3, long="slice", length=8000, normalize="none")
    clips = list(slices.clips)
    assert len(clips) == 1 and abs(float(clips[0].mean())) < 0.02  # All other slices contain only the offset.
    short = only(judged(tmp_path, kick(0.3, 0.8) + 0.3))[0]
    assert np.abs(short[:4000]).max() < 0.01 and np.abs(short[-4000:]).max() == 0
    for nothing in (np.full(40_000, 0.3), np.linspace(0.3, 0.1, 40_000)):
        assert judged(tmp_path, nothing).reason == "silent"
    assert judged(tmp_path, np.full((40_000, 2), [0.3, -0.3]), channels=2).reason == "silent"


def test_small_offsets_and_low_notes_stay_as_they_are(tmp_path: Path) -> None:
    t = np.arange(RATE) / RATE
    for x in (kick(0.1, 0.8) + 0.02, 0.5 * np.sin(2 * np.pi * 25 * t), kick(0, 0.4) ** 2, kick(0.1, 1.0) + 0.004):
        found = judged(tmp_path, x, normalize="none")
        np.testing.assert_allclose(only(found)[0, : len(x)], x, atol=1e-4)
        assert not found.flags


@pytest.mark.parametrize("rate", [44_100, 48_000, 192_000])
def test_what_a_resampler_leaves_of_ultrasound_is_silence(tmp_path: Path, rate: int) -> None:
    t = np.arange(rate) / rate
    high = 0.5 * np.sin(2 * np.pi * 20_000 * t)
    gap = np.zeros(rate // 2)
    for x in (high, high + 0.2, np.r_[gap, high, gap], high[: rate // 20]):
        found = judged(tmp_path, x, rate)
        assert found.reason == "silent" and "16,000 Hz" in found.detail, found
    assert not list(judged(tmp_path, np.r_[high, gap, high], rate, long="slice", length=8000).clips)
    assert judged(tmp_path, high, rate, sample_rate=rate).reason == "usable"


def test_quiet_sounds_and_clicks_below_half_the_rate_are_used(tmp_path: Path) -> None:
    t = np.arange(48_000) / 48_000
    quiet = 0.5 * np.hanning(48_000) * np.sin(2 * np.pi * 20_000 * t) + kick(0.2, 1.0, 0.01, 48_000)
    click = np.zeros(4800)
    click[:20] = 0.5
    assert judged(tmp_path, quiet, 48_000).reason == judged(tmp_path, click, 48_000).reason == "usable"


@pytest.mark.parametrize(("peak", "scale"), [(100, 2**7), (15_192, 2**15), (40_000, 2**15), (8e6, 2**23), (2e9, 2**31)])
def test_float_samples_in_units_of_integers_are_scaled_and_flagged(tmp_path: Path, peak: float, scale: int) -> None:
    x = kick(0.1, 0.6)
    x *= peak / np.abs(x).max()
    found = judged(tmp_path, x, subtype="FLOAT", normalize="none", length=9600)
    np.testing.assert_allclose(only(found)[0], x / scale, rtol=1e-6, atol=1e-9)
    assert found.flags == ("rescaled",) and f"{scale:,}" in found.detail


def test_overs_stay_and_absurd_samples_are_refused(tmp_path: Path) -> None:
    x = kick(0.1, 0.6) / np.abs(kick(0.1, 0.6)).max()
    for peak in (1.0, 1.5, 8.0, 30.0):
        found = judged(tmp_path, x * peak, subtype="FLOAT", normalize="none")
        assert not found.flags and np.abs(only(found)).max() == pytest.approx(peak)
    assert "1e+12" in judged(tmp_path, x * 1e12, subtype="FLOAT").detail
    assert judged(tmp_path, x * 1e300, subtype="DOUBLE").reason == "non-finite"
    assert infer_full_scale(float("nan")) == 1.0 and infer_full_scale(0.0) == 1.0


def test_windows_add_up_whatever_the_blocks() -> None:
    y = np.random.default_rng(0).normal(size=(100_000, 2)).astype(np.float32)
    one, many = Windows(44_100), Windows(44_100)
    one.add(y)
    for part in np.split(y, [65_536]):
        many.add(part)
    np.testing.assert_allclose(one.statistics, many.statistics)
    assert one.peaks().max() == np.abs(y).max()
    assert one.energy(0, len(y)) == pytest.approx(float((y.astype(np.float64) ** 2).sum()), rel=0.01)
