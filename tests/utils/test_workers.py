"""Tests of worker threads: parallel calls, order of results, and unchanged thread settings elsewhere."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import audiogan
from audiogan.model import generator
from audiogan.utils.workers import Workers


def in_new_thread() -> int:
    """Return the number of PyTorch threads in a new thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_calls_run_at_once_and_come_back_in_order() -> None:
    together = threading.Barrier(3)

    def work(item: int) -> tuple[int, int]:
        together.wait(30)  # Three calls must run at the same time.
        return item, torch.get_num_threads()

    assert Workers(3).map(work, range(6)) == [(i, 1) for i in range(6)]


def test_other_threads_keep_their_number() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        workers = Workers(2)
        assert workers.map(lambda item: torch.get_num_threads(), [0, 1, 2]) == [1, 1, 1]
        assert torch.get_num_threads() == 3 and in_new_thread() == 3
        torch.set_num_threads(2)
        assert workers.map(lambda item: torch.get_num_threads(), [0]) == [1]
        assert torch.get_num_threads() == 2 and in_new_thread() == 2
    finally:
        torch.set_num_threads(before)


def test_an_error_is_raised_and_the_next_call_works() -> None:
    done: list[int] = []
    seen = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            raise audiogan.UserError("the second")
        if item > 1:
            seen.wait(30)
        done.append(item)
        return item

    workers = Workers(1)
    with pytest.raises(audiogan.UserError, match="the second"):
        workers.map(work, range(100))
    seen.set()
    assert workers.map(work, [7]) == [7] and len(done) < 5 and done[-1] == 7


def test_a_call_may_call_again() -> None:
    workers = Workers(1)
    assert workers.map(lambda item: workers.map(str, [item, item + 1]), [3]) == [["3", "4"]]
    assert workers.map(str, []) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore")
def test_a_forked_process_has_workers_of_its_own() -> None:
    from audiogan.utils.workers import WORKERS

    assert WORKERS.map(str, [1]) == ["1"]
    child = os.fork()
    if child == 0:
        os._exit(0 if WORKERS.map(str, [2]) == ["2"] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", ["drums", "digits"])
def test_sounds_have_the_same_bits_with_any_number_of_workers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = None
    for count in (1, 2, 5):
        monkeypatch.setattr(generator, "WORKERS", Workers(count))
        monkeypatch.setattr(generator, "TRACED_AFTER", 7)  # Tracing starts while other threads render.
        model = audiogan.load(name)
        recipes = model.recipes(20, seed=3)
        made = model.render(recipes)
        wanted = made if wanted is None else wanted
        assert np.array_equal(made, wanted) and np.array_equal(model.render(recipes[11]), wanted[11:12])


def test_sounds_are_the_same_while_others_compute() -> None:
    """As in the studio during a training run in the same process."""
    model, before = audiogan.load("drums"), torch.get_num_threads()
    recipes = model.recipes(8, seed=3)
    wanted = model.render(recipes)
    stop = threading.Event()

    def train() -> int:
        torch.set_num_threads(2)
        net = torch.nn.Conv1d(4, 4, 9)
        while not stop.is_set():
            net(torch.randn(2, 4, 2000)).square().sum().backward()
        return torch.get_num_threads()

    with ThreadPoolExecutor(5) as pool:
        training = pool.submit(train)
        made = [pool.submit(model.render, recipes[i:]) for i in range(4)]
        assert all(np.array_equal(future.result(), wanted[i:]) for i, future in enumerate(made))
        stop.set()
        assert training.result() == 2
    torch.set_num_threads(before)
