"""Tests of the full-reference metrics of sounds and speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiogan.errors import UserError
from audiogan.modalities import Image, Sound
from audiogan.modalities.references import BETTER, si_sdr
from audiogan.modalities.sound_references import cutoff_frequency, lsd, snr_below, stft_distance
from audiogan.modalities.speech_references import (
    character_error_rate,
    compare_pitch,
    estoi,
    mcd24,
    pesq_wideband,
    speech_metrics,
    word_error_rate,
)

RATE = 16_000
Wave = NDArray[np.float32]


def voice(seconds: float = 1.0) -> Wave:
    """Return a synthetic vowel ``[1, 1, T]`` with a gliding pitch and vibrating level."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 1.5 * time)) / RATE
    tones = sum(np.sin(k * phase) / (1 + ((k * 130 - 700) / 400) ** 2) for k in range(1, 50))
    wave = 0.1 * tones * (1.1 + np.sin(2 * np.pi * 3 * time)) / 2
    wave = wave + 1e-4 * np.random.default_rng(0).standard_normal(len(time))
    return wave.astype(np.float32)[None, None]


def noisy(x: Wave, std: float) -> Wave:
    return x + np.float32(std) * np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)


def low_passed(x: Wave, hertz: float) -> Wave:
    spectrum = np.fft.rfft(x)
    spectrum[..., round(hertz * x.shape[-1] / RATE) :] = 0
    return np.fft.irfft(spectrum, x.shape[-1]).astype(np.float32)


@pytest.mark.parametrize("metric", ["si_sdr", "lsd", "stft_distance", "mcd24_world", "estoi", "f0_rmse_cents"])
def test_a_slightly_noisy_copy_is_better_than_a_very_noisy_one(metric: str) -> None:
    x, sound = voice(), Sound(RATE)
    if metric not in ("si_sdr", "lsd", "stft_distance"):
        pytest.importorskip("pystoi"), pytest.importorskip("pyworld")

    def measure(y: Wave) -> float:
        if metric in ("si_sdr", "lsd", "stft_distance"):
            return sound.reference_metrics(y, x)[metric]
        functions = {"mcd24_world": mcd24, "estoi": estoi}
        found = functions[metric](y, x, RATE) if metric in functions else compare_pitch(y, x, RATE)[metric]
        assert found is not None
        return found

    good, bad = measure(noisy(x, 1e-3)), measure(noisy(x, 0.05))
    assert good > bad if BETTER[metric] == "higher" else good < bad


def test_identical_sounds() -> None:
    x = voice()
    assert lsd(x, x, RATE) == stft_distance(x, x, RATE) == 0 and si_sdr(x, x) == 100
    assert snr_below(x, x, RATE, 4000) == 100 and cutoff_frequency(x, x, RATE) is None


def test_si_sdr_ignores_gain_and_offset() -> None:
    x, y = voice(), noisy(voice(), 0.01)
    assert si_sdr(0.3 * y + 0.2, x) == pytest.approx(si_sdr(y, x), abs=1e-3)


def test_lsd_is_in_units_of_10_db() -> None:
    x = noisy(voice(), 0.1)
    assert lsd(x / 10, x, RATE) == pytest.approx(2, abs=1e-3)
    assert lsd(x / 10, x, RATE, above=4000) == pytest.approx(2, abs=1e-3)
    with pytest.raises(ValueError, match="above=8000"):
        lsd(x, x, RATE, above=8000)


def test_a_missing_band_is_found_and_measured() -> None:
    x = np.concatenate([noisy(voice(), 0.02), noisy(voice(), 0.01)])
    narrow = low_passed(x, 4000)
    found = Sound(RATE).restoration_metrics(narrow, x, narrow)
    assert found.keys() == {"lsd_above/4000Hz", "snr_below/4000Hz"} and found["snr_below/4000Hz"] == 100
    assert found["lsd_above/4000Hz"] > lsd(narrow, x, RATE) > 1
    filled = narrow + noisy(0 * x, 0.02) - low_passed(noisy(0 * x, 0.02), 4000)
    better = Sound(RATE).restoration_metrics(filled, x, narrow)
    assert better["lsd_above/4000Hz"] < 1.2 and better["snr_below/4000Hz"] > 30
    assert Sound(RATE).restoration_metrics(narrow, narrow, narrow) == {}


def test_silence_is_ignored_or_measured_without_an_error() -> None:
    x, silent = voice(), np.zeros_like(voice())
    assert stft_distance(x, silent, RATE) is None and lsd(silent, silent, RATE) == 0
    assert cutoff_frequency(silent, silent, RATE) is None and snr_below(x, silent, RATE, 4000) is None
    pytest.importorskip("pystoi"), pytest.importorskip("pyworld")
    assert estoi(x, silent, RATE) is None and mcd24(x, silent, RATE) is None
    assert compare_pitch(x, silent, RATE) == {"f0_rmse_cents": None, "f0_correlation": None, "voicing_error": None}
    assert np.isfinite(mcd24(silent, x, RATE))


def test_pesq() -> None:
    pytest.importorskip("pesq", reason="pesq is not installed; it needs a C compiler")
    x = voice(1.5)
    assert pesq_wideband(x, x, RATE) == pytest.approx(4.644, abs=1e-3)
    good, bad = pesq_wideband(noisy(x, 3e-4), x, RATE), pesq_wideband(noisy(x, 0.03), x, RATE)
    assert good is not None and bad is not None and good > bad + 0.5
    assert pesq_wideband(x, 0 * x, RATE) is None
    assert pesq_wideband(x[..., :800], x[..., :800], RATE) is None  # shorter than PESQ accepts


def test_estoi_ignores_sounds_of_less_than_0_4_seconds() -> None:
    pytest.importorskip("pystoi")
    x = voice()
    assert estoi(x, x, RATE) == pytest.approx(1)
    assert estoi(x[..., :4000], x[..., :4000], RATE) is None
    quiet = x.copy()
    quiet[..., 4000:] = 0
    assert estoi(quiet, quiet, RATE) is None


def test_pitch_is_measured_in_cents() -> None:
    pytest.importorskip("pyworld")
    x = voice()
    higher = np.interp(np.arange(0, x.shape[2], 2 ** (1 / 12)), np.arange(x.shape[2]), x[0, 0])[None, None]
    found = compare_pitch(x[..., : higher.shape[2]], higher, RATE)
    assert found["f0_rmse_cents"] == pytest.approx(100, abs=60)
    same = compare_pitch(x, x, RATE)
    assert same["f0_rmse_cents"] == 0 and same["f0_correlation"] == pytest.approx(1) and same["voicing_error"] == 0


def test_error_rates_of_recognised_text() -> None:
    pytest.importorskip("jiwer")
    assert word_error_rate(["Hello, World!"], ["hello world"]) == 0
    assert word_error_rate(["a b", "c"], ["a b", "d"]) == pytest.approx(1 / 3)  # over all words together
    assert character_error_rate(["helo"], ["hello"]) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="no word"):
        word_error_rate(["a"], ["..."])
    with pytest.raises(ValueError, match="1 recognised sentences for 2"):
        word_error_rate(["a"], ["a", "b"])


def test_images_have_no_speech_metrics() -> None:
    with pytest.raises(UserError, match="defined for sounds, not for images"):
        Image().speech_metrics(np.zeros((1, 1, 8, 8)), np.zeros((1, 1, 8, 8)))


def test_recorded_speech(shared_data: Path) -> None:
    recordings = sorted((shared_data / "speech" / "kerstin").glob("*.flac"))
    if not recordings:
        pytest.skip("the recordings of speech are not available")
    pytest.importorskip("pystoi"), pytest.importorskip("pyworld")
    x = soundfile.read(recordings[0], frames=24_000, dtype="float32")[0][None, None]
    good, bad = (speech_metrics(noisy(x, std), x, RATE) for std in (1e-3, 0.03))
    assert all(good[name] > bad[name] if BETTER[name] == "higher" else good[name] < bad[name] for name in good)
