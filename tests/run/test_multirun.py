"""Tests of ``audiogan train -m`` with launchers that run jobs in other processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audiogan.cli import main
from audiogan.run.multirun import list_jobs, multirun

Captured = pytest.CaptureFixture[str]
POINTS = ("data.count=60", "batch_size=4", "widths=[8,8]", "callbacks.previews=null", "engine.threads=1")


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """Undo the changes that hydra makes to logging."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return ["train", "points", "-m", *POINTS, "trainer.steps=1"]


@pytest.fixture
def other_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace hydra's launcher by one that runs each job in its own process and returns a pickled result."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    from hydra._internal.core_plugins import basic_launcher

    run_job = basic_launcher.run_job

    def elsewhere(**arguments: Any) -> Any:
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)

        def job() -> None:
            sender.send(run_job(**arguments))

        process = context.Process(target=job)
        process.start()
        sender.close()
        try:
            result = receiver.recv()
        finally:
            process.join()
        return result

    monkeypatch.setattr(basic_launcher, "run_job", elsewhere)
    yield


def runs() -> list[str]:
    return sorted(path.parent.name for path in Path("runs").glob("*/report.html"))


@pytest.mark.usefixtures("other_processes")
def test_a_failed_job_in_another_process_is_an_error(sweep: list[str], capfd: Captured) -> None:
    assert main([*sweep, "data.std=0.1,-1,0.2"]) == 2
    printed = capfd.readouterr()
    assert "data.std=-1: must be a number above 0" in printed.err and "Traceback" not in printed.err
    assert len(runs()) == 2
    assert main([*sweep, "data.std=0.1,0.2"]) == 0


@pytest.mark.usefixtures("other_processes")
def test_an_interrupted_job_in_another_process_is_an_interruption(
    sweep: list[str], monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    from audiogan.core import Trainer

    monkeypatch.setattr(Trainer, "run", lambda self: self.stop("asked to terminate"))
    assert main([*sweep, "seed=1,2"]) == 130
    assert "Traceback" not in capfd.readouterr().err


def test_an_unexpected_error_is_not_hidden(sweep: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from audiogan.core import Trainer

    def broken(self: Trainer) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Trainer, "run", broken)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(RuntimeError, match="a defect"):
        multirun("points", [*sweep[3:], "seed=1,2"])
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_a_sweep_over_a_callback_makes_a_run_of_each(sweep: list[str], capsys: Captured) -> None:
    assert main([*sweep, "callbacks.ema.decay=0.5,0.9"]) == 0
    assert len(runs()) == 2
    assert main([*sweep, "callbacks.log.every=1,2"]) == 2
    assert "vary a setting that is part of the folder name" in capsys.readouterr().err


def test_a_sweep_and_a_single_command_mean_the_same_run(sweep: list[str], capsys: Captured) -> None:
    Path("Ö.YML").write_text("defaults: [points, _self_]\n")
    command = ["train", "Ö.YML", *sweep[3:], "lr=1e-3", "name=it's [1]"]
    assert main([*command, "-m", "seed=1e0,2"]) == 0
    assert len(runs()) == 2
    capsys.readouterr()
    assert main([*command, "seed=2"]) == 0
    assert "nothing to do" in capsys.readouterr().out and len(runs()) == 2


def test_jobs_are_spelled_as_they_were_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed = list_jobs(["data.root=Bob's,a b,'c d'", "name=2024", "seed=1,2", "~callbacks.ema"])
    roots = ["data.root=Bob's", "data.root=a b", "data.root='c d'"]
    assert typed == [[root, "name=2024", f"seed={seed}", "~callbacks.ema"] for root in roots for seed in (1, 2)]


@pytest.mark.parametrize("override", ["seed=interval(1,2)", "network=glob(*)"])
def test_sweeps_that_cannot_be_listed_are_one_line(override: str, sweep: list[str], capsys: Captured) -> None:
    assert main([*sweep, override]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_hydras_own_settings_are_kept(sweep: list[str], tmp_path: Path) -> None:
    options = [
        "hydra/job_logging=default",
        "hydra.sweep.dir=jobs",
        "hydra.output_subdir=.hydra",
        "hydra.job.chdir=true",
    ]
    assert main([*sweep, "seed=1", *options]) == 0
    assert (tmp_path / "jobs/multirun.yaml").is_file() and (tmp_path / "jobs/.hydra/overrides.yaml").is_file()
