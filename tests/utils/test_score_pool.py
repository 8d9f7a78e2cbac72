"""Tests of the worker processes that compute scores."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from own_modules import write_module

from audiogan.errors import UserError
from audiogan.utils.score_pool import ScorePool

TEXT = """
import os

def score(output, target, sample_rate):
    if sample_rate == 1:
        raise RuntimeError("too low")
    if sample_rate == 2:
        return float("nan")
    if sample_rate == 3:
        os._exit(1)
    return float((output * target).sum()) + sample_rate
"""


def test_scores_failures_and_a_lost_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    pool = ScorePool(importlib.import_module(write_module(tmp_path, TEXT)).score)
    assert pool.cpu_seconds == 0
    x = np.ones(4, np.float32)
    good, raised, undefined = (pool.result(future) for future in [pool.submit(x, 2 * x, rate) for rate in (8, 1, 2)])
    assert good.value == 16 and good.error == ""
    assert raised.value is None and raised.error == "RuntimeError: too low"
    assert undefined.value is None and "undefined" in undefined.error
    assert pool.cpu_seconds > 0
    with pytest.raises(UserError, match="score score: a worker process ended unexpectedly"):
        pool.result(pool.submit(x, x, 3))
    with pytest.raises(UserError, match="ended unexpectedly"):
        pool.submit(x, x, 8)
