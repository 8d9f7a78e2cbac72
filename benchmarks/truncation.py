"""Measure fidelity and diversity of a run at several values of the truncation.

    python benchmarks/truncation.py runs/NAME --values 0.1 0.3 0.5 0.7 1.5 2 none --out curve.png

Fidelity is measured by precision and by agreement, the share of samples that an independent classifier assigns to the
requested class. Diversity is measured by recall and by spread, the mean distance between two samples of a class divided
by that of real examples (1: as diverse as real data). Radii of precision and recall are capped at their median. The
classifier is trained on the training data of the run; its hidden layer provides the features. Samples are compared to
held-out data. The meaning of the truncation depends on the network: BigGAN resamples latents above the threshold,
StyleGAN interpolates between the mean style (0) and the sampled style (1), other networks multiply the latents.
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
    """Return signals `[n, *shape]` and classes `[n]`. Inputs of a seed are the same at every truncation."""
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
    """Return the mean distance between two examples of a class, averaged over classes."""
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
    # Radii are capped as in `audiogan evaluate`, because the ball of an outlier would contain all noise.
    nearness = prdc(features, real, radius_quantile=0.5)
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
    parser.add_argument(
        "-n", type=int, default=1000, help="number of samples per value, limited by the number of held-out examples"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="image of the curve to write")
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
