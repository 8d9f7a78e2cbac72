"""Compare samples of models with held-out sounds of a kit, and the kit's training sounds with the same sounds.

    python benchmarks/fine_tuning.py TRAIN APART MODEL...

TRAIN and APART are folders with the training sounds and the held-out sounds of a kit, and MODEL is a run or a model,
such as ``drums``. The script draws ten times as
many samples of each model as APART has sounds. Fréchet distance and nearest neighbours use all samples. Precision and
recall are the means over ten parts of the samples. The last two columns are `audiogan.metrics.memorisation`: the median
distance to the nearest training sound, divided by that of the held-out sounds, and the fraction of copies.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from omegaconf import OmegaConf

import audiogan
from audiogan.metrics import LogMel, embed
from audiogan.metrics.neighbours import memorisation
from audiogan.metrics.report import compare_features
from audiogan.run.training import open_data

PARTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="folder with the training sounds of the kit")
    parser.add_argument("apart", help="folder with the held-out sounds of the kit")
    parser.add_argument("models", nargs="+", help="runs or models")
    args = parser.parse_args()
    generators = [audiogan.load(model) for model in args.models]
    first = generators[0]
    embedding = LogMel.for_length(first.sample_rate, first.shape[-1])
    train, apart = (embed(sounds(first, folder), embedding) for folder in (args.train, args.apart))
    print("| | Fréchet | precision | recall | distance to training sounds | copies |")
    print("|---|---|---|---|---|---|")
    rows = [("training sounds", train)]
    for generator in generators:
        made = [generator.sample(len(apart), seed=1000 + len(apart) * i) for i in range(PARTS)]
        rows.append((generator.name, embed(np.concatenate(made), embedding)))
    for name, features in rows:
        whole = compare_features(features, apart)
        parts = [
            compare_features(part, apart) for part in np.array_split(features, max(1, len(features) // len(apart)))
        ]
        precision, recall = (np.mean([part[f"{key}_capped"] for part in parts]) for key in ("precision", "recall"))
        near = memorisation(features, apart, train)
        values = f"{whole['frechet']:.2f} | {precision:.2f} | {recall:.2f} | {near.ratio:.2f} | {near.copies:.3f}"
        print(f"| {name} | {values} |", flush=True)


def sounds(generator: Any, folder: str) -> np.ndarray:
    """Return all sounds of a folder in the format of a model, ``[N, C, T]``."""
    cfg = OmegaConf.create(generator.config)
    cfg.data.update({"root": folder, "holdout": 0.0, "labels": "none"})
    table, _ = open_data(cfg)
    return table.signals(np.arange(len(table))).numpy()


if __name__ == "__main__":
    main()
