"""Tests of untrusted file names and labels: on the terminal, in the report and as class names."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from PIL import Image as Pillow

from audiogan.data.images.scan import scan_images
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.data.sounds.scan import Scan, scan_folder
from audiogan.errors import UserError

FORMULAS = ("=1+1", "+1+cmd", "-1+cmd", "@SUM(A1)", "\t=1+1", "'=quoted")
ESCAPE = "\x1b]0;owned\a"


def burst(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(os.fsencode(path), np.random.default_rng(seed).uniform(-0.5, 0.5, 1600), 16_000, format="WAV")


def cells(scan: Scan, path: Path) -> list[list[str]]:
    scan.write_csv(path)
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def is_text(cell: str) -> bool:
    return not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_no_cell_of_the_report_is_a_formula(tmp_path: Path) -> None:
    for i, name in enumerate(FORMULAS):
        burst(tmp_path / "s" / name / f"{name}.wav", i)
    burst(tmp_path / "s" / "=copy.wav", 0)  # The detail contains the name of the duplicate file.
    scan = scan_folder(tmp_path / "s", labels="folders", progress=False)
    rows = cells(scan, tmp_path / "report.csv")
    assert all(is_text(cell) for row in rows for cell in row)
    shown = {f"'{name}" for name in FORMULAS if name[0] != "\t"} | {"\\x09=1+1"}
    assert shown <= {row[4] for row in rows}
    assert scan.labels == sorted(FORMULAS)  # The name of a class is unchanged.
    assert f"{FORMULAS[0]}/{FORMULAS[0]}.wav" in {row["path"] for row in scan.rows()}


def test_the_report_on_images_has_no_formula(tmp_path: Path) -> None:
    for i in range(2):
        (tmp_path / f"=class{i}").mkdir()
        Pillow.fromarray(np.full((8, 8), i * 100, np.uint8)).save(tmp_path / f"=class{i}" / "@a.png")
    (tmp_path / f"{ESCAPE}.png").write_text("no image")
    scan = scan_images(tmp_path, progress=False)
    assert all(is_text(cell) for row in cells(scan, tmp_path / "report.csv") for cell in row)
    assert "\x1b" not in (tmp_path / "report.csv").read_text()
    assert ESCAPE not in scan.summary() and r"\x1b]0;owned\x07" in scan.summary()


@pytest.mark.parametrize("name", [ESCAPE, "two\nlines", "\u202egnp", "byte\udcff", "\x9b2J", "\r"])
def test_control_characters_are_shown_as_escapes(tmp_path: Path, name: str) -> None:
    root = tmp_path / f"root{name}"
    burst(root / name / "good.wav", 1)
    burst(root / "kick" / "good.wav", 2)
    (root / f"{name}.wav").write_bytes(b"x")
    data = open_audio_folder(root, progress=False)
    for text, lines in ((data.scan.summary(), 3), (data.source, 1)):
        text.encode()
        assert name not in text.replace("\n", "") and len(text.splitlines()) == lines
    json.dumps(data.labels).encode()
    "".join(data.labels).encode()  # Class names are written to files in UTF-8.
    (root / name / "good.wav").unlink()
    (root / "kick" / "good.wav").unlink()
    with pytest.raises(UserError) as caught:
        open_audio_folder(root, progress=False)
    assert name not in str(caught.value)


def test_class_names_of_any_kind(tmp_path: Path) -> None:
    names = [" ", "null", "0x10", "1e3", "[a]", "${b}", "~", "x" * 255, "#", "%(a)s", "{a}", "auto"]
    for i, name in enumerate(names):
        burst(tmp_path / name / "a.wav", i)
    scan = scan_folder(tmp_path, progress=False)
    assert scan.labels == sorted(names) and max(map(len, scan.summary().splitlines())) < 600


def test_a_long_list_of_classes_is_cut_on_the_terminal(tmp_path: Path) -> None:
    burst(tmp_path / "a.wav", 0)
    rows = []
    for i in range(300):
        os.link(tmp_path / "a.wav", tmp_path / f"{i}.wav")
        burst(tmp_path / f"s{i}.wav", i + 1)
        rows.append(f"s{i}.wav,class{i}{'x' * 5000}\n")
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(rows))
    scan = scan_folder(tmp_path, labels="list.csv", progress=False)
    assert len(scan.labels) == 300 and "and 270 more" in scan.summary() and len(scan.summary()) < 4000
