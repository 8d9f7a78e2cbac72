"""Measure speech enhancement on mixtures of clean recordings and noises that the model has not seen.

    python benchmarks/enhancement.py SPEECH NOISES --runs enhance=runs/enhance -n 40 --snr 0,5,10,15

SPEECH and NOISES are folders. Each mixture has a recording of 1.5 s or more, cut to 5 s at most, and a noise at one of
the signal-to-noise ratios (``--snr``). Recordings and noises are drawn with a fixed seed. For the noisy sounds and for
each model, the script prints the means over all mixtures of:

* SI-SDR in dB (Le Roux et al., ICASSP 2019);
* PESQ of the package pesq: wide band, 16 kHz, MOS-LQO;
* ESTOI of the package pystoi;
* LSD: the log-spectral distance in dB (`audiogan.losses.spectra.log_spectral_distance`, 64 mel bands).

For each model, it also prints the SI-SDR of clean speech that passes through the model, and the CPU time per second of
sound. The packages pesq and pystoi must be installed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import audiogan
from audiogan.losses.spectra import log_spectral_distance
from audiogan.modalities.reading.sound import read_sound

RATE = 16_000


def si_sdr(x: np.ndarray, clean: np.ndarray) -> float:
    x, clean = x - x.mean(), clean - clean.mean()
    target = (x @ clean) / (clean @ clean) * clean
    return float(10 * np.log10((target @ target) / ((x - target) @ (x - target) + 1e-12)))


def scores(x: np.ndarray, clean: np.ndarray) -> list[float]:
    from pesq import pesq
    from pystoi import stoi

    distance = log_spectral_distance(torch.tensor(x)[None, None], torch.tensor(clean)[None, None], RATE)
    parts = [si_sdr(x.astype(float), clean.astype(float)), pesq(RATE, clean, x, "wb")]
    return [*parts, stoi(clean, x, RATE, extended=True), float(distance)]


def mixtures(speech: list[Path], noises: list[Path], levels: list[float], n: int, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    made: list[tuple[np.ndarray, np.ndarray, float]] = []
    for path in rng.permutation(np.array(speech, object)):
        clean = read_sound(path, RATE, 1)[0][: 5 * RATE]
        if len(clean) < 1.5 * RATE:
            continue
        noise = read_sound(noises[int(rng.integers(len(noises)))], RATE, 1)[0]
        noise = noise[(np.arange(len(clean)) + int(rng.integers(len(noise)))) % len(noise)]
        snr = levels[len(made) % len(levels)]
        noise = noise * np.sqrt((clean**2).mean() / ((noise**2).mean() + 1e-12) / 10 ** (snr / 10))
        made.append((clean, (clean + noise).astype(np.float32), snr))
        if len(made) == n:
            break
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("speech", type=Path)
    parser.add_argument("noises", type=Path)
    parser.add_argument("--runs", default="enhance=enhance", help="NAME=RUN[@STRENGTH], separated by commas")
    parser.add_argument("-n", type=int, default=40, help="number of mixtures")
    parser.add_argument("--snr", default="0,5,10,15", help="signal-to-noise ratios in dB, separated by commas")
    args = parser.parse_args()
    torch.set_num_threads(1)
    speech, noises = (
        sorted(p for p in folder.rglob("*") if p.suffix in (".flac", ".wav")) for folder in (args.speech, args.noises)
    )
    levels = [float(level) for level in args.snr.split(",")]
    pairs = mixtures(speech, noises, levels, args.n)
    print(f"{len(pairs)} mixtures, {sum(len(c) for c, _, _ in pairs) / RATE:.0f} s")
    print(f"{'':12} SI-SDR  PESQ-WB  ESTOI    LSD   | SI-SDR at {args.snr} dB")

    def report(name: str, results: list[list[float]]) -> None:
        means = np.mean(results, axis=0)
        at = [np.mean([r[0] for r, (_, _, s) in zip(results, pairs, strict=True) if s == level]) for level in levels]
        each = " ".join(f"{value:6.2f}" for value in at)
        print(f"{name:12} {means[0]:6.2f}  {means[1]:7.2f}  {means[2]:5.3f}  {means[3]:5.2f}   | {each}", flush=True)

    report("noisy", [scores(noisy, clean) for clean, noisy, _ in pairs])
    for item in args.runs.split(","):
        name, run = item.split("=")
        run, _, strength = run.partition("@")
        model = audiogan.load(run, strength=float(strength) if strength else None)

        def apply(x: np.ndarray, model: audiogan.Generator = model) -> np.ndarray:
            return np.concatenate(list(model.stream([x[None]])), axis=1)[0]

        start = time.process_time()
        outputs = [apply(noisy) for _, noisy, _ in pairs]
        spent = (time.process_time() - start) / (sum(len(c) for c, _, _ in pairs) / RATE)
        report(name, [scores(out, clean) for out, (clean, _, _) in zip(outputs, pairs, strict=True)])
        passed = np.mean([si_sdr(apply(clean).astype(float), clean.astype(float)) for clean, _, _ in pairs])
        print(f"{'':12} clean speech passes at {passed:.1f} dB SI-SDR; {spent:.4f} CPU seconds per second", flush=True)


if __name__ == "__main__":
    main()
