"""Tests that classifier-based metrics rank sets of examples correctly, for real digits and real drums."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from audiogan.data.images.sources import open_images
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.metrics import Classifier, ClassifierRecipe, agreement, evaluate_labelled, train_classifier

N = 200


class Case(NamedTuple):
    judge: Classifier
    train: np.ndarray
    real: np.ndarray
    truth: np.ndarray
    new: np.ndarray
    asked: np.ndarray

    def measure(self, fake: np.ndarray, asked: np.ndarray | None = None) -> tuple[dict[str, float], dict[str, float]]:
        """Return values and floor by metric."""
        report = evaluate_labelled(
            fake,
            self.real,
            classifier=self.judge,
            train=self.train,
            real_classes=self.truth,
            requested_classes=self.asked if asked is None else asked,
        )
        assert all(name.endswith(f"/{self.judge.name}@{N}") for name in report.values)
        return tuple({k.split("/")[0]: v for k, v in part.items()} for part in (report.values, report.floor))  # type: ignore[return-value]


def case(data: Any, cache: Path, examples: int) -> Case:
    """A third of the held-out data represents samples of a perfect generator."""
    train, held_out = data.split(2.2 * N / len(data))
    judge = train_classifier(
        train, recipe=ClassifierRecipe(widths=(16, 32, 64), examples=examples), cache=cache, progress=False
    )
    rows = np.random.default_rng(0).permutation(len(held_out))
    first, second = rows[:N], rows[N : 2 * N]
    seen = train.signals(np.random.default_rng(1).permutation(len(train))[:N])
    return Case(
        judge,
        seen.numpy(),
        held_out.signals(first).numpy(),
        held_out.targets[first],
        held_out.signals(second).numpy(),
        held_out.targets[second],
    )


@pytest.fixture(scope="module")
def digits(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = request.getfixturevalue("shared_data") / "images" / "mnist_10k.npz"
    data = open_images(root).take(np.arange(0, 10_000, 2))
    return case(data, tmp_path_factory.mktemp("digits"), 8_000)


@pytest.fixture(scope="module")
def drums(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = request.getfixturevalue("real_drums")
    folder = tmp_path_factory.mktemp("drums")
    return case(open_audio_folder(root, cache=folder, progress=False), folder, 6_000)


def worse(good: Mapping[str, float], bad: Mapping[str, float], *metrics: str, by: float = 0.05) -> None:
    """Check that each of these metrics is much worse for `bad` than for `good`."""
    for metric in metrics:
        if metric in ("frechet", "kernel"):
            assert bad[metric] > 1.4 * max(good[metric], 1e-3), (metric, good[metric], bad[metric])
        else:
            assert bad[metric] < good[metric] - by, (metric, good[metric], bad[metric])


FIDELITY = ("frechet", "kernel", "precision_capped", "density_capped")
VARIETY = ("frechet", "kernel", "recall_capped", "coverage_capped", "diversity", "inception")


def check(case: Case, wrong: np.ndarray, chance: float) -> None:
    good, floor = case.measure(case.new)
    for metric, value in good.items():
        if metric == "kernel":
            assert abs(value) < 0.1
        else:
            assert value == pytest.approx(
                floor[metric], rel={"frechet": 0.6, "density_capped": 0.3}.get(metric, 0.15)
            ), metric

    worse(good, case.measure(wrong)[0], *FIDELITY, "recall_capped", "coverage_capped", "agreement")

    most = np.bincount(case.asked).argmax()
    of_one = case.new[case.asked == most]
    one_class = case.measure(of_one[np.arange(N) % len(of_one)], np.full(N, most))[0]
    worse(good, one_class, *VARIETY)
    assert one_class["agreement"] > 0.8 and one_class["inception"] < 0.5 * good["inception"]

    hiss = 1e-3 * np.random.default_rng(3).standard_normal(case.new.shape).astype(np.float32)
    collapsed = case.measure(case.new[:1] + hiss)[0]
    assert collapsed["frechet"] > 1.2 * one_class["frechet"] and collapsed["diversity"] < 0.5 * one_class["diversity"]
    assert collapsed["recall_capped"] < 0.05 and collapsed["inception"] == pytest.approx(1, abs=0.05)

    shuffled = case.measure(case.new, np.random.default_rng(4).permutation(case.asked))[0]
    assert shuffled["agreement"] < chance and shuffled["frechet"] == good["frechet"]


def test_ranking_on_real_digits(digits: Case) -> None:
    assert digits.measure(digits.new)[1]["agreement"] > 0.9
    check(digits, gaussian_filter(digits.new, (0, 0, 2, 2)), 0.25)


@pytest.mark.parametrize("kind", ["blur", "noise"])
def test_digits_that_get_worse_get_worse_figures(digits: Case, kind: str) -> None:
    noise = np.random.default_rng(0).standard_normal(digits.new.shape).astype(np.float32)
    if kind == "blur":
        sets = [gaussian_filter(digits.new, (0, 0, width, width)) for width in (0, 0.9, 1.3)]
    else:
        sets = [digits.new + level * noise for level in (0, 0.3, 0.6)]
    ranked = [digits.measure(x)[0] for x in sets]
    for good, bad in pairwise(ranked):
        worse(good, bad, "frechet", "kernel", "precision_capped", "coverage_capped", "inception")
        worse(good, bad, "agreement", by=0.02)
    worse(ranked[0], ranked[1], "recall_capped")  # From this set on, recall is about 0.


def test_ranking_on_real_drums(drums: Case) -> None:
    assert drums.measure(drums.new)[1]["agreement"] > 0.75
    hiss = 0.1 * np.random.default_rng(0).standard_normal(drums.new.shape).astype(np.float32)
    check(drums, drums.new + hiss, 0.35)


def test_agreement_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.6, 0.4, 0], [0, 1, 0]])
    share, by_class = agreement(probabilities, np.array([0, 1, 1, 1]), ["a", "b", "c"])
    assert share == 0.75 and by_class == {"a": 1.0, "b": pytest.approx(2 / 3)}
    with pytest.raises(ValueError, match="got 3 classes for 4"):
        agreement(probabilities, np.array([0, 1, 1]), ["a", "b", "c"])


def test_what_a_generator_without_classes_gets(digits: Case) -> None:
    report = evaluate_labelled(digits.new, digits.real, classifier=digits.judge, train=digits.train)
    assert not any(name.startswith("agreement") for name in report.values) and not report.details
    asked = evaluate_labelled(
        digits.new, digits.real, classifier=digits.judge, train=digits.train, requested_classes=digits.asked, count=50
    )
    (name,) = asked.details
    assert name == f"agreement/{digits.judge.name}@50" and name in asked.values and name not in asked.floor
    table = asked.table()
    row = next(line for line in table.splitlines() if line.startswith(f"{name} "))
    assert row.split()[2:] == ["-", "higher"]
    worst = min(asked.details[name], key=lambda label: asked.details[name][label])
    assert f"lowest: {worst} " in table.splitlines()[-1]
    both = report.merged(asked)
    assert both.values == report.values | asked.values and both.details == asked.details
