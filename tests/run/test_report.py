from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from waves import load_wav

from audiogan.errors import UserError
from audiogan.modalities import Image
from audiogan.modalities.sound import write_preview
from audiogan.run.curves import group_metrics, series_from_rows, tick_values
from audiogan.run.report import write_report

RATE = 8000
EVIL = '"><script>alert(1)</script>'


class Page(HTMLParser):
    """HTML parser that collects tags, attributes, text and the data for the script."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(self.source)
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', self.source, re.DOTALL)[1])  # type: ignore[index]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data

    def all(self, attribute: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]


def sounds(count: int = 3, channels: int = 1, samples: int = 2000) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (count, channels, samples)).astype(np.float32)


def write_lines(path: Path, rows: list[dict], tail: str = "") -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)


METRICS = [
    {
        "step": step,
        "seconds": step * 0.3,
        "examples_per_second": 50.0,
        "critic/loss": 1 / step,
        "critic/r1": 0.1,
        "critic/grad_norm": 3.0,
        "generator/grad_norm": 2.0,
        "critic/real_score": 0.5,
        "critic/fake_score": -0.5,
        "generator/loss": -step,
        "frechet/logmel32x8@500": 10.0 + step,
    }
    for step in range(10, 1010, 10)
]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "drums run"
    for step in (0, 500, 1000):
        write_preview(folder, step, sounds(), RATE, ["kick", "snare", "hat"])
    write_lines(folder / "metrics.jsonl", METRICS)
    (folder / "config.yaml").write_text("data:\n  root: my/drums\ntrainer:\n  steps: 1000\n")
    return folder


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """Return a copy of a run folder that the test may change."""
    return Path(shutil.copytree(finished_run, tmp_path / "drums run"))


@pytest.mark.parametrize("channels", [1, 2])
def test_preview_holds_every_sound_where_it_says(tmp_path: Path, channels: int) -> None:
    waves = sounds(5, channels)
    write_preview(tmp_path, 1000, waves, RATE)
    assert sorted(p.name for p in (tmp_path / "previews").iterdir()) == ["step-00001000.png", "step-00001000.wav"]
    joined, rate = load_wav(tmp_path / "previews" / "step-00001000.wav")
    assert rate == RATE and joined.shape[0] == channels
    (preview,) = Page(write_report(tmp_path)).data["previews"]
    assert preview["titles"] == ["1", "2", "3", "4", "5"] and preview["step"] == 1000
    for index, wave in enumerate(waves):
        start = round(index * preview["every"] * rate)
        length = round(preview["seconds"] * rate)
        assert np.abs(joined[:, start : start + length] - wave).max() < 1e-4
        assert not joined[:, start + length : start + length + RATE // 5].any()


def test_more_titles_than_a_wav_can_tell_are_numbers_on_the_page(tmp_path: Path) -> None:
    write_preview(tmp_path, 1, sounds(40, samples=50), RATE, ["é" * 100] * 40)
    (preview,) = Page(write_report(tmp_path)).data["previews"]
    assert preview["titles"] == [str(i + 1) for i in range(40)] and preview["every"] > 0.25


def test_preview_of_a_training_gone_wrong(tmp_path: Path) -> None:
    waves = sounds(3)
    waves[1, 0, 7] = np.nan
    write_preview(tmp_path, 5, waves, RATE)
    joined, _ = load_wav(tmp_path / "previews" / "step-00000005.wav")
    assert not joined[:, 4000:6000].any() and np.abs(joined[:, :2000] - waves[0]).max() < 1e-4
    with pytest.raises(ValueError, match="2 titles for 3 sounds"):
        write_preview(tmp_path, 6, sounds(3), RATE, ["a", "b"])


def test_page_holds_every_metric_and_every_preview(run: Path) -> None:
    page = Page(write_report(run))
    assert set(page.all("title")) == set(METRICS[0]) - {"step", "seconds"}
    assert len(page.data["plots"]) == len(page.all("data-plot")) == 6
    for step in (0, 500, 1000):
        assert f"previews/step-{step:08d}.wav" in page.all("src")
        assert f"previews/step-{step:08d}.png" in page.all("href")
    players = [attrs for tag, attrs in page.tags if tag == "audio" and "controls" in attrs]
    assert len(players) == 4  # One player per step, and one for the slider.
    for link in {*page.all("src"), *page.all("href")}:
        assert (run / link).is_file(), "links are relative to the page and lead somewhere"
    assert [p["titles"] for p in page.data["previews"]] == [["1 kick", "2 snare", "3 hat"]] * 3
    assert "finished · 1,000 steps · 5.0 minutes · 50 examples per second · data: my/drums" in page.text
    assert "root: my/drums" in page.text
    assert not [f for f in run.iterdir() if f.name.startswith(".")]


def test_page_needs_nothing_from_elsewhere(run: Path) -> None:
    page = Page(write_report(run))
    assert not any(word in page.source for word in ("http://", "https://", "@import", "fetch(", "import("))
    assert set(re.findall(r"url\((.)", page.source)) == {"#"}, "only clip paths of the page itself"
    assert all(tag != "link" for tag, _ in page.tags)
    assert "prefers-color-scheme: dark" in page.source


def test_curves_are_drawn_to_scale(run: Path) -> None:
    page = Page(write_report(run))
    loss = page.data["plots"][1]
    assert loss["range"] == [0, 1000] and len(loss["series"]) == 2
    steps, means = loss["series"][1]
    assert steps[-1] == 1000 and means[-1] == -1000 and means[0] == -10
    path = re.search(r'class="mean" d="M([^"]+)"', page.source.split('aria-label="loss')[1].split("s1")[1])
    points = np.array([[float(x) for x in pair.split(",")] for pair in path[1].split("L")])  # type: ignore[index]
    assert (np.diff(points[:, 0]) > 0).all() and (np.diff(points[:, 1]) > 0).all(), "falling values go down the page"
    left, right, _ = loss["frame"]
    assert abs(points[-1, 0] - right) < 0.1 and left < points[0, 0] < left + 10


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    run = tmp_path / "run <script>alert(1)<"
    write_preview(run, 1, sounds(2), RATE, [EVIL, "</script><img onerror=alert()>"])
    write_lines(run / "metrics.jsonl", [{"step": 1, f"a/{EVIL}": 1.0, "a/loss": 2.0, f"{EVIL}/loss": 1.0}])
    write_lines(run / "findings.jsonl", [dict.fromkeys(("kind", "step", "severity", "text", "advice"), EVIL)])
    (run / "evaluation.json").write_text(json.dumps({"values": {EVIL: 1.0}, "floor": {EVIL: 0.5}}))
    (run / "run.json").write_text(json.dumps({"status": EVIL, "source": EVIL}))
    (run / "scan.txt").write_text(EVIL)
    (run / "config.yaml").write_text("a: </pre>" + EVIL)
    page = Page(write_report(run))
    assert [tag for tag, _ in page.tags].count("script") == 2  # The data and the script of the page.
    assert all(tag != "img" or attrs.get("id") == "sheet" for tag, attrs in page.tags)
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert page.data["previews"][0]["titles"][0] == "1 " + EVIL


def test_sources_outputs_and_targets_have_a_slider(tmp_path: Path) -> None:
    names = ("source", "output", "target")
    for step in (10, 20):
        columns = {name: np.full((8, 3, 16, 16), 0.3, np.float32) for name in ("source", "mask", "output", "target")}
        Image().write_preview(tmp_path, step, columns.pop("output"), [EVIL] * 8, extra_columns=columns)
    page = Page(write_report(tmp_path))
    found = page.data["comparison"]
    assert found["columns"] == list(names) and found["png"] == "previews/step-00000020.png" and len(found["rows"]) == 8
    stride = 80 + 6  # Images of 16 pixels are enlarged to 80. The mask is omitted.
    assert found["offsets"] == [0, 2 * stride, 3 * stride]
    sliders = {attrs["id"]: attrs for tag, attrs in page.tags if attrs.get("type") == "range"}
    assert sliders["wipe"]["max"] == "2" and sliders["row"]["max"] == "8"
    assert sliders["wipe"]["aria-label"] == "source, output, target"
    # Without a script, the section is hidden, and the sheet shows the columns side by side.
    assert next(attrs for _, attrs in page.tags if attrs.get("id") == "compare").keys() >= {"hidden"}
    assert next(attrs for _, attrs in page.tags if attrs.get("id") == "sheet")["src"] == "previews/step-00000020.png"
    assert [tag for tag, _ in page.tags].count("script") == 2


def test_outputs_alone_have_no_slider(run: Path, tmp_path: Path) -> None:
    Image().write_preview(tmp_path, 10, np.zeros((4, 1, 16, 16), np.float32))
    for folder in (run, tmp_path):
        page = Page(write_report(folder))
        assert page.data["comparison"] == {} and "wipe" not in page.all("id")


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "previews", "everything"])
def test_missing_files_are_left_out(run: Path, name: str) -> None:
    for path in sorted(run.rglob("*"), reverse=True):
        if name in ("everything", path.name, path.parent.name):
            path.rmdir() if path.is_dir() else path.unlink()
    page = Page(write_report(run))
    assert "drums run" in page.text
    assert ("Curves" in page.text) == (name not in ("metrics.jsonl", "everything"))
    assert ("Listen" in page.text) == (name not in ("previews", "everything"))


@pytest.mark.parametrize(
    "name", ["config.yaml", "evaluation.json", "run.json", "findings.jsonl", "metrics.jsonl", "scan.txt"]
)
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"{", b"[1, 2]\n", b'{"values": 3, "step": {}, "kind": null}\n', b"a: [\n", b"- 1\n"],
)
def test_broken_files_do_not_break_the_page(run: Path, name: str, content: bytes) -> None:
    (run / name).write_bytes(content)
    assert "drums run" in Page(write_report(run)).text


def test_a_killed_run(run: Path) -> None:
    write_lines(run / "metrics.jsonl", METRICS[:50], tail='{"step": 510, "critic/lo')
    (run / "previews" / "step-00001000.wav").write_bytes(b"RIFF")
    page = Page(write_report(run))
    assert "stopped, of 1,000 steps · 500 steps" in page.text
    assert "could not be read" not in page.text
    assert page.data["previews"][-1]["titles"] == []


def test_broken_lines_in_the_middle_are_counted(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[3] = lines[3][:20]
    lines[7] = "null"
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert "2 lines of metrics.jsonl could not be read" in Page(write_report(run)).text


def test_values_that_are_not_finite_or_wild(run: Path) -> None:
    rows: list[dict] = [{"step": s, "critic/loss": float(np.sin(s)), "generator/loss": 1.0} for s in range(1, 200)]
    rows[50]["critic/loss"] = float("nan")
    rows[60]["critic/loss"] = 1e12
    rows[70]["critic/loss"] = 10**400
    rows += [{"step": 200, "all/nan": float("inf"), "one/zero": 0.0, "x/text": "no", "x/true": True}]
    write_lines(run / "metrics.jsonl", rows)
    page = Page(write_report(run))
    assert "critic values that are not finite: 2" in page.text
    assert "1e+12 at step 61 is outside the plot" in page.text
    assert not re.search(
        r'="[^"]*\b(nan|inf)\b[^"]*"', re.sub(r'(title|label)="[^"]*"', "", page.source.split("<script")[0])
    )
    assert "all/nan" in page.all("title") and "x/text" not in page.all("title") and "x/true" not in page.all("title")


def test_evaluation_and_findings_are_shown(run: Path) -> None:
    name = "frechet/logmel32x8@500"
    (run / "evaluation.json").write_text(
        json.dumps({"values": {name: 18.25, "recall/x@5": 0.4}, "floor": {name: 3.125}})
    )
    write_lines(
        run / "findings.jsonl", [{"kind": "mode_collapse", "step": 700, "severity": "warning", "text": "All alike."}]
    )
    page = Page(write_report(run))
    assert all(text in page.text for text in ("18.25", "3.125", "recall/x@5", "mode_collapse", "All alike.", "700"))
    assert 'class="floor"' in page.source and "dashed: value of real data" in page.text


def test_no_folder_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        write_report(tmp_path / "nowhere")


def test_steps_taken_again_after_a_resume_replace_those_lost() -> None:
    rows = [{"step": s, "a": 1} for s in (10, 20, 30, 40)] + [{"step": s, "a": 2} for s in (30, 40, 50)]
    assert series_from_rows(rows) == {"a": ([10, 20, 30, 40, 50], [1, 1, 2, 2, 2])}


def test_what_players_share_shares_a_plot() -> None:
    names = [
        "examples_per_second",
        "c/loss",
        "g/loss",
        "c/real_score",
        "c/fake_score",
        "c/r1",
        "c/lr",
        "g/lr",
        "f/x@5",
        "p/x@5",
    ]
    assert list(group_metrics(names).items()) == [
        ("f/x@5", ["f/x@5"]),
        ("p/x@5", ["p/x@5"]),
        ("loss", ["c/loss", "g/loss"]),
        ("scores", ["c/real_score", "c/fake_score"]),
        ("c/r1", ["c/r1"]),
        ("lr", ["c/lr", "g/lr"]),
        ("examples_per_second", ["examples_per_second"]),
    ]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 3), (-0.003, 0.0042), (1e6, 7e6), (0, 199_999), (5, 5.0001)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = tick_values(low, high)
    assert 2 <= len(ticks) <= 7 and min(ticks) >= low - 1e-12 and max(ticks) <= high + 1e-12
    digits = f"{ticks[1] - ticks[0]:.6e}".split("e")[0].rstrip("0")
    assert digits.rstrip(".") in ("1", "2", "5") or abs(float(digits) - round(float(digits))) < 1e-4


def test_a_long_run_is_a_small_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = [{"step": s, "c/loss": v, "g/loss": -v} for s, v in enumerate(rng.normal(size=30_000).tolist())]
    write_lines(tmp_path / "metrics.jsonl", rows)
    assert write_report(tmp_path).stat().st_size < 100_000
