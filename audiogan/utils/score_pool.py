"""Worker processes that compute scores of pairs of sounds during training."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures import TimeoutError as NotFinished
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError

SCORE_TIMEOUT = 120.0
"""Longest time in seconds that the training waits for one score."""


class PairScore(NamedTuple):
    """Result of a worker for one pair.

    Attributes:
        value: score, or None if it is undefined or not finite, or if the function raised an exception.
        error: reason why the score is None. An empty string if there is a score.
        worker: process ID of the worker.
        seconds: CPU time of the worker process since its start, in seconds.
    """

    value: float | None
    error: str
    worker: int
    seconds: float


class ScorePool:
    """Pool of processes that compute a score of pairs of sounds. The processes start when the first pair is submitted.

    The processes are new Python processes without the memory of this one (start method ``spawn``). The function must
    therefore be defined at the top level of a module.

    Args:
        function: function that receives an output ``[T]``, a target ``[T]`` and the sample rate in Hz. It returns the
            score, or None if the score is undefined.
        workers: number of processes, 1 or more.

    Examples:
        >>> from audiogan.utils.score_pool import ScorePool
        >>> from audiogan.utils.speech_scores import estoi_of_pair
        >>> ScorePool(estoi_of_pair, workers=2).cpu_seconds  # no process has started
        0.0
    """

    def __init__(self, function: Callable[..., float | None], workers: int = 1) -> None:
        self.function, self.workers = function, workers
        self._pool: ProcessPoolExecutor | None = None
        self._spent: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the worker processes in seconds, up to the last result of each."""
        return sum(self._spent.values(), 0.0)

    def submit(self, output: NDArray[np.float32], target: NDArray[np.float32], sample_rate: int) -> Future[PairScore]:
        """Start to compute the score of a pair of sounds ``[T]``. Return a future, whose value `result` returns.

        Raises:
            UserError: a worker process ended unexpectedly.
        """
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_ignore_interrupts)
        try:
            return self._pool.submit(_score, self.function, output, target, sample_rate)
        except BrokenProcessPool as error:
            raise UserError(f"score {self._name}: a worker process ended unexpectedly") from error

    def result(self, future: Future[PairScore]) -> PairScore:
        """Wait until a score has been computed, and return it.

        Args:
            future: result of `submit`.

        Raises:
            UserError: a worker process ended unexpectedly, or the score takes longer than two minutes.
        """
        try:
            found = future.result(SCORE_TIMEOUT)
        except NotFinished as error:
            raise UserError(f"score {self._name}: one pair takes longer than {SCORE_TIMEOUT:.0f} s") from error
        except BrokenProcessPool as error:
            raise UserError(f"score {self._name}: a worker process ended unexpectedly") from error
        self._spent[found.worker] = max(found.seconds, self._spent.get(found.worker, 0.0))
        return found

    @property
    def _name(self) -> str:
        return str(getattr(self.function, "__name__", self.function))


def _ignore_interrupts() -> None:
    """Ignore Ctrl+C in a worker. The main process stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _score(function: Callable[..., Any], output: Any, target: Any, sample_rate: int) -> PairScore:
    value, error = None, ""
    try:
        found = function(output, target, sample_rate)
        value = None if found is None or not math.isfinite(float(found)) else float(found)
        error = "" if value is not None else f"the score is undefined ({found})"
    except Exception as caught:  # The function may raise any exception.
        error = f"{type(caught).__name__}: {' '.join(str(caught).split())[:200]}"
    return PairScore(value, error, os.getpid(), time.process_time())
