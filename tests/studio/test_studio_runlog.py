"""Tests of reading the log of a run: in pieces, and with averaged points that represent all lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audiogan.studio import runlog
from audiogan.studio.runlog import RunLog, ThinnedCurve


def test_a_long_log_is_read_in_bounded_pieces_and_its_means_stay_true(tmp_path: Path) -> None:
    path, count = tmp_path / "metrics.jsonl", 60_000
    values = np.random.default_rng(0).gamma(2.0, size=count)
    path.write_text("".join(f'{{"step": {i}, "critic/loss": {v!r}}}\n' for i, v in enumerate(values.tolist())))
    whole, pieces = RunLog(), 1
    while whole.read(path):
        pieces += 1
    assert path.stat().st_size / runlog.READ_BYTES <= pieces <= path.stat().st_size / runlog.READ_BYTES + 1
    steps, means = whole.curves["critic/loss"].points()
    assert len(steps) <= runlog.MAX_POINTS and whole.lines_per_point == 16 and whole.share == 1
    assert np.allclose(means[:100], values[:1600].reshape(100, 16).mean(1))
    assert np.mean(steps) == pytest.approx((count - 1) / 2)
    (figure,) = whole.figures({})
    assert len(figure["points"]["series"][0][0]) <= 100 and len(figure["html"]) < 20_000


def test_a_line_longer_than_a_piece_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "READ_BYTES", 1000)
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 1}\n{"step": 2, "loss": "' + "x" * 5000 + '"}\n{"step": 3, "loss": 3}\n')
    read = RunLog()
    while read.read(path):
        pass
    assert read.curves["loss"].points() == ([1, 3], [1, 3]) and read.broken == 1


def test_halved_curves_skip_values_that_are_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "MAX_POINTS", 4)
    curve = ThinnedCurve()
    for step, value in enumerate([1.0, float("nan"), float("inf"), float("nan"), 5.0, 7.0, 9.0]):
        curve.add(step, value)
    steps, values = curve.points()
    assert steps == [0.5, 2.5, 4.5, 6] and np.array_equal(values, [1, np.nan, 6, 9], equal_nan=True)
    curve.remove_from(4.5)
    assert curve.points()[0] == [0.5, 2.5]
