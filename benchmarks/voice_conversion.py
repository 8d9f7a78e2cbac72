"""Measure voice conversion with a speaker classifier and a digit recogniser, which this script trains.

    python benchmarks/voice_conversion.py TRAIN TEST --run runs/voice-conversion

TRAIN and TEST are folders with one folder of recordings for each speaker. Recordings of spoken digits have names like
``7_03.wav``: the digit, then anything. The classifier and the recogniser, small convolutional networks on log-mel
spectrograms, are trained on TRAIN. TEST must not be in the training data of the model. Each digit of TEST is converted
to every other speaker that has digits.

Rows:

* real: recordings of TEST. The target is their own speaker.
* copy: the same recordings after copy synthesis by the vocoder of the model.
* source: unconverted recordings. The target is another speaker.
* mean spectrum: the difference between the mean log-mel spectra of both speakers in TRAIN is added, and the vocoder
  makes the sound. The pitch is not changed.
* class: the model, with the class of the target.
* reference: the model, with a random recording of TEST of the target instead of the class.

Columns:

* target: fraction of sounds for which the classifier chooses the target among all speakers of TRAIN.
* digit: fraction of sounds whose digit is recognised.
* F0 corr.: correlation of log F0 with the source over frames that are voiced in both (Harvest, 5 ms frames), mean over
  sounds with at least 20 such frames.
* median: mean absolute difference between the median F0 of a sound and that of the target's recordings in TEST, in
  semitones, and the fraction of sounds within 1.5 semitones.
* pooled: median F0 of all sounds for a target minus that of its recordings, in semitones; the largest absolute value
  of all targets.

With ``--unseen FOLDER``, a folder like TRAIN with speakers that the model does not know, the digits are converted to
each of them, given by a recording. Every second recording trains the classifier, and the others are references.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import audiogan
from audiogan.modalities import Sound
from audiogan.modalities.reading.sound import read_sound
from audiogan.representations import MelSpectrogram

RATE, SIZE = 16_000, 16_384
SUFFIXES = {".wav", ".flac"}
Sounds = list[tuple[np.ndarray, str, int]]
"""Sounds ``[T]``, each with its speaker and its digit. The digit is -1 for sentences."""


def read_sounds(folder: Path) -> Sounds:
    found: Sounds = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES):
        digit = path.name.partition("_")[0]
        found.append((read_sound(path, RATE, 1)[0], path.parent.name, int(digit) if len(digit) == 1 else -1))
    return found


class Recogniser(nn.Module):
    """Convolutional classifier of log-mel spectrograms ``[B, 80, frames]``."""

    def __init__(self, classes: int, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
        self.convs, self.head = nn.Sequential(*layers), nn.Linear(40 * width, classes)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.convs((mel[:, None] + 6) / 3)
        return self.head(
            F.dropout(torch.cat([x.amax(3), x.mean(3)], 1).unflatten(2, (5, 2)).mean(3).flatten(1), 0.3, self.training)
        )


def one_second(sound: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Return `SIZE` samples at a fixed level with faint noise: a part of a long sound, or a short sound with silence.

    The place is random, or the middle if ``rng`` is None.
    """
    if len(sound) >= SIZE:
        start = (len(sound) - SIZE) // 2 if rng is None else int(rng.integers(len(sound) - SIZE + 1))
        x = sound[start : start + SIZE].copy()
    else:
        start = (SIZE - len(sound)) // 2 if rng is None else int(rng.integers(SIZE - len(sound) + 1))
        x = np.zeros(SIZE, np.float32)
        x[start : start + len(sound)] = sound
    x *= 0.1 / (np.sqrt(np.square(sound).mean()) + 1e-9)
    noise = np.random.default_rng(len(sound)) if rng is None else rng
    return (x + 10 ** (-3 if rng is None else noise.uniform(-3.5, -2.3)) * noise.normal(size=SIZE)).astype(np.float32)


def train(sounds: Sounds, labels: Sequence[int], classes: int, steps: int, augment: bool, seed: int = 0) -> Recogniser:
    """Train a classifier. With ``augment``, speed and spectrum vary, so that it does not depend on the microphone."""
    torch.manual_seed(seed)
    rng, mel = np.random.default_rng(seed), MelSpectrogram(RATE)
    net = Recogniser(classes)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    by_class = [np.flatnonzero(np.array(labels) == k) for k in range(classes)]
    for _ in range(steps):
        chosen = [int(rng.choice(by_class[int(k)])) for k in rng.integers(classes, size=32)]
        batch = []
        for i in chosen:
            x = sounds[i][0]
            if augment:
                n = int(len(x) / rng.uniform(0.8, 1.25))
                x = np.interp(np.linspace(0, len(x) - 1, n), np.arange(len(x)), x).astype(np.float32)
            batch.append(one_second(x, rng))
        x = mel(torch.tensor(np.stack(batch))[:, None])
        if augment:
            tilt = torch.tensor(rng.normal(0, 0.7, (32, 1, 6)), dtype=torch.float32)
            x = x + F.interpolate(tilt, size=80, mode="linear", align_corners=True).transpose(1, 2)
            x = x + torch.tensor(rng.uniform(-1, 1, (32, 1, 1)), dtype=torch.float32)
        start = int(rng.integers(70))
        x[:, start : start + int(rng.integers(10))] = -6
        loss = F.cross_entropy(net(x), torch.tensor([labels[i] for i in chosen]), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def classify(net: Recogniser, sounds: Sequence[np.ndarray]) -> np.ndarray:
    mel = MelSpectrogram(RATE)
    parts = [np.stack([one_second(x, None) for x in sounds[i : i + 64]]) for i in range(0, len(sounds), 64)]
    return np.concatenate([net(mel(torch.tensor(x)[:, None])).argmax(1).numpy() for x in parts])


def pitch(x: np.ndarray) -> np.ndarray:
    import pyworld

    return pyworld.harvest(x.astype(float), RATE, f0_floor=71, f0_ceil=500, frame_period=5)[0]


def semitones(hertz: np.ndarray) -> float:
    voiced = hertz[hertz > 0]
    return float(12 * np.log2(np.median(voiced))) if len(voiced) else float("nan")


def draw(path: Path, model: audiogan.Generator, sounds: Sounds) -> None:
    """Write a picture with the start of a recording and its conversions to three speakers."""
    x, speaker, _ = max(sounds, key=lambda each: (each[2] < 0, each[1]))
    x = x[: 2 * RATE]
    targets = [t for t in ("jackson", "theo", "kathleen_en") if t != speaker]
    shown = {"source": x} | {f"as {t}": model.apply(x[None], inputs={"classes": t})[0] for t in targets}
    Sound(RATE).draw_columns(path, {name: each[None, None] for name, each in shown.items()})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("-n", type=int, default=60, help="number of recordings that are converted")
    parser.add_argument("--steps", type=int, default=400, help="training steps of the classifier and the recogniser")
    parser.add_argument("--save", type=Path, help="folder for some of the converted sounds")
    parser.add_argument("--figure", type=Path, help="picture of one sentence, or digit, for several targets")
    args = parser.parse_args()
    torch.set_num_threads(1)
    known, held = read_sounds(args.train), read_sounds(args.test)
    model = audiogan.load(args.run)
    if args.figure:
        draw(args.figure, model, held)
        return
    unseen = read_sounds(args.unseen) if args.unseen else []
    everyone = known + unseen[::2]
    speakers = sorted({speaker for _, speaker, _ in everyone})
    talkers = sorted({speaker for _, speaker, digit in known if digit >= 0})
    spoken = [each for each in known if each[2] >= 0]
    who = train(everyone, [speakers.index(s) for _, s, _ in everyone], len(speakers), args.steps, False)
    what = train(spoken, [digit for _, _, digit in spoken], 10, args.steps, True)
    digits = [each for each in held if each[2] >= 0]
    digits = [digits[i] for i in np.random.default_rng(0).permutation(len(digits))[: args.n]]
    space = model.game.representation
    rng = np.random.default_rng(1)
    everything = held + unseen[1::2]
    own = {
        s: np.concatenate([pitch(x) for x, speaker, _ in everything if speaker == s])
        for s in speakers
        if any(speaker == s for _, speaker, _ in everything)
    }

    def mel_of(x: np.ndarray) -> Tensor:
        return space.encode(torch.tensor(x)[None, None])

    def sound_of(mel: Tensor, n: int) -> np.ndarray:
        with torch.no_grad():
            return space.decode(mel)[0, 0, :n].numpy()

    means = {}
    for s in talkers:
        mels = torch.cat([mel_of(x)[0] for x, speaker, _ in known if speaker == s][:60], dim=1)
        loud = mels.mean(0) > mels.mean(0).quantile(0.5)
        means[s] = mels[:, loud].mean(1)

    def report(name: str, make: Callable[[np.ndarray, str, str], np.ndarray], targets: Sequence[str] | None) -> None:
        made, wanted, sources = [], [], []
        start, seconds = time.process_time(), 0.0
        for x, speaker, digit in digits:
            for target in [speaker] if targets is None else [t for t in targets if t != speaker]:
                made.append(make(x, speaker, target))
                wanted.append(target)
                sources.append((x, digit))
                seconds += len(x) / RATE
        spent = (time.process_time() - start) / seconds
        said = classify(what, made) == [digit for _, digit in sources]
        heard = classify(who, made) == [speakers.index(t) for t in wanted]
        tracks = [pitch(x) for x in made]
        correlations, source_tracks = [], {id(x): pitch(x) for x, _ in sources}
        for track, (x, _) in zip(tracks, sources, strict=True):
            a, b = (t[: min(len(track), len(source_tracks[id(x)]))] for t in (track, source_tracks[id(x)]))
            both = (a > 0) & (b > 0)
            if both.sum() >= 20 and np.std(np.log(a[both])) > 0 < np.std(np.log(b[both])):
                correlations.append(np.corrcoef(np.log(a[both]), np.log(b[both]))[0, 1])
        off = np.abs([semitones(track) - semitones(own[t]) for track, t in zip(tracks, wanted, strict=True)])
        off = off[np.isfinite(off)]
        pooled = max(
            abs(
                semitones(np.concatenate([t for t, w in zip(tracks, wanted, strict=True) if w == s]))
                - semitones(own[s])
            )
            for s in set(wanted)
        )
        print(
            f"{name:14} {len(made):5}  target {heard.mean():6.1%}  digit {said.mean():6.1%}  F0 corr. "
            f"{np.mean(correlations):.2f}  median {off.mean():.2f} ({(off <= 1.5).mean():.0%})  pooled {pooled:.2f}  "
            f"CPU s per s {spent:.3f}",
            flush=True,
        )
        if targets is not None:
            each = (f"{s} {heard[[w == s for w in wanted]].mean():.0%}" for s in sorted(set(wanted)))
            print(f"{'':14} target by speaker: {', '.join(each)}", flush=True)
        if args.save:
            from audiogan.modalities.wav import save_wav

            args.save.mkdir(parents=True, exist_ok=True)
            for i in range(0, len(made), max(1, len(made) // 8)):
                save_wav(
                    args.save / f"{name.replace(' ', '-')}-{i}-{wanted[i]}-{sources[i][1]}.wav", made[i][None], RATE
                )

    def reference(target: str) -> np.ndarray:
        choices = [x for x, speaker, _ in everything if speaker == target]
        return choices[int(rng.integers(len(choices)))][None]

    def convert(x: np.ndarray, target: str, by_class: bool) -> np.ndarray:
        return model.apply(x[None], inputs={"classes": target} if by_class else {"speaker": reference(target)})[0]

    report("real", lambda x, s, t: x, None)
    report("copy", lambda x, s, t: sound_of(mel_of(x), len(x)), None)
    report("source", lambda x, s, t: x, talkers)
    report("mean spectrum", lambda x, s, t: sound_of(mel_of(x) + (means[t] - means[s])[:, None], len(x)), talkers)
    report("class", lambda x, s, t: convert(x, t, True), talkers)
    report("reference", lambda x, s, t: convert(x, t, False), talkers)
    if unseen:
        report("unseen", lambda x, s, t: convert(x, t, False), sorted({speaker for _, speaker, _ in unseen}))


if __name__ == "__main__":
    main()
