"""Compare the semi-supervised game to the same network trained only on labelled examples.

    python benchmarks/semi_supervised.py mnist --steps 10000 --seeds 3 --jobs 2

Each seed draws other labelled examples. All rows of a seed have the same labels, held-out examples, number of steps,
batches and weight averaging. The supervised baseline is trained with several learning rates and noise levels. Compare
to its best row, although this choice uses the held-out examples. The accuracy is that of the averaged weights at the
last step. "best" is the largest accuracy during the run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ALONE = ["game.unsupervised_weight=0", "~players.generator"]
ROWS = {
    "semi-supervised": [],
    "labels alone": ALONE,
    "labels alone, learning rate 0.001": [*ALONE, "lr.critic=0.001"],
    "labels alone, learning rate 0.0003": [*ALONE, "lr.critic=0.0003"],
    "labels alone, less noise": [*ALONE, "+game.critic.input_noise=0.3", "+game.critic.noise=0.2"],
    "labels alone, no noise": [*ALONE, "+game.critic.input_noise=0", "+game.critic.noise=0"],
}


def measure(name: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    run_dir = args.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    command = [
        sys.executable, "-m", "audiogan", "train", "semi-supervised", *ROWS[name], f"data.root={args.data}",
        f"streams.labelled.count={args.labels}", f"trainer.steps={args.steps}", f"seed={seed}", f"run_dir={run_dir}",
        "engine.threads=1", "callbacks.previews=null",
    ]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    seen = [row["held_out/accuracy_ema"] for row in rows if "held_out/accuracy_ema" in row]
    seconds = max(row.get("seconds", 0) for row in rows)
    print(f"done: {name}, seed {seed}: {seen[-1]:.3f} after {seconds / 60:.1f} minutes", file=sys.stderr, flush=True)
    return {"name": name, "accuracy": seen[-1], "best": max(seen), "minutes": seconds / 60}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="images with labels: a folder, an .npz file or mnist")
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--labels", type=int, default=10, help="number of labelled examples per class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-semi-supervised"))
    args = parser.parse_args()
    with ThreadPoolExecutor(args.jobs) as pool:
        tasks = [pool.submit(measure, name, seed, args) for seed in range(args.seeds) for name in ROWS]
        results = [task.result() for task in tasks]
    print("| | accuracy on held-out examples, mean (each seed) | best | minutes |\n|---|---|---|---|")
    for name in ROWS:
        mine = [r for r in results if r["name"] == name]
        each = ", ".join(f"{r['accuracy']:.3f}" for r in mine)
        accuracy, best, minutes = (sum(r[key] for r in mine) / len(mine) for key in ("accuracy", "best", "minutes"))
        print(f"| {name} | {accuracy:.3f} ({each}) | {best:.3f} | {minutes:.1f} |")


if __name__ == "__main__":
    main()
