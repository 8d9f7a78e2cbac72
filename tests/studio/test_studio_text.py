"""Tests of untrusted text in the studio: names of models and runs, findings and titles cannot change the writing
direction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from audiogan.run.report import read_preview_layout
from audiogan.studio.runs import Run

if TYPE_CHECKING:
    from audiogan import Generator

ODD = "a\u202eb\x1b[2J\u200f<b>"


def test_names_and_findings_of_a_run_are_printable(tmp_path: Path) -> None:
    run = Run.from_folder(tmp_path, ODD)
    row = {"kind": "collapse", "step": 1, "severity": "warning", "text": f"{ODD}\nmore", "advice": ODD, "override": ODD}
    (tmp_path / "findings.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "run.json").write_text(json.dumps({"status": f"stopped ({ODD})"}))
    (found,) = run.findings()
    said = [run.name, found["advice"], found["override"], *found["text"].split("\n"), run.status()["why"]]
    assert len(said) == 6
    for text in said:
        assert text.isprintable() and ("<b>" in text or text == "more")


def test_titles_of_a_preview_are_printable(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "x.wav", "w", 8000, 1, format="WAV") as file:
        file.comment = json.dumps({"count": 1, "seconds": 0.1, "every": 0.2, "titles": [ODD]})
        file.write(np.zeros(800))
    (title,) = read_preview_layout(tmp_path / "x.wav")["titles"]
    assert title.isprintable() and title.startswith("a\\u202eb")


def test_the_name_of_a_file_is_printable(drums: Generator) -> None:
    from audiogan.studio.instrument import Instrument

    odd = type(drums)(drums.game, drums.modality, drums.config, Path(f"/home/me/{ODD}\udcff.audiogan"), drums.step)
    instrument = Instrument(odd)
    assert instrument.name.isprintable() and "home" not in instrument.name
    json.dumps(instrument.describe(), ensure_ascii=False).encode()  # The text can be sent to the page.
    assert instrument.error_message(ValueError(f"{odd.checkpoint}: {ODD}")).isprintable()
