"""Measure how well a CycleGAN translates images that were not used in training.

    python benchmarks/translation.py RUN FOLDER

FOLDER has the sub-folders trainA, trainB, testA and testB. A classifier of the two domains is trained on the training
images. It classifies the translation of each test image and, for comparison, the untranslated sources and real images
of the target domain. The script also prints the PSNR of images translated there and back, and the correlation between
the edges of source and output.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray

import audiogan
from audiogan.data.images.pairs import open_domains
from audiogan.data.images.sources import open_images
from audiogan.metrics import embed
from audiogan.metrics.classifier import train_classifier
from audiogan.modalities.references import psnr


def edges(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the magnitude of the brightness gradient ``[N, H, W]`` of images ``[N, C, H, W]``."""
    rows, columns = np.gradient(x.mean(1), axis=(1, 2))
    return np.hypot(rows, columns)


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the mean correlation between the edges of two batches of images."""
    pairs = zip(edges(a).reshape(len(a), -1), edges(b).reshape(len(b), -1), strict=True)
    return float(np.mean([np.corrcoef(x, y)[0, 1] for x, y in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the classifier")
    args = parser.parse_args()
    generator = audiogan.load(args.run)
    size = generator.shape[-1]
    judge = train_classifier(open_domains(args.folder, size=size), seed=args.seed)
    whole = open_images(args.folder, size=size, channels=generator.shape[0], labels="folders")

    def test(name: str) -> NDArray[np.float32]:
        return whole.signals(np.flatnonzero(whole.targets == whole.labels.index(name))).numpy()

    def share(x: NDArray[np.float32], domain: int) -> str:
        found = judge.probabilities(embed(torch.from_numpy(x), judge)).argmax(1) == domain
        return f"{int(found.sum())} of {len(x)}"

    domains = [test("testA"), test("testB")]
    there, back = generator.routes
    for name, other, source, target in ((there, back, 0, 1), (back, there, 1, 0)):
        x = domains[source]
        made = generator.sample(inputs={"source": list(x)}, seed=0, generator=name)
        restored = generator.sample(inputs={"source": list(made)}, seed=0, generator=other)
        print(f"{name} ({generator.routes.descriptions[name]}), {len(x)} test pictures:")
        print(f"  classifier says target: {share(made, target)}; doing nothing {share(x, target)}; ", end="")
        print(f"real targets {share(domains[target], target)}")
        print(f"  there and back: {psnr(restored, x):.1f} dB PSNR; edges correlate by {correlation(x, made):.2f}")


if __name__ == "__main__":
    main()
