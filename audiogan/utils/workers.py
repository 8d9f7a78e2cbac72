"""A thread pool that gives bit-identical PyTorch results for any number of CPUs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")

PARTS_PER_THREAD = 4
"""Number of work items per thread. With several small items per thread, the load is balanced if some take longer."""
MAX_THREADS = 16
"""Maximum number of threads. More threads do not help, because Python runs the code between PyTorch operations in one
thread at a time."""


class Workers:
    """A pool of threads that run PyTorch with one thread each. The threads start on first use.

    PyTorch splits large sums among its threads, so the rounding depends on their number. The thread count is
    set for each worker alone (OpenMP keeps it per thread), so the rest of the process is not affected.

    Args:
        count: number of worker threads. The default is the number of CPUs available to this process, at most 16.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = min(_cpus(), MAX_THREADS) if count is None else count
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._inside = threading.local()

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return ``[function(item) for item in items]``, computed in parallel. Several threads may call this at once.

        If a call raises, its error is raised here and the calls that have not started are cancelled.
        """
        if getattr(self._inside, "yes", False) or (len(items) == 1 and torch.get_num_threads() == 1):
            return [function(item) for item in items]  # Nested calls and single items need no threads.
        pool, stopped = self._started(), threading.Event()
        # Submitting work to the pool takes time, so several items are submitted together.
        size = max(1, len(items) // (PARTS_PER_THREAD * self.count))
        parts = [items[i : i + size] for i in range(0, len(items), size)]
        futures = [pool.submit(self._part, function, part, stopped) for part in parts]
        try:
            return [result for future in futures for result in future.result()]
        finally:
            stopped.set()
            for future in futures:
                future.cancel()

    def _part(self, function: Callable[[T], R], items: Sequence[T], stopped: threading.Event) -> list[R]:
        if torch.get_num_threads() != 1:  # On some systems, all threads share one thread count.
            torch.set_num_threads(1)
        results = []
        for item in items:
            if stopped.is_set():
                break
            results.append(function(item))
        return results

    def _enter(self) -> None:
        self._inside.yes = True
        torch.get_num_threads()  # This call must precede the next line, because the first call resets the count.
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
        """Start all workers from a temporary thread.

        ``torch.set_num_threads`` also sets the default for threads that start later. The temporary thread reads the
        default first, and restores it when all workers have started.
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

    def reset(self) -> None:
        """Discard the pool after a fork, because a forked process has none of its parent's threads."""
        self._lock, self._pool, self._inside = threading.Lock(), None, threading.local()


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


WORKERS = Workers()
"""Thread pool of this process."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKERS.reset)
