"""Tests of models with a source: ``evaluate`` with the scores of the unchanged sources, previews, ``list``,
``doctor``."""

from __future__ import annotations

import copy
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_command import COMMANDS, Run
from PIL import Image as Pillow
from torch.nn import functional

from audiogan.data import open_domains, open_pairs
from audiogan.errors import UserError
from audiogan.evaluation.comparable import check_comparable
from audiogan.evaluation.side_by_side import draw_best_and_worst
from audiogan.evaluation.translations import Translated
from audiogan.modalities import Image, Sound
from audiogan.modalities.drawing.grid import read_layout
from audiogan.run.config import compose
from audiogan.run.report import write_report
from audiogan.run.training import open_data

SMALL = {
    "pix2pix": ["data.size=16", "width=4", "batch_size=2", "game.critic.layers=1", "data.holdout=0.05"],
    "cyclegan": ["data.size=16", "width=2", "blocks=1", "game.pool=2", "game.critics.critic_a.layers=1"],
}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("pairs"), "pix2pix", SMALL["pix2pix"])


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("domains"), "cyclegan", SMALL["cyclegan"])


def report(run: Run) -> dict[str, dict[str, float]]:
    return json.loads((run.path / "evaluation.json").read_text())


def size(path: Path) -> tuple[int, int]:
    with Pillow.open(path) as picture:
        return picture.size


def test_pairs_are_measured_against_their_targets_and_beside_doing_nothing(pairs: Run) -> None:
    sheet = pairs.folder / "sheet.png"
    table = pairs.command("evaluate", pairs.path, "-n", 24, "--sheet", sheet)
    assert "do nothing" in table.splitlines()[1]
    found = report(pairs)
    for name in ("l1/target@24", "psnr/target@24", "ssim/target@24", "gmsd/target@24", "match@16/target@24"):
        assert math.isfinite(found["values"][name]) and math.isfinite(found["nothing"][name])
    assert (found["better"]["l1/target@24"], found["better"]["ssim/target@24"]) == ("lower", "higher")
    for name in ("colourfulness@24", "sharpness@24"):
        assert all(math.isfinite(found[column][name]) for column in ("values", "nothing", "floor"))
    assert found["floor"]["sharpness@24"] == 1 and found["better"]["sharpness@24"] == "near 1"
    # The sources are drawings of the targets.
    assert 0.05 < found["nothing"]["l1/target@24"] < 0.6
    width, height = size(sheet)
    assert 0.5 * width < height < 2 * width  # 16 rows of source, output and target, in two blocks
    page = (pairs.path / "report.html").read_text()
    assert '<th class="number">do nothing</th>' in page and "a model should be better" in page


def test_a_baseline_is_measured_on_the_same_examples(pairs: Run, domains: Run, tmp_path: Path) -> None:
    alone = Run(tmp_path, "pix2pix", [*SMALL["pix2pix"], "game.adversarial_weight=0", "~players.critic"])
    pairs.command("evaluate", alone.path, "-n", 24)
    wanted = report(alone)["values"]
    table = pairs.command("evaluate", pairs.path, "-n", 24, "--baseline", alone.path)
    heading = next(line for line in table.splitlines() if line.startswith("metric"))
    assert heading.split() == ["metric", "do", "nothing", "baseline", "value", "floor", "better"]
    found = report(pairs)
    assert found["baseline"] == wanted != found["values"] and found["baseline_name"] == str(alone.generator.name)
    assert '<th class="number">baseline</th>' in (pairs.path / "report.html").read_text()
    said = pairs.command("evaluate", pairs.path, "--baseline", domains.path, code=2)
    assert len(said.splitlines()) == 1 and "the inputs are source [3, 16, 16], but source [1, 16, 16] in" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (3, 32, 32)}, r"the outputs are images \[3, 32, 32\], but images \[3, 16, 16\] in"),
        ({"modality": Sound(8000)}, r"the outputs are sounds .*; give a run with outputs and inputs of the same kind"),
        ({"holdout": 0.1}, r"data.holdout is 0.1, but 0.05 in .*; give a run that was trained on the same data, or"),
        ({"root": "other"}, r"data.root is other, but None in .*, or give other real data with --data"),
    ],
)
def test_a_baseline_of_other_data_is_refused(change: dict[str, Any], message: str, pairs: Run) -> None:
    other = copy.copy(pairs.generator)
    for name, value in change.items():
        if hasattr(other, name):
            setattr(other, name, value)
        else:
            other.config = {**other.config, "data": {**other.config["data"], name: value}}
    with pytest.raises(UserError, match=message):
        check_comparable(pairs.generator, other, None)
    if hasattr(other, next(iter(change))):
        with pytest.raises(UserError, match=message):
            check_comparable(pairs.generator, other, "folder")
    else:
        check_comparable(pairs.generator, other, "folder")  # Both models are measured on the data given by --data.


def test_a_baseline_may_differ_in_what_only_training_uses(pairs: Run) -> None:
    other = copy.copy(pairs.generator)
    other.config = {**other.config, "data": {**other.config["data"], "mirror": False}, "batch_size": 1}
    check_comparable(pairs.generator, other, None)


def test_doing_nothing_in_super_resolution_is_bicubic_interpolation(tmp_path: Path) -> None:
    small = ["data.size=16", "factor=2", "width=4", "blocks=1", "batch_size=2", "game.critic.layers=1"]
    run = Run(tmp_path, "super-resolution", small)
    run.command("evaluate", run.path, "-n", 24, "--sheet", tmp_path / "sheet.png")
    found = report(run)
    _, table = open_data(compose("super-resolution", small))
    rows = np.random.default_rng(0).permutation(len(table))[:24]
    target, source = table.signals(rows), table.column("source", rows)
    larger = functional.interpolate(source, (16, 16), mode="bicubic", antialias=True).clamp(-1, 1)
    expected = float((larger - target).abs().mean())
    assert found["nothing"]["l1/target@24"] == pytest.approx(expected, rel=1e-4)
    width, height = size(tmp_path / "sheet.png")
    assert height > width  # 16 rows of source, output and target, in two columns


def test_both_directions_are_measured(domains: Run) -> None:
    table = domains.command("evaluate", domains.path, "-n", 20, "--sheet", domains.folder / "sheet.png")
    assert "dotted -> striped: 20 images" in table and "striped -> dotted: 20 images" in table
    found = report(domains)
    assert {name.split("/")[0] for name in found["values"]} == {"a_to_b", "b_to_a"}
    shares = [name for name in found["values"] if "target_share/" in name]
    assert len(shares) == 2 and not any("/target@" in name for name in found["values"])
    for name in ("psnr/cycle@20", "edge_correlation/source@20"):
        assert all(math.isfinite(found["values"][f"{way}/{name}"]) for way in ("a_to_b", "b_to_a"))
    for name in shares:  # The classifier recognises real targets and distinguishes them from sources.
        assert found["floor"][name] > 0.6 and found["nothing"][name] < 0.4
    layout = read_layout(domains.folder / "sheet.png")
    assert layout is not None and layout.columns == ["source", "output"]
    assert layout.titles == ["dotted -> striped"] * 8 + ["striped -> dotted"] * 8


def test_the_best_and_the_worst_outputs(pairs: Run, tmp_path: Path) -> None:
    for options, name in ((["--rank-by", "l1"], "l1"), ([], "ssim")):
        pairs.command("evaluate", pairs.path, "-n", 24, "--best-worst", tmp_path / "a.png", *options)
        layout = read_layout(tmp_path / "a.png")
        assert layout is not None and layout.columns == ["source", "output", "target"]
        assert [title.split(": ")[0] for title in layout.titles] == ["best"] * 8 + ["worst"] * 8
        scores = [float(title.split()[-1]) for title in layout.titles]
        assert scores == sorted(scores, reverse=name == "ssim") and f": {name} " in layout.titles[0]


def test_ranking_keeps_rows_together(pairs: Run, tmp_path: Path) -> None:
    targets = np.linspace(-1, 1, 6, dtype=np.float32)[:, None, None, None] * np.ones((6, 3, 16, 16), np.float32)
    errors = np.array([0.3, 0.0, 0.5, 0.1, 0.4, 0.2], np.float32)[:, None, None, None]
    sources = (targets[:, :1] / 2).astype(np.float32)
    made = Translated(targets + errors, targets, None, True, {"source": sources})
    draw_best_and_worst(tmp_path / "a.png", pairs.generator, made, "l1", 2)
    layout = read_layout(tmp_path / "a.png")
    assert layout is not None
    assert layout.titles == ["best: l1 0", "best: l1 0.1", "worst: l1 0.4", "worst: l1 0.5"]
    with Pillow.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("L")).astype(int)
    for (left, top), row in zip(layout.rows, (1, 3, 4, 2), strict=True):
        for column, x in enumerate((sources, targets + errors, targets)):
            wanted = np.clip(x[row, 0, 0, 0], -1, 1) * 127.5 + 127.5
            assert abs(pixels[top, left + column * layout.stride] - wanted) <= 1


def test_data_of_the_persons_own(pairs: Run, domains: Run, tmp_path: Path) -> None:
    table = open_pairs(size=16)
    for i in range(22):
        for name, column in (("a", "source"), ("b", "x")):
            path = tmp_path / "pairs" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image().save(path, table.column(column, [i])[0].numpy())
    assert "l1/target@22" in pairs.command("evaluate", pairs.path, "--data", tmp_path / "pairs")
    table = open_domains(size=16)
    for i in range(50):
        path = tmp_path / "domains" / table.labels[int(table.targets[i])] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image().save(path, table.signals(np.array([i]))[0].numpy())
    options = ("--data", tmp_path / "domains", "--no-classifier")
    assert "images" in domains.command("evaluate", domains.path, *options)
    for path in sorted((tmp_path / "domains/striped").iterdir())[:10]:
        path.unlink()
    said = domains.command("evaluate", domains.path, *options, code=2)
    assert "15 held-out targets for dotted -> striped; the metrics need at least 20: give real data" in said
    assert "folders a and b" in pairs.command("evaluate", pairs.path, "--data", tmp_path / "domains", code=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", 10], "-n 10: the metrics need at least 20 examples"),
        (["--rank-by", "l1"], "--rank-by l1: also give --best-worst FILE.png, the picture to write"),
        (["--best-worst", "a.jpg"], "--best-worst a.jpg: .*png"),
        (["--best-worst", "a.png", "--rank-by", "sim"], "--rank-by sim: no such metric; choose one of l1, psnr, ssim"),
        (["--gain"], "--gain: .* needs the input 'source'; omit --gain"),
        (["--transfer"], "--transfer: the critic of .* also receives 'source'"),
    ],
)
def test_what_cannot_be_measured_is_one_line(options: list[object], message: str, pairs: Run) -> None:
    import re

    (line,) = pairs.command("evaluate", pairs.path, *options, code=2).splitlines()
    assert re.search(message, line)


def test_outputs_without_targets_cannot_be_ranked(domains: Run) -> None:
    (line,) = domains.command("evaluate", domains.path, "--best-worst", "a.png", code=2).splitlines()
    assert "have no targets of their own; use it for models of pairs" in line


def test_previews_show_directions(pairs: Run, domains: Run) -> None:
    assert "apply:   audiogan apply FILE OUT --run" in pairs.printed and "--generator" not in pairs.printed
    assert "--generator a_to_b" in domains.printed
    widths = [size(run.path / "previews/step-00000003.png")[0] for run in (pairs, domains)]
    assert widths[0] > widths[1]  # The first sheet has three columns, the second has two.


def test_tensorboard_gets_the_comparison(pairs: Run) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(pairs.path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert set(events.Tags()["images"]) >= {"previews", "comparison"}
    shown = events.Images("comparison")[-1]
    assert (shown.width, shown.height) == size(pairs.path / "previews/step-00000005.png")


def test_other_commands_describe_such_runs(domains: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = domains.command("inputs", domains.path).splitlines()
    assert lines[0].startswith("source  image [3, 16, 16]") and "dotted -> striped (--generator a_to_b)" in lines[1]
    assert "verdict:" in domains.command("doctor", domains.path)
    (tmp_path / "runs").mkdir()
    shutil.copytree(domains.path, tmp_path / "runs/mine")
    monkeypatch.chdir(tmp_path)
    assert "audiogan apply IN OUT --run RUN" in domains.command("list", "runs")
    said = domains.command("sample", "out", "--run", "runs/mine", code=2)
    assert "a_to_b (dotted -> striped)" in said and not Path("out").exists()


def test_a_report_without_sources_has_no_such_column(tmp_path: Path) -> None:
    for nothing in ({}, {"l1/target@20": 0.5}, None, [1]):
        stored = {"values": {"l1/target@20": 0.25}, "floor": {}, "nothing": nothing}
        (tmp_path / "evaluation.json").write_text(json.dumps(stored))
        page = write_report(tmp_path).read_text()
        assert ("do nothing</th>" in page) == ("0.5" in page) == bool(nothing and isinstance(nothing, dict))


@pytest.mark.parametrize("name", list(SMALL))
def test_accumulated_batches_resume_exactly(name: str, tmp_path: Path) -> None:
    COMMANDS["resume"](Run(tmp_path, name, [*SMALL[name], "engine.accumulate=2"]))
