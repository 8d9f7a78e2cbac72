"""Compare inpainting models with simple fillings on held-out images.

    python benchmarks/inpainting.py RUN [RUN ...] [--sheet FILE.png]

The first run provides the held-out images and their masks. The script fills the missing pixels by each model, by the
mean colour of the known pixels, and by biharmonic interpolation. "Nothing" leaves them grey. The script prints the mean
absolute error of the missing pixels for ranges of the missing share of the image, and Fréchet distances between the
completed images and the originals. Pixels range from -1 to 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from numpy.typing import NDArray

import audiogan
from audiogan.evaluation.data_sets import open_evaluation_data
from audiogan.metrics import embed, frechet_distance

SHARES = (0, 0.1, 0.2, 0.4, 1)
"""Limits of the ranges of the missing share of an image."""
AT_ONCE = 32
"""Number of images in a batch."""

Array = NDArray[np.float32]


def fill_mean(image: Array, missing: NDArray[np.bool_]) -> Array:
    """Return an image ``[C, H, W]`` whose missing pixels have the mean colour of the known pixels."""
    out = image.copy()
    out[:, missing] = image[:, ~missing].mean(1, keepdims=True)
    return out


def laplacian(height: int, width: int) -> scipy.sparse.csr_matrix:
    """Return the matrix of the discrete Laplace operator with reflecting borders, ``[H * W, H * W]``."""

    def line(n: int) -> scipy.sparse.spmatrix:
        diagonal = np.full(n, -2.0)
        diagonal[[0, -1]] += 1
        return scipy.sparse.diags([np.ones(n - 1), diagonal, np.ones(n - 1)], [-1, 0, 1])

    return scipy.sparse.csr_matrix(scipy.sparse.kronsum(line(width), line(height)))


def fill_biharmonic(image: Array, missing: NDArray[np.bool_]) -> Array:
    """Return an image ``[C, H, W]`` whose missing pixels satisfy the discrete biharmonic equation.

    The known pixels are the boundary values. The result is clipped to -1 ... 1.
    """
    operator = laplacian(*missing.shape)
    operator = scipy.sparse.csr_matrix(operator @ operator)
    hole = np.flatnonzero(missing)
    if not len(hole):
        return image.copy()
    known = np.flatnonzero(~missing)
    rows = operator[hole]
    flat = image.reshape(len(image), -1).astype(np.float64)
    solved = scipy.sparse.linalg.splu(scipy.sparse.csc_matrix(rows[:, hole])).solve(
        -(rows[:, known] @ flat[:, known].T)
    )
    flat[:, hole] = np.clip(solved.T, -1, 1)
    return flat.reshape(image.shape).astype(np.float32)


def fill_by_model(run: str, sources: Array, masks: Array) -> Array:
    """Return the outputs of a model for images ``[N, C, H, W]`` and masks ``[N, 1, H, W]``."""
    generator = audiogan.load(run)
    parts = []
    for start in range(0, len(sources), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        inputs = {"source": torch.from_numpy(sources[rows]), "mask": torch.from_numpy(masks[rows])}
        parts.append(generator.modality.postprocess(generator.game.generate(inputs).numpy()))
    return np.concatenate(parts)


def each(fill: Callable[[Array, NDArray[np.bool_]], Array], sources: Array, masks: Array) -> Array:
    """Return the result of a function for each image and its mask."""
    return np.stack([fill(x, mask[0] > 0.5) for x, mask in zip(sources, masks, strict=True)])


def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the Fréchet distance between two sets of features. Features of several patches are pooled."""
    return frechet_distance(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--sheet", type=Path, help="PNG file for a contact sheet of the first rows")
    parser.add_argument("--rows", type=int, default=8, help="number of images in the contact sheet (default 8)")
    args = parser.parse_args()
    first = audiogan.load(args.runs[0])
    data = open_evaluation_data(first, None).real
    batch = {name: x.numpy() for name, x in data.examples(np.arange(len(data))).items()}
    targets, sources, masks = batch["x"], batch["source"], batch["mask"]
    done: dict[str, Array] = {"nothing": sources}
    fillings = {"mean colour": fill_mean, "biharmonic": fill_biharmonic}
    for name, fill in fillings.items():
        start = time.process_time()
        done[name] = each(fill, sources, masks)
        print(f"{name}: {1000 * (time.process_time() - start) / len(sources):.1f} ms per image")
    for run in args.runs:
        done[Path(run).name] = fill_by_model(run, sources, masks)
    hole = np.broadcast_to(masks > 0.5, targets.shape)
    share = masks.mean((1, 2, 3))
    columns = {"missing": [], "images": []} | {name: [] for name in done}  # type: ignore[var-annotated]
    for low, high in pairwise(SHARES):
        chosen = (share >= low) & (share < high)
        columns["missing"].append(f"L1, {low:.0%}-{high:.0%}")
        columns["images"].append(str(int(chosen.sum())))
        for name, out in done.items():
            error = np.abs(out - targets)[chosen][hole[chosen]]
            columns[name].append(f"{error.mean():.3f}" if len(error) else "-")
    order = np.random.default_rng(0).permutation(len(targets))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    for embedding in first.modality.embeddings(first.shape):
        real = embed(targets, embedding)
        floor = distance(real[halves[0]], real[halves[1]])
        columns["missing"].append(f"Fréchet {embedding.name} (halves of the originals: {floor:.3g})")
        columns["images"].append(str(len(targets)))
        for name, out in done.items():
            columns[name].append(f"{distance(embed(out, embedding), real):.3g}")
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    if args.sheet is not None:
        shown = order[: args.rows]
        pictures = done | {"target": targets}
        first.modality.draw_columns(args.sheet, {name: x[shown] for name, x in pictures.items()})


if __name__ == "__main__":
    main()
