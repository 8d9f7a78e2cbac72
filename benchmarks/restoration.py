"""Measure the speed of image restoration: time for a large picture, and use of the CPU in training.

    python benchmarks/restoration.py denoise
    python benchmarks/restoration.py super-resolution colourise denoise inpaint --megapixels 12

Each configuration is built with its default sizes and untrained weights, because weights do not affect the speed.
Overrides such as ``width=96`` apply to all configurations.

* Picture: `Generator.apply` processes random pixels. The size counts pixels of the output, so a network that enlarges
  its source receives a smaller picture. The script prints wall time and CPU time.
* Training: adversarial training steps on drawn shapes, with one thread. The script prints the floating-point operations
  of convolutions and matrix products per second of CPU time, and divides them by the same number for a product of two
  1024 x 1024 float32 matrices, which is measured before and after the steps. The product is computed as such and as a
  1 x 1 convolution, which uses another library, and the faster of the two counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

import audiogan
from audiogan.core import Callback, Trainer
from audiogan.inputs import Signal
from audiogan.run.config import compose
from audiogan.run.training import build_modality, build_trainer, open_data

SIDE, REPEATS = 1024, 10
"""Side of the matrices, and number of products, of which the fastest counts."""
WARM_UP = 3
"""Training steps before the measured ones. The first steps allocate memory and choose algorithms."""


class StepTimes(Callback):
    """Callback that stores the CPU time in seconds at the end of each step, in ``times``."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step(self, trainer: Trainer) -> None:
        self.times.append(time.process_time())


def matrix_gflops() -> float:
    """Return the speed of a float32 matrix product with one thread, in 10^9 operations per second of CPU time."""
    a, b = torch.randn(2, SIDE, SIDE)
    pixels = a.reshape(1, 32, 32, SIDE).permute(0, 3, 1, 2)
    ways: list[Callable[[], Tensor]] = [lambda: a @ b, lambda: F.conv2d(pixels, b[:, :, None, None])]
    seconds = []
    for way in ways * REPEATS:
        start = time.process_time()
        way()
        seconds.append(time.process_time() - start)
    return 2e-9 * SIDE**3 / min(seconds)


def build_run(config: str, overrides: list[str], steps: int, folder: str) -> tuple[Trainer, Any]:
    """Return a trainer whose only callback is the moving average of the weights, and the composed configuration."""
    settings = [*overrides, f"trainer.steps={steps}", "engine.device=cpu", "engine.threads=1", f"run_dir={folder}/run"]
    cfg = compose(config, settings)
    trainer = build_trainer(cfg, *open_data(cfg), progress=False)
    trainer.callbacks = {name: each for name, each in trainer.callbacks.items() if name == "ema"}
    return trainer, cfg


def training(config: str, overrides: list[str], steps: int) -> str:
    """Return a table cell with the speed of training steps."""
    with tempfile.TemporaryDirectory() as folder:
        trainer, _ = build_run(config, overrides, 1, folder)
        with FlopCounterMode(display=False) as counter:
            trainer.run()
        trainer, _ = build_run(config, overrides, WARM_UP + steps, folder)
        clock = trainer.callbacks["clock"] = StepTimes()
        ceilings = [matrix_gflops()]
        trainer.run()
        ceilings.append(matrix_gflops())
    seconds = float(np.median(np.diff(clock.times[WARM_UP - 1 :])))
    speed, ceiling = 1e-9 * counter.get_total_flops() / seconds, max(ceilings)
    return f"{1000 * seconds:.0f} | {speed:.0f} | {ceiling:.0f} | {100 * speed / ceiling:.0f} %"


def picture(config: str, overrides: list[str], megapixels: float) -> str:
    """Return a table cell with the times for one large picture."""
    with tempfile.TemporaryDirectory() as folder:
        trainer, cfg = build_run(config, overrides, 1, folder)
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    generator = audiogan.Generator(trainer.game, build_modality(cfg), plain, Path(config), 0)
    signals = {name: each for name, each in generator.inputs.items() if isinstance(each, Signal)}
    source = signals.pop("source")
    rng = np.random.default_rng(0)

    def apply(height: int, width: int) -> np.ndarray:
        others = {name: rng.random((int(each.shape[0] or 1), height, width)).round() for name, each in signals.items()}
        x = rng.random((int(source.shape[0] or 1), height, width), np.float32) * 2 - 1
        return np.asarray(generator.apply(x, inputs=others))

    factor = apply(64, 64).shape[-1] / 64
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5 / factor)
    height = round(width * 3 / 4)
    wall, cpu = time.perf_counter(), time.process_time()
    out = apply(height, width)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return f"{width} x {height} | {out.shape[-1]} x {out.shape[-2]} | {wall:.0f} | {cpu:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", help="names of configurations, and overrides such as width=96")
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--steps", type=int, default=20, help="measured training steps; 0: no training")
    args = parser.parse_args()
    overrides = [each for each in args.configs if "=" in each]
    configs = [each for each in args.configs if "=" not in each]
    if args.megapixels > 0:
        print("| configuration | source | output | wall s | CPU s |\n|---|---|---|---|---|")
        for config in configs:
            print(f"| {config} | {picture(config, overrides, args.megapixels)} |", flush=True)
    if args.steps > 0:
        print("\n| configuration | CPU ms per step | GFLOP/s | GFLOP/s of a matrix product | ratio |")
        print("|---|---|---|---|---|")
        for config in configs:
            print(f"| {config} | {training(config, overrides, args.steps)} |", flush=True)


if __name__ == "__main__":
    main()
