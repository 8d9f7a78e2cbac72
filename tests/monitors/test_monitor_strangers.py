"""Tests of the doctor on untrusted run folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audiogan.monitors import diagnose
from audiogan.monitors.callback import read_settings

LAUGHS = "a0: &a0 [1]\n" + "".join(
    f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 12)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    "text",
    [LAUGHS, MERGES, "&a {b: *a}", "[" * 5000, "lr: 2024-99-99", "a: !!binary x", "\udcff", "a: b: c", "x" * (2 << 20)],
)
def test_a_configuration_that_no_training_wrote_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_settings(tmp_path) == {}
    rows = [{"step": i, "d_loss": 1.0, "g_loss": 1.0} for i in range(20)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert diagnose(tmp_path).rows == 20


def test_a_configuration_is_flattened(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("lr: {critic: 0.1}\ntrainer: {steps: 5}\n")
    assert read_settings(tmp_path) == {"lr.critic": 0.1, "trainer.steps": 5}
