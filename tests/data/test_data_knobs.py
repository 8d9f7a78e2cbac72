"""Tests of knobs: each measures the property that its name states, independently of other properties. Tests of the
scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from audiogan.data.sounds.knobs import KNOBS, measure_knobs
from audiogan.data.toys.drum_machine import drum_machine
from audiogan.errors import UserError
from audiogan.inputs import Scale

RATE, LENGTH = 16_000, 16_384
T = np.arange(LENGTH) / RATE
NOISE = np.random.default_rng(0).standard_normal(LENGTH)


def knob(name: str, waves: Any, rate: int = RATE) -> np.ndarray:
    """Return one knob of mono sounds `[N, T]`."""
    return measure_knobs(np.asarray(waves, np.float32)[:, None], rate, [name])[:, 0]


def fading(tone: np.ndarray, seconds: float = 0.1) -> np.ndarray:
    return tone * np.exp(-T / seconds)


# Properties that knobs measure.


def test_names_and_order() -> None:
    assert list(KNOBS) == ["brightness", "attack", "decay", "noisiness", "pitch"]
    waves = fading(NOISE)[None, None]
    assert (measure_knobs(waves, RATE, ["decay", "attack"]) == measure_knobs(waves, RATE)[:, [2, 1]]).all()
    assert measure_knobs(np.zeros((0, 1, 99)), RATE).shape == (0, 5)


def test_brightness_of_tones_is_their_frequency() -> None:
    hz = np.geomspace(60, 7000, 25)
    found = knob("brightness", [fading(np.sin(2 * np.pi * f * T)) for f in hz])
    assert (np.diff(found) > 0).all()
    # The attack is bright, so the brightness of low tones is higher than their frequency.
    assert np.abs(found - np.log2(hz))[hz > 500].max() < 0.25


def test_brightness_rises_with_the_cutoff_of_noise() -> None:
    filters = [scipy.signal.butter(4, f, fs=RATE) for f in np.geomspace(100, 7500, 20)]
    assert (np.diff(knob("brightness", [fading(scipy.signal.lfilter(*ba, NOISE)) for ba in filters])) > 0).all()


@pytest.mark.parametrize("tone", ["sine", "noise"])
def test_attack_is_the_length_of_a_linear_attack(tone: str) -> None:
    seconds = np.geomspace(0.01, 0.3, 12)
    wave = np.sin(2 * np.pi * 400 * T) if tone == "sine" else np.sign(NOISE)
    found = knob("attack", [wave * np.minimum(T / s, 1) * np.exp(-np.maximum(T - s, 0) / 0.1) for s in seconds])
    assert (np.diff(found) > 0).all()
    assert np.abs(found - np.log10(seconds)).max() < 0.15


@pytest.mark.parametrize("tone", ["sine", "noise"])
def test_decay_is_the_time_to_fall_by_15_db(tone: str) -> None:
    fall = np.geomspace(0.01, 0.4, 12)
    wave = np.sin(2 * np.pi * 400 * T) if tone == "sine" else NOISE
    found = knob("decay", [wave * 10 ** (-15 / 20 * T / s) for s in fall])
    assert (np.diff(found) > 0).all()
    assert np.abs(found - np.log10(fall)).max() < 0.15


def test_decay_ends_with_the_clip() -> None:
    found = knob("decay", [np.sin(2 * np.pi * 100 * T) * np.exp(-np.abs(T - at) / 10) for at in (0.1, 0.9)])
    assert found[0] > found[1] and found[1] < np.log10(LENGTH / RATE - 0.9 + 0.01)


def test_noisiness_rises_from_a_tone_to_noise() -> None:
    tone = np.sqrt(2) * np.sin(2 * np.pi * 1000 * T)
    found = knob("noisiness", [fading((1 - s) * tone + s * NOISE) for s in np.linspace(0, 1, 12)])
    assert (np.diff(found) > 0).all()
    # Expected value for a periodogram of white noise: 10 log10 exp(-0.577) = -2.5 dB.
    assert found[0] < -25 and -3.5 < found[-1] < -2


def test_pitch_is_that_of_a_voice_and_noise_and_silence_have_none() -> None:
    hertz = np.geomspace(80, 400, 12)
    voices = [sum(np.sin(2 * np.pi * k * f * T) / k for k in range(1, 9)) for f in hertz]
    assert knob("pitch", voices) == pytest.approx(np.log2(hertz), abs=0.02)
    assert np.isnan(knob("pitch", [0 * T])).all()
    values = np.array([[1.0], [np.nan], [2.0], [3.0]])
    scale = Scale.fit(values, ["pitch"])
    assert scale.to_normal_scores(values)[:, 0] == pytest.approx(
        [-2.326, 0, 0, 2.326], abs=1e-3
    )  # An unknown value is mapped to the median.
    assert scale.quantiles.min() == 1 and scale.quantiles.max() == 3
    with pytest.raises(UserError, match="none of the 4 training sounds has a pitch; leave 'pitch' out"):
        Scale.fit(np.full((4, 1), np.nan), ["pitch"])


# Properties that have no effect on knobs.


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(1e-20, 1e20), delay=st.integers(0, 2000), seed=st.integers(0, 99))
def test_neither_level_nor_polarity_nor_silence_before_matters(gain: float, delay: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal((1, 2, 4000)) * np.exp(-np.arange(4000) / rng.uniform(50, 500))
    plain, other = np.pad(wave, ((0, 0), (0, 0), (0, 4000))), np.zeros((1, 2, 8000))
    other[..., delay : delay + 4000] = -gain * wave
    a, b = measure_knobs(plain, RATE)[0], measure_knobs(other, RATE)[0]
    assert b[1:3] == pytest.approx(a[1:3], abs=0.01)
    assert b[[0, 3]] == pytest.approx(a[[0, 3]], abs=0.5)  # The frames of such a short sound are at other positions.
    assert measure_knobs((gain * plain).astype(np.float32), RATE)[0] == pytest.approx(a, abs=1e-3, nan_ok=True)


def test_channels_are_summed_in_power() -> None:
    machine = drum_machine(22, length=8192)
    mono = machine.signals(slice(None)).numpy()
    want = measure_knobs(mono, RATE)
    silent = np.zeros_like(mono)
    for stereo in ([mono, mono], [mono, -mono], [silent, mono]):
        assert measure_knobs(np.concatenate(stereo, axis=1), RATE) == pytest.approx(want, abs=1e-3, nan_ok=True)


def test_the_sample_rate_hardly_matters() -> None:
    waves = drum_machine(22, sample_rate=44_100, length=44_100).signals(slice(None)).numpy()
    sos = scipy.signal.butter(10, 6000, fs=44_100, output="sos")
    waves = scipy.signal.sosfiltfilt(sos, waves)
    low = scipy.signal.resample_poly(waves, 160, 441, axis=-1)
    names = ["brightness", "attack", "decay"]  # The spectrum is empty at high frequencies, so the flatness is smaller.
    assert np.median(np.abs(measure_knobs(waves, 44_100, names) - measure_knobs(low, RATE, names)), axis=0).max() < 0.03


def test_any_finite_sound_has_finite_knobs() -> None:
    click = np.zeros(LENGTH)
    click[700] = 1
    odd = [0 * T, click, NOISE / np.abs(NOISE).max(), np.ones(LENGTH), np.sign(NOISE), 1e-45 * NOISE, 1e38 * click]
    names = ["brightness", "attack", "decay", "noisiness"]
    values = measure_knobs(np.asarray(odd, np.float32)[:, None], RATE, names)
    assert np.isfinite(values).all()
    assert values[0] == pytest.approx([np.log2(20), -4, -4, -60])
    assert (values[1:] >= values[0]).all()
    for length in (1, 2, 3, 100, 1025):
        for rate in (100, 8000, 44_100):
            values = measure_knobs(np.ones((3, 2, length)), rate)
            assert np.isfinite(values[:, :4]).all() and not np.isinf(values).any()


def test_each_sound_is_measured_by_itself() -> None:
    waves = drum_machine(70, length=4096).signals(slice(None)).numpy()  # More sounds than are analysed in one chunk.
    together = measure_knobs(waves, RATE)
    assert together[[0, 33, 69]] == pytest.approx(measure_knobs(waves[[0, 33, 69]], RATE), abs=1e-4, nan_ok=True)


def test_what_cannot_be_measured() -> None:
    waves = np.zeros((3, 1, 100))
    with pytest.raises(UserError, match="no knob 'loudness'; there are brightness, attack, decay, noisiness, pitch"):
        measure_knobs(waves, RATE, ["attack", "loudness"])
    with pytest.raises(UserError, match="'attack' is repeated"):
        measure_knobs(waves, RATE, ["attack", "attack"])
    for shape in ((3, 100), (3, 0, 100), (3, 1, 0)):
        with pytest.raises(ValueError, match="must be \\[N, C, T\\]"):
            measure_knobs(np.zeros(shape), RATE)
    waves[1, 0, 5] = np.nan
    with pytest.raises(ValueError, match="1 of the sounds 0 to 2 contain NaN"):
        measure_knobs(waves, RATE)


# The scale.

VALUES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 60), st.just(2)),
    elements=st.floats(-1e3, 1e3) | st.sampled_from([0.0, -4.0, 7.25]),  # with ties
)


@settings(max_examples=60, deadline=None)
@given(values=VALUES)
def test_a_scale_is_monotone_and_goes_back_and_forth(values: np.ndarray) -> None:
    scale = Scale.fit(values, ["a", "b"])
    assert scale.quantiles.shape == (2, 65) and (np.diff(scale.quantiles) > 0).all()
    grid = np.stack([np.linspace(0, 1, 201)] * 2, axis=1)
    assert scale.to_quantile_levels(scale.to_values(grid)) == pytest.approx(grid, abs=1e-6)
    ordered = np.sort(np.concatenate([values, values + 1, [[-1e9, -1e9], [1e9, 1e9]]]), axis=0)
    shares = scale.to_quantile_levels(ordered)
    assert (np.diff(shares, axis=0) >= 0).all() and (shares[0] == 0).all() and (shares[-1] == 1).all()
    hair = 1e-3 * np.abs(values).max(axis=0) + 1e-6
    assert (np.abs(scale.to_values(scale.to_quantile_levels(values)) - values) <= hair).all()
    again = Scale.from_dict(yaml.safe_load(yaml.safe_dump(scale.to_dict())))
    assert again.names == ("a", "b") and (again.quantiles == scale.quantiles).all()


def test_shares_and_scores_of_many_sounds() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=(5000, 1))
    scale = Scale.fit(values, ["x"])
    below = (values < values[:, 0]).mean(axis=0)
    assert np.abs(scale.to_quantile_levels(values)[:, 0] - below).max() < 0.01
    scores = scale.to_normal_scores(values)
    assert scores.dtype == np.float32 and abs(scores.mean()) < 0.01 and 0.95 < scores.std() < 1
    assert scale.to_normal_scores([[-1.0], [99.0]])[:, 0] == pytest.approx([-2.326, 2.326], abs=1e-3)
    assert scale.quantile_levels_to_normal_scores([[0.5], [0.84134]])[:, 0] == pytest.approx([0, 1], abs=1e-3)
    digits = [f"{q:.6g}" for q in scale.to_dict()["quantiles"][0]]
    assert [float(d) for d in digits] == scale.to_dict()["quantiles"][0]


def test_what_makes_no_scale() -> None:
    for values in (np.zeros((0, 1)), np.zeros((4, 2)), np.zeros(4), np.full((4, 1), np.inf)):
        with pytest.raises(ValueError, match="must be finite"):
            Scale.fit(values, ["x"])
    with pytest.raises(ValueError, match="strictly increasing"):
        Scale.from_dict({"names": ["x"], "quantiles": [[0.0] * 65]})
    with pytest.raises(ValueError, match="must be \\(1, 65\\)"):
        Scale.from_dict({"names": ["x"], "quantiles": [[0.0, 1.0]]})
    with pytest.raises(ValueError, match="for x"):
        Scale.fit([[0.0], [1.0]], ["x"]).to_quantile_levels([[0.0, 1.0]])


# Real sounds.


def test_real_drums(real_drums: Path) -> None:
    waves, of = [], []
    for folder in sorted(p for p in real_drums.iterdir() if p.is_dir()):
        for file in sorted(folder.glob("*.wav"))[::3][:40]:
            wave, rate = sf.read(file)
            assert wave.ndim == 1 and rate == RATE
            waves.append(np.pad(wave[:LENGTH], (0, max(0, LENGTH - len(wave)))))
            of.append(folder.name)
    values, label = measure_knobs(np.stack(waves)[:, None], RATE), np.array(of)
    median = {k: dict(zip(KNOBS, np.median(values[label == k], axis=0), strict=True)) for k in np.unique(label)}
    assert median["hat_closed"]["brightness"] > median["snare"]["brightness"] > median["kick"]["brightness"] + 1
    assert median["hat_open"]["brightness"] > median["tom"]["brightness"] + 1
    assert median["crash"]["decay"] > median["hat_open"]["decay"] > median["hat_closed"]["decay"]
    assert median["crash"]["decay"] > median["hat_closed"]["decay"] + 0.5  # More than three times as long.
    assert median["ride"]["decay"] > median["rim"]["decay"] + 0.5
    backwards = measure_knobs(np.stack(waves)[:, None, ::-1], RATE, ["attack"])[:, 0]
    assert (backwards > values[:, 1] + 0.3).mean() > 0.9  # The attack of a reversed drum sound is long.
    for noisy in ("hat_closed", "hat_open", "clap"):
        assert median[noisy]["noisiness"] > max(median["kick"]["noisiness"], median["tom"]["noisiness"]) + 6
    # A knob with many equal values would be of no use.
    assert all(len(np.unique(column)) > 0.7 * len(label) for column in values.T)
