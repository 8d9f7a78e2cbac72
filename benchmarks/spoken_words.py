"""Prepare recordings of single words and measure models of spoken words, for docs/systems/speech.md.

    python benchmarks/spoken_words.py split DIGITS OUT
    python benchmarks/spoken_words.py split WORDS OUT --speeds 0.92 1 1.08
    python benchmarks/spoken_words.py recogniser DIGITS WORDS --out recogniser.pt
    python benchmarks/spoken_words.py measure runs/words OUT --recogniser recogniser.pt

DIGITS and WORDS are folders with one sub-folder per class and a table ``manifest.csv`` with the columns path, label,
word (the spoken word; default: the label), speaker, source and split. `split` writes the folders ``OUT/train`` and
``OUT/held-out``. The test recordings of FSDD and a fifth of the speakers of other sources are held out.

`recogniser` trains four CNNs on recordings. Each speaker is left out of the training of one of the first three, and the
accuracy of these three is measured on the speakers left out. The held-out recordings are left out of the training of
the fourth, and its accuracy is measured on these: it knows the six speakers of FSDD, as the generator does.

`measure` prints for each word

* recognised, three numbers: fraction of generated sounds that the fourth CNN recognises among the words of the same
  kind (ten digits or other words); the same for held-out recordings; the same for generated sounds with the mean of
  the first three CNNs;
* coverage, two numbers: fraction of held-out recordings for which a generated sound of the word is at least as near as
  their third neighbour among the recordings (Naeem et al. 2020), in `audiogan.features.LogMel`; the same for as many
  training recordings instead of generated sounds. Both are means over 20 draws;
* torn, two numbers: fraction of generated sounds with a longer silence within the word, or a deeper short dip of the
  level, than 99 % of the recordings of the word; the same for half of the recordings, compared with the other half.

It also prints the accuracy of a CNN that distinguishes generated sounds and recordings (50 %: it cannot).
"""

from __future__ import annotations

import argparse
import csv
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from defects import recognition_rate
from torch import Tensor, nn
from torch.nn import functional as F

import audiogan
from audiogan.features.embedding import LogMel, embed
from audiogan.metrics import prdc
from audiogan.representations.views import LogMelView

RATE, LENGTH, LEAD = 16_000, 16_384, 0.06
"""Sample rate in Hz, length in samples, and time before the onset in seconds, as in configs/speech.yaml."""
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FOLDS = 3
"""Number of groups of speakers, one for each of the first recognisers."""
SPEEDS = 0.9, 1.0, 1.1
"""Factors on the speed of the recordings that train the recognisers."""


def read_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``manifest.csv`` in a folder, with the path of each recording in this folder."""
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["path"] = str(folder / row["label"] / Path(row["path"]).name)
        row["word"] = row.get("word") or row["label"]
    return rows


def is_held_out(row: dict[str, str]) -> bool:
    """Return whether a recording is held out: test recordings of FSDD, and a fifth of the speakers of other sources."""
    if row["source"] == "FSDD":
        return row["split"] == "test"
    return zlib.crc32(row["speaker"].encode()) % 5 == 0


def split(folder: Path, out: Path, speeds: list[float]) -> None:
    """Write the folders ``train`` and ``held-out`` with one sub-folder per word.

    Each training recording is written at each speed. A speed above 1 makes it shorter and higher.
    """
    for row in read_rows(folder):
        sound, rate = soundfile.read(row["path"], dtype="float32")
        held = is_held_out(row)
        target = out / ("held-out" if held else "train") / row["word"]
        target.mkdir(parents=True, exist_ok=True)
        for speed in [1.0] if held else speeds:
            changed = sound if speed == 1 else soxr.resample(sound, speed, 1.0, quality="HQ")
            soundfile.write(target / f"{Path(row['path']).stem}_{speed:g}.wav", changed, rate, subtype="PCM_16")


def cut(sound: np.ndarray) -> np.ndarray:
    """Return a sound ``[LENGTH]`` that begins 60 ms before its onset (30 dB below the peak), with the peak 1."""
    onset = int(np.argmax(np.abs(sound) > 0.03 * np.abs(sound).max()))
    sound = sound[max(0, onset - round(LEAD * RATE)) :][:LENGTH]
    return np.pad(sound, (0, LENGTH - len(sound))) / (np.abs(sound).max() + 1e-9)


class Recogniser(nn.Module):
    """CNN from log-mel spectrograms (see `spectra`) of sounds ``[B, LENGTH]`` to logits of words ``[B, words]``."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.view = LogMelView(LENGTH, 1, RATE, 512, 256, 40)
        layers: list[nn.Module] = []
        for a, b in pairwise((1, 16, 32, 64, 96)):
            layers += [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d((4, 2)), nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(96 * 8, words)

    def spectra(self, sounds: np.ndarray) -> Tensor:
        with torch.no_grad():
            parts = [
                self.view(torch.from_numpy(x).float()[:, None]) for x in np.split(sounds, range(256, len(sounds), 256))
            ]
        return torch.cat(parts)

    def forward(self, spectra: Tensor) -> Tensor:
        return self.head(self.body(spectra - spectra.mean((2, 3), keepdim=True)))

    @torch.no_grad()
    def probabilities(self, sounds: np.ndarray, words: list[int]) -> Tensor:
        """Return probabilities of the given words, ``[B, len(words)]``."""
        parts = [self(x)[:, words].softmax(1) for x in self.spectra(sounds).split(128)]
        return torch.cat(parts)


def vary(x: Tensor) -> Tensor:
    """Return spectrograms with random shifts in time and frequency, a random noise floor, and random masks."""
    out = []
    for each in x:
        each = torch.roll(each, (int(torch.randint(-3, 4, ())), int(torch.randint(-1, 2, ()))), (1, 2)).clone()
        low, high = each.min(), each.max()
        floor = low + (high - low) * 0.6 * torch.rand(()) * (torch.rand(()) < 0.5)
        each = torch.logaddexp(4 * each, (4 * floor).expand_as(each) + torch.randn(each.shape)) / 4
        start, width = int(torch.randint(0, 56, ())), int(torch.randint(0, 9, ()))
        each[:, start : start + width] = each.mean()
        start, width = int(torch.randint(0, 36, ())), int(torch.randint(0, 6, ()))
        each[:, :, start : start + width] = each.mean()
        out.append(each)
    return torch.stack(out)


def train_recognisers(folders: list[Path], out: Path, epochs: int, only: list[int]) -> None:
    """Train the recognisers, print their accuracy on the recordings left out, and write the weights to ``out``."""
    rows = [row for folder in folders for row in read_rows(folder)]
    words = sorted({row["word"] for row in rows})
    speakers = sorted({row["speaker"] for row in rows})
    group = {speaker: i % FOLDS for i, speaker in enumerate(speakers)}
    fold = np.array([group[row["speaker"]] for row in rows])
    left_out = [fold == k for k in range(FOLDS)] + [np.array([is_held_out(row) for row in rows])]
    target = torch.tensor([words.index(row["word"]) for row in rows])
    digits = np.array([row["word"] in DIGITS for row in rows])
    sounds = []
    for row in rows:
        sound, rate = soundfile.read(row["path"], dtype="float32")
        assert rate == RATE, row["path"]
        changed = [sound if s == 1 else soxr.resample(sound, s, 1.0) for s in SPEEDS]
        sounds.append(np.stack([cut(x) for x in changed]).astype(np.float32))
    every = np.stack(sounds)  # [recordings, speeds, LENGTH]
    x = Recogniser(1).spectra(every.reshape(-1, LENGTH)).unflatten(0, every.shape[:2])
    kinds = [[i for i, w in enumerate(words) if (w in DIGITS) == kind] for kind in (True, False)]
    states = {}
    for k in only:
        torch.manual_seed(k)
        net, rng, learn = Recogniser(len(words)), np.random.default_rng(k), np.flatnonzero(~left_out[k])
        steps = epochs * (len(learn) // 32)
        optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
        for _ in range(steps):
            chosen = rng.choice(learn, 32)
            batch = vary(x[chosen, rng.integers(len(SPEEDS), size=32)])
            optimizer.zero_grad()
            F.cross_entropy(net(batch), target[chosen], label_smoothing=0.1).backward()
            optimizer.step()
            schedule.step()
        states[k] = net.eval().state_dict()
        for name, kind, which in zip(("digits", "words"), kinds, (digits, ~digits), strict=True):
            rest = np.flatnonzero(left_out[k] & which)
            found = torch.tensor(kind)[net.probabilities(every[rest, 1], kind).argmax(1)]
            recognised = (found == target[rest]).float().mean()
            print(f"recogniser {k}: {name}, {len(rest)} recordings left out, {recognised:.3f}", flush=True)
    torch.save({"words": words, "states": states}, out)


def levels(sound: np.ndarray) -> np.ndarray:
    """Return the RMS level of each 10 ms in dB, relative to the loudest 10 ms."""
    frames = sound[: len(sound) // 160 * 160].reshape(-1, 160)
    level = 20 * np.log10(np.sqrt(np.square(frames).mean(1)) + 1e-6)
    return level - level.max()


def silence_within(sound: np.ndarray) -> float:
    """Return the longest time below -35 dB between the first and the last 10 ms above -25 dB, in seconds."""
    level = levels(sound)
    loud = np.flatnonzero(level > -25)
    best = run = 0
    for low in level[loud[0] : loud[-1] + 1] < -35:
        run = run + 1 if low else 0
        best = max(best, run)
    return best / 100


def deepest_dip(sound: np.ndarray) -> float:
    """Return the largest fall of the level in dB that is followed by an equal rise within 80 ms; floor: -45 dB."""
    level = np.maximum(levels(sound), -45)
    sides = [min(level[max(0, t - 8) : t].max(), level[t + 1 : t + 9].max()) for t in range(1, len(level) - 1)]
    return float((np.array(sides) - level[1:-1]).max())


def torn(sounds: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Return which sounds have a longer silence or a deeper dip than 99 % of the recordings, ``[N]``."""
    out = np.zeros(len(sounds), bool)
    for measure in (silence_within, deepest_dip):
        limit = np.percentile([measure(x) for x in recordings], 99)
        out |= np.array([measure(x) for x in sounds]) > limit
    return out


def fraction(probabilities: Tensor, index: int) -> float:
    """Return the fraction of sounds whose most probable word has the index ``index``."""
    return float((probabilities.argmax(1) == index).float().mean())


def coverage(features: np.ndarray, reference: np.ndarray, rng: np.random.Generator) -> float:
    """Return the coverage of the reference by random rows of ``features``, as many as it has: the mean of 20 draws."""
    n = min(len(features), len(reference))
    draws = (features[rng.choice(len(features), n, replace=False)] for _ in range(20))
    return float(np.mean([prdc(x, reference, k=3).coverage for x in draws]))


def measure(model: str, folder: Path, recogniser: Path, n: int, emphasis: float | None) -> None:
    """Print the measures of a model, see the start of this file."""
    stored = torch.load(recogniser, weights_only=True)
    words: list[str] = stored["words"]
    nets = {k: Recogniser(len(words)).eval() for k in range(FOLDS + 1)}
    for k, net in nets.items():
        net.load_state_dict(stored["states"][k])
    real = {part: read_recordings(folder / part) for part in ("train", "held-out")}
    g = audiogan.load(model)
    if emphasis is not None:
        net = g.game.nets["generator"]
        net.loudness[net.latent_dim : net.latent_dim + net.classes] = emphasis
    embedding, rng = LogMel(RATE, LENGTH / RATE), np.random.default_rng(0)
    table, everything = [], []
    print(f"{model}, {n} sounds of each word; word: recognised; coverage generated, recorded; torn generated, recorded")
    for label in g.labels:
        word = DIGITS[int(label)] if label.isdigit() else label
        kind = [i for i, w in enumerate(words) if (w in DIGITS) == (word in DIGITS)]
        made = np.stack([cut(x) for x in g.sample(n, seed=1, label=label)[:, 0]])
        known, held = real["train"][word], real["held-out"][word]
        both = np.concatenate([known, held])
        recognised = [
            fraction(nets[FOLDS].probabilities(sounds, kind), kind.index(words.index(word))) for sounds in (made, held)
        ]
        apart = torch.stack([nets[k].probabilities(made, kind) for k in range(FOLDS)]).mean(0)
        recognised.append(fraction(apart, kind.index(words.index(word))))
        a, b, reference = (embed(x[:, None], embedding) for x in (made, known, held))
        ours, theirs = (coverage(x, reference, rng) for x in (a, b))
        order = rng.permutation(len(both))
        half = len(both) // 2
        numbers = [
            *recognised,
            ours,
            theirs,
            torn(made, both).mean(),
            torn(both[order[:half]], both[order[half:]]).mean(),
        ]
        table.append((word in DIGITS, *numbers))
        everything.append((made, both))
        print(f"    {word:6}", " ".join(f"{v:.2f}" for v in numbers), flush=True)
    rows = np.array(table)
    for name, mask in (("digits", rows[:, 0] == 1), ("words", rows[:, 0] == 0)):
        if mask.any():
            print(f"{name}, mean:", " ".join(f"{v:.3f}" for v in rows[mask, 1:].mean(0)))
            chosen = [pair for pair, use in zip(everything, mask, strict=True) if use]
            accuracy = recognition_rate(
                np.concatenate([m for m, _ in chosen]), np.concatenate([r for _, r in chosen]), RATE
            )
            print(f"{name}: generated sounds and recordings are told apart with {accuracy:.1%}")


def read_recordings(folder: Path) -> dict[str, np.ndarray]:
    """Return the recordings of each word at their original speed, cut, ``[N, LENGTH]`` each."""
    names = {word.name: sorted(word.glob("*_1.wav")) for word in sorted(folder.iterdir())}
    return {word: np.stack([cut(soundfile.read(path)[0]) for path in paths]) for word, paths in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("split", help="write training and held-out recordings to two folders")
    command.add_argument("folder", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument(
        "--speeds", type=float, nargs="+", default=[1.0], help="factors on the speed of training recordings"
    )
    command.set_defaults(run=lambda args: split(args.folder, args.out, args.speeds))
    command = commands.add_parser("recogniser", help="train recognisers of words")
    command.add_argument("folders", type=Path, nargs="+")
    command.add_argument("--out", type=Path, required=True, help="file of the weights")
    command.add_argument("--epochs", type=int, default=30)
    command.add_argument("--only", type=int, nargs="+", default=list(range(FOLDS + 1)), help="numbers of recognisers")
    command.set_defaults(run=lambda args: train_recognisers(args.folders, args.out, args.epochs, args.only))
    command = commands.add_parser("measure", help="measure a model")
    command.add_argument("model")
    command.add_argument("folder", type=Path, help="folder that split has written")
    command.add_argument("--recogniser", type=Path, required=True, help="file that recogniser has written")
    command.add_argument("-n", type=int, default=100, help="number of sounds of each word")
    command.add_argument("--emphasis", type=float, help="value of game.generator.emphasis (default: of the model)")
    command.set_defaults(run=lambda args: measure(args.model, args.folder, args.recogniser, args.n, args.emphasis))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.run(args)


if __name__ == "__main__":
    main()
