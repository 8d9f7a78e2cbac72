"""Measure the CPU time of the monitors, relative to the rest of training.

    python benchmarks/monitors.py drums --steps 400 network=stftgan data.root=FOLDER

Both times are CPU times of the same process. All work of `Guard` and `Monitors` counts: metrics, rules, findings and
stored state. The first monitoring step, which also prepares the monitors, is reported separately.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

from audiogan.run import config
from audiogan.run.training import build_trainer, open_data

WATCHED = ("guard", "monitors")


class Clock:
    """CPU seconds of the wrapped calls, summed per training step."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.spent = trainer, dict[int, float]()

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            start = time.process_time()
            result = call(*args)
            step = self.trainer.step
            self.spent[step] = self.spent.get(step, 0.0) + time.process_time() - start
            return result

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--steps", type=int, default=1000, help="number of training steps")
    args = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*args.overrides, f"trainer.steps={args.steps}", f"run_dir={folder}", "engine.threads=1"]
        cfg = config.compose(args.config, [*overrides, "callbacks.previews=null"])
        trainer = build_trainer(cfg, *open_data(cfg), progress=False)
        callbacks: Any = trainer.callbacks
        callbacks.pop("checkpoints")
        trainer.state_dict()  # Imports modules for checkpoints, which must not count as time of the monitors.
        _ = callbacks["log"].writer
        clock = Clock(trainer)
        for callback in (callbacks[name] for name in WATCHED):
            for hook in ("on_gradients", "on_move", "on_step"):
                setattr(callback, hook, clock.wrap(getattr(callback, hook)))
        start = time.process_time()
        for _ in range(args.steps):
            trainer._step()
        total = time.process_time() - start
        looks = len(callbacks["monitors"].history.find_curve("monitor/kernel"))
    first, all_of_it = clock.spent.get(1, 0.0), sum(clock.spent.values())
    training = total - all_of_it
    print(f"{args.config} {' '.join(args.overrides)}: {args.steps} steps, {1000 * training / args.steps:.1f} ms a step")
    print(
        f"monitors: {looks} looks, {all_of_it:.2f} s or {all_of_it / training:.2%}; without the first step "
        f"({first:.2f} s) {(all_of_it - first) / training:.2%}"
    )


if __name__ == "__main__":
    main()
