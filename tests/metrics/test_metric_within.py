"""Tests of distances to nearest neighbours: known values, and good, collapsed, copied and crude sounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.toys.drum_machine import drum_machine
from audiogan.evaluation.evaluate import evaluate_run
from audiogan.metrics import Report
from audiogan.metrics.spacing import PictureEmbedding, distance_within, evaluate_spacing
from audiogan.modalities.sound import Sound
from audiogan.run import config
from audiogan.run.training import train

LENGTH = 4096
N = 60


def by_metric(part: Mapping[str, float]) -> dict[str, float]:
    return {name.split("/")[0]: value for name, value in part.items()}


def measure(fake: np.ndarray, sets: dict[str, np.ndarray]) -> tuple[dict[str, float], dict[str, float]]:
    length = fake.shape[-1]
    report = evaluate_spacing(fake, sets["real"], sets["train"], PictureEmbedding(Sound(16000, "peak"), (1, length)))
    return by_metric(report.values), by_metric(report.floor)


def check(sets: dict[str, np.ndarray], noise_is: float) -> None:
    """Check the ranking by both distances. `new` is as good as real sounds, and white noise is farther by a given
    factor."""
    value, floor = measure(sets["new"], sets)
    for metric in ("distance_within", "distance_to_train"):
        assert value[metric] == pytest.approx(floor[metric], rel=0.15), metric
    n = len(sets["new"])
    hiss = 1e-4 * np.random.default_rng(0).standard_normal(sets["new"].shape).astype(np.float32)
    collapsed, _ = measure(sets["new"][:1] + hiss, sets)
    few, _ = measure(sets["new"][np.arange(n) % (n // 2)] + hiss, sets)
    assert collapsed["distance_within"] < 0.2 * floor["distance_within"]
    assert few["distance_within"] < 0.3 * floor["distance_within"]  # Each sound occurs twice.
    assert few["distance_to_train"] == pytest.approx(value["distance_to_train"], rel=0.2)
    copied, _ = measure(0.5 * sets["train"][:n], sets)
    assert copied["distance_to_train"] < 1e-3 * floor["distance_to_train"]
    assert copied["distance_within"] > 0.7 * floor["distance_within"]
    noise, _ = measure(1000 * hiss, sets)
    assert noise["distance_to_train"] > noise_is * floor["distance_to_train"]


def test_distance_within_by_hand() -> None:
    points = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0], [100.0, 5.0]])
    assert distance_within(points) == pytest.approx((5 + 1 + 1 + 97) / 4)
    assert distance_within(np.repeat(points, 2, axis=0)) == pytest.approx(0, abs=1e-5)
    assert distance_within(3 * points) == pytest.approx(3 * distance_within(points))
    with pytest.raises(ValueError, match="at least two samples, got 1"):
        distance_within(points[:1])


def test_distances_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    fake, real, seen = (rng.uniform(-1, 1, (n, 1, LENGTH)).astype(np.float32) for n in (6, 6, 9))
    embedding = PictureEmbedding(Sound(16000), (1, LENGTH))
    report = evaluate_spacing(fake, real, seen, embedding)
    assert list(report.values) == list(report.floor) == list(report.better)
    within, to_train = report.values
    assert within == "distance_within/melpicture-16k-0.256s@6"
    assert to_train == "distance_to_train/melpicture-16k-0.256s@6:train9"
    x, y, z = (embedding(torch.from_numpy(part)) for part in (fake, real, seen))
    for part, values in ((x, report.values), (y, report.floor)):
        between = np.linalg.norm(part[:, None] - part, axis=-1) + 1e9 * np.eye(6)
        assert values[within] == pytest.approx(between.min(1).mean())
        assert values[to_train] == pytest.approx(np.linalg.norm(part[:, None] - z, axis=-1).min(1).mean())
    assert evaluate_spacing(fake, real, None, embedding).values == {within: report.values[within]}
    with pytest.raises(ValueError, match="equally many real and generated sounds, got 5 and 6"):
        evaluate_spacing(fake, real[:5], seen, embedding)


def test_the_representation_hears_no_level_and_no_faint_noise() -> None:
    embedding = PictureEmbedding(Sound(16000), (1, LENGTH))
    x = drum_machine(count=4, seed=0, length=LENGTH).signals(np.arange(4))
    here = embedding(x)
    assert here.shape[0] == 4 and here.min() >= -1 and here.max() <= 1 + 1e-6
    np.testing.assert_allclose(embedding(0.1 * x), here, atol=1e-4)
    moved = np.linalg.norm(embedding(torch.roll(x, 800, -1)) - here, axis=1)
    faint = np.linalg.norm(embedding(x + 1e-5 * torch.randn(x.shape, generator=torch.manual_seed(0))) - here, axis=1)
    assert (faint < 0.1 * moved).all()


def test_ranking_on_made_sounds() -> None:
    made = drum_machine(count=4 * N, seed=1, length=LENGTH).signals(np.arange(4 * N)).numpy()
    made = made[np.random.default_rng(0).permutation(4 * N)]
    # The factor is small, because cymbals resemble noise.
    check({"real": made[:N], "new": made[N : 2 * N], "train": made[2 * N :]}, 1.05)


def test_ranking_on_real_digits(shared_data: Path, tmp_path: Path) -> None:
    digits = open_audio_folder(shared_data / "speech" / "digits", cache=tmp_path, progress=False)
    assert len(digits.labels) == 10  # The classes are found without settings.
    rows = np.random.default_rng(0).permutation(len(digits))[:600]
    waves = digits.signals(rows).numpy()
    check({"real": waves[:150], "new": waves[150:300], "train": waves[300:]}, 1.5)


def test_speech_trains_and_evaluate_says_the_distances(tiny_sounds: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    data = [f"data.root={tiny_sounds}", "data.length=2048", "data.holdout=0.5", "batch_size=4", "trainer.steps=3"]
    cfg = config.compose("speech", [*data, f"run_dir={run}", "engine.threads=1", "callbacks.previews.count=2"])
    trainer = train(cfg, progress=False, echo=lambda line: None)
    trainer.engine.close()
    assert trainer.step == 3 and list(cfg.facts.labels) == ["kick", "snare"]
    report: Report = evaluate_run(str(run), classifier=False, echo=lambda line: None)
    names = [name for name in report.values if name.startswith("distance_")]
    assert names == [
        "distance_within/melpicture-16k-0.128s@20",
        "distance_to_train/melpicture-16k-0.128s@20:train20",
    ]
    assert all(report.floor[name] > 0 and report.better[name] == "near floor" for name in names)
