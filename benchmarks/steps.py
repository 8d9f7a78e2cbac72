"""Compare the time of a training step of two configurations, side by side in one run.

    OMP_NUM_THREADS=1 python benchmarks/steps.py FOLDER
    python benchmarks/steps.py FOLDER --first "drums-44k data.length=44100" --second "drums network=stftgan" --steps 16

FOLDER contains sounds in one sub-folder per class. The script builds both trainings, lets them make their steps in turn
(A B A B ...), and prints the CPU time per step and per player in milliseconds (median), and the ratio of the times,
pair by pair (median and range). Warm-up steps of an autoencoder are left out. By default, it compares `drums-44k` with
its settings up to November 2026 (`network=tonenoise` and sounds of one second).

A lazy penalty takes part in every 16th step only, so `--steps` should be a multiple of 16.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np
import torch

from audiogan.core import Trainer
from audiogan.run.config import compose
from audiogan.run.training import build_trainer, open_data

SILENT = ["callbacks.monitors=null", "callbacks.previews=null", "callbacks.log=null", "engine.threads=1"]


def build(settings: str, folder: str, run_dir: str) -> Trainer:
    """Return the trainer of a configuration with overrides, such as ``drums-44k data.length=44100``."""
    config, *overrides = settings.split()
    cfg = compose(config, [f"data.root={folder}", f"run_dir={run_dir}", *SILENT, *overrides])
    if "warm_up" in cfg:
        cfg.warm_up = 0
    train, held_out = open_data(cfg)
    return build_trainer(cfg, train, held_out, progress=False, echo=lambda line: None)


def step_times(trainer: Trainer) -> dict[str, float]:
    """Make one step and return the CPU time of each player's move, in seconds."""
    times: dict[str, float] = {}
    move = type(trainer)._move

    def measured(player, repeat, contexts):  # type: ignore[no-untyped-def]
        start = time.process_time()
        result = move(trainer, player, repeat, contexts)
        times[player.name] = times.get(player.name, 0.0) + time.process_time() - start
        return result

    trainer._move = measured  # type: ignore[method-assign]
    trainer._step()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder of sounds with one sub-folder per class")
    parser.add_argument("--first", default="drums-44k network=tonenoise data.length=44100", help="configuration A")
    parser.add_argument("--second", default="drums-44k", help="configuration B")
    parser.add_argument("--steps", type=int, default=16, help="number of counted steps of each configuration")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainers = [build(s, args.data, f"{folder}/{i}") for i, s in enumerate((args.first, args.second))]
        for trainer in trainers:
            step_times(trainer)
        found: list[list[dict[str, float]]] = [[], []]
        for _ in range(args.steps):
            for times, trainer in zip(found, trainers, strict=True):
                times.append(step_times(trainer))
    totals = [np.array([sum(step.values()) for step in times]) for times in found]
    for name, settings, times, total in zip("AB", (args.first, args.second), found, totals, strict=True):
        parts = ", ".join(f"{player} {1000 * np.median([t[player] for t in times]):.0f}" for player in times[0])
        mean, median = 1000 * total.mean(), 1000 * np.median(total)
        print(f"{name}: {settings}\n   {median:.0f} ms a step, mean {mean:.0f} ({parts})")
    ratios, means = totals[0] / totals[1], totals[0].mean() / totals[1].mean()
    print(f"A / B: median {np.median(ratios):.2f}, {ratios.min():.2f} ... {ratios.max():.2f}; of the means {means:.2f}")


if __name__ == "__main__":
    main()
