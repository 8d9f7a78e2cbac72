"""Tests of the built-in drum machine: the sound of each class, and the table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import librosa.filters
import numpy as np
import pytest
import torch
from scipy.signal import resample_poly
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiogan.data.toys.drum_machine import CLASSES, drum_machine, render
from audiogan.errors import UserError

RATE, LENGTH, EACH = 16000, 16384, 24


def power(x: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(x.astype(np.float64))) ** 2


def share(x: np.ndarray, low: float, high: float, rate: int = RATE) -> float:
    """Return the fraction of the energy between two frequencies."""
    f, p = np.fft.rfftfreq(len(x), 1 / rate), power(x)
    return float(p[(f >= low) & (f < high)].sum() / p.sum())


def fall(x: np.ndarray, db: float, rate: int = RATE) -> float:
    """Return the time in seconds after which the remaining energy is `-db` below the total."""
    left = np.cumsum(x[::-1].astype(np.float64) ** 2)[::-1]
    return float(np.argmax(left < left[0] * 10 ** (-db / 10)) / rate)


def log_mel(x: np.ndarray) -> np.ndarray:
    """Return log-mel spectrograms [24 bands, 16 times], flattened."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, 256), 512)[::128] * np.hanning(512)
    bands = np.abs(np.fft.rfft(frames)) ** 2 @ librosa.filters.mel(sr=RATE, n_fft=512, n_mels=24).T
    edges = np.unique(np.geomspace(1, len(bands), 17).astype(int))
    return np.concatenate([np.log(part.mean(0) + 1e-6) for part in np.split(bands, edges[:-1]) if len(part)])


@pytest.fixture(scope="module")
def sounds() -> dict[str, list[np.ndarray]]:
    return {name: [render(name, rng=np.random.default_rng((3, i))) for i in range(EACH)] for name in CLASSES}


def median(sounds: dict[str, list[np.ndarray]], name: str, figure, *args: float) -> float:  # type: ignore[no-untyped-def]
    return float(np.median([figure(x, *args) for x in sounds[name]]))


@pytest.mark.parametrize("name", CLASSES)
def test_every_sound_is_clean(sounds: dict[str, list[np.ndarray]], name: str) -> None:
    for x in sounds[name]:
        assert x.dtype == np.float32 and x.shape == (LENGTH,)
        assert np.isfinite(x).all()
        level = np.abs(x)
        assert level.max() == pytest.approx(0.95, abs=1e-5)
        assert abs(x.mean()) < 3e-3
        assert np.argmax(level > 0.1 * level.max()) < 0.006 * RATE  # The sound starts at once.
        assert level[0] < 1e-6  # The sound begins without a click.
        assert level[-80:].max() < 3e-3  # The sound ends in silence.
        assert np.sum(level > 0.9) < 0.02 * LENGTH  # The peak is not clipped.


def test_energy_lies_where_the_class_says(sounds: dict[str, list[np.ndarray]]) -> None:
    assert all(share(x, 0, 200) > 0.5 for x in sounds["kick"])
    assert median(sounds, "kick", share, 0, 200) > 0.9
    assert median(sounds, "tom", share, 0, 500) > 0.9
    for hat in ("hat_closed", "hat_open"):
        assert median(sounds, hat, share, 3000, 8000) > 0.7
        assert median(sounds, hat, share, 0, 600) < 0.1
    assert median(sounds, "snare", share, 100, 600) > 0.2
    assert median(sounds, "snare", share, 1500, 8000) > 0.03
    assert median(sounds, "clap", share, 600, 3000) > 0.5
    assert median(sounds, "cowbell", share, 400, 3000) > 0.6
    assert median(sounds, "crash", share, 600, 8000) > 0.7
    assert median(sounds, "rim", share, 250, 3000) > 0.6


def test_decays_are_in_order(sounds: dict[str, list[np.ndarray]]) -> None:
    time = {name: median(sounds, name, fall, 20) for name in CLASSES}
    assert time["hat_open"] > 3 * time["hat_closed"]
    assert time["crash"] == max(time.values())
    assert all(time["ride"] > time[name] for name in CLASSES if name not in ("crash", "ride"))
    assert time["rim"] < 0.5 * time["snare"]
    assert time["snare"] < time["tom"]


def test_a_clap_is_several_strokes_and_a_kick_falls_in_pitch(sounds: dict[str, list[np.ndarray]]) -> None:
    def strokes(x: np.ndarray) -> int:
        level = np.sqrt(np.convolve(x[:800] ** 2, np.ones(24) / 24, "same"))
        rises = (level[1:-1] > level[:-2]) & (level[1:-1] >= level[2:]) & (level[1:-1] > 0.3 * level.max())
        return int(rises.sum())

    def crossings(x: np.ndarray, first: float, last: float) -> float:
        part = x[int(first * RATE) : int(last * RATE)]
        return np.count_nonzero(np.diff(np.signbit(part))) / 2 / (last - first)

    assert np.median([strokes(x) for x in sounds["clap"]]) >= 3
    low = [resample_poly(resample_poly(x, 1, 16), 16, 1) for x in sounds["kick"]]  # below 500 Hz
    assert np.mean([crossings(x, 0.0, 0.03) > crossings(x, 0.1, 0.2) for x in low]) > 0.7


def test_a_classifier_tells_the_classes_apart_yet_no_two_sounds_are_alike(sounds: dict[str, list[np.ndarray]]) -> None:
    features = np.stack([log_mel(x) for name in CLASSES for x in sounds[name]])
    labels = np.repeat(np.arange(len(CLASSES)), EACH)
    even = np.arange(len(labels)) % 2 == 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=300))
    accuracy = model.fit(features[even], labels[even]).score(features[~even], labels[~even])
    assert accuracy > 0.7  # After training on 12 examples per class. Chance is 0.09.

    waves = np.stack([x for name in CLASSES for x in sounds[name]])
    units = waves / np.linalg.norm(waves, axis=1, keepdims=True)
    alike = np.abs(units @ units.T) - np.eye(len(units))
    assert alike.max() < 0.985  # In real data sets, files above this similarity count as duplicates.
    for label in range(len(CLASSES)):
        own = features[labels == label]
        assert own.std(axis=0).mean() > 0.5  # In nepers, over the sounds of one class.


@pytest.mark.parametrize("name", CLASSES)
def test_a_higher_rate_adds_the_top_and_changes_nothing_below(name: str) -> None:
    """With the same parameters at 44.1 kHz, there is energy above 8 kHz, and the spectrum below is the same as at 16
    kHz."""
    below, above = [], []
    for i in range(8):
        low = render(name, rng=np.random.default_rng((4, i)))
        high = render(name, sample_rate=44100, length=45159, rng=np.random.default_rng((4, i)))
        assert high.shape == (45159,) and np.abs(high).max() == pytest.approx(0.95, abs=1e-5)
        whole = share(high, 0, 7000, 44100)
        for edge in (300, 1000, 3000):
            below.append(share(low, 0, edge) / share(low, 0, 7000) - share(high, 0, edge, 44100) / whole)
        above.append(share(high, 8000, 22050, 44100))
    assert np.abs(np.mean(below)) < 0.1 and np.median(np.abs(below)) < 0.1
    if name in ("crash", "hat_closed", "hat_open"):
        assert np.median(above) > 0.15


def test_nothing_aliases() -> None:
    """Partials of a cowbell above half the sample rate are omitted, so there is silence between the remaining
    partials."""
    for i in range(6):
        low = render("cowbell", sample_rate=8000, length=8192, rng=np.random.default_rng((6, i)))
        high = render("cowbell", sample_rate=64000, length=65536, rng=np.random.default_rng((6, i)))
        a, b = (power(x * np.hanning(len(x)))[200:3500] for x in (low, high))
        a, b = a / a.max(), b / b.max()
        # Frequencies far from any partial of a rendering at a high sample rate.
        quiet = np.convolve(b > 1e-4, np.ones(41), "same") == 0
        assert a[quiet].max(initial=0.0) < 1e-2


def test_same_seed_same_bytes() -> None:
    for name in CLASSES:
        first, second, other = (render(name, length=4096, rng=np.random.default_rng(s)) for s in (1, 1, 2))
        assert first.tobytes() == second.tobytes() != other.tobytes()
    one, two, other = (
        drum_machine(40, length=2048, seed=7),
        drum_machine(90, length=2048, seed=7),
        drum_machine(40, length=2048),
    )
    picked = np.array([33, 2, 17])
    # A sound does not depend on the number of sounds or on the order of access.
    assert torch.equal(one.signals(picked), two.signals([33, 2, 17]))
    assert torch.equal(one.signals(range(40))[picked], two.signals(picked))
    assert not torch.equal(one.signals(picked), other.signals(picked))


def test_batches_from_many_threads_and_with_little_memory_are_the_same() -> None:
    calm, busy = (
        drum_machine(66, length=2048, channels=2),
        drum_machine(66, length=2048, channels=2, memory=20 * 2048 * 8),
    )
    rng = np.random.default_rng(0)
    orders = [rng.integers(0, 66, 24) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda order: busy.batch(order, np.random.default_rng(0)), orders))
    for order, batch in zip(orders, got, strict=True):
        assert batch["x"].shape == (24, 2, 2048) and batch["x"].dtype == torch.float32
        assert batch["label"].dtype == torch.int64
        assert batch["label"].tolist() == [i % len(CLASSES) for i in order]
        assert torch.equal(batch["x"], calm.signals(order))
    batch["x"].zero_()  # A batch is a copy.
    assert busy.signals(orders[-1]).abs().amax() > 0.9


def test_two_channels_differ_gently() -> None:
    for left, right in drum_machine(22, channels=2).signals(range(22)).numpy():
        assert not np.array_equal(left, right)
        assert np.corrcoef(left, right)[0, 1] > 0.8


def test_data_set_and_its_parts() -> None:
    machine = drum_machine(220, length=256)
    assert len(machine) == 220 and machine.labels == list(CLASSES) and len(CLASSES) == 11
    assert machine.class_counts == [20] * 11
    assert machine.source == "built-in drum machine: 220 sounds, 11 classes, seed 0"
    train, held = machine.split(0.1, seed=5)
    assert train.class_counts == [18] * 11 and held.class_counts == [2] * 11
    assert "22 sounds" in held.source
    whole = {x.tobytes() for x in machine.signals(range(220)).numpy()}
    parts = [{x.tobytes() for x in part.signals(slice(None)).numpy()} for part in (train, held)]
    assert len(whole) == 220 and parts[0] | parts[1] == whole and not parts[0] & parts[1]
    again = machine.split(0.1, seed=5)[1]
    assert torch.equal(again.signals(slice(None)), held.signals(slice(None)))
    assert not torch.equal(machine.split(0.1, seed=6)[1].signals(slice(None)), held.signals(slice(None)))
    assert held.batch(np.array([3]))["label"].item() == held.batch(np.arange(10))["label"][3].item()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"count": 0}, "count .* 0"),
        ({"sample_rate": 100}, "sample_rate .* 100"),
        ({"length": 10}, "length .* 10"),
        ({"channels": 0}, "channels .* 0"),
        ({"seed": -1}, "seed .* -1"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        drum_machine(**settings)


def test_unknown_class_and_bad_fraction() -> None:
    with pytest.raises(UserError, match="no class 'gong'; it has clap, cowbell"):
        render("gong", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"fraction=1\.5"):
        drum_machine(11, length=256).split(1.5)
