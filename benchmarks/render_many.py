"""Measure how much faster sounds are rendered on all CPUs than on one.

    python benchmarks/render_many.py
    python benchmarks/render_many.py --model drums --count 300 --rounds 5

By default, each shipped model renders 1,000 sounds. One worker and all workers are measured alternately, and the best
time of each is used, which reduces the influence of other programs. The script checks that the samples are equal bit
for bit. As a reference, it prints the speed-up of matrix products, which need no Python. A speed-up of 1 means that
other programs use the CPUs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

import audiogan
from audiogan.model import generator
from audiogan.utils.workers import Workers


def seconds_each(work: Callable[[Workers], object], rounds: int) -> list[float]:
    """Return the best time of ``work`` with one worker and with all workers, in seconds."""
    every = Workers()
    best = [float("inf")] * 2
    for _ in range(rounds):
        for i, workers in enumerate((Workers(1), every)):
            start = time.perf_counter()
            work(workers)
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="run, checkpoint or model (default: drums and digits)")
    parser.add_argument("--count", type=int, default=1000, help="number of sounds (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="number of measurements (default 3)")
    args = parser.parse_args()
    x = torch.randn(400, 400)
    one, every = seconds_each(lambda workers: workers.map(lambda i: (x @ x).sum(), range(args.count)), args.rounds)
    print(f"{Workers().count} CPUs; matrix products: ratio {one / every:.2f}", flush=True)
    for name in args.model or ["drums", "digits"]:
        one, every = seconds_each(rendering(name, args.count), args.rounds)
        rates = f"one worker {args.count / one:.0f} a second, all {args.count / every:.0f}"
        print(f"{name}: {rates}; ratio {one / every:.2f}", flush=True)


def rendering(name: str, count: int) -> Callable[[Workers], object]:
    """Return a function that renders with a number of workers and checks the samples bit by bit."""
    model = audiogan.load(name)
    recipes = model.recipes(count, seed=0)
    wanted = model.render(recipes)  # After the first call, the network is traced, and its samples no longer change.

    def render(workers: Workers) -> None:
        generator.WORKERS = workers
        assert np.array_equal(model.render(recipes), wanted)

    return render


if __name__ == "__main__":
    main()
