"""Threads in which PyTorch computes with one thread each, so that results have the same bits on any machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

PARTS = 4
"""Parts of the work for each thread, so that none waits long for a slow one."""
MOST = 16
"""Threads, at most. Python code between PyTorch's operations runs in one thread at a time."""


class Workers:
    """Threads that start when they are first needed.

    PyTorch splits large sums among its threads, and each number of threads rounds them in its own way. The number
    belongs to the calling thread (OpenMP), so a thread that sets it to 1 leaves all others as they are.

    Args:
        count: how many threads; by default one for each CPU that this process may use.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = min(_cpus(), MOST) if count is None else count
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._inside = threading.local()

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return ``[function(item) for item in items]``. Several threads may call this at once.

        If a call fails, its error is raised and calls that have not begun are dropped.
        """
        if getattr(self._inside, "yes", False) or (len(items) == 1 and torch.get_num_threads() == 1):
            return [function(item) for item in items]  # called by a function that runs here, or one item and one thread
        pool, stopped = self._started(), threading.Event()
        size = max(1, len(items) // (PARTS * self.count))  # few large parts: threads hand over less often
        parts = [items[i : i + size] for i in range(0, len(items), size)]
        futures = [pool.submit(self._part, function, part, stopped) for part in parts]
        try:
            return [result for future in futures for result in future.result()]
        finally:
            stopped.set()
            for future in futures:
                future.cancel()

    def _part(self, function: Callable[[T], R], items: Sequence[T], stopped: threading.Event) -> list[R]:
        if torch.get_num_threads() != 1:  # where the number belongs to the process
            torch.set_num_threads(1)
        results = []
        for item in items:
            if stopped.is_set():
                break
            results.append(function(item))
        return results

    def _enter(self) -> None:
        self._inside.yes = True
        torch.get_num_threads()  # PyTorch sets a thread's number when it is first read, so read it before
        torch.set_num_threads(1)

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="worker", initializer=self._enter)
                helper = threading.Thread(target=self._start, args=(self._pool,))
                helper.start()
                helper.join()
            return self._pool

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Start all threads, in a thread of its own.

        ``torch.set_num_threads`` also sets the number of threads that start later. A new thread reads that number,
        and sets it again when all workers have started.
        """
        inherited = torch.get_num_threads()
        barrier = threading.Barrier(self.count + 1)
        try:
            for _ in range(self.count):
                pool.submit(barrier.wait)
            barrier.wait()
        except BaseException:
            barrier.abort()
            raise
        finally:
            torch.set_num_threads(inherited)

    def forget(self) -> None:
        """Start anew: a forked process has none of its parent's threads."""
        self._lock, self._pool, self._inside = threading.Lock(), None, threading.local()


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


WORKERS = Workers()
"""The workers of this process."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.forget)
