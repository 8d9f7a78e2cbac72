"""Measure how closely `encode` imitates real sounds, for docs/measurements.md.

    python benchmarks/encode.py FOLDER -n 20 [--run drums] [--seconds 10]

FOLDER contains real sounds in one sub-folder per class. All classes are sampled equally often. The sounds should not be
training data of the model. The shipped drums were not trained on kits with a share-alike licence, such as AVL Drumkits,
BJA Pacific and circAfrique.

The script prints the log-spectral distance of each sound to its imitation and to the nearest of 100 random samples, for
64 mel bands and for all bins (`audiogan.latents.log_spectral_distance`), and the CPU seconds of one core.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import audiogan
from audiogan.latents import encode, log_spectral_distance


def chosen(folder: Path, n: int, seed: int) -> list[Path]:
    """Return ``n`` sound files, taken from all folders equally often."""
    rng = np.random.default_rng(seed)
    groups: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3"):
            groups.setdefault(path.parent, []).append(path)
    shuffled = [[group[i] for i in rng.permutation(len(group))] for group in groups.values()]
    order = [group[i] for i in range(max(map(len, shuffled), default=0)) for group in shuffled if i < len(group)]
    return order[:n]


def summary(values: np.ndarray) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"median {middle:5.2f}, quartiles {low:5.2f} and {high:5.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=20, help="number of sounds (default 20)")
    parser.add_argument("--run", default="drums", help="run folder, checkpoint or model")
    parser.add_argument("--seconds", type=float, default=10.0, help="CPU seconds per sound")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = audiogan.load(args.run)
    rate = generator.sample_rate
    random = torch.from_numpy(generator.sample(100, seed=1_000_000 + args.seed))
    rows, times = [], []
    for path in chosen(args.folder, args.n, args.seed):
        start = time.process_time()
        found = encode(generator, path, seconds=args.seconds, seed=args.seed)
        times.append(time.process_time() - start)
        made, real = torch.from_numpy(found.wave)[None], torch.from_numpy(found.recording)[None]
        row = []
        for bands in (64, None):
            row.append(float(log_spectral_distance(made, real, rate, bands=bands)))
            row.append(float(log_spectral_distance(random, real.expand_as(random), rate, bands=bands).min()))
        rows.append(row)
        name = f"{path.parent.name}/{path.name}"
        print(f"{name:32} {row[0]:5.2f} dB, best of 100: {row[1]:5.2f} dB; {times[-1]:4.1f} s", flush=True)
    table, seconds = np.array(rows), np.array(times)
    for k, what in enumerate(("64 mel bands", "all bins")):
        print(f"{what}: encode {summary(table[:, 2 * k])} dB")
        print(f"{what}: best of 100 random sounds {summary(table[:, 2 * k + 1])} dB")
        print(f"{what}: encode / best of 100, median {np.median(table[:, 2 * k] / table[:, 2 * k + 1]):.2f}")
    print(f"seconds of one core: {summary(seconds)}, most {seconds.max():.1f}")


if __name__ == "__main__":
    main()
