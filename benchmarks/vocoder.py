"""Compare vocoders with Griffin-Lim by copy synthesis, for the table in docs/systems/vocoder.md.

    python benchmarks/vocoder.py FOLDER --runs vocos=runs/vocoder -n 40

FOLDER contains recordings with any sample rate. Each is mixed to mono and resampled to the rate of the model. Its
log-mel spectrogram is computed, and each method makes a sound from this spectrogram. Griffin-Lim estimates magnitudes
by non-negative least squares (`librosa.feature.inverse.mel_to_stft`) and runs 60 iterations with the momentum 0.99.

Columns, each a mean over recordings:

* PESQ: wide-band PESQ (ITU-T P.862.2, package `pesq`), 1 to 4.64. Silent recordings and those that the package rejects
  are left out.
* MR-STFT: mean of spectral convergence and log-magnitude distance over windows of 512, 1,024 and 2,048 samples
  (`audiogan.losses.MultiResolutionSTFT`).
* mel: mean absolute difference of log-mel spectrograms.
* F0 %: root mean square of the relative error of F0 in percent, over frames that are voiced in both sounds (package
  `pyworld`, Harvest).
* V/UV %: percentage of frames in which one of the two sounds is voiced and the other is not.
* x real time: duration of all sounds divided by the CPU time on one core.

``--strength 0`` uses the weights at the end of the first stage. ``--iterations`` changes the number of Griffin-Lim
iterations of Vocos. ``--figure FILE`` draws the first recording.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import audiogan
from audiogan.losses import MelDistance, MultiResolutionSTFT
from audiogan.modalities import Sound
from audiogan.modalities.reading.sound import read_sound
from audiogan.representations import MelSpectrogram, SoundFormat

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
WINDOWS = (512, 1024, 2048)
SHORTEST = 0.5
"""Shortest recording that is measured, in seconds."""


def griffin_lim(mel: np.ndarray, settings: dict[str, float], length: int) -> np.ndarray:
    """Return the sound ``[T]`` of a log-mel spectrogram ``[n_mels, frames]`` by Griffin-Lim."""
    import librosa

    n_fft, hop = int(settings["n_fft"]), int(settings["hop_length"])
    magnitude = librosa.feature.inverse.mel_to_stft(
        np.exp(mel), sr=settings["sample_rate"], n_fft=n_fft, power=1.0, fmin=settings["f_min"], fmax=settings["f_max"]
    )
    pad = (n_fft - hop) // 2  # Frames of the spectrogram begin `pad` samples before the sound.
    made = librosa.griffinlim(
        magnitude, n_iter=60, hop_length=hop, n_fft=n_fft, center=False, momentum=0.99, random_state=0
    )
    return made[pad : pad + length]


def pitch(x: np.ndarray, rate: int) -> np.ndarray:
    """Return F0 in Hz for frames of 5 ms, 0 for unvoiced frames."""
    import pyworld

    f0: np.ndarray = pyworld.harvest(x.astype(np.float64), rate, f0_floor=65, f0_ceil=500)[0]
    return f0


def measure(real: np.ndarray, made: np.ndarray, settings: dict[str, float]) -> dict[str, float]:
    """Return all scores of a sound ``[T]``, compared with the recording ``[T]``."""
    import pesq

    rate, scores = int(settings["sample_rate"]), {}
    made = np.pad(made, (0, max(0, len(real) - len(made))))[: len(real)]
    with contextlib.suppress(pesq.PesqError, ValueError):
        scores["PESQ"] = float(pesq.pesq(rate, real, made, "wb"))
    pair = [torch.from_numpy(np.ascontiguousarray(x, np.float32))[None, None] for x in (made, real)]
    scores["MR-STFT"] = float(MultiResolutionSTFT(SoundFormat(len(real), 1, rate), WINDOWS)(*pair))
    scores["mel"] = float(MelDistance(settings, weight=1)(*pair))
    a, b = pitch(made, rate), pitch(real, rate)
    voiced = (a > 0) & (b > 0)
    if voiced.sum() >= 10:
        scores["F0 %"] = 100 * float(np.sqrt(np.mean((a[voiced] / b[voiced] - 1) ** 2)))
    scores["V/UV %"] = 100 * float(np.mean((a > 0) != (b > 0)))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", nargs="+", required=True, metavar="NAME=RUN")
    parser.add_argument("-n", type=int, default=40, help="number of recordings, spread over the folder")
    parser.add_argument("--seconds", type=float, default=6.0, help="longest part of a recording that is used")
    parser.add_argument("--strength", type=float, help="0: weights of the first stage, 1: final weights")
    parser.add_argument("--iterations", type=int, help="number of Griffin-Lim iterations of Vocos")
    parser.add_argument("--without-griffin-lim", action="store_true")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = {} if args.strength is None else {"strength": args.strength}
    models = {}
    for each in args.runs:
        name, _, run = each.partition("=")
        models[name] = audiogan.load(run, **options)
        if args.iterations is not None:
            for net in models[name].game.generator_nets.values():
                net.iterations = args.iterations
    given = next(iter(models.values())).game.get_input("mel").mel
    settings, rate = given.settings, given.sample_rate
    mel = MelSpectrogram(**settings)

    def copy(model: audiogan.Generator) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: model.apply(x[None])[0]

    def from_mel(x: np.ndarray) -> np.ndarray:
        return griffin_lim(mel(torch.from_numpy(x)[None, None])[0].numpy(), settings, len(x))

    methods = {name: copy(model) for name, model in models.items()}
    if not args.without_griffin_lim:
        methods["Griffin-Lim"] = from_mel
    files = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, args.n).round().astype(int))]
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    spent, seconds, shown = dict.fromkeys(methods, 0.0), 0.0, None
    for path in chosen:
        x = read_sound(path, rate, 1)[0, : round(args.seconds * rate)]
        x = x[: len(x) // mel.hop_length * mel.hop_length]
        if len(x) < SHORTEST * rate:
            continue
        seconds += len(x) / rate
        made = {}
        for name, method in methods.items():
            start = time.process_time()
            made[name] = method(x)
            spent[name] += time.process_time() - start
            scores[name].append(measure(x, made[name], settings))
        shown = shown or {"recording": x, **made}
    columns = ["PESQ", "MR-STFT", "mel", "F0 %", "V/UV %"]
    print(f"{len(scores[next(iter(methods))])} recordings, {seconds:.0f} s")
    print(f"{'':16}" + "".join(f"{c:>10}" for c in columns) + "  x real time")
    for name in methods:
        means = (np.mean([s[c] for s in scores[name] if c in s]) for c in columns)
        print(f"{name:16}" + "".join(f"{m:10.3f}" for m in means) + f"{seconds / spent[name]:13.1f}")
    if args.figure is not None and shown is not None:
        length = min(len(x) for x in shown.values())
        Sound(rate).draw_columns(args.figure, {name: x[None, None, :length] for name, x in shown.items()})


if __name__ == "__main__":
    main()
