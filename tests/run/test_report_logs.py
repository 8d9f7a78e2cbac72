"""Tests of the curves in the report: names in logs of training runs, and untrusted logs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from audiogan.modalities.wav import save_wav
from audiogan.run.config import compose
from audiogan.run.curves import group_metrics, plot_group, series_from_rows, to_float
from audiogan.run.report import write_report
from audiogan.run.training import train

COMMON = ("trainer.steps=4", "callbacks.log.every=2", "callbacks.previews=null", "callbacks.monitors=null")


def report_of(folder: Path, name: str, *overrides: str) -> str:
    """Return the report page of a tiny run."""
    cfg = compose(name, [*COMMON, *overrides, "engine.threads=1", f"run_dir={folder}"])
    train(cfg, progress=False, echo=lambda line: None)
    return (folder / "report.html").read_text()


def plots(page: str) -> dict[str, list[str]]:
    """Metrics by the heading of their plot."""
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    return {re.findall(r"<strong>(.*?)</strong>", f)[0]: re.findall(r'<span title="(.*?)">', f) for f in figures}


def test_scores_of_real_and_fake_share_a_plot(tmp_path: Path) -> None:
    page = report_of(tmp_path / "points", "points", "data.count=64", "batch_size=8", "widths=[8]")
    names = plots(page)["scores of real and of fake"]
    assert names == ["critic/real_logits", "critic/fake_logits", "generator/fake_logits"]
    assert all(f"</i>{label} " in page for label in ("critic real", "critic fake", "generator fake"))


def test_each_of_several_critics_has_its_scores(tmp_path: Path) -> None:
    found = plots(report_of(tmp_path / "md", "md-gan", "data.root=digits", "workers=2", "width=4"))
    for i in range(2):
        names = found[f"critic_{i}: scores of real and of fake"]
        assert names == [f"critic_{i}/real_logits", f"critic_{i}/fake_logits"]
    assert found["generator/fake_logits"] == ["generator/fake_logits"]
    titles = list(found)
    assert (
        titles.index("losses") < titles.index("critic_0: scores of real and of fake") < titles.index("gradient norms")
    )


def test_one_score_alone_keeps_its_name() -> None:
    assert group_metrics(["g/fake_logits"]) == {"scores": ["g/fake_logits"]}
    assert group_metrics(["a/scores", "x/real_logits@3"]) == {
        "x/real_logits@3": ["x/real_logits@3"],
        "a/scores": ["a/scores"],
    }


def test_values_that_are_not_finite_are_counted_as_the_log_writes_them(tmp_path: Path) -> None:
    assert [to_float(v) for v in ("inf", "-inf", "infinity", "1")] == [float("inf"), float("-inf"), None, None]
    rows: list[dict] = [{"step": s, "critic/loss": 1.0, "generator/loss": 1.0} for s in range(9)]
    rows[4]["critic/loss"] = "nan"
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "critic values that are not finite: 1" in write_report(tmp_path).read_text()


HOSTILE = "<img src=x onerror=alert(1)>\"'\x1b[2J\u202e\ud800\x00"


@pytest.mark.parametrize(
    "rows",
    [
        [{"step": s, f"{HOSTILE}/loss": s, HOSTILE: 2.0, f"{HOSTILE}/real_logits": s} for s in range(3)],
        [{"step": 1e308, "a/loss": 1e308}, {"step": 1.7e308, "a/loss": -1e308}],
        [{"step": -1e308, "a/loss": 1}, {"step": 5e-324, "a/loss": 5e-324}, {"step": 9e14, "a/loss": 1e308}],
        [{"step": -5, "a/loss": 1}, {"step": "nan", "a/loss": 1}, {"step": True, "a/loss": 1}],
        [{"step": s, "a/loss": 10.0 ** (100 * s - 300), "seconds": -1e308} for s in range(7)],
    ],
    ids=["names", "steps", "small and large", "no steps", "values"],
)
@pytest.mark.filterwarnings("error")
def test_a_strangers_log_is_shown_as_text(rows: list[dict], tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    finding = {"kind": HOSTILE, "step": 1e308, "severity": HOSTILE, "text": HOSTILE, "override": HOSTILE}
    (tmp_path / "findings.jsonl").write_text(json.dumps(finding))
    (tmp_path / "evaluation.json").write_text(json.dumps({"values": {HOSTILE: 1e308}, "floor": {HOSTILE: "nan"}}))
    (tmp_path / "run.json").write_text(json.dumps({"status": HOSTILE, "source": HOSTILE}))
    (tmp_path / "scan.txt").write_text("first\x1b[2J\nsecond")
    page = write_report(tmp_path).read_text()
    assert not any(part in page for part in ("<img src=x", "\x1b", "\u202e", "\x00"))
    assert "\\x1b[2J" in page and "first\\x1b[2J\nsecond" in page
    drawn = page.split('<script type="application/json"')[0]
    assert not re.search(r'(?:d|[xy]|c[xy]|y1)="[^"]*\b(?:nan|inf)\b', drawn)


def test_rows_of_impossible_steps_are_left_out() -> None:
    rows = [{"step": s, "a": i} for i, s in enumerate((-1, 3, 1e16, 7.0, float("inf")))]
    assert series_from_rows(rows) == {"a": ([3.0, 7.0], [1.0, 3.0])}


@pytest.mark.parametrize(
    "layout",
    [
        '{"count": 1000000000, "seconds": 1, "every": 1}',
        '{"count": 2, "seconds": NaN, "every": 1}',
        '{"count": 2, "seconds": 1, "every": 1e999}',
        '{"titles": ["a"], "seconds": 1' + "0" * 400 + ', "every": 1}',
    ],
    ids=["count", "nan", "infinite", "too large"],
)
def test_a_strangers_preview_still_plays(layout: str, tmp_path: Path) -> None:
    save_wav(tmp_path / "previews/step-00000001.wav", np.zeros((1, 100), np.float32), 8000, comment=layout)
    page = write_report(tmp_path).read_text()
    assert 'src="previews/step-00000001.wav"' in page and len(page) < 200_000


def test_scores_have_a_linear_scale_though_all_are_positive() -> None:
    steps, values = [float(i) for i in range(1, 20)], [10.0 ** (-i / 4) for i in range(1, 20)]
    for name, logarithmic in (("critic/real_logits", False), ("critic/loss", True)):
        html, _ = plot_group(0, "x", [name], {name: (steps, values)}, 20.0, {})
        assert ("logarithmic" in html) is logarithmic
