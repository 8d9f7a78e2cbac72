"""What monitors cost: the same training with and without them, side by side.

    python benchmarks/monitors.py drums --steps 400 network=stftgan data.root=FOLDER

Both run in one process, turn by turn for a few steps each, so that whatever else the machine does falls on both. The
clock is CPU time of this process. Prints the share of a training with `Guard` and `Monitors` (figures, rules, findings,
the kept state) over one with neither.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import torch

from audiogan import config
from audiogan.training import build_trainer, open_data

TURN = 20  # steps


def trainer(args: argparse.Namespace, folder: str, monitored: bool) -> Any:
    overrides = [*args.overrides, f"trainer.steps={args.steps}", f"run_dir={folder}", "engine.threads=1"]
    overrides += ["callbacks.previews=null"]
    if not monitored:
        overrides += ["callbacks.guard=null", "callbacks.monitors=null"]
    cfg = config.compose(args.config, overrides)
    train, held_out = open_data(cfg)
    built = build_trainer(cfg, train, held_out, progress=False)
    built.callbacks.pop("checkpoints")
    return built


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_intermixed_args()
    with tempfile.TemporaryDirectory() as with_them, tempfile.TemporaryDirectory() as without:
        both = {True: trainer(args, with_them, True), False: trainer(args, without, False)}
        for (
            each
        ) in both.values():  # what is imported then, a training without monitors imports for checkpoints and logs
            each.state_dict()
            _ = each.callbacks["log"].writer
        spent = {True: 0.0, False: 0.0}
        for turn in range(args.steps // TURN):
            for monitored in (True, False) if turn % 2 else (False, True):
                start = time.process_time()
                for _ in range(TURN):
                    both[monitored]._step()
                spent[monitored] += time.process_time() - start
        looks = len(both[True].callbacks["monitors"].history.find("monitor/kernel"))
        same = all(
            torch.equal(a, b) for a, b in zip(both[True].game.parameters(), both[False].game.parameters(), strict=True)
        )
    steps = args.steps // TURN * TURN
    share = spent[True] / spent[False] - 1
    print(f"{args.config} {' '.join(args.overrides)}: {steps} steps, {1000 * spent[False] / steps:.1f} ms a step")
    print(
        f"monitors: {looks} looks, {share:+.2%} CPU time; weights {'are' if same else 'ARE NOT'} the same without them"
    )


if __name__ == "__main__":
    main()
