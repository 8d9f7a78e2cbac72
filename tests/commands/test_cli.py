"""Tests of the command line: sampling, errors, data with faulty files, exit codes."""

from __future__ import annotations

import csv
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from tiny import TINY

from audiogan.cli import main
from audiogan.data.toys.drum_machine import render
from audiogan.modalities.wav import save_wav

Captured = pytest.CaptureFixture[str]


def error_of(capsys: Captured) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("audiogan: "), lines
    return lines[0]


def table(out: Path) -> list[dict[str, str]]:
    with open(out / "samples.csv", newline="") as file:
        return list(csv.DictReader(file))


def wavs(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.glob("*.wav")}


def test_sample_writes_sounds_a_picture_and_a_list(tiny_run: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "new/out"
    command = ["sample", "-n", "4", "--seed", "7", "--run", str(tiny_run), str(out)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "4 sounds" in printed and "step 4" in printed and str(out) in printed and "seeds 7 to 10" in printed
    rows = table(out)
    assert list(rows[0]) == ["file", "seed", "class", "mixture", "knobs", "truncation", "checkpoint"]
    assert [row["seed"] for row in rows] == ["7", "8", "9", "10"] and {row["truncation"] for row in rows} == {""}
    assert all(row["class"] in ("kick", "snare") and row["file"].startswith(row["class"]) for row in rows)
    assert {row["file"] for row in rows} == set(wavs(out)) and len(rows) == 4
    for name in wavs(out):
        info = soundfile.info(out / name)
        assert (info.samplerate, info.frames, info.channels) == (16000, 2048, 1)
    with Image.open(out / "contact-sheet.png") as sheet:
        assert min(sheet.size) > 200
    first = wavs(out)
    assert main(command) == 0  # The same command again writes no new file.
    assert wavs(out) == first and table(out) == rows
    assert sorted(p.name for p in out.iterdir()) == sorted([*first, "contact-sheet.png", "samples.csv"])


def test_sample_adds_to_what_is_there(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    base = ["sample", "-n", "2", "--run", str(tiny_run), str(out), "--class", "kick"]
    assert main([*base, "--seed", "1"]) == 0
    first = wavs(out)
    foreign = out / "kick-5.wav"
    foreign.write_bytes(b"someone else's")
    assert main([*base, "--seed", "4"]) == 0  # Seeds 4 and 5: the file name of the second sample exists already.
    assert main([*base, "--seed", "1", "--truncation", "0.5"]) == 0  # Other samples with the same seeds.
    assert foreign.read_bytes() == b"someone else's" and first.items() <= wavs(out).items()
    rows = table(out)
    assert len(rows) == 6 == len({row["file"] for row in rows}) and "kick-5.wav" not in {row["file"] for row in rows}
    assert {row["class"] for row in rows} == {"kick"}
    assert [row["truncation"] for row in rows] == [""] * 4 + ["0.5"] * 2


def test_sample_without_a_seed_is_new_each_time(tiny_run: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["sample", "-n", "1", "--run", str(tiny_run), str(tmp_path / "out")]) == 0
    assert len(wavs(tmp_path / "out")) == 2


@pytest.mark.parametrize("text", ["file,seed,class,truncation,checkpoint,x\na,1\n", ""])
def test_sample_copes_with_a_changed_list(text: str, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text(text)
    assert main(["sample", "-n", "1", "--seed", "1", "--run", str(tiny_run), str(tmp_path)]) == 0
    assert table(tmp_path)[-1]["seed"] == "1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-n", "0"], "-n 0"),
        (["--seed", "-4"], "seed=-4"),
        (["--truncation", "0"], "truncation=0"),
        (["--class", "gong"], "gong"),
        (["--run", "nowhere"], "nowhere"),
    ],
)
def test_wrong_wishes_are_one_line(
    arguments: list[str], words: str, tiny_run: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert main(["sample", "--run", str(tiny_run), str(tmp_path / "out"), *arguments]) == 2
    assert words in error_of(capsys) and not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line(tiny_run: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "file").touch()
    below = str(tmp_path / "file/out")
    assert main(["sample", "-n", "1", "--run", str(tiny_run), below]) == 2
    assert below in error_of(capsys)
    assert main(["train", "drums", f"run_dir={below}", "trainer.steps=1"]) == 2
    assert below in error_of(capsys)
    assert main(["data", "scan", str(tiny_run), "--csv", f"{below}/scan.csv"]) == 2
    assert below in error_of(capsys)


def test_without_a_run_the_first_step_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate"]) == 2
    assert "--data" in capsys.readouterr().err  # The shipped model is found, but there is no data for the evaluation.
    assert main(["evaluate", "runs/none"]) == 2
    assert "audiogan train drums" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "drums" in printed and "runs: none" in printed and "models" in printed
    folder = tmp_path / "runs/drums,seed=1/checkpoints"
    folder.mkdir(parents=True)
    for name in ("step-00000900.ckpt", "step-00001200.ckpt", "step-notes.ckpt", ".step-00009999.ckpt.1.tmp"):
        (folder / name).touch()
    assert main(["list", "runs"]) == 0
    assert "runs/drums,seed=1  step 1,200" in capsys.readouterr().out


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 usable files and one file of each kind of fault."""
    folder = tmp_path_factory.mktemp("awkward")
    for i in range(24):
        wave = render("snare", sample_rate=16000, length=2048, rng=np.random.default_rng(i))
        save_wav(folder / f"gut {i} äöü.WAV", wave, 16000)
    whole = (folder / "gut 0 äöü.WAV").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "text.wav").write_text("not a sound")
    (folder / "empty.wav").touch()
    (folder / "notes.txt").write_text("about these sounds")
    soundfile.write(folder / "nan.wav", np.full(2048, np.nan, np.float32), 16000, subtype="FLOAT")
    soundfile.write(folder / "silence.wav", np.zeros(2048, np.float32), 16000)
    soundfile.write(folder / "click.wav", np.float32([0.5, -0.5] * 4), 16000)
    (folder / "again.wav").write_bytes(whole)
    (folder / "loop").symlink_to(folder)
    return folder


def test_scan_accounts_for_each_file(awkward: Path, tmp_path: Path, capsys: Captured) -> None:
    verdicts = tmp_path / "scan.csv"
    assert main(["data", "scan", str(awkward), "--csv", str(verdicts), "--length", "2048"]) == 0
    printed = capsys.readouterr().out
    with open(verdicts, newline="", encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    expected = {
        "text.wav": "unreadable", "empty.wav": "unreadable", "notes.txt": "not audio", "nan.wav": "non-finite",
        "silence.wav": "silent", "click.wav": "too short", "loop": "folder link",
    }  # fmt: skip
    assert {name: rows[name]["reason"] for name in expected} == expected
    assert {rows["again.wav"]["reason"], rows["gut 0 äöü.WAV"]["reason"]} == {"usable", "duplicate"}
    assert (rows["cut.wav"]["reason"], rows["cut.wav"]["flags"]) == ("usable", "truncated")
    assert set(rows) == {path.name for path in awkward.iterdir()}
    assert "25 usable" in printed and all(reason in printed for reason in expected.values())


def test_train_copes_with_an_awkward_folder(awkward: Path, tmp_path: Path, capsys: Captured) -> None:
    run = tmp_path / "run"
    options = [*TINY, "trainer.steps=2", "callbacks.previews=null"]
    assert main(["train", "drums", *options, f"data.root={awkward}", f"run_dir={run}"]) == 0
    assert "finished at step 2" in capsys.readouterr().out
    assert "25 usable" in (run / "scan.txt").read_text() and "text.wav" in (run / "scan.csv").read_text()


def test_a_folder_without_a_usable_sound_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    for content in ("", "text"):
        if content:
            (bad / "text.wav").write_text(content)
        assert main(["train", "drums", f"data.root={bad}", f"run_dir={tmp_path / 'run'}"]) == 2
        error = error_of(capsys)
        assert "no usable sound file" in error and str(bad) in error
    assert main(["data", "scan", str(bad)]) == 0 and "0 usable" in capsys.readouterr().out
    assert main(["data", "scan", str(bad / "nowhere")]) == 2 and "nowhere" in error_of(capsys)


def test_kits_are_listed_without_a_network(capsys: Captured) -> None:
    assert main(["data", "get", "drums", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5 and "licence" in lines[0] and any("CC0-1.0" in line for line in lines)
    assert main(["data", "get", "drums", "--kits", "nonsense"]) == 2
    assert "nonsense" in error_of(capsys)


@pytest.fixture
def short(tiny_sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return [*TINY, f"data.root={tiny_sounds}", "trainer.steps=1", "callbacks.previews=null"]


def run_names() -> list[str]:
    return sorted(path.parent.name for path in Path("runs").glob("*/checkpoints"))


def test_multirun_makes_a_run_of_each_combination(short: list[str], capsys: Captured) -> None:
    assert main(["train", "drums", "-m", *short, "seed=1,2"]) == 0
    names = run_names()
    assert len(names) == 2 and all(name.startswith("drums,") for name in names)
    printed = capsys.readouterr().out
    assert printed.count("finished at step 1") == 2 and "seed=2" in printed
    assert not logging.getLogger("audiogan.data").disabled  # Loggers still print warnings.
    assert main(["train", "drums", *short, "seed=2"]) == 0  # The same command resumes the same run.
    assert "nothing to do" in capsys.readouterr().out and run_names() == names


def test_multirun_names_the_network(short: list[str], capsys: Captured) -> None:
    plain = [o for o in short if o.startswith(("data.root", "engine.", "trainer.", "callbacks.previews=null"))]
    assert main(["train", "drums", *plain, "model_size=2", "network=wavegan,specgan", "-m"]) == 2
    assert "model_size" in (error := error_of(capsys)) and "++KEY=VALUE" in error
    assert main(["train", "drums", *plain, "++model_size=2", "network=wavegan,specgan", "-m"]) == 0
    names = run_names()
    assert len(names) == 2 and "network=specgan" in names[0] + names[1] and "network=wavegan" in names[0] + names[1]


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        (["network=stftgan,nonsense"], "nonsense"),
        (["seed=1,-1"], "seed=-1"),
        (["seed=1,2", "run_dir=here"], "run_dir=here"),
        (["trainer.nonsense=1,2"], "nonsense"),
        (["seed=[1,"], "seed"),
    ],
)
def test_a_bad_sweep_starts_nothing(sweep: list[str], words: str, short: list[str], capsys: Captured) -> None:
    assert main(["train", "drums", "-m", *short, *sweep]) == 2
    assert words in error_of(capsys)
    assert list(Path().iterdir()) == []


def test_a_failed_job_does_not_stop_the_others(short: list[str], tmp_path: Path, capsys: Captured) -> None:
    roots = f"data.root={tmp_path}/nowhere,{short[len(TINY)].removeprefix('data.root=')}"
    others = [o for o in short if not o.startswith("data.root=")]
    assert main(["train", "drums", "-m", *others, roots]) == 2
    printed = capsys.readouterr()
    assert "finished at step 1" in printed.out and "nowhere: no such folder" in printed.err
    assert "Traceback" not in printed.err


def test_an_interrupt_ends_the_whole_sweep(short: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    from audiogan.core import Trainer

    monkeypatch.setattr(Trainer, "run", lambda self: self.stop("interrupted"))
    assert main(["train", "drums", "-m", *short, "seed=1,2"]) == 130
    printed = capsys.readouterr().out
    assert printed.count("stopped (interrupted)") == 1 and "resume:  audiogan train drums -m" in printed


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["--version"], ["data", "get", "drums", "--list"]])
def test_a_reader_who_leaves_early_is_no_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "audiogan", *arguments]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_version_and_bare_call(capsys: Captured) -> None:
    assert main(["--version"]) == 0 and capsys.readouterr().out.startswith("audiogan ")
    assert main([]) == 0 and "audiogan train drums" in capsys.readouterr().out


def test_debugging_shows_where_an_error_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    from audiogan import UserError

    monkeypatch.setenv("AUDIOGAN_DEBUG", "1")
    with pytest.raises(UserError):
        main(["train", "nonsense"])
