"""Tests that every metric ranks sets of sounds correctly, for synthetic sounds and for real drums."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiogan.data.toys.drum_machine import drum_machine
from audiogan.metrics import LogMel, Report, evaluate

RATE = 16000
Waves = np.ndarray


def values(report: Report) -> dict[str, float]:
    return {name.split("/")[0]: value for name, value in report.values.items()}


def floors(report: Report) -> dict[str, float]:
    return {name.split("/")[0]: value for name, value in report.floor.items()}


def noise(n: int, length: int) -> Waves:
    return (0.2 * np.random.default_rng(0).standard_normal((n, 1, length))).astype(np.float32)


def rises(ranked: list[dict[str, float]]) -> None:
    """Check that each metric ranks the sets in this order, from worst to best. The last set is real data."""
    for metric in ("frechet", "kernel"):
        figures = [r[metric] for r in ranked]
        assert all(a > 2 * max(b, 1e-9) for a, b in pairwise(figures)), (metric, figures)
    for metric in ("precision_capped", "recall_capped", "density_capped", "coverage_capped"):
        figures = [r[metric] for r in ranked]
        assert all(a < b for a, b in pairwise(figures)), (metric, figures)
    for metric in ("diversity", "train_distance"):
        off = [abs(np.log(r[metric])) for r in ranked]
        assert all(a > b for a, b in pairwise(off)), (metric, [r[metric] for r in ranked])


def hits(n: int, rng: np.random.Generator, *, crude: bool = False, length: int = 4096) -> Waves:
    """Return struck tones with some noise. Crude ones buzz, and their noise decays too slowly."""
    t = np.arange(length) / RATE
    f, decay = np.exp(rng.uniform(np.log(80), np.log(3000), (n, 1))), np.exp(rng.uniform(-4.5, -1.5, (n, 1)))
    mix = rng.uniform(0, 0.9, (n, 1))
    tone, rough = np.sin(2 * np.pi * f * t), rng.standard_normal((n, length)) * np.exp(-t / (0.3 * decay))
    if crude:
        tone, rough = np.sign(tone) * np.abs(tone) ** 0.5, 0.3 * rough + 0.01 * rng.standard_normal((n, length))
    x = (1 - mix) * tone * np.exp(-t / decay) + mix * 0.5 * rough
    return (0.9 * x / np.abs(x).max(1, keepdims=True))[:, None].astype(np.float32)


@pytest.fixture(scope="module")
def made() -> dict[str, Waves]:
    rng = np.random.default_rng(7)
    return {
        "real": hits(120, rng),
        "train": hits(300, rng),
        "new": hits(120, rng),
        "crude": hits(120, rng, crude=True),
        "noise": noise(120, 4096),
    }


def test_ranking_without_data(made: dict[str, Waves]) -> None:
    ranked = [
        values(evaluate(made[kind], made["real"], sample_rate=RATE, train=made["train"]))
        for kind in ("noise", "crude", "new")
    ]
    rises(ranked)


def test_names_floor_and_forms(made: dict[str, Waves]) -> None:
    report = evaluate(torch.from_numpy(made["crude"]), made["real"], sample_rate=RATE, train=made["train"])
    assert "frechet/logmel32x8-16k-0.256s@120" in report.values
    assert "train_copies/logmel32x8-16k-0.256s@120:train300" in report.values
    assert list(report.values) == list(report.floor) == list(report.better)
    assert report.counts == {"fake": 120, "real": 120, "train": 300}
    loaded = json.loads(report.to_json())
    assert loaded["values"] == report.values and loaded["floor"] == report.floor
    lines = report.table().splitlines()
    assert len(lines) == 1 + len(report.values) and lines[0].split() == ["metric", "value", "floor", "better"]
    assert all(
        line.index(report.better[name]) == lines[0].index("better")
        for name, line in zip(report.values, lines[1:], strict=True)
    )
    again = evaluate(made["crude"], made["real"], sample_rate=RATE, train=made["train"])
    assert again == report
    assert evaluate(made["crude"], made["real"], sample_rate=RATE, train=made["train"], seed=1) != report


def test_real_sounds_get_about_their_floor(made: dict[str, Waves]) -> None:
    report = evaluate(made["new"], made["real"], sample_rate=RATE, train=made["train"])
    value, floor = values(report), floors(report)
    assert 0.5 < value["frechet"] / floor["frechet"] < 2
    for metric in ("precision_capped", "recall_capped", "coverage_capped", "diversity"):
        assert value[metric] == pytest.approx(floor[metric], abs=0.2)
    assert value["train_copies"] == floor["train_copies"] == 0


def test_without_train_half_of_the_real_sounds_is_the_floor(made: dict[str, Waves]) -> None:
    report = evaluate(made["new"], made["train"], sample_rate=RATE)
    assert all(name.endswith("@120") for name in report.values)
    assert not any(name.startswith("train") for name in report.values)
    assert 0.5 < values(report)["frechet"] / floors(report)["frechet"] < 2
    fewer = evaluate(made["new"], made["train"], sample_rate=RATE, count=60)
    assert all(name.endswith("@60") for name in fewer.values)


def test_collapse_is_seen(made: dict[str, Waves]) -> None:
    rng = np.random.default_rng(1)
    one = made["new"][:1] + 1e-3 * rng.standard_normal((120, 1, 4096)).astype(np.float32)
    report = evaluate(one, made["real"], sample_rate=RATE, train=made["train"])
    value, floor = values(report), floors(report)
    assert value["diversity"] < 0.1 * floor["diversity"]
    assert value["recall_capped"] < 0.1 and value["coverage_capped"] < 0.2
    eight = values(evaluate(made["new"][np.arange(120) % 8], made["real"], sample_rate=RATE, train=made["train"]))
    assert value["diversity"] < eight["diversity"] < 0.5


@pytest.mark.parametrize("change", ["none", "quieter", "shifted"])
def test_copies_are_seen(made: dict[str, Waves], change: str) -> None:
    copies = made["train"][::2][:120]
    if change == "quieter":
        copies = 0.3 * copies
    if change == "shifted":
        copies = np.pad(copies, ((0, 0), (0, 0), (60, 0)))[..., :4096]
    value = values(evaluate(copies, made["real"], sample_rate=RATE, train=made["train"]))
    assert value["train_copies"] > 0.95 and value["train_distance"] < 0.2


def test_any_extractor_serves(made: dict[str, Waves]) -> None:
    class Mean:
        name = "mean"

        def __call__(self, x: torch.Tensor) -> np.ndarray:
            return x.double().mean(-1).numpy()

    pictures = np.random.default_rng(0).random((60, 3, 8, 8))
    report = evaluate(pictures[:30].mean(2), pictures[30:].mean(2), train=pictures.mean(2), embedding=Mean())
    assert "frechet/mean@30" in report.values


def test_misuse_is_named(made: dict[str, Waves]) -> None:
    real = made["real"]
    with pytest.raises(ValueError, match=r"at least 20 samples of each kind, got 10 fake, 120 real, 300 train"):
        evaluate(real[:10], real, sample_rate=RATE, train=made["train"])
    with pytest.raises(ValueError, match=r"got 120 fake, 30 real; without train, half"):
        evaluate(made["new"], real[:30], sample_rate=RATE)
    with pytest.raises(ValueError, match="count=100 must be"):
        evaluate(made["new"], real, sample_rate=RATE, count=100)
    with pytest.raises(ValueError, match="count=10 "):
        evaluate(made["new"], real, sample_rate=RATE, count=10)
    with pytest.raises(ValueError, match="needs a sample_rate"):
        evaluate(made["new"], real)
    broken = made["new"].copy()
    broken[[3, 77], 0, 5] = np.nan
    with pytest.raises(ValueError, match=r"2 of 120 samples in fake .*: numbers 3, 77"):
        evaluate(broken, real, sample_rate=RATE)


@pytest.fixture(scope="module")
def drums(request: pytest.FixtureRequest) -> dict[str, Waves]:
    folder: Path = request.getfixturevalue("shared_data") / "drums"
    files = sorted(folder.rglob("*.wav"))
    order = np.random.default_rng(3).permutation(len(files))[:700]
    waves = np.zeros((len(order), 1, 16384), np.float32)
    for wave, i in zip(waves, order, strict=True):
        x = sf.read(files[i], dtype="float32", always_2d=True)[0].mean(1)[:16384]
        wave[0, : len(x)] = x
    machine = drum_machine(count=200, seed=0).signals(np.arange(200)).numpy()
    return {
        "real": waves[:200],
        "new": waves[200:400],
        "train": waves[400:],
        "machine": machine,
        "noise": noise(200, 16384),
    }


def test_ranking_on_real_drums(drums: dict[str, Waves]) -> None:
    logmel = LogMel(RATE)
    ranked = [
        values(evaluate(drums[kind], drums["real"], train=drums["train"], embedding=logmel))
        for kind in ("noise", "machine", "new")
    ]
    rises(ranked)
    assert all(r["train_copies"] < 0.03 for r in ranked)


def test_collapse_and_copies_of_real_drums(drums: dict[str, Waves]) -> None:
    hiss = 5e-4 * np.random.default_rng(0).standard_normal((200, 1, 16384)).astype(np.float32)
    one = values(evaluate(drums["new"][:1] + hiss, drums["real"], sample_rate=RATE, train=drums["train"]))
    assert one["diversity"] < 0.1 and one["recall_capped"] < 0.1 and one["coverage_capped"] < 0.1
    copies = values(
        evaluate(0.4 * drums["train"][:200] + hiss / 10, drums["real"], sample_rate=RATE, train=drums["train"])
    )
    assert copies["train_copies"] > 0.9 and copies["train_distance"] < 0.2
