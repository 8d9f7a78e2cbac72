"""Compare super-resolution models with bicubic interpolation, for the tables in docs/systems/super-resolution.md.

    python benchmarks/super_resolution.py runs/super-resolution --baseline runs/sr-l1
    python benchmarks/super_resolution.py runs/super-resolution --data FOLDER --sheet sheet.png

The script uses the held-out squares of the first run, or with ``--data`` squares of all photographs of another folder.
A run with a first stage gives one row for each value of ``--strength``, where 0 stands for the weights at the end of
the first stage and 1 for the final weights.

The columns are the PSNR of RGB pixels in dB (mean squared error over all images, without cropping borders), the SSIM,
the Fréchet distance of patches (`audiogan.features.patches`), and the sharpness: high-band energy divided by that of
the real images (`audiogan.modalities.appearance`). The last row compares one half of the real images with the other.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

import audiogan
from audiogan.evaluation.data_sets import open_evaluation_data
from audiogan.features.patches import Patches
from audiogan.metrics import evaluate
from audiogan.modalities import Image
from audiogan.modalities.appearance import sharpness
from audiogan.modalities.references import psnr, ssim

Images = NDArray[np.float32]
BATCH = 8


def main() -> None:
    """Print one row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run with two stages")
    parser.add_argument("--baseline", help="run without a critic")
    parser.add_argument("--data", help="folder of other photographs (default: the held-out data of the run)")
    parser.add_argument("--strength", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--count", type=int, default=300, help="largest number of squares (default 300)")
    parser.add_argument("--sheet", help="PNG file to write: source, bicubic, first stage, output and target")
    parser.add_argument("--shown", type=int, default=8, help="number of rows of the sheet (default 8)")
    args = parser.parse_args()

    table = open_evaluation_data(audiogan.load(args.run), args.data).real
    rows = np.random.default_rng(0).permutation(len(table))[: args.count]
    real, source = table.signals(rows).numpy(), table.column("source", rows)
    larger = F.interpolate(source, tuple(real.shape[2:]), mode="bicubic", antialias=True)  # as `audiogan evaluate` does
    bicubic = larger.clamp(-1, 1).numpy()
    print(f"{len(real)} squares of {table.source}")
    print(f"| {'method':20s} | PSNR dB |  SSIM | patch Fréchet | sharpness |")
    show("bicubic", bicubic, real)
    made = {value: enlarge(args.run, source, value) for value in args.strength}
    for value, output in made.items():
        show(f"strength {value:g}", output, real)
    if args.baseline:
        show("without critic", enlarge(args.baseline, source), real)
    distance = evaluate(real, real, embedding=Patches(real.shape[1:]), seed=0).floor
    print(f"| {'real':20s} |         |       | {frechet(distance):13.3f} |      1.00 |")
    if args.sheet:
        some = slice(args.shown)
        columns = {"source": source.numpy()[some], "bicubic": bicubic[some], "first stage": made[min(made)][some]}
        Image().draw_columns(args.sheet, {**columns, "output": made[max(made)][some], "target": real[some]})


@torch.inference_mode()
def enlarge(run: str, source: torch.Tensor, strength: float | None = None) -> Images:
    """Return the outputs of a run for sources ``[N, C, h, w]``, float32 ``[N, C, H, W]`` in -1 ... 1."""
    generator = audiogan.load(run, strength=strength)
    start = time.process_time()
    parts = [generator.game.generate({"source": part}).clamp(-1, 1).numpy() for part in source.split(BATCH)]
    print(f"  {run}: step {generator.step:,}, {time.process_time() - start:.1f} s of CPU time")
    return np.concatenate(parts)


def show(name: str, images: Images, real: Images) -> None:
    """Print the row of a method."""
    distance = frechet(evaluate(images, real, embedding=Patches(real.shape[1:]), seed=0).values)
    numbers = (
        f"{psnr(images, real):7.2f} | {ssim(images, real):.3f} | {distance:13.3f} | {sharpness(images, real):9.2f}"
    )
    print(f"| {name:20s} | {numbers} |", flush=True)


def frechet(values: dict[str, float]) -> float:
    """Return the Fréchet distance of a report."""
    return next(value for name, value in values.items() if "frechet" in name)


if __name__ == "__main__":
    main()
