"""Compare networks on the same sounds with equal CPU time, for the table in docs/measurements.md.

    python benchmarks/networks.py FOLDER --minutes 15 --seeds 0,1,2 --tune 5 --jobs 2

Each training run has one thread and the same CPU time. `audiogan evaluate` measures it on held-out sounds. With
``--tune``, each network is first trained three times with another seed: with a third of its learning rate, with its own
rate and with three times its own rate. The rate with the smallest Fréchet distance is used. ``--rate`` sets the result
of an earlier tuning. The table shows the mean, the smallest and the largest value over seeds. Finished runs are not
trained again, so they can also be measured on other sounds and with your own feature extractor:

    python benchmarks/networks.py FOLDER --minutes 15 --apart OTHER_FOLDER --extractor my_judge:Judge --weights judge.pt
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np

ROWS = {
    "tonenoise (default)": ["network=tonenoise"],
    "stftgan": ["network=stftgan"],
    "SpecGAN": ["network=specgan"],
    "WaveGAN": ["network=wavegan"],
}
SHOWN = {
    "Fréchet, log-mel": "frechet/logmel",
    "Fréchet, classifier": "frechet/cnn",
    "inception": "inception/",
    "agreement": "agreement/",
    "recall": "recall_capped/logmel",
    "coverage": "coverage_capped/logmel",
}
EVALUATION_FLAGS = {"apart": "--data", "extractor": "--extractor", "weights": "--extractor-weights"}
FACTORS = (1 / 3, 1.0, 3.0)
COMPOSING = Lock()  # Hydra composes one configuration at a time.
TUNING = 100  # Seed of the runs that tune the learning rate.


def audiogan(*arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "audiogan", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def rates(overrides: list[str], factor: float) -> list[str]:
    """Return overrides that multiply all learning rates of a configuration by a factor."""
    from audiogan.run import config

    with COMPOSING:
        cfg = config.compose("drums", overrides)
    return [f"lr.{name}={value * factor:g}" for name, value in cfg.lr.items()] if factor != 1 else []


def shown(args: argparse.Namespace) -> dict[str, str]:
    """Return column headings and the prefixes of their metrics."""
    if not args.extractor:
        return SHOWN
    return {**SHOWN, f"Fréchet, {args.extractor}": f"frechet/{args.extractor.replace(':', '.')}-"}


def measure(name: str, factor: float, minutes: float, seed: int, args: argparse.Namespace) -> dict[str, float]:
    """Train and evaluate a network. Results of an earlier call are reused."""
    run_dir = args.out / f"{ROWS[name][0].split('=')[1]}-{minutes:g}min-x{factor:.2g}-seed{seed}"
    if not list(run_dir.glob("evaluation*.json")):
        audiogan(
            "train", "drums", *ROWS[name], *rates(ROWS[name], factor), f"trainer.minutes={minutes}",
            "trainer.clock=cpu", "trainer.steps=null", f"data.root={args.data}", f"run_dir={run_dir}", f"seed={seed}",
            "engine.threads=1", "callbacks.previews.every=1000",
        )  # fmt: skip
    report = json.loads(evaluation(run_dir, seed, args).read_text())
    step = int(sorted((run_dir / "checkpoints").glob("step-*.ckpt"))[-1].stem.removeprefix("step-"))
    figures = {"steps": float(step)}
    for head, start in shown(args).items():
        key = next((key for key in report["values"] if key.startswith(start)), "")
        figures[head] = report["values"].get(key, float("nan"))
        figures[f"real {head}"] = report["floor"].get(key, float("nan"))
    print(f"{run_dir.name}: {step} steps, Fréchet {figures['Fréchet, log-mel']:.2f}", file=sys.stderr, flush=True)
    return figures


def evaluation(run_dir: Path, seed: int, args: argparse.Namespace) -> Path:
    """Return the path of the metrics of a run, which depends on the extractor and on the sounds."""
    given = {
        flag: str(value) for key, flag in EVALUATION_FLAGS.items() if (value := getattr(args, key)) and seed != TUNING
    }
    asked = [part for option in given.items() for part in option]
    plain = run_dir / "evaluation.json"
    path = plain.with_stem(f"evaluation-{zlib.crc32(' '.join(asked).encode()):08x}") if asked else plain
    if not path.exists():
        before = plain.read_bytes() if plain.exists() else None
        audiogan(
            "evaluate", str(run_dir), "--seed", str(seed), *asked, *(["--no-classifier"] if seed == TUNING else [])
        )
        plain.replace(path)
        if before is not None:
            plain.write_bytes(before)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of training sounds")
    parser.add_argument("--minutes", type=float, default=5.0, help="CPU minutes per training run")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument(
        "--tune",
        type=float,
        default=0.0,
        help="CPU minutes per run that tunes the learning rate (default 0: no tuning)",
    )
    parser.add_argument(
        "--rate", action="append", default=[], metavar="ROW=FACTOR", help="factor for the learning rates of a row"
    )
    parser.add_argument("--apart", type=Path, help="folder of sounds to use instead of the held-out sounds")
    parser.add_argument("--extractor", help="MODULE:CLASS, see `audiogan evaluate`")
    parser.add_argument("--weights", type=Path, help="weights of the extractor")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/networks"))
    parser.add_argument("--rows", default="", help="train only rows with these prefixes, such as tonenoise,stftgan")
    args = parser.parse_args()
    names = [name for name in ROWS if name.startswith(tuple(args.rows.split(",")))]
    seeds = [int(seed) for seed in args.seeds.split(",")]
    with ThreadPoolExecutor(args.jobs) as pool:
        chosen = dict.fromkeys(names, 1.0)
        if args.tune:
            tries = [(name, factor) for name in names for factor in FACTORS]
            found = list(pool.map(lambda t: measure(t[0], t[1], args.tune, TUNING, args)["Fréchet, log-mel"], tries))
            for name in names:
                chosen[name] = min((d, f) for (n, f), d in zip(tries, found, strict=True) if n == name)[1]
        for row, factor in (rate.split("=") for rate in args.rate):
            chosen |= {name: float(factor) for name in names if name.startswith(row)}
        work = [(name, seed) for seed in seeds for name in names]
        results = list(pool.map(lambda w: measure(w[0], chosen[w[0]], args.minutes, w[1], args), work))
    heads = shown(args)
    print(f"| network | rate | steps | {' | '.join(heads)} |")
    print(f"|---|---|---|{'---|' * len(heads)}")
    real = [np.nanmean([r[f"real {head}"] for r in results]) for head in heads]
    print(f"| real sounds | – | – | {' | '.join(f'{value:.3g}' for value in real)} |")
    for name in names:
        mine = [r for (n, _), r in zip(work, results, strict=True) if n == name]
        cells = []
        for head in heads:
            values = np.array([r[head] for r in mine])
            cells.append(f"{values.mean():.3g} ({values.min():.3g} … {values.max():.3g})")
        steps = np.mean([r["steps"] for r in mine])
        print(f"| {name} | ×{chosen[name]:.2g} | {steps:,.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
