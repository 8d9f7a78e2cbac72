"""Tests of signals that stop training after the current step."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from audiogan.run.stopping import INTERRUPTED, stop_on_signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs POSIX")


@pytest.fixture
def trainer() -> Any:
    made = SimpleNamespace(stop_reason=None)
    made.stop = lambda reason: setattr(made, "stop_reason", reason)
    return made


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGINT, INTERRUPTED[0]), (signal.SIGTERM, INTERRUPTED[1]), (signal.SIGHUP, INTERRUPTED[1])],
)
def test_the_first_signal_stops_the_run(number: int, reason: str, trainer: Any) -> None:
    said: list[str] = []
    with stop_on_signals(trainer, said.append):
        send(number)
    assert trainer.stop_reason == reason and len(said) == 1


def test_a_terminal_that_closes_sends_several_signals(trainer: Any) -> None:
    def closed(line: str) -> None:
        raise OSError(5, "Input/output error")

    with stop_on_signals(trainer, closed):
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
            send(number)
    assert trainer.stop_reason == "asked to terminate"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_leaves_at_once(first: int, trainer: Any) -> None:
    with stop_on_signals(trainer, lambda line: None):
        send(first)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_under_nohup_a_hangup_stays_ignored(trainer: Any) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(trainer, lambda line: None):
            send(signal.SIGHUP)
        assert trainer.stop_reason is None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_installed(trainer: Any) -> None:
    ran: list[int] = []

    def work() -> None:
        with stop_on_signals(trainer, lambda line: None):
            ran.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [1]
