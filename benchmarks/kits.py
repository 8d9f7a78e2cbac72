"""Measure how similar the sounds of a kit are to each other, for kits of a model and for real kits.

    python benchmarks/kits.py [--run drums] [--kits 30] [--real FOLDER]

Kits of the model are compared to sounds drawn independently. Real kits are compared to random groups of their sounds.
FOLDER contains one folder per real kit, each with one sub-folder per class. Each sound is represented by its log-mel
embedding minus the mean of its class, so that properties of the class do not count. The script prints:

* likeness: mean cosine similarity between pads of different classes of a kit. 0 for unrelated sounds. Higher values
  mean that the kit has a common timbre.
* apart: mean distance between pads of the same class. A small value means that the pads are nearly copies.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

import audiogan
from audiogan.kits import Kit, make_kit
from audiogan.latents.recording import prepare_recording

Sounds = list[tuple[str, np.ndarray]]  # Class and embedding of each pad.


def embedded(model: audiogan.Generator, waves: np.ndarray, labels: list[str]) -> Sounds:
    embedding = model.modality.embedding(model.shape)
    return list(zip(labels, embedding(torch.from_numpy(waves)), strict=True))


def of_kits(model: audiogan.Generator, kits: list[Kit]) -> list[Sounds]:
    recipes = [[pad.layers[-1] for pad in kit.pads] for kit in kits]
    return [embedded(model, model.render(these), [recipe.label for recipe in these]) for these in recipes]


def of_picks(model: audiogan.Generator, kits: list[Kit]) -> list[Sounds]:
    """Return sounds of the same classes, drawn independently."""
    rng, groups = np.random.default_rng(0), []
    for kit in kits:
        labels = [pad.layers[-1].label for pad in kit.pads]
        these = [model.recipes(1, seed=int(rng.integers(2**40)), label=label)[0] for label in labels]
        groups.append(embedded(model, model.render(these), labels))
    return groups


def of_folder(model: audiogan.Generator, folder: Path, pads: int) -> list[Sounds]:
    rng, groups = np.random.default_rng(0), []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = [path for path in sorted(place.rglob("*")) if path.suffix.lower() in (".wav", ".flac")]
        chosen = [files[i] for i in rng.permutation(len(files))[:pads]]
        if len({path.parent for path in chosen}) > 2:
            waves = np.stack([prepare_recording(model, path) for path in chosen])
            groups.append(embedded(model, waves, [path.parent.name for path in chosen]))
    return groups


def shuffled(groups: list[Sounds]) -> list[Sounds]:
    """Regroup the sounds of all kits at random into kits of the same sizes."""
    everything = [sound for group in groups for sound in group]
    order = iter(np.random.default_rng(0).permutation(len(everything)))
    return [[everything[next(order)] for _ in group] for group in groups]


def compare(groups: dict[str, list[Sounds]]) -> None:
    of_class = defaultdict(list)
    for kits in groups.values():
        for label, point in (sound for kit in kits for sound in kit):
            of_class[label].append(point)
    means = {label: np.mean(points, axis=0) for label, points in of_class.items()}
    for name, kits in groups.items():
        likeness, apart = [], []
        for kit in kits:
            points = np.stack([point - means[label] for label, point in kit])
            units = points / np.linalg.norm(points, axis=1, keepdims=True)
            labels = np.array([label for label, _ in kit])
            upper = np.triu(np.ones((len(kit), len(kit)), bool), 1)
            other = labels[:, None] != labels
            likeness += list((units @ units.T)[upper & other])
            apart += list(np.linalg.norm(points[:, None] - points, axis=2)[upper & ~other])
        print(f"{name:24}  likeness {np.mean(likeness):6.3f}   apart {np.mean(apart) if apart else np.nan:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="drums", help="model with classes")
    parser.add_argument("--kits", type=int, default=30)
    parser.add_argument("--pads", type=int, default=16)
    parser.add_argument("--real", type=Path, help="folder with one sub-folder per real kit")
    args = parser.parse_args()
    model = audiogan.load(args.run)
    kits = [make_kit(model, args.pads, seed=seed) for seed in range(args.kits)]
    compare({f"{args.kits} kits": of_kits(model, kits), "picks": of_picks(model, kits)})
    if args.real:
        real = of_folder(model, args.real, args.pads)
        if len(real) < 2:
            raise SystemExit(f"{args.real}: fewer than two folders with sounds of at least three classes")
        compare({f"{len(real)} real kits": real, "their sounds, mixed": shuffled(real)})


if __name__ == "__main__":
    main()
