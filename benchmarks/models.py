"""Measure single samples of a model, for the model cards of the shipped models.

    python benchmarks/models.py drums FOLDER
    python benchmarks/models.py digits FOLDER

FOLDER contains real sounds in one sub-folder per class. The script measures levels, offset, silence before the attack,
near-duplicates and copies of real sounds, and for drums spectral lines, swells, high frequencies and the accuracy of a
classifier of real and generated sounds (`benchmarks/defects.py`). It also measures how well the knobs work, with
definitions that differ from those used in training. `audiogan evaluate MODEL --data FOLDER` measures distances to real
sounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import defects
import librosa
import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt
from scipy.stats import spearmanr

import audiogan
from audiogan.data.manifest import read_manifest
from audiogan.data.sounds.folder import open_audio_folder
from audiogan.features.embedding import LogMel, embed
from audiogan.metrics.neighbours import nearest


def envelope(x: np.ndarray, rate: int) -> np.ndarray:
    size = round(0.005 * rate)
    return np.sqrt(np.convolve(x**2, np.ones(size) / size, "same"))


def spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    magnitude = np.abs(librosa.stft(x, n_fft=1024, hop_length=256))
    power = np.square(magnitude).sum(0)
    loud = power > 1e-4 * power.max()
    return magnitude[:, loud], np.sqrt(power[loud])


def brightness(x: np.ndarray, rate: int) -> float:
    magnitude, weights = spectrum(x)
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=rate, n_fft=1024)[0]
    return float(np.log(np.average(centroid, weights=weights)))


def noisiness(x: np.ndarray, rate: int) -> float:
    magnitude, weights = spectrum(x)
    return float(np.average(np.log(librosa.feature.spectral_flatness(S=magnitude)[0]), weights=weights))


def attack(x: np.ndarray, rate: int) -> float:
    """Return the attack time: from 10 % to 90 % of the peak."""
    level = np.sqrt(np.convolve(x**2, np.ones(rate // 500) / (rate // 500), "same"))
    return float(np.argmax(level > 0.9 * level.max()) - np.argmax(level > 0.1 * level.max()))


def decay(x: np.ndarray, rate: int) -> float:
    """Return the decay time: from the peak to the last time above 10 % of it."""
    level = envelope(x, rate)
    return float(np.flatnonzero(level > 0.1 * level.max())[-1] - level.argmax())


def pitch(x: np.ndarray, rate: int) -> float:
    """Return the median pitch by pYIN (Mauch & Dixon, ICASSP 2014). NaN if no frame is voiced."""
    hertz, voiced, _ = librosa.pyin(x, fmin=60, fmax=480, sr=rate, frame_length=round(0.064 * rate))
    return float(np.log2(np.median(hertz[voiced]))) if voiced.any() else float("nan")


def crest(x: np.ndarray, rate: int) -> float:
    """Return the peak divided by the RMS in the loudest frames of 32 ms. For a voice, large values indicate clicks."""
    size = round(0.032 * rate)
    frames = librosa.util.frame(x, frame_length=size, hop_length=size // 4)
    loudest = frames[:, np.argsort(np.square(frames).mean(0))[-12:]]
    return float(np.median(np.abs(loudest).max(0) / np.sqrt(np.square(loudest).mean(0) + 1e-12)))


def repeated(x: np.ndarray, rate: int, hop: int) -> float:
    """Return the autocorrelation of a sound at a lag of one hop, minus its mean at nearby lags. High values indicate a
    buzz.

    The sound is filtered by a high-pass of 500 Hz and scaled to a constant level first.
    """
    x = sosfilt(butter(4, 500, "high", fs=rate, output="sos"), x)
    level = np.sqrt(np.convolve(np.square(x), np.full(1024, 1 / 1024), "same"))
    x = np.where(level > 1e-4 * level.max(), x / np.maximum(level, 1e-9), 0)
    near = np.array([np.mean(x[hop + d :] * x[: -hop - d]) for d in range(-40, 41)]) / np.mean(np.square(x))
    return float(near[40] - np.delete(near, range(36, 45)).mean())


def jumps(x: np.ndarray, rate: int) -> float:
    """Return the median of the absolute second differences of the level, in dB, over loud frames of 12.5 ms.

    The level is the mean over mel bands, so only joint changes of the bands count. Decaying noise has 0.25 dB.
    """
    hop = round(0.0125 * rate)
    power = librosa.feature.melspectrogram(y=x / np.abs(x).max(), sr=rate, n_fft=5 * hop, hop_length=hop, n_mels=80)
    level = librosa.power_to_db(power, amin=1e-6, top_db=None).mean(0)
    bent = np.abs(np.diff(level, 2))[6:60]  # The attack is skipped.
    loud = (level.max() - level)[7:61] < 35
    return float(np.median(bent[loud])) if np.count_nonzero(loud) > 8 else float("nan")


def lines(x: np.ndarray, rate: int) -> float:
    """Return the mean difference between the level of a mel band and that of the seven bands around it, in dB.

    High values indicate constant partials. Only bands above 750 Hz count.
    """
    hop = round(0.0125 * rate)
    power = librosa.feature.melspectrogram(y=x / np.abs(x).max(), sr=rate, n_fft=5 * hop, hop_length=hop, n_mels=80)
    level = librosa.power_to_db(power, amin=1e-6, top_db=None)[:, 2:40].mean(1)[20:]
    return float(np.abs(level - uniform_filter1d(level, 7)).mean())


def ringing(x: np.ndarray, rate: int) -> tuple[float, float]:
    """Return the strongest frequency below 1 kHz from 30 to 280 ms, and the share of energy within 12 Hz of it."""
    part = x[round(0.03 * rate) : round(0.28 * rate)]
    power = np.square(np.abs(np.fft.rfft(part * np.hanning(len(part)), rate)))  # One value per Hz.
    power[:36], power[1000:] = 0, 0
    strongest = int(power.argmax())
    return float(strongest), float(power[strongest - 12 : strongest + 13].sum() / (power.sum() + 1e-20))


def end(x: np.ndarray, rate: int) -> float:
    """Return the RMS level of the last 20 ms, in dB relative to the peak."""
    return float(20 * np.log10(np.sqrt(np.square(x[-round(0.02 * rate) :]).mean()) / np.abs(x).max() + 1e-6))


KNOBS: dict[str, Callable[[np.ndarray, int], float]] = {
    "brightness": brightness,
    "attack": attack,
    "decay": decay,
    "noisiness": noisiness,
    "pitch": pitch,
}


def before_onset(x: np.ndarray, rate: int) -> float:
    """Return the peak level until 4 ms before the onset (10 % of the peak), in dB relative to the peak."""
    level = np.abs(x)
    onset = int(np.argmax(level > 0.1 * level.max()))
    early = level[: max(onset - round(0.004 * rate), 1)]
    return float(20 * np.log10(early.max() / level.max() + 1e-9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", help="folder of real sounds with one sub-folder per class")
    parser.add_argument("-n", type=int, default=1000, help="number of samples")
    parser.add_argument("--only-defects", action="store_true", help="measure only defects of single samples")
    parser.add_argument("--turns", type=int, default=500, help="number of samples per knob")
    args = parser.parse_args()
    g = audiogan.load(args.model)
    rate = g.sample_rate
    data = open_audio_folder(args.data, sample_rate=rate, length=g.shape[1], channels=g.shape[0])
    real = data.signals(np.arange(len(data))).numpy()
    if "decay" in g.knobs and data.labels == g.labels:
        of_class = {label: real[data.targets == k].mean(1) for k, label in enumerate(g.labels)}
        defects.report({k: (g.sample(150, seed=1, label=k).mean(1), x) for k, x in of_class.items()}, rate)
    if "velocity" in g.knobs and (listed := read_manifest(data, "velocity")) is not None:
        report_velocity(g, {k: (real[data.targets == i, 0], listed[data.targets == i]) for i, k in enumerate(g.labels)})
    if args.only_defects:
        return
    made = g.sample(args.n, seed=0)
    mono = made[:, 0]
    print(f"{args.n} samples of {args.model}: {np.count_nonzero(~np.isfinite(made))} values not finite")
    print(f"highest sample {np.abs(made).max():.3f}, largest offset {np.abs(made.mean(2)).max():.5f}")
    early = np.array([before_onset(x, rate) for x in mono])
    print(f"before the attack: {np.mean(early < -60):.1%} below -60 dB of the peak")

    mine, theirs = (np.mean([end(x, rate) < -60 for x in sounds]) for sounds in (mono, real[:, 0]))
    print(f"the last 20 ms: {mine:.1%} below -60 dB of the peak, of real sounds {theirs:.1%}")
    if "decay" in g.knobs:
        print("what rings (quartiles): frequency in Hz, share of the energy under 1 kHz near it; lines (median, dB)")
        for k, label in enumerate(g.labels if data.labels == g.labels else []):
            sounds = g.sample(100, seed=0, label=label)[:, 0], real[data.targets == k][:, 0]
            for name, these in zip((label, "real"), sounds, strict=True):
                found = np.percentile([ringing(x, rate) for x in these], [25, 50, 75], axis=0)
                hertz, share = (" ".join(f"{v:5.{digits}f}" for v in found[:, i]) for i, digits in enumerate((0, 2)))
                print(f"    {name:12} {hertz}   {share}   {np.median([lines(x, rate) for x in these]):.2f}")
    embedding = LogMel(rate, g.shape[1] / rate)
    mine, theirs = (np.median([crest(x, rate) for x in sounds]) for sounds in (mono, real[:, 0]))
    print(f"peak over root mean square where it is loudest: median {mine:.2f}, of real sounds {theirs:.2f}")
    if hop := g.config["game"]["generator"].get("hop_length"):
        ours, reals = (np.array([repeated(x, rate, hop) for x in sounds]) for sounds in (mono[:250], real[::6, 0]))
        print(
            f"alike after a hop, beyond delays near it: median {np.median(ours):.3f}, "
            f"above 0.1 in {np.mean(ours > 0.1):.0%}; "
            f"of real sounds {np.median(reals):.3f}, {np.mean(reals > 0.1):.0%}"
        )
    mine, theirs = (np.nanmedian([jumps(x, rate) for x in sounds]) for sounds in (mono, real[:, 0]))
    print(f"levels jump from frame to frame: median {mine:.2f} dB, of real sounds {theirs:.2f} dB")
    a, b = embed(made, embedding), embed(real, embedding)
    floor = nearest(b, b, k=2)[0]
    floor = floor[floor > 1e-3]  # The data contains a few duplicates.
    for name, distances in (("another sample", nearest(a, a, k=2)[0]), ("a real sound", nearest(a, b)[0])):
        low = np.percentile(floor, 1)
        print(
            f"nearest to {name}: least {distances.min():.2f}, median {np.median(distances):.2f}, "
            f"{np.count_nonzero(distances < low)} of {len(distances)} nearer than all but 1 % of real sounds are to "
            f"each other ({low:.2f}; their median {np.median(floor):.2f})"
        )

    for knob in filter(KNOBS.get, g.knobs):
        rank, heard = knob_correlation(g, knob, args.turns)
        told = f"knob {knob}: Spearman {rank:.2f} over {heard} samples of any class"
        if g.labels:
            ranks = [knob_correlation(g, knob, max(args.turns // 10, 10), label)[0] for label in g.labels]
            told += f"; within a class {np.mean(ranks):.2f} ({min(ranks):.2f} … {max(ranks):.2f})"
        print(told, flush=True)


def report_velocity(g: audiogan.Generator, by_class: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Print rank correlations of velocity and brightness, for 50 generated sounds and all recordings of each class.

    Levels are normalised, so a soft stroke can only be recognised by its timbre.
    """
    print("velocity and brightness, rank correlation generated/real:", end=" ")
    for label, (sounds, listed) in by_class.items():
        known = np.isfinite(listed)
        asked = np.random.default_rng(0).uniform(0, 1, 50)
        made = [g.sample(1, seed=i, label=label, knobs={"velocity": float(x)})[0, 0] for i, x in enumerate(asked)]
        ours = spearmanr(asked, [brightness(x, g.sample_rate) for x in made])[0]
        theirs = spearmanr(listed[known], [brightness(x, g.sample_rate) for x in sounds[known]])[0]
        print(f"{label} {ours:.2f}/{theirs:.2f}", end=", ")
    print()


def knob_correlation(g: audiogan.Generator, knob: str, turns: int, label: str | None = None) -> tuple[float, int]:
    """Return the rank correlation between random knob settings and measured values, and the number of samples in which
    the value could be measured."""
    asked = np.random.default_rng(0).uniform(0, 1, turns)
    made = (g.sample(1, seed=i, label=label, knobs={knob: float(x)})[0, 0] for i, x in enumerate(asked))
    found = np.array([KNOBS[knob](x, g.sample_rate) for x in made])
    heard = np.isfinite(found)
    return float(spearmanr(asked[heard], found[heard])[0]), int(heard.sum())


if __name__ == "__main__":
    main()
