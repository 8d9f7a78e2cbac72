"""Measure what the styles of a trained StyleGAN control, with style-mixing images and a truncation sweep.

    audiogan train stylegan run_dir=runs/stylegan
    python benchmarks/style_mixing.py runs/stylegan

Writes `style-mixing.png`, `truncation.png` and `styles.json`, and prints a table. In `style-mixing.png`, each row uses
the coarse styles of the image on its left, and each column the fine styles of the image above it (Karras et al. 2019,
figure 3). Coarse styles are the styles of the layers below `cut`. The table has one row per cut and these columns:

* class: share of mixed images that a classifier assigns to the class of the coarse (fine) source, if the sources have
  different classes. The classifier is trained on the data of the run.
* layout: share of variance that the coarse (fine) source explains in the image averaged down to the coarsest grid.
* stroke: the same share for the stroke width in pixels, which is twice the area divided by the total variation.

Variances are computed over mixtures within a class. A source without influence explains a share of 1 / N.
`benchmarks/truncation.py` prints metrics for the truncation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import audiogan
from audiogan.files import atomic_write
from audiogan.modalities import Image
from audiogan.model.generator import Generator

PSIS = (0.0, 0.25, 0.5, 0.7, 1.0, 1.3)


class Styles:
    """Latents of a trained generator, and images that mix their styles."""

    def __init__(self, model: Generator, seed: int) -> None:
        self.model, self.net = model, model.game.nets["generator"].eval()
        if not hasattr(self.net, "synthesis"):
            raise SystemExit(
                f"{model.checkpoint}: its generator has no styles; train one with: audiogan train stylegan"
            )
        self.rng = torch.Generator().manual_seed(seed)

    def inputs(self, labels: Tensor) -> dict[str, Tensor]:
        """Return named inputs of new latents and of classes `[N]`."""
        classes = len(self.model.labels)
        return self.model.game.draw(len(labels), self.rng, classes=torch.eye(classes)[labels] if classes else None)

    def draw(self, labels: Tensor) -> Tensor:
        """Return the styles `[N, style_dim]` of new latents of classes `[N]`."""
        return self.net.mapping(**self.inputs(labels))

    def images(self, ws: Tensor) -> Tensor:
        """Return the images `[N, C, H, W]` of styles `[N, layers, style_dim]`."""
        parts = [self.model.game.representation.decode(self.net.synthesis(part)) for part in ws.split(100)]
        return torch.cat(parts).clamp(-1, 1)

    def mixed(self, coarse: Tensor, fine: Tensor, cut: int) -> Tensor:
        """Return images `[R, C, ...]`: layers below ``cut`` have the styles of row R, the others those of column C."""
        rows, columns, layers = len(coarse), len(fine), self.net.layers
        below = (torch.arange(layers) < cut)[:, None]
        ws = torch.where(below, coarse[:, None, None], fine[None, :, None])
        return self.images(ws.flatten(0, 1)).unflatten(0, (rows, columns))


def stroke(x: Tensor) -> Tensor:
    """Return the stroke width, in pixels `[N, 1]`, of bright drawings on a dark background `[N, C, H, W]`."""
    ink = F.pad((x.mean(1) + 1) / 2, (0, 1, 0, 1))
    right, down = ink[:, :-1, 1:] - ink[:, :-1, :-1], ink[:, 1:, :-1] - ink[:, :-1, :-1]
    variation = (right.square() + down.square()).sqrt().sum((1, 2))
    return (2 * ink.sum((1, 2)) / variation.clamp_min(1e-6))[:, None]


def explained(features: Tensor) -> tuple[float, float]:
    """Return the shares of the variance of `[rows, columns, D]` that the row and the column explain."""
    total = (features - features.mean((0, 1))).square().mean().item()
    shares = [(features.mean(axis) - features.mean((0, 1))).square().mean().item() / total for axis in (1, 0)]
    return shares[0], shares[1]


def classifier(model: Generator) -> Any:
    """Return the classes `[N]` of images, predicted by a classifier of the run's data. None without classes."""
    if not model.labels:
        return None
    from omegaconf import OmegaConf

    from audiogan.metrics.classifier import fit, load_pictures
    from audiogan.run.training import open_data

    train, _ = open_data(OmegaConf.create(model.config))
    net = fit(load_pictures(train, model.modality.to_images), torch.as_tensor(train.targets), len(model.labels))
    return lambda x: net.head(net(load_pictures(x.numpy(), model.modality.to_images))).argmax(1)


def measure_mixing(styles: Styles, judge: Any, n: int) -> list[dict[str, float]]:
    """Return one row of the table per cut."""
    classes, coarsest = len(styles.model.labels), styles.net.sides[0]
    mixed_classes = torch.arange(max(n, 2 * classes)) % max(classes, 1)
    coarse, fine = styles.draw(mixed_classes), styles.draw(mixed_classes)
    within = [(styles.draw(torch.full((n,), k)), styles.draw(torch.full((n,), k))) for k in range(max(classes, 1))]
    table = []
    for cut in range(1, styles.net.layers):
        row: dict[str, float] = {"cut": cut}
        if judge is not None:
            seen = judge(styles.mixed(coarse, fine, cut).flatten(0, 1)).view(len(coarse), len(fine))
            differ = mixed_classes[:, None] != mixed_classes
            row["class_coarse"] = (seen == mixed_classes[:, None])[differ].float().mean().item()
            row["class_fine"] = (seen == mixed_classes)[differ].float().mean().item()
        found: dict[str, list[tuple[float, float]]] = {"layout": [], "stroke": []}
        for rows, columns in within:
            x = styles.mixed(rows, columns, cut)
            layout = F.adaptive_avg_pool2d(x.flatten(0, 1), coarsest).flatten(1)
            found["layout"].append(explained(layout.view(n, n, -1)))
            found["stroke"].append(explained(stroke(x.flatten(0, 1)).view(n, n, -1)))
        for name, shares in found.items():
            row[f"{name}_coarse"], row[f"{name}_fine"] = np.mean(shares, axis=0).tolist()
        table.append(row)
    return table


def draw_pictures(styles: Styles, out: Path, cut: int) -> None:
    """Write `style-mixing.png` and `truncation.png`."""
    modality = styles.model.modality
    assert isinstance(modality, Image)
    model, classes = styles.model, max(len(styles.model.labels), 1)
    labels = torch.arange(max(6, min(classes, 10))) % classes
    coarse, fine = styles.draw(labels), styles.draw(labels)
    own = [styles.images(w[:, None].expand(-1, styles.net.layers, -1)) for w in (coarse, fine)]
    body = torch.cat([own[0][:, None], styles.mixed(coarse, fine, cut)], dim=1)
    head = torch.cat([torch.full_like(own[1][:1], -1.0), own[1]])
    n = len(labels) + 1
    said = f"rows: styles of layers 0 to {cut - 1}, columns: the others"
    modality.sheet(out / "style-mixing.png", torch.cat([head, body.flatten(0, 1)]).numpy(), title=said, columns=n)
    inputs = styles.inputs(labels)
    x = torch.cat([model.game.generate(inputs, truncation=psi) for psi in PSIS]).clamp(-1, 1)
    said = "truncation, top to bottom: " + ", ".join(f"{psi:g}" for psi in PSIS)
    modality.sheet(out / "truncation.png", x.numpy(), title=said, columns=len(labels))


def show(table: list[dict[str, float]]) -> None:
    heads = list(table[0])
    print(f"| {' | '.join(h.replace('_', ', ') for h in heads)} |\n|{'---|' * len(heads)}")
    for row in table:
        print(f"| {' | '.join(f'{row[h]:.3g}' for h in heads)} |")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder or checkpoint")
    parser.add_argument("--out", type=Path, default=None, help="output folder (default: folder of the run)")
    parser.add_argument(
        "--cut", type=int, default=None, help="first layer with fine styles (default: half of the layers)"
    )
    parser.add_argument("--n", type=int, default=10, help="number of coarse and of fine sources per class (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model = audiogan.load(args.run)
    out = args.out or (args.run if args.run.is_dir() else Path())
    out.mkdir(parents=True, exist_ok=True)
    styles = Styles(model, args.seed)
    cut = args.cut if args.cut is not None else styles.net.layers // 2
    if not 0 < cut < styles.net.layers:
        raise SystemExit(f"--cut {cut}: must be 1 to {styles.net.layers - 1}")
    draw_pictures(styles, out, cut)
    with torch.enable_grad():
        judge = classifier(model)
    table = measure_mixing(styles, judge, args.n)
    show(table)
    with atomic_write(out / "styles.json") as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
