"""Tests of interrupted sampling: files and list agree."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from room import room
from stub_generator import Stub

from audiogan.cli import main
from audiogan.errors import UserError
from audiogan.modalities.points import Points
from audiogan.model import sampling
from audiogan.model.sample_list import SampleList
from audiogan.model.sampling import write_samples
from audiogan.utils import progress as long_work


def listed(out: Path) -> list[str]:
    with open(out / "samples.csv", newline="", encoding="utf-8") as file:
        return [row["file"] for row in csv.DictReader(file)]


def consistent(out: Path) -> int:
    """Return the number of samples. Check that files and rows agree and that no other files remain."""
    files = {path.name for path in out.iterdir()} - {"samples.csv", "contact-sheet.png"}
    assert files == set(listed(out)) and len(files) == len(listed(out))
    assert all(path.stat().st_size > 100 for path in out.iterdir())
    return len(files)


def interrupted(stub: Stub, number: int, at: int) -> None:
    def strike(rendered: int) -> None:
        if rendered == at:
            os.kill(os.getpid(), number)

    stub.before_rendering = strike


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_blocks_keeps_what_is_there(number: int, tmp_path: Path) -> None:
    lines: list[str] = []
    stub, before = Stub(), signal.getsignal(number)
    interrupted(stub, number, 128)
    with pytest.raises(KeyboardInterrupt):
        write_samples(stub, tmp_path / "out", 1000, seed=0, echo=lines.append)  # type: ignore[arg-type]
    assert signal.getsignal(number) == before
    assert consistent(tmp_path / "out") == 128 and (tmp_path / "out/contact-sheet.png").is_file()
    assert "128 of 1,000 sounds" in lines[-1] and "samples.csv" in lines[-1]


def test_a_signal_while_a_file_is_written_waits_for_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = SampleList.add

    def strike(self: SampleList, file: str, sample: Any) -> None:
        if file == "kick-10.wav":
            os.kill(os.getpid(), signal.SIGTERM)
        add(self, file, sample)

    monkeypatch.setattr(SampleList, "add", strike)
    with pytest.raises(KeyboardInterrupt):
        write_samples(Stub(), tmp_path, 50, seed=0, echo=lambda line: None)  # type: ignore[arg-type]
    assert consistent(tmp_path) == 11


def test_nothing_is_left_of_a_call_that_made_nothing(tmp_path: Path) -> None:
    for modality in (None, Points()):
        stub = Stub(modality=modality)
        interrupted(stub, signal.SIGINT, 0)
        with pytest.raises(KeyboardInterrupt):
            write_samples(stub, tmp_path / "new/out", 100, seed=0)  # type: ignore[arg-type]
        assert not list(tmp_path.iterdir())


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stub = Stub()
        interrupted(stub, signal.SIGHUP, 64)
        write_samples(stub, tmp_path, 70, seed=0, echo=lambda line: None)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGHUP, before)
    assert consistent(tmp_path) == 70


@pytest.mark.parametrize("full", ["sound", "list"])
def test_a_disk_that_fills_up_keeps_what_is_there(full: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if full == "sound":
        save = type(Stub().modality).save

        def large(self: Any, path: Path, x: Any, comment: str | None = None) -> None:
            save(self, path, x if not str(path).endswith("-20.wav") else x.repeat(100, -1), comment)

        monkeypatch.setattr(type(Stub().modality), "save", large)
    out, stub = tmp_path / "out", Stub(["kick"], name="m" * 40)
    monkeypatch.setattr(type(stub.modality), "sheet", lambda *args, **options: None)
    with room(2000), pytest.raises(UserError, match=r"cannot be written \(File too large\); \d+ of 60 sounds"):
        write_samples(stub, out, 60, seed=0)  # type: ignore[arg-type]
    assert 5 < consistent(out) < 60
    write_samples(stub, out, 60, seed=0, echo=lambda line: None)  # type: ignore[arg-type]
    assert consistent(out) == 60 == len({*listed(out)})


def test_more_than_the_disk_holds_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = sampling.shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(sampling.shutil, "disk_usage", lambda path: usage)
    for modality in (None, Points()):
        with pytest.raises(UserError, match=r"out: 10,000 \w+ need about .* MB"):
            write_samples(Stub(modality=modality), tmp_path / "out", 10_000, seed=0)  # type: ignore[arg-type]
        assert not list(tmp_path.iterdir())


def test_long_work_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    write_samples(Stub(), tmp_path, 3, seed=0, echo=lines.append)  # type: ignore[arg-type]
    assert len(lines) == 1
    monkeypatch.setattr(long_work, "DELAY_SECONDS", 0.0)
    write_samples(Stub(), tmp_path, 3, seed=0, echo=lines.append)  # type: ignore[arg-type]
    assert lines[1:3] == ["1 of 3 sounds", "2 of 3 sounds"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "1e20"], "at most 1,000,000,000"),
        (["-n", "-1"], "-n -1: must be at least 1"),
        (["-n", "2.5"], "-n '2.5': write a whole number"),
        (["-n", "many"], "-n 'many'"),
        (["-n", "nan"], "-n 'nan'"),
        (["-n", "1e999"], "-n '1e999'"),
        (["-n", "9" * 5000], "-n '999"),
        (["--seed", "x"], "--seed 'x'"),
        (["--seed", "9223372036854775807"], "seed=9223372036854775807"),
        (["--class", "kick:1,kick:0.5"], "kick is given twice"),
        (["--knob", "a=1", "--knob", "a=0"], "a is given twice"),
    ],
)
def test_wrong_numbers_are_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", "--run", "drums", str(tmp_path / "out"), *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert words in line and len(line) < 300 and not list(tmp_path.iterdir())


def test_a_power_of_ten_is_a_whole_number(tmp_path: Path) -> None:
    assert main(["sample", "--run", "drums", str(tmp_path), "-n", "2e0", "--seed", "1e3"]) == 0
    assert {name.split("-")[1] for name in listed(tmp_path)} == {"1000.wav", "1001.wav"}
