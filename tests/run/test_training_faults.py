"""Tests of training with faults: full disks, damaged logs, changed data, untrusted run folders."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from audiogan.cli import main
from audiogan.core import Trainer, load_newest_checkpoint, load_state, save_state
from audiogan.core.checkpoint import list_checkpoints
from audiogan.data.columns import Labels, Signals
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities import Points
from audiogan.run import callbacks, training
from audiogan.run.changes import data_fingerprint, describe_data_changes
from audiogan.run.config import compose

SMALL = ["widths=[8,8]", "data.count=100", "batch_size=8", "engine.threads=1", "callbacks.previews=null"]
Train = Callable[..., tuple[Trainer, list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def train(run: Path) -> Train:
    def start(*overrides: str) -> tuple[Trainer, list[str]]:
        said: list[str] = []
        cfg = compose("points", [*SMALL, f"run_dir={run}", "callbacks.log.every=1", *overrides])
        return training.train(cfg, progress=False, echo=said.append), said

    return start


def status(run: Path) -> str:
    return json.loads((run / "run.json").read_text())["status"]


def contents(run: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(run.rglob("*")) if p.is_file()}


def logged(run: Path) -> list[int]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if "seconds" in row]


def test_damaged_checkpoints_are_moved_aside_and_the_work_stays(train: Train, run: Path) -> None:
    train("trainer.steps=2")
    for number in (99999990, 99999991):
        (run / f"checkpoints/step-{number}.ckpt").write_text("junk")
    _, said = train("trainer.steps=4", "checkpoints.keep=1")
    assert any("resuming from" in line and "at step 2" in line for line in said)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "step-00000004.ckpt",
        "step-99999990.ckpt.damaged",
        "step-99999991.ckpt.damaged",
    ]


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"step": 1%s}\n' % (b"0" * 400),
        b'{"step": null}\n[1]\n"text"\n\x00\n\n',
        b'{"step": 1, "\\ud800": 1, "critic/loss": "nonsense"}\n',
        b'{"step": 9}\n{"step": 1',
    ],
)
def test_a_damaged_log_is_read_without_its_damaged_lines(damage: bytes, train: Train, run: Path) -> None:
    train("trainer.steps=2")
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(damage)
    trainer, _ = train("trainer.steps=4")
    assert trainer.step == 4 and logged(run) == [1, 2, 3, 4] and (run / "report.html").is_file()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
@pytest.mark.parametrize("name", ["metrics.jsonl", "findings.jsonl", "run.json", "config.yaml", "report.html"])
def test_a_fifo_in_a_run_folder_is_not_waited_for(name: str, train: Train, run: Path) -> None:
    train("trainer.steps=1")
    (run / name).unlink()
    os.mkfifo(run / name)
    trainer, _ = train("trainer.steps=2")
    assert trainer.step == 2 and (run / name).is_file()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
@pytest.mark.parametrize("name", ["checkpoints", "tensorboard", "metrics.jsonl", ".lock"])
def test_nothing_is_written_through_a_link_in_a_run_folder(name: str, train: Train, run: Path, tmp_path: Path) -> None:
    run.mkdir()
    theirs = tmp_path / "theirs"
    theirs.mkdir() if name in ("checkpoints", "tensorboard") else theirs.write_text("precious")
    (run / name).symlink_to(theirs)
    with pytest.raises(UserError, match=name):
        train("trainer.steps=1")
    assert list(theirs.iterdir()) == [] if theirs.is_dir() else theirs.read_text() == "precious"


def test_a_second_start_with_nothing_to_do_changes_nothing(train: Train, run: Path) -> None:
    train("trainer.steps=3")
    before = contents(run)
    assert "verdict" in (run / "findings.jsonl").read_text()
    _, said = train("trainer.steps=3", "callbacks.log.every=2")
    assert any("nothing to do" in line for line in said) and contents(run) == before


def test_a_run_killed_after_its_last_step_still_gets_its_verdict(train: Train, run: Path) -> None:
    train("trainer.steps=3")
    (run / "run.json").write_text('{"status": "running"}')
    for name in ("findings.jsonl", "report.html"):
        (run / name).unlink()
    train("trainer.steps=3")
    assert status(run) == "finished" and "verdict" in (run / "findings.jsonl").read_text()
    assert (run / "report.html").is_file() and logged(run) == [1, 2, 3]


def full(*names: str) -> Callable[..., Any]:
    def fail(path: Any, *rest: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    return fail


def test_a_log_that_cannot_be_written_is_left_out_and_said_once(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from audiogan.monitors import callback as monitors
    from audiogan.run import tensorboard as board

    monkeypatch.setattr(callbacks, "append_bytes", full())
    monkeypatch.setattr(board, "append_bytes", full())
    monkeypatch.setattr(monitors, "write_findings", full())
    monkeypatch.setattr("audiogan.run.report.write_report", full())
    previews = "callbacks.previews={_target_: audiogan.run.callbacks.Previews, every: 2, count: 4}"
    trainer, _ = train("trainer.steps=5", previews)
    lines = capsys.readouterr().err.splitlines()
    assert trainer.step == 5 and status(run) == "finished" and load_newest_checkpoint(run / "checkpoints")[1]
    for name in ("metrics.jsonl", "tensorboard", "findings.jsonl", "report.html"):
        assert len([line for line in lines if f"{name}: " in line and "No space left" in line]) == 1, name


def test_the_monitors_look_though_the_log_cannot_be_written(
    train: Train, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callbacks, "append_bytes", full())
    trainer, _ = train("trainer.steps=3")
    assert len(trainer.callbacks["monitors"].history.names) > 0  # type: ignore[attr-defined]


def test_a_last_checkpoint_that_cannot_be_written_is_a_failure(
    run: Path, train: Train, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train("trainer.steps=1")
    monkeypatch.setattr("audiogan.core.checkpoint.save_state", full())
    capsys.readouterr()
    assert main(["train", "points", *SMALL, f"run_dir={run}", "trainer.steps=2"]) == 2
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("audiogan:")]
    assert "step-00000002.ckpt" in line and "No space left" in line and "step-00000001.ckpt" in line
    assert "finished" not in out and "No space left" in status(run) and (run / "report.html").is_file()


@pytest.mark.parametrize(
    ("error", "raised", "words"),
    [
        (RuntimeError("broken"), RuntimeError, "failed (broken)"),
        (RuntimeError("CUDA out of memory."), UserError, "failed (CUDA out of memory.)"),
        (KeyboardInterrupt(), KeyboardInterrupt, "stopped (interrupted)"),
    ],
)
def test_the_status_is_written_after_every_end(
    error: BaseException, raised: type[BaseException], words: str, train: Train, run: Path, monkeypatch: Any
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("audiogan.games.Adversarial.losses", fail)
    with pytest.raises(raised):
        train("trainer.steps=3")
    assert status(run) == words


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(step=math.nan),
        lambda state: state.update(step=None),
        lambda state: state["callbacks"]["log"].update(sums={"loss": (torch.zeros(()), "x")}),
        lambda state: state["callbacks"]["monitors"].update(next="x"),
        lambda state: state["callbacks"]["guard"].update(usual={"critic": [["x", 1.0]]}),
        lambda state: state["engine"]["rng"].update(torch="x"),
        lambda state: state.pop("streams"),
        lambda state: state.update(callbacks=None),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_refused_in_one_line(
    change: Callable[[dict[str, Any]], Any], train: Train, run: Path
) -> None:
    train("trainer.steps=1")
    (path,) = list_checkpoints(run / "checkpoints")
    state = load_state(path)
    change(state["trainer"])
    save_state(path, state)
    before = contents(run)
    with pytest.raises(UserError, match="cannot be resumed") as caught:
        train("trainer.steps=2")
    assert path.name in str(caught.value) and "\n" not in str(caught.value) and contents(run) == before


def test_an_emptied_optimizer_is_said(train: Train, run: Path) -> None:
    train("trainer.steps=1")
    (path,) = list_checkpoints(run / "checkpoints")
    state = load_state(path)
    state["trainer"]["optimizers"]["critic"]["state"] = {}
    save_state(path, state)
    _, said = train("trainer.steps=2")
    assert any("'critic'" in line and "empty" in line for line in said)


def from_files(x: torch.Tensor, labels: list[str], targets: torch.Tensor, source: torch.Tensor | None = None) -> Table:
    """Mark data as read from files, for `data_fingerprint`."""
    sources = x if source is None else source
    columns = {
        "x": Signals(x.numpy(), Points()),
        "source": Signals(sources.numpy(), Points()),
        "label": Labels(targets.numpy(), labels),
    }
    return Table(columns, len(x), source="a folder", scan=object())  # type: ignore[arg-type]


def test_data_is_known_by_its_examples_labels_and_length() -> None:
    x, targets = torch.randn(200, 3), torch.arange(200) % 2
    original = data_fingerprint(from_files(x, ["a", "b"], targets))
    one = x.clone()
    one[137, 2] += 1e-3
    others = [(one, ["a", "b"], targets, x), (x, ["a", "c"], targets), (x, ["a", "b"], 1 - targets)]
    others += [(x[:199], ["a", "b"], targets[:199]), (x, ["a", "b"], targets, one)]
    for other in others:
        assert describe_data_changes(original, data_fingerprint(from_files(*other)))
    same = data_fingerprint(from_files(x.clone(), ["a", "b"], targets))
    assert describe_data_changes(original, same) == [] == describe_data_changes(original, same | {"source": "moved"})
    for unknown in (None, "x", {}, {"digest": None}):
        assert describe_data_changes(unknown, same) == []


def test_other_data_is_said_on_resume(train: Train, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train("trainer.steps=1")
    assert not any("changed" in line for line in train("trainer.steps=2")[1])

    monkeypatch.setattr(Table, "column", lambda self, name, indices: torch.ones(len(indices), 2))
    _, said = train("trainer.steps=3")
    assert any("changed since that checkpoint: data: " in line for line in said)


def test_a_checkpoint_that_knows_no_data_resumes_silently(train: Train, run: Path) -> None:
    train("trainer.steps=1")
    (path,) = list_checkpoints(run / "checkpoints")
    state = load_state(path)
    del state["data"]
    save_state(path, state)
    trainer, said = train("trainer.steps=2")
    assert trainer.step == 2 and not any("changed" in line or "warning" in line for line in said)


def test_a_callback_needs_no_init(train: Train) -> None:
    trainer, _ = train("trainer.steps=1", "+callbacks.nothing={_target_: audiogan.core.Callback}")
    assert "nothing" in trainer.callbacks
