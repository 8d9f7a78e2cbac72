"""The networks at equal CPU minutes on the same sounds: the table in the README.

    python benchmarks/networks.py FOLDER --minutes 15 --jobs 2

Every row trains with one thread for the same CPU minutes, two at a time, and is measured by `audiogan evaluate` against
the sounds that the training held out. The untrained row of a network is what it makes before its first step.
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

ROWS = {
    "tonenoise (default)": ["network=tonenoise"],
    "stftgan": ["network=stftgan"],
    "WaveGAN, non-saturating + R1": ["network=wavegan"],
    "WaveGAN, WGAN-GP": ["network=wavegan", "loss=wgan-gp"],
    "SpecGAN, non-saturating + R1": ["network=specgan"],
}
SHOWN = ("frechet", "kernel", "precision_capped", "recall_capped", "coverage_capped", "diversity")


def audiogan(*arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "audiogan", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def measure(name: str, overrides: list[str], args: argparse.Namespace, minutes: float) -> dict[str, Any]:
    slug = "-".join(o.split("=")[1] for o in overrides) + ("" if minutes else "-untrained")
    run_dir = args.out / slug
    budget = (
        [f"trainer.minutes={minutes}", "trainer.clock=cpu", "trainer.steps=null"] if minutes else ["trainer.steps=0"]
    )
    audiogan(
        "train", "drums", *overrides, *budget, f"data.root={args.data}", f"run_dir={run_dir}", f"seed={args.seed}",
        "engine.threads=1", "callbacks.previews=null" if not minutes else "callbacks.previews.every=1000",
    )  # fmt: skip
    audiogan("evaluate", str(run_dir), "--seed", str(args.seed))
    report = json.loads((run_dir / "evaluation.json").read_text())
    step = int(sorted((run_dir / "checkpoints").glob("step-*.ckpt"))[-1].stem.removeprefix("step-"))
    figures = {key.split("/")[0]: value for key, value in report["values"].items()}
    floor = {key.split("/")[0]: value for key, value in report["floor"].items()}
    print(
        f"done: {name}{'' if minutes else ' (untrained)'}: {step} steps, frechet {figures['frechet']:.2f}",
        file=sys.stderr,
        flush=True,
    )
    return {"step": step, "floor": floor, "names": list(report["values"]), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of sounds")
    parser.add_argument("--minutes", type=float, default=15.0, help="CPU minutes of each training")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/networks"))
    parser.add_argument("--rows", default="", help="only rows whose name contains this")
    args = parser.parse_args()
    rows = {name: overrides for name, overrides in ROWS.items() if args.rows in name}
    work = [(name, minutes) for name in rows for minutes in (args.minutes, 0.0)]
    with ThreadPoolExecutor(args.jobs) as pool:
        found: list[dict[str, Any]] = list(pool.map(lambda w: measure(w[0], rows[w[0]], args, w[1]), work))
    first = found[0]
    heads = [next(n for n in first["names"] if n.startswith(f"{key}/")) for key in SHOWN]
    print(f"| network | steps | {' | '.join(h.replace('|', '/') for h in heads)} |")
    print(f"|---|---|{'---|' * len(heads)}")
    floor = first["floor"]
    print(f"| real sounds | – | {' | '.join(f'{floor[key]:.3g}' for key in SHOWN)} |")
    for (name, minutes), figures in zip(work, found, strict=True):
        label = name if minutes else f"{name}, untrained"
        print(f"| {label} | {figures['step']:,} | {' | '.join(f'{figures[key]:.3g}' for key in SHOWN)} |")


if __name__ == "__main__":
    main()
