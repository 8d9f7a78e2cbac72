"""Tests of untrusted class names in file names, tables and on the terminal."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stub_generator import Stub

from audiogan.modalities.sound import write_preview
from audiogan.model.generator import Generator
from audiogan.model.sampling import write_samples
from audiogan.utils.text import unescape_cell

NAMES = ["=1+1", "@SUM(A1)", "+1|x", "-cmd", "\t=1", "\r=1", "'=1", "../../up", "a/b", "\x1b[2J", "new\nline", "\0"]
NAMES += ["\ud800", "\u202egpj", "太" * 90, "𝔵" * 90, "..", "", "-3", "CON"]


def sample(generator: Any, out: Path, n: int, **options: Any) -> tuple[list[Path], str]:
    lines: list[str] = []
    stub: Generator = generator
    return write_samples(stub, out, n, echo=lines.append, **options), "\n".join(lines)


def test_no_name_runs_in_a_spreadsheet_or_leaves_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    label = {"=1": 0.5, "b": 0.5}
    for options in ({}, {"label": label, "knobs": {"=k": 0.5}}):
        for _ in range(2):  # The second call adds nothing.
            files, said = sample(Stub(NAMES, "=model"), out, len(NAMES), seed=0, **options)
            assert len({*files}) == len(NAMES) and all(file.parent == out and file.is_file() for file in files)
            assert all(file.name.isprintable() and len(file.name.encode()) < 240 for file in files)
            assert "\n" not in said and "\x1b" not in said
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == set(out.iterdir())
    text = (out / "samples.csv").read_text(encoding="utf-8")
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 2 * len(NAMES)
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
    assert not [cell for cell in cells if cell.startswith("-") and cell != "-3"]
    assert [unescape_cell(row["class"]) for row in rows[:4]] == NAMES[:4]
    assert {unescape_cell(row["mixture"]) for row in rows} == {"", "=1=0.5 b=0.5"}


@pytest.mark.parametrize("name", NAMES)
def test_previews_show_any_name(name: str, tmp_path: Path) -> None:
    write_preview(tmp_path, 1, np.zeros((1, 1, 400), np.float32), 8000, [name])
    assert len(list((tmp_path / "previews").iterdir())) == 2
