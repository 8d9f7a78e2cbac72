"""How much faster many sounds are made on all CPUs than on one.

    python benchmarks/render_many.py            # of the shipped models, 1,000 sounds each
    python benchmarks/render_many.py --model drums --count 300 --rounds 5

One worker and all workers take turns; the best time of each counts, so that other programs disturb little. Sounds have
the same bits either way, which is checked.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

import audiogan
from audiogan import generator
from audiogan.workers import Workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="run, checkpoint or model (default: drums and digits)")
    parser.add_argument("--count", type=int, default=1000, help="sounds (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="times that each is measured (default 3)")
    args = parser.parse_args()
    every, load = Workers(), os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{every.count} CPUs, load {load:.1f}")
    for name in args.model or ["drums", "digits"]:
        model = audiogan.load(name)
        recipes = model.recipes(args.count, seed=0)
        model.render(recipes[: generator.TRACED_AFTER])  # afterwards nothing changes any more
        best: dict[int, float] = {}
        waves: dict[int, np.ndarray] = {}
        for _ in range(args.rounds):
            for workers in (Workers(1), every):
                generator.WORKERS = workers
                start = time.perf_counter()
                waves[workers.count] = model.render(recipes)
                seconds = time.perf_counter() - start
                best[workers.count] = min(seconds, best.get(workers.count, seconds))
        assert all(np.array_equal(w, waves[1]) for w in waves.values())
        rates = ", ".join(f"{count}: {args.count / seconds:.0f} a second" for count, seconds in best.items())
        print(f"{name}: {rates}; ratio {best[1] / best[every.count]:.2f}")


if __name__ == "__main__":
    main()
