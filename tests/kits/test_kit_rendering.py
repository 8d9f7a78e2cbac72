"""Tests of rendered pads: loudness, trimming, fades and resampling."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import signal

from audiogan import Generator, Recipe, UserError
from audiogan.kits import Kit, Pad, make_kit, render_pads
from audiogan.kits.kit import velocity_ranges
from audiogan.kits.rendering import CEILING_DB, LOUDNESS, Hit, render_hits


def _loudness(wave: np.ndarray) -> float:
    """Return the loudness of the loudest 400 ms of `[C, T]` at 48 kHz, with the filter coefficients of BS.1770-4 for
    this rate."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585]
    highpass = [1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]
    y = np.pad(wave.astype(np.float64), ((0, 0), (0, 19200)))
    for b, a in (shelf, highpass):
        y = signal.lfilter(b, a, y)
    energy = np.pad((y**2).sum(axis=0).cumsum(), (1, 0))
    return float(10 * np.log10((energy[19200:] - energy[:-19200]).max() / 19200) - 0.691)


def _peak(wave: np.ndarray) -> float:
    """Return the true peak in dB, measured at eight times the sample rate with another resampler."""
    return float(20 * np.log10(np.abs(signal.resample_poly(wave.astype(np.float64), 8, 1, axis=-1)).max()))


def test_pads_are_equally_loud_or_peak_as_high_as_they_may(kit: Kit, hits: list[list[Hit]]) -> None:
    highest = max(_peak(hit.wave) for strokes in hits for hit in strokes)
    assert highest == pytest.approx(CEILING_DB, abs=0.05)
    common = max(strokes[-1].loudness for strokes in hits)  # The loudness of the pads that are not attenuated.
    for pad, strokes in zip(kit.pads, hits, strict=True):
        short = strokes[0].attenuation
        for hit, (_, high) in zip(strokes, velocity_ranges(len(strokes)), strict=True):
            wanted = common + 20 * np.log10(high / 127) - short
            assert _loudness(hit.wave) == pytest.approx(wanted, abs=0.5), pad.name
            assert _peak(hit.wave) == pytest.approx(hit.peak, abs=0.1), pad.name


def _moved(kit: Kit, **settings: float) -> Kit:
    """Return the kit with other settings of its second pad."""
    return Kit((kit.pads[0], replace(kit.pads[1], **settings), *kit.pads[2:]), kit.model)


@pytest.fixture(scope="module")
def pair(drums: Generator) -> Kit:
    return make_kit(drums, 2, seed=7, labels=["kick", "snare"])


def test_level_moves_one_pad_and_the_highest_peak_stays(drums: Generator, pair: Kit) -> None:
    plain = render_hits(drums, pair, 48000)
    for level in (-24.0, -5.0, 12.0):
        moved = render_hits(drums, _moved(pair, level=level), 48000)
        apart = [hits[1][0].loudness - hits[0][0].loudness for hits in (plain, moved)]
        assert apart[1] - apart[0] == pytest.approx(level, abs=1e-6)
        assert max(_peak(hits[0].wave) for hits in moved) == pytest.approx(CEILING_DB, abs=0.05)


@pytest.mark.parametrize("pan", [-1.0, -0.3, 0.5])
def test_pan_keeps_the_power_and_makes_all_sounds_stereo(drums: Generator, pair: Kit, pan: float) -> None:
    plain, moved = render_pads(drums, pair), render_pads(drums, _moved(pair, pan=pan))
    kick, snare = moved[0][0], moved[1][0]
    assert kick.shape[0] == snare.shape[0] == 2 and np.array_equal(kick[0], kick[1])
    scale = np.abs(kick).max() / np.abs(plain[0][0]).max()
    power = np.square(snare.astype(np.float64)).sum() / np.square(plain[1][0].astype(np.float64)).sum()
    assert power == pytest.approx(2 * scale**2, rel=1e-5)
    left, right = np.abs(snare).max(axis=1)
    assert np.arctan2(right, left) == pytest.approx((1 + pan) * np.pi / 4, abs=1e-5)
    assert max(_peak(wave) for wave in (kick, snare)) == pytest.approx(CEILING_DB, abs=0.05)


@pytest.mark.parametrize("tune", [-12.0, 7.0, 0.5])
def test_tune_moves_the_pitch_and_the_length(tune: float) -> None:
    t = np.arange(16000) / 16000
    burst = (np.sin(2 * np.pi * 1000 * t) * np.hanning(16000))[None].astype(np.float32)
    plain, out = _rendered(burst)[0], _rendered(burst, tune=tune)[0]
    factor = 2 ** (tune / 12)
    assert len(out) == pytest.approx(len(plain) / factor, rel=0.01)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out)), 4 * 48000))
    assert spectrum.argmax() / 4 == pytest.approx(1000 * factor, abs=1)


def test_the_balance_is_the_same_at_all_rates_and_of_any_part(drums: Generator, kit: Kit) -> None:
    levels = [[[hit.loudness for hit in pad] for pad in render_hits(drums, kit, rate)] for rate in (16000, 44100)]
    assert levels[0] == levels[1]


def test_what_cannot_be_so_loud_is_softer_and_says_so(drums: Generator) -> None:
    kit = make_kit(drums, 6, seed=3, layers=2)
    hits = render_hits(drums, kit, 48000, -8.0)
    assert all(strokes[0].attenuation > 1 for strokes in hits)
    for strokes in hits:
        assert max(hit.peak for hit in strokes) == pytest.approx(CEILING_DB, abs=0.01)
        assert strokes[1].loudness == pytest.approx(-8 - strokes[1].attenuation, abs=0.01)
        assert strokes[1].loudness - strokes[0].loudness == pytest.approx(20 * np.log10(127 / 63), abs=0.01)
        assert np.abs(strokes[1].wave).max() < 1


def test_sounds_begin_at_once_and_end_in_silence(hits: list[list[Hit]]) -> None:
    for strokes in hits:
        for hit in strokes:
            size = np.abs(hit.wave).max(axis=0)
            assert size[:3].max() >= 0.01 * size.max() * 0.99
            assert size[-1] <= 1e-4 * size.max()
            assert 0.02 < len(size) / 48000 < 1.1


def test_same_bits_every_time(drums: Generator, kit: Kit, hits: list[list[Hit]]) -> None:
    again = render_pads(drums, kit, sample_rate=48000)
    for mine, strokes in zip(again, hits, strict=True):
        assert all(np.array_equal(wave, hit.wave) for wave, hit in zip(mine, strokes, strict=True))


def _rendered(
    wave: np.ndarray, sample_rate: int = 48000, loudness: float | None = LOUDNESS, tune: float = 0
) -> np.ndarray:
    """Render a kit of one pad with a model that generates ``wave`` at 16 kHz."""
    maker: Any = SimpleNamespace(render=lambda recipes: np.stack([wave] * len(recipes)), sample_rate=16000)
    kit = Kit((Pad("one", 36, (Recipe("m", (0.0,)),), tune=tune),), "m")
    return render_pads(maker, kit, sample_rate=sample_rate, loudness=loudness)[0][0]


@pytest.mark.parametrize("sample_rate", [44100, 48000])
def test_resampling_keeps_tones_and_adds_nothing(sample_rate: int) -> None:
    t = np.arange(16000) / 16000
    burst = np.sin(2 * np.pi * 7000 * t) * np.hanning(16000)
    out = _rendered(burst[None].astype(np.float32), sample_rate)[0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(len(out))))
    frequency = np.fft.rfftfreq(len(out), 1 / sample_rate)
    assert frequency[spectrum.argmax()] == pytest.approx(7000, abs=2)
    assert spectrum[frequency > 8000].max() < 1e-4 * spectrum.max()  # An aliased image would be at 9 kHz.


def test_silence_around_a_sound_is_cut_and_silence_alone_is_kept() -> None:
    wave = np.zeros((1, 16000), np.float32)
    wave[0, 4000:6000] = np.random.default_rng(0).standard_normal(2000) * np.linspace(1, 0.2, 2000) * 0.3
    out = _rendered(wave)
    assert out.shape[1] == pytest.approx(6000, abs=200)  # 0.125 s at 48 kHz, plus the ringing of the filter.
    silent = _rendered(np.zeros((2, 16000), np.float32))
    assert silent.shape == (2, 48000) and not silent.any()


def test_stereo_stays_stereo_and_is_as_loud() -> None:
    noise = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32) * np.array(
        [[0.5], [0.1]], np.float32
    )
    out = _rendered(noise)
    assert out.shape[0] == 2
    assert np.abs(out[0]).max() / np.abs(out[1]).max() == pytest.approx(5, rel=0.3)
    assert _loudness(out) == pytest.approx(LOUDNESS, abs=0.3)


def test_shortest_sounds_are_rendered() -> None:
    wave = np.zeros((1, 64), np.float32)
    wave[0, 10] = 0.5
    out = _rendered(wave)
    assert np.isfinite(out).all() and _peak(out) <= CEILING_DB + 0.1


@pytest.mark.parametrize(("name", "value"), [("sample_rate", 7999), ("sample_rate", 10**9), ("loudness", 3.0)])
def test_bad_settings(drums: Generator, kit: Kit, name: str, value: float) -> None:
    with pytest.raises(UserError, match=name):
        render_pads(drums, kit, **{name: value})  # type: ignore[arg-type]
