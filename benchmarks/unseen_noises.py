"""Write recordings of five kinds of noise, to measure speech enhancement with `enhancement.py`.

    python benchmarks/unseen_noises.py NOISES --speech SPEECH --drums DRUMS
    python benchmarks/enhancement.py SPEECH NOISES/clicks --runs enhance=enhance -n 24 --snr 0,5,10

The folder NOISES gets one folder for each kind, with four mono WAV files of 20 s at 16 kHz:

* babble: six voices at the same level, from random recordings in SPEECH;
* hum: a tone of 50 or 60 Hz and 39 harmonics with random levels and phases; the level of the sum varies slowly;
* clicks: 8 bursts per second on average, each of noise that decays with a time constant of 1 to 8 ms;
* pink: noise whose power falls by 3 dB per octave;
* drums: three random recordings from DRUMS per second.

The random numbers have a fixed seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile

from audiogan.modalities.reading.sound import read_sound

RATE, SECONDS, FILES = 16_000, 20, 4
SAMPLES = RATE * SECONDS


def read_random(folder: Path, rng: np.random.Generator) -> np.ndarray:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".flac", ".wav"))
    return read_sound(paths[int(rng.integers(len(paths)))], RATE, 1)[0].astype(np.float64)


def babble(rng: np.random.Generator, speech: Path) -> np.ndarray:
    total = np.zeros(SAMPLES)
    for _ in range(6):
        voice = np.zeros(0)
        while len(voice) < SAMPLES:
            voice = np.concatenate([voice, read_random(speech, rng)])
        total += voice[:SAMPLES] / voice[:SAMPLES].std()
    return total


def hum(rng: np.random.Generator) -> np.ndarray:
    time, base = np.arange(SAMPLES) / RATE, float(rng.choice([50.0, 60.0]))
    tones = [rng.uniform(0.2, 1) / k * np.sin(2 * np.pi * (k * base * time + rng.uniform())) for k in range(1, 41)]
    return np.sum(tones, axis=0) * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.2, 1) * time))


def clicks(rng: np.random.Generator) -> np.ndarray:
    total = np.zeros(SAMPLES + RATE)
    for place in rng.integers(0, SAMPLES, 8 * SECONDS):
        length = int(rng.uniform(0.001, 0.008) * RATE)
        decay = np.exp(-np.arange(4 * length) / length)
        total[place : place + 4 * length] += rng.uniform(0.3, 1) * decay * rng.standard_normal(4 * length)
    return total[:SAMPLES]


def pink(rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 20)), SAMPLES)


def drum_hits(rng: np.random.Generator, folder: Path) -> np.ndarray:
    total = np.zeros(SAMPLES + 10 * RATE)
    for place in rng.integers(0, SAMPLES, 3 * SECONDS):
        sound = read_random(folder, rng)[: 10 * RATE]
        total[place : place + len(sound)] += rng.uniform(0.3, 1) * sound / (np.abs(sound).max() + 1e-9)
    return total[:SAMPLES]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("noises", type=Path)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--drums", type=Path, required=True)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    for kind in ("babble", "hum", "clicks", "pink", "drums"):
        folder = args.noises / kind
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(FILES):
            if kind == "babble":
                noise = babble(rng, args.speech)
            elif kind == "drums":
                noise = drum_hits(rng, args.drums)
            else:
                noise = {"hum": hum, "clicks": clicks, "pink": pink}[kind](rng)
            soundfile.write(folder / f"{kind}-{i}.wav", 0.5 * noise / np.abs(noise).max(), RATE)


if __name__ == "__main__":
    main()
