"""The truncation curve of a run: fidelity against variety as latents are cut ever closer to their mean.

    python benchmarks/truncation.py runs/NAME --values 0.1 0.3 0.5 0.7 1.5 2 none --out curve.png

Fidelity: precision, its balls capped at the median, and agreement, the share of samples that an independent classifier
puts into the class asked for. Variety: recall, capped likewise, and spread, the mean distance between two samples of a
class over that of real ones (1: as varied as real data). The classifier is trained on the run's training data, its
hidden layer is the extractor, and the comparison is with data the run held out. What a value means is the network's
affair: BigGAN's is the threshold at which a normal latent is cut, StyleGAN's the share of the way from its mean; of
other networks latents are multiplied by it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

import audiogan
from audiogan.files import atomic_write
from audiogan.metrics import classifier
from audiogan.metrics.distances import frechet_distance
from audiogan.metrics.neighbours import prdc
from audiogan.run.training import open_data


def samples(generator: Any, n: int, truncation: float | None, seed: int) -> tuple[Tensor, np.ndarray]:
    """Return signals `[n, *shape]` and their classes `[n]`; a seed has the same inputs at every truncation."""
    game = generator.game
    inputs = game.draw(n, torch.Generator().manual_seed(seed))
    made = []
    for rows in torch.arange(n).split(100):
        part = {name: value[rows] for name, value in inputs.items()}
        made.append(game.generate(part, truncation=truncation).cpu())
    signals = generator.modality.postprocess(torch.cat(made).numpy())
    classes = inputs["classes"].argmax(1).numpy() if "classes" in inputs else np.zeros(n, np.int64)
    return torch.from_numpy(signals), classes


def spread(features: np.ndarray, classes: np.ndarray) -> float:
    """Mean distance between two of a class, averaged over classes with at least two."""
    means = []
    for label in np.unique(classes):
        x = torch.from_numpy(features[classes == label])
        if len(x) > 1:
            means.append(float(torch.pdist(x).mean()))
    return float(np.mean(means))


def measure(net: Any, seen: Tensor, asked: np.ndarray, real: np.ndarray, real_spread: float) -> dict[str, float]:
    with torch.no_grad():
        hidden = torch.cat([net(part) for part in seen.split(256)])
        named = net.head(hidden).argmax(1).numpy()
    features = hidden.double().numpy()
    nearness = prdc(features, real, radius_quantile=0.5)  # as in `audiogan evaluate`
    return {
        "agreement": float((named == asked).mean()),
        "precision_capped": nearness.precision,
        "recall_capped": nearness.recall,
        "spread": spread(features, asked) / real_spread,
        "frechet": frechet_distance(features, real),
    }


def curve(run: str, values: list[float | None], count: int, seed: int) -> list[dict[str, Any]]:
    generator = audiogan.load(run)
    train, held_out = open_data(OmegaConf.create(generator.config))
    if not generator.labels or len(held_out) < 20:
        raise SystemExit(f"{run}: a curve needs a run with classes and held-out data")
    picture = generator.modality.to_images
    net = classifier.fit(
        classifier.load_pictures(train, picture), torch.from_numpy(train.targets), len(generator.labels), seed=seed
    )
    n = min(count, len(held_out))
    index = np.sort(np.random.default_rng(seed).permutation(len(held_out))[:n])
    with torch.no_grad():
        real = net(classifier.load_pictures(held_out, picture, index=index)).double().numpy()
    targets = held_out.targets[index]
    real_spread = spread(real, targets)
    rows = []
    for value in values:
        signals, asked = samples(generator, n, value, seed)
        row = measure(net, classifier.load_pictures(signals, picture), asked, real, real_spread)
        rows.append({"truncation": value, "n": n, **row})
        print(json.dumps(rows[-1]), flush=True)
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4), constrained_layout=True)
    for axis, across, up in ((axes[0], "recall_capped", "precision_capped"), (axes[1], "spread", "agreement")):
        axis.plot([row[across] for row in rows], [row[up] for row in rows], "o-")
        for row in rows:
            label = "none" if row["truncation"] is None else f"{row['truncation']:g}"
            axis.annotate(label, (row[across], row[up]), textcoords="offset points", xytext=(4, 4), fontsize=8)
        axis.set(xlabel=f"variety: {across}", ylabel=f"fidelity: {up}")
    figure.suptitle(f"truncation, n={rows[0]['n']}, extractor: classifier of the training data")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder or checkpoint")
    parser.add_argument("--values", nargs="+", default=["0.1", "0.3", "0.5", "0.7", "1.5", "2", "none"])
    parser.add_argument("-n", type=int, default=1000, help="samples at each value, at most as many as are held out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a picture of the curve")
    args = parser.parse_args()
    values = [None if value == "none" else float(value) for value in args.values]
    rows = curve(args.run, values, args.n, args.seed)
    if args.out:
        draw(rows, args.out)
    names = [key for key in rows[0] if key not in ("truncation", "n")]
    print(f"\n| truncation | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for row in rows:
        figures = " | ".join(f"{row[name]:.3g}" for name in names)
        print(f"| {'none' if row['truncation'] is None else row['truncation']} | {figures} |")


if __name__ == "__main__":
    main()
