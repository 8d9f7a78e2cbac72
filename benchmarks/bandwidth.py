"""Measure in which frequencies narrow recordings, their extensions by a model, and the originals differ.

    python benchmarks/bandwidth.py runs/bandwidth FOLDER --picture spectrograms.png

Each sound of the folder is made narrow: it is resampled to twice the cut-off frequency of the model and back. The
program prints the log-spectral distance above the cut-off. Below the cut-off, the model should change nothing. The
program therefore prints the power of the narrow sounds divided by the power of the difference, in dB, below 90 % of the
cut-off and below the cut-off, for the extended and for the original sounds. A table lists the mean levels of the
narrow, extended and original sounds in frequency bands, in dB. The picture shows spectrograms of the sound with the
highest energy above the cut-off.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
import torch

import audiogan
from audiogan.modalities import Sound
from audiogan.modalities.sound_references import lsd, snr_below

SHARES = (0.7, 0.8, 0.9, 0.925, 0.95, 0.975, 1.0, 1.05, 1.1, 1.3, 1.6)
"""Edges of the frequency bands in the table, as fractions of the cut-off frequency."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run folder or model for bandwidth extension")
    parser.add_argument("folder", type=Path, help="folder of sounds with all frequencies")
    parser.add_argument("--count", type=int, default=40, help="largest number of sounds (default 40)")
    parser.add_argument("--picture", help="PNG file to write")
    args = parser.parse_args()
    generator = audiogan.load(args.run)
    channels, length = generator.shape
    rate = generator.modality.sample_rate or 0
    cutoff = float(generator.config["game"]["generator"]["cutoff"])
    paths = sorted(path for path in args.folder.rglob("*") if path.suffix in (".wav", ".flac"))
    step = max(1, len(paths) // args.count)
    wide = [Sound(rate).load(path, (channels, None)) for path in paths[::step]]
    x = np.stack([_cut(wave, length) for wave in wide])
    narrow = np.stack([_narrow(wave, rate, 2 * cutoff) for wave in x])
    with torch.no_grad():
        y = generator.game.generate({"source": torch.from_numpy(narrow)}).numpy()
    print(f"{len(x)} sounds; log-spectral distance above {cutoff:g} Hz: narrow", end=" ")
    print(f"{lsd(narrow, x, rate, cutoff):.3f}, extended {lsd(y, x, rate, cutoff):.3f}")
    for share in (0.9, 1.0):
        made, real = (snr_below(z, narrow, rate, share * cutoff) or 0.0 for z in (y, x))
        print(f"ratio to change below {share * cutoff:g} Hz: extended {made:.1f} dB, original {real:.1f} dB")
    powers = [np.square(np.abs(np.fft.rfft(z))).mean((0, 1)) for z in (narrow, y, x)]
    width = rate / length
    for low, high in pairwise(SHARES):
        part = slice(round(low * cutoff / width), round(high * cutoff / width))
        levels = "  ".join(f"{10 * np.log10(power[part].mean()):6.1f}" for power in powers)
        print(f"{low * cutoff:6.0f} to {high * cutoff:6.0f} Hz: {levels}")
    if args.picture:
        upper = np.square(np.abs(np.fft.rfft(x)))[..., round(cutoff / width) :].sum((1, 2))
        best = int(upper.argmax())
        _draw(args.picture, rate, {"narrow": narrow[best, 0], "extended": y[best, 0], "original": x[best, 0]})


def _cut(wave: np.ndarray, length: int) -> np.ndarray:
    start = max(0, (wave.shape[1] - length) // 2)
    part = wave[:, start : start + length]
    return np.pad(part, ((0, 0), (0, length - part.shape[1])))


def _narrow(wave: np.ndarray, rate: int, low: float) -> np.ndarray:
    there_and_back = soxr.resample(soxr.resample(wave.T, rate, low), low, rate).T
    return np.ascontiguousarray(_cut(there_and_back[:, : wave.shape[1]], wave.shape[1]), np.float32)


def _draw(path: str, rate: int, waves: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3), layout="constrained")
    for axes, (name, wave) in zip(figure.subplots(1, len(waves), sharey=True), waves.items(), strict=True):
        axes.specgram(wave + 1e-9, NFFT=512, Fs=rate, noverlap=384, vmin=-140, vmax=-40, scale="dB")
        axes.set_title(name)
        axes.set_xlabel("time in s")
    figure.axes[0].set_ylabel("frequency in Hz")
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
