"""Compare GAN losses on the same images and networks, with equal CPU time.

    python benchmarks/images.py DATA --minutes 10 --jobs 2

DATA is a folder of images with labels, or an .npz file. Each row trains `audiogan train handwriting` with one thread
for the same CPU time. `audiogan evaluate` measures it on held-out images, with the features of a classifier trained on
the training images. There are two baselines: untrained networks, and a Gaussian fitted to the training pixels. The
first row shows the values of other real images.
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

import numpy as np

ROWS = {
    "DCGAN, non-saturating + R1": [],
    "DCGAN, LSGAN + R1": ["loss=least-squares"],
    "DCGAN, hinge + spectral norm": ["loss=hinge"],
    "DCGAN, WGAN (clipping)": ["loss=wgan"],
    "DCGAN, WGAN-GP": ["loss=wgan-gp"],
    "DCGAN, label embedding": ["conditioning=embedding"],
    "DCGAN, auxiliary classifier": ["conditioning=auxiliary"],
    "DCGAN, no classes": ["classes=0"],
    "fully connected, non-saturating + R1": ["network=mlp"],
}
UNTRAINED = {"DCGAN, untrained": [], "fully connected, untrained": ["network=mlp"]}
SHOWN = ("inception", "agreement", "frechet", "kernel", "precision_capped", "recall_capped", "coverage_capped")
Figures = dict[str, Any]


def audiogan(*arguments: str) -> None:
    command = [sys.executable, "-m", "audiogan", *arguments]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")


def run(name: str, overrides: list[str], minutes: float, args: argparse.Namespace) -> Figures:
    run_dir = args.out / "-".join([*(o.replace("=", "-") for o in overrides or ["dcgan"]), f"{minutes:g}"])
    steps = (
        [f"trainer.minutes={minutes}", "trainer.clock=cpu", "trainer.steps=null"] if minutes else ["trainer.steps=0"]
    )
    audiogan(
        "train", args.config, *overrides, *steps, f"data.root={args.data}", f"run_dir={run_dir}", f"seed={args.seed}",
        "engine.threads=1", "callbacks.previews.every=1000",
    )  # fmt: skip
    audiogan("evaluate", str(run_dir), "--seed", str(args.seed))
    report = json.loads((run_dir / "evaluation.json").read_text())
    step = int(max((run_dir / "checkpoints").glob("step-*.ckpt")).stem.removeprefix("step-"))
    print(f"done: {name}: {step:,} steps", file=sys.stderr, flush=True)
    return {
        "run": run_dir,
        "step": step,
        "real": classifier_metrics(report["floor"]),
        **classifier_metrics(report["values"]),
    }


def classifier_metrics(values: dict[str, float]) -> Figures:
    """Return the metrics that use the classifier, with their full names. They include the inception score."""
    extractor = next(name.split("/")[1] for name in values if name.startswith("inception/"))
    names = {name.split("/")[0]: name for name in values if name.endswith(f"/{extractor}")}
    return {key: values[name] for key, name in names.items()} | {"names": names}


def gaussian(run_dir: Path, seed: int) -> Figures:
    """Evaluate a Gaussian with the mean and covariance of the training pixels."""
    from audiogan.evaluation.data_sets import open_evaluation_data
    from audiogan.metrics import evaluate_labelled, train_classifier
    from audiogan.model.loading import load

    sets = open_evaluation_data(load(run_dir), None)
    assert sets.train is not None and sets.held_out is not None
    train = sets.train.signals(np.arange(len(sets.train))).numpy()
    real = sets.held_out.signals(np.arange(len(sets.held_out))).numpy()
    pixels = train.reshape(len(train), -1).astype(np.float64)
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_normal(pixels.mean(0), np.cov(pixels.T), len(real), method="eigh")
    fake = drawn.clip(-1, 1).astype(np.float32).reshape(real.shape)
    report = evaluate_labelled(fake, real, classifier=train_classifier(sets.train), train=train, seed=seed)
    return {"step": None, **classifier_metrics(report.values)}


def row(label: str, figures: Figures) -> str:
    cells = [f"{figures[key]:.3g}" if key in figures else "–" for key in SHOWN]
    step = figures.get("step")
    return f"| {label} | {'–' if step is None else f'{step:,}'} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of images with one sub-folder per class, or an .npz file")
    parser.add_argument("--config", default="handwriting")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU minutes per training run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/images"))
    parser.add_argument("--rows", default="", help="train only rows whose names contain this text")
    args = parser.parse_args()
    work = [(name, overrides, args.minutes) for name, overrides in ROWS.items() if args.rows in name]
    work += [(name, overrides, 0.0) for name, overrides in UNTRAINED.items()]
    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(pool.map(lambda w: run(w[0], w[1], w[2], args), work))
    names = found[0]["names"]
    print(f"| network | steps | {' | '.join(names.get(key, key) for key in SHOWN)} |")
    print(f"|---|---|{'---|' * len(SHOWN)}")
    print(row("real images", found[0]["real"]))
    for (name, _, _), figures in zip(work, found, strict=True):
        print(row(name, figures))
    print(row("a Gaussian fitted to the pixels", gaussian(found[0]["run"], args.seed)))


if __name__ == "__main__":
    main()
