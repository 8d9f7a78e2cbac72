"""Tests of CONTRIBUTING.md: every example is written to an empty folder, and its commands are run."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guide import GUIDE, Example, examples, patched, write
from PIL import Image

import audiogan
from audiogan.cli import main

EXAMPLES = examples()
OVERLAID = {"A metric", "A command"}
"""Sections with files of the package itself."""
RUN = """
import json, shlex, sys
from audiogan.cli import main
for command in json.loads(sys.argv[1]):
    print("$", command, flush=True)
    assert main(shlex.split(command)[1:]) == 0, command
"""


def figures(run: str) -> dict[str, float]:
    """Return the losses of the last step in the log."""
    rows = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "seconds" in row][-1]


def values(run: str) -> dict[str, float]:
    return json.loads(Path(run, "evaluation.json").read_text())["values"]


def check_configuration() -> None:
    narrow = Path("runs/quick,network=narrow/config.yaml").read_text()
    assert "widths:\n- 32\n- 32" in narrow and "batch_size: 32" in narrow


def check_network() -> None:
    assert len(list(Path("out").glob("7-*.png"))) == 3
    assert [row["class"] for row in csv.DictReader(Path("out/samples.csv").read_text().splitlines())] == ["7"] * 3
    assert any(name.startswith("frechet/") for name in values("runs/my"))
    assert Path("runs/my/report.html").is_file() and Path("runs/my,loss=hinge/report.html").is_file()


def check_loss() -> None:
    first, second = figures("runs/my_edges"), figures("runs/my_edges,game.distances.l1.weight=10")
    assert first["generator/edges"] > 0
    assert first["generator/l1"] / second["generator/l1"] == pytest.approx(5, rel=0.5)  # weights of 50 and 10


def check_game() -> None:
    assert {"generator/distance", "generator/adversarial", "critic/real"} <= set(figures("runs/my_game"))


def check_input() -> None:
    first, second = sorted(Path("out").glob("*.png"))[-2:]
    with Image.open(first) as a, Image.open(second) as b:
        assert a.tobytes() == b.tobytes()  # The angle is the only input.


def check_column() -> None:
    assert audiogan.load("runs/my_ink", trust=["my_columns"]).inputs["knobs"].names == ("ink",)
    assert len(list(Path("out").glob("image-*.png"))) == 2


def check_modality() -> None:
    assert len(list(Path("out").glob("curve-*.npy"))) == 2 and list(Path("runs/my_curves/previews").glob("step-*.png"))
    assert any(name.startswith("frechet/flat@") for name in values("runs/my_curves"))


CHECKS = {
    "A configuration": check_configuration,
    "A network": check_network,
    "A loss term": check_loss,
    "A game": check_game,
    "An input": check_input,
    "A column": check_column,
    "A modality": check_modality,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to a working folder whose modules are forgotten afterwards, because tests use the same module names."""
    monkeypatch.chdir(tmp_path)
    for name in [name for example in EXAMPLES.values() for name in example.modules]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def test_each_section_with_an_example_is_run() -> None:
    assert set(EXAMPLES) == set(CHECKS) | OVERLAID
    for name, example in EXAMPLES.items():
        assert example.commands, name
        for file, text in example.files.items():
            assert sum(map(bool, text.splitlines())) <= 30, file


@pytest.mark.parametrize("section", CHECKS)
def test_an_example_with_files_of_ones_own(section: str, folder: Path) -> None:
    example = EXAMPLES[section]
    write(example, folder)
    for command in example.commands:
        assert main(shlex.split(command)[1:]) == 0, command
    exec(example.code, {})
    CHECKS[section]()


def overlay(example: Example, folder: Path) -> Path:
    """Return a folder with a copy of the package, changed according to an example."""
    home = Path(audiogan.__file__).parents[1]
    for name in ("audiogan", "configs"):
        if (home / name).is_dir():
            shutil.copytree(home / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in example.files.items():
        if name.startswith("audiogan/"):
            assert not (folder / name).exists()
            (folder / name).write_text(text)
    for name, diff in example.diffs.items():
        (folder / name).write_text(patched((folder / name).read_text(), diff))
    return folder


def run(example: Example, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the commands of an example with its copy of the package, and return the output."""
    write(example, folder)
    monkeypatch.setenv("PYTHONPATH", str(overlay(example, folder / "source")))
    code = [sys.executable, "-c", RUN, json.dumps(example.commands)]
    done = subprocess.run(code, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_metric_in_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(EXAMPLES["A metric"], folder, monkeypatch)
    names = [name for name in values("runs/points,data.count=2000") if name.startswith("sliced/")]
    assert len(names) == 2 and any("Sums" in name for name in names), names


def test_a_command_in_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = run(EXAMPLES["A command"], folder, monkeypatch)
    assert re.search(r"^generator +[\d,]{6,}$", printed, re.MULTILINE), printed


def test_without_trust_one_line_says_what_to_add(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(EXAMPLES["A network"], folder)
    assert main(["train", "my.yaml"]) == 2
    assert "if you trust my_networks.py, add --trust my_networks" in capsys.readouterr().err
    assert "my_networks" not in sys.modules and not Path("runs").exists()
    assert main(shlex.split(EXAMPLES["A network"].commands[0])[1:]) == 0
    capsys.readouterr()
    assert main(["sample", "-n", "1", "out"]) == 2
    line = "it needs the module my_networks; if you trust its code, add --trust my_networks"
    assert capsys.readouterr().err.strip().endswith(line)


def test_links_and_paths_of_the_index() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    titles = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", text, re.MULTILINE)}
    index = text.split("\n## ")[0]
    assert set(re.findall(r"\]\(#([^)]+)\)", index)) <= titles
    for path in re.findall(r"`((?:audiogan|configs|tests|docs)/[\w./-]+)`", text):
        if "NAME" not in path and path not in [name for each in EXAMPLES.values() for name in each.files]:
            assert (GUIDE.parent / path).exists(), path
