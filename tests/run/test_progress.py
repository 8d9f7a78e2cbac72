"""Tests of the progress display of a training run."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from audiogan.run import progress_bar as progress
from audiogan.run.progress_bar import Progress


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def trainer(step: int, steps: int | None = 1000) -> Any:
    share = 0.0 if steps is None else step / steps
    return SimpleNamespace(
        step=step, steps=steps, progress=share, real_examples=16 * step, engine=SimpleNamespace(is_main_process=True)
    )


def test_without_a_terminal_there_is_one_plain_line_every_half_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress(SimpleNamespace(last={"critic/loss": 0.5, "critic/r1": 0.1}))
    for step in range(1, 100):  # One step per second.
        shown.on_step(trainer(step))
        clock.now += 1
    shown.on_end(trainer(100))
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err
    assert err.splitlines() == [
        "step 31 of 1,000 (3%), critic 0.500, examples/s 16, left 17 min",
        "step 61 of 1,000 (6%), critic 0.500, examples/s 16, left 16 min",
        "step 91 of 1,000 (9%), critic 0.500, examples/s 16, left 16 min",
    ]


def test_a_budget_of_time_is_not_shown_as_one_of_steps(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress()
    for step in (1, 300):
        shown.on_step(SimpleNamespace(**{**vars(trainer(step, 20_000)), "progress": step / 1200}))
        clock.now += 40
    assert capsys.readouterr().err.startswith("step 300 (25% of the time), ")


def test_nothing_is_estimated_before_there_is_something_to_estimate_from(clock: Clock) -> None:
    shown = Progress()
    shown.on_step(trainer(1))
    assert "left" not in shown.status_values(trainer(1), clock.now)
    assert "left" not in shown.status_values(trainer(2), clock.now + 1)  # It is too early for an estimate.
    assert "left" not in shown.status_values(trainer(1), clock.now + 60)  # There was no step since the first display.
    assert "left" not in shown.status_values(trainer(9, None), clock.now + 60)  # No budget in steps.
    assert shown.status_values(trainer(101), clock.now + 60)["left"] == "9 min"


def test_a_terminal_gets_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "120")
    shown = Progress()
    for step in (1, 2, 40):
        shown.on_step(trainer(step))
        clock.now += 10
    shown.on_end(trainer(40))
    assert "step 40" in screen.getvalue() and "left=" in screen.getvalue() and "?" not in screen.getvalue()


class Dead:
    """A standard error stream that is closed."""

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("stream", [None, Dead(True), Dead(False)])
def test_a_closed_standard_error_is_no_error(stream: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream)
    shown = Progress()
    for step in range(3):
        shown.on_step(trainer(step))
        clock.now += 40
    shown.on_end(trainer(3))
