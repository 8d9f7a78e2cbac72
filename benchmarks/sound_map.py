"""Measure the time and the quality of the map of sounds in the studio.

The time is the CPU time of drawing, rendering, measuring and arranging random sounds, first with cold caches and then
for other seeds. The quality is the trustworthiness of the map, and for comparison that of the first two principal
components.

Source of the trustworthiness: Venna and Kaski, "Neighborhood preservation in nonlinear projection methods", ICANN 2001.

    python benchmarks/sound_map.py
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

import audiogan
from audiogan.latents import arrange
from audiogan.studio.mapping import embed_waves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", default="drums", help="model of sounds (default: the shipped drums)")
    parser.add_argument("-n", type=int, default=300, help="number of sounds (default 300)")
    parser.add_argument("--neighbours", type=int, default=5, help="neighbours of the trustworthiness (default 5)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = audiogan.load(args.run)
    for seed in range(3):
        start = time.process_time()
        features = embed_waves(generator, list(generator.render(generator.recipes(args.n, seed=seed))))
        points = arrange(features)
        print(f"seed {seed}: {time.process_time() - start:.2f} s of CPU time")
    for name, layout in (("map", points), ("two principal components", PCA(2).fit_transform(features))):
        print(f"trustworthiness of the {name}: {trustworthiness(features, layout, n_neighbors=args.neighbours):.3f}")
    far = np.sqrt(np.square(points[:, None] - points).sum(-1))
    np.fill_diagonal(far, np.inf)
    print(f"smallest distance of two points: {far.min() * np.sqrt(args.n):.2f} of the spacing of a square grid")


if __name__ == "__main__":
    main()
