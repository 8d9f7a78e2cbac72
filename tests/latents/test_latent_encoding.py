from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

import audiogan
from audiogan.errors import UserError
from audiogan.latents import encode, nearest_distance, neighbours
from audiogan.latents.recording import prepare_recording
from audiogan.modalities.points import Points


@pytest.fixture(scope="module")
def drums() -> Any:
    return audiogan.load("drums")


@pytest.fixture(scope="module")
def random(drums: Any) -> np.ndarray:
    return drums.sample(100, seed=1000)


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    """Return a bell sound of half a second at 44.1 kHz."""
    t = np.arange(22050) / 44100
    return (0.3 * np.sin(2 * np.pi * 700 * t) * np.exp(-8 * t) * np.minimum(1, t * 1000)).astype(np.float32)


def test_a_sound_of_the_model_is_found_again(drums: Any, random: np.ndarray) -> None:
    wave = drums.sample(1, seed=77, label="snare")[0]
    found = encode(drums, wave, drums.sample_rate, seconds=1.5, seed=0)
    assert found.distance < 0.7 * found.initial_distance
    assert found.distance < 0.7 * nearest_distance(random, found.recording, 16000)
    assert found.recipe.model == "drums" and found.recipe.seed is None
    np.testing.assert_array_equal(drums.render(found.recipe)[0], found.wave)


def test_real_drums_of_kits_it_never_heard_come_nearer_than_random_sounds(
    drums: Any, random: np.ndarray, real_drums: Path
) -> None:
    with open(real_drums / "manifest.csv", newline="", encoding="utf-8") as stream:
        unseen = [row for row in csv.DictReader(stream) if "SA" in row["licence"]]  # Sounds that are not training data.
    paths = [next(row["path"] for row in unseen if row["label"] == label) for label in ("kick", "hat_closed")]
    shares = []
    for path in paths:
        found = encode(drums, real_drums.parent / path, seconds=1)
        shares.append(found.distance / nearest_distance(random, found.recording, 16000))
    assert np.median(shares) < 0.85 and max(shares) < 1


def test_it_is_the_same_for_a_seed_and_a_plausible_recipe(drums: Any, tone: np.ndarray) -> None:
    first, again = (encode(drums, tone, 44100, seconds=0.5, seed=3) for _ in range(2))
    assert first.recipe == again.recipe and first.distance == again.distance
    assert encode(drums, tone, 44100, seconds=0.5, seed=4).recipe != first.recipe
    assert np.linalg.norm(first.recipe.latent) < 9.7  # 99 % of random latents with 64 dimensions have a smaller norm.
    assert sum(first.recipe.classes.values()) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in first.recipe.knobs.values())


@pytest.mark.parametrize("label", ["kick", {"tom": 0.75, "perc": 0.25}])
def test_a_class_that_was_asked_for_is_kept(drums: Any, tone: np.ndarray, label: Any) -> None:
    wanted = {label: 1.0} if isinstance(label, str) else label
    assert encode(drums, tone, 44100, label=label, seconds=0.3).recipe.classes == pytest.approx(wanted)


def test_level_channels_rate_silence_before_and_an_array_or_a_file_do_not_matter(
    drums: Any, tone: np.ndarray, tmp_path: Path
) -> None:
    tone = np.pad(tone, (100, 0))
    plain = prepare_recording(drums, tone, 44100)
    assert plain.shape == (1, 16384) and np.abs(plain).max() == pytest.approx(0.95, abs=1e-4)
    stereo = np.stack([tone, tone])
    np.testing.assert_allclose(prepare_recording(drums, 0.01 * stereo, 44100), plain, atol=1e-5)
    late = prepare_recording(drums, np.pad(tone, (30000, 0)), 44100)
    np.testing.assert_allclose(late, plain, atol=1e-5)
    soundfile.write(tmp_path / "tone.flac", stereo.T, 44100, subtype="PCM_24")
    np.testing.assert_allclose(prepare_recording(drums, tmp_path / "tone.flac"), plain, atol=1e-4)
    once = prepare_recording(drums, plain, 16000)
    np.testing.assert_allclose(once[:, :-32], plain[:, :-32], atol=1e-4)


def test_long_recordings_are_cropped_at_their_onset(drums: Any) -> None:
    wave = np.zeros(200_000, np.float32)
    wave[100_000:] = 0.5 * np.random.default_rng(0).uniform(-1, 1, 100_000)
    prepared = prepare_recording(drums, wave, 16000)
    assert np.abs(prepared[0, :100]).max() > 0.1 and np.abs(prepared[0, -100:]).max() > 0.1


def test_what_no_model_can_make_is_one_clear_line(drums: Any, tone: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound at all")
    hiss = np.hanning(44100) * np.sin(np.arange(44100) * 2 * np.pi * 20000 / 44100)
    cases: list[tuple[Any, int | None, str]] = [
        (np.zeros(9000, np.float32), 16000, "silent"),
        (np.full(9000, 0.0005, np.float32), 16000, "silent"),
        (np.full(9000, np.nan, np.float32), 16000, "NaN"),
        (tone[:50], 44100, "too short"),
        (np.empty(0, np.float32), 16000, "too short"),
        (hiss, 44100, "16,000 Hz"),
        (tone, None, "sample_rate"),
        (tone, 5, "sample_rate"),
        (tmp_path / "text.wav", None, "text.wav"),
        (tmp_path / "missing.wav", None, "missing.wav"),
        (tmp_path, None, str(tmp_path)),
    ]
    for wave, rate, word in cases:
        with pytest.raises(UserError, match=word) as caught:
            encode(drums, wave, rate, seconds=0.1)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"\[1, 2, 3\]"):
        encode(drums, np.zeros((1, 2, 3), np.float32), 16000)
    with pytest.raises(UserError, match="cowbell"):
        encode(drums, tone, 44100, label="cowbell", seconds=0.1)
    with pytest.raises(UserError, match="seconds"):
        encode(drums, tone, 44100, seconds=0)
    with pytest.raises(UserError, match="points"):
        encode(SimpleNamespace(name="x", modality=Points()), tone, 44100)  # type: ignore[arg-type]


def test_an_imitation_has_neighbours_like_any_sound(drums: Any, tone: np.ndarray) -> None:
    found = encode(drums, tone, 44100, seconds=0.3)
    assert len(neighbours(drums, found.recipe, 3, pool_size=16)) == 3


def test_whoever_watches_hears_how_far_it_is_and_can_end_it(drums: Any) -> None:
    heard: list[float] = []
    encode(drums, drums.sample(1, seed=3)[0], drums.sample_rate, seconds=0.2, progress=heard.append)
    assert heard == sorted(heard) and heard[0] > 0 and abs(heard[-1] - 1) < 1e-9

    def end(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(drums, drums.sample(1, seed=3)[0], drums.sample_rate, seconds=0.2, progress=end)
