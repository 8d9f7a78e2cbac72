"""Measure how closely `encode` reproduces held-out pictures, for docs/measurements.md.

    python benchmarks/encode_pictures.py runs/handwriting -n 20 [--seconds 5]

The pictures are held-out data of the run, chosen at random. The script prints the root mean square difference of the
pixels (0 ... 1) between each picture and its reconstruction, and that of the nearest of 1,000 random samples, with
random classes and with the class of the picture. It also prints the CPU seconds of one core.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import audiogan
from audiogan.evaluation.data_sets import open_evaluation_data
from audiogan.latents import encode, nearest_distance

RANDOM = 1000
"""Number of random samples."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder")
    parser.add_argument("-n", type=int, default=20, help="number of pictures (default 20)")
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU seconds per picture (default 5)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = audiogan.load(args.run)
    held_out = open_evaluation_data(generator, None).real
    indices = np.random.default_rng(args.seed).permutation(len(held_out))[: args.n]
    batch = held_out.examples(indices)
    classes = [held_out.labels[k] for k in batch["label"].tolist()] if generator.labels else [None] * args.n
    random = generator.sample(RANDOM, seed=1_000_000 + args.seed)
    of_class = {
        label: generator.sample(RANDOM, seed=1_000_000 + args.seed, label=label)
        for label in sorted({label for label in classes if label is not None})
    }
    rows, seconds, right = [], [], 0
    for picture, label in zip(batch["x"].numpy(), classes, strict=True):
        start = time.process_time()
        found = encode(generator, picture, seconds=args.seconds, seed=args.seed)
        seconds.append(time.process_time() - start)
        right += found.recipe.label == label
        rows.append([found.distance, found.initial_distance, nearest_distance(random, picture)])
        rows[-1].append(nearest_distance(of_class[label], picture) if label in of_class else rows[-1][2])
        print(f"{label}: {found.distance:.3f} ({found.recipe.label}); best of {RANDOM:,}: {rows[-1][2]:.3f}; "
              f"of its class: {rows[-1][3]:.3f}; {seconds[-1]:.1f} s", flush=True)  # fmt: skip
    table = np.array(rows)
    for name, column in zip(("encode", "start", f"best of {RANDOM:,}", "of its class"), table.T, strict=True):
        low, middle, high = np.percentile(column, [25, 50, 75])
        print(f"{name}: median {middle:.3f}, quartiles {low:.3f} and {high:.3f}")
    nearer = (table[:, 0] < table[:, 2:].min(1)).sum()
    print(f"nearer than both: {nearer} of {len(table)}; class of the recipe is right: {right} of {len(table)}")
    print(f"CPU seconds: median {np.median(seconds):.1f}, most {max(seconds):.1f}")


if __name__ == "__main__":
    main()
