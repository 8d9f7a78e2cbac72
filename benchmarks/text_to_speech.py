"""Measure text to speech on sentences that were not used in training, for the tables in docs/systems/tts.md.

    python benchmarks/text_to_speech.py runs/tts --data FOLDER

The held-out sentences are those of the run (`data.holdout`). The model speaks each of them in the voice of the
recording. With ``--strength 0``, the script measures the weights before adversarial training.

* CER, WER of English: errors of ``pocketsphinx`` with a language model of all sentences of the data and its large
  dictionary, pooled over sentences. With ``--open``, also with its general language model. The same recogniser is
  applied to the recordings.
* skipped: English sentences in which forced alignment of the text with the sound fails, or gives a word fewer than
  30 ms a phoneme.
* MCD: `audiogan.modalities.speech_references.mcd24` after dynamic time warping on the cepstra. It is compared with the
  MCD of the same text spoken with the voice of another class.
* Phoneme error rate of German, only with ``--german MINUTES``: errors of a recogniser that this script trains on the
  training recordings of the German speakers (a small network on log-mel spectrograms, trained with CTC).
* Total durations of outputs and recordings, and CPU seconds for each second of output.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional as F

import audiogan
from audiogan.inputs.spoken import SYMBOLS
from audiogan.inputs.spoken.normalise import spell_out
from audiogan.modalities.speech_references import character_error_rate, mel_cepstra, word_error_rate
from audiogan.representations import MelSpectrogram
from audiogan.run.training import open_data

RATE = 16_000
SHORTEST_PHONEME = 0.03
"""Shortest mean duration of the phonemes of a word, in seconds. Words that are spoken faster count as skipped."""


def words_of(text: str) -> str:
    """Return the words of an English text in lower case, as the recogniser writes them."""
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)*", spell_out(text, "en").lower().replace("’", "'")))


class Recogniser:
    """English recogniser of pocketsphinx.

    Args:
        sentences: sentences of the language model. ``None``: the general language model.
    """

    def __init__(self, sentences: list[str] | None = None) -> None:
        from pocketsphinx import Decoder, get_model_path

        options: dict[str, Any] = {"samprate": RATE, "loglevel": "FATAL"}
        self.aligner = Decoder(**options, lm=None)
        known = Path(get_model_path("en-us"), "cmudict-en-us.dict").read_text().splitlines()
        self.known = {line.split(" ")[0] for line in known}
        if sentences is None:
            self.decoder = Decoder(**options)
            return
        from pocketsphinx.lm import ArpaBoLM

        known_words = (" ".join(w for w in sentence.split() if w in self.known) for sentence in sentences)
        model = ArpaBoLM(text="\n".join(known_words), add_start=True, norm=False)
        model.compute()
        with tempfile.NamedTemporaryFile("w", suffix=".lm") as file:
            model.write(file)
            file.flush()
            self.decoder = Decoder(**options, lm=file.name)

    @staticmethod
    def _samples(wave: np.ndarray) -> bytes:
        padded = np.pad(wave, RATE // 5)
        return (padded.clip(-1, 1) * 32767).astype("<i2").tobytes()

    def recognise(self, wave: np.ndarray) -> str:
        """Return the words of a sound ``[T]``."""
        self.decoder.start_utt()
        self.decoder.process_raw(self._samples(wave), full_utt=True)
        self.decoder.end_utt()
        found = self.decoder.hyp()
        return re.sub(r"\(\d+\)", "", found.hypstr) if found else ""

    def skipped(self, wave: np.ndarray, words: str) -> list[str]:
        """Return the words that forced alignment does not find, or finds in too short a time."""
        known = [word for word in words.split() if word in self.known]
        self.aligner.set_align_text(" ".join(known))
        self.aligner.start_utt()
        self.aligner.process_raw(self._samples(wave), full_utt=True)
        self.aligner.end_utt()
        segments = [s for s in self.aligner.seg() or [] if s.word not in ("<s>", "</s>", "<sil>", "[NOISE]", "(NULL)")]
        names = [re.sub(r"\(\d+\)", "", s.word) for s in segments]
        if names != known:
            return known
        out = []
        for name, segment in zip(names, segments, strict=True):
            phonemes = len((self.aligner.lookup_word(segment.word) or name).split())
            if (segment.end_frame - segment.start_frame + 1) / 100 < SHORTEST_PHONEME * phonemes:
                out.append(name)
        return out


def cepstra(wave: np.ndarray) -> np.ndarray:
    """Return the cepstra ``[frames, 24]`` that `mcd24` compares, for frames within 45 dB of the loudest."""
    values, levels = mel_cepstra(wave.astype(np.float64), RATE)
    return values[levels >= levels.max() - 45]


def warped_mcd(a: np.ndarray, b: np.ndarray) -> float:
    """Return the MCD in dB along the best path through all pairs of frames (dynamic time warping)."""
    from librosa.sequence import dtw

    x, y = cepstra(a), cepstra(b)
    distances = np.sqrt(np.maximum(0, (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T))
    _, path = dtw(C=distances)
    return float(10 / np.log(10) * np.sqrt(2) * distances[path[:, 0], path[:, 1]].mean())


class PhonemeRecogniser(nn.Module):
    """Recogniser of phonemes: log-mel spectrograms ``[B, 80, T]`` to log-probabilities ``[B, T, symbols]``."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.front = nn.Conv1d(80, width, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2 * d, dilation=d) for d in (1, 2, 1, 2, 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.blocks)
        self.head = nn.Linear(width, len(SYMBOLS) + 1)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.front((mel + 5) / 2.5)
        for conv, norm in zip(self.blocks, self.norms, strict=True):
            y = F.dropout(F.gelu(conv(x)), 0.2, self.training)
            x = x + norm(y.transpose(1, 2)).transpose(1, 2)
        return self.head(x.transpose(1, 2)).log_softmax(-1)


def train_recogniser(batches: list[tuple[Tensor, list[int]]], minutes: float) -> PhonemeRecogniser:
    """Train a recogniser on pairs of a spectrogram ``[80, T]`` and symbols for ``minutes`` of CPU time."""
    torch.manual_seed(0)
    net, start, rng = PhonemeRecogniser(), time.process_time(), np.random.default_rng(0)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    while (share := (time.process_time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, 2 * (1 - share)) + 1e-6
        for i in rng.integers(0, len(batches), 4):
            mel, symbols = batches[i]
            speed = rng.uniform(0.85, 1.15)
            x = F.interpolate(mel[None], scale_factor=float(speed), mode="linear") + 0.3 * torch.randn(1, 80, 1)
            low = int(rng.integers(0, 70))
            x[:, low : low + int(rng.integers(0, 12))] = -5
            logs = net(x)
            loss = F.ctc_loss(
                logs.transpose(0, 1),
                torch.tensor([symbols]),
                torch.tensor([logs.shape[1]]),
                torch.tensor([len(symbols)]),
                zero_infinity=True,
            )
            (loss / 4).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
    return net.eval()


def edit_distance(a: list[int], b: list[int]) -> int:
    """Return the edit distance of two sequences."""
    row = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        change = np.minimum(row[:-1] + (np.array(b) != x), row[1:] + 1)
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, value in enumerate(change):
            row[j + 1] = min(value, row[j] + 1)
        del before
    return int(row[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--model", help="model to measure; default: the run")
    parser.add_argument("-n", type=int, default=50, help="largest number of held-out sentences of a language")
    parser.add_argument("--strength", type=float, help="0: weights of the first stage, 1: final weights")
    parser.add_argument("--open", action="store_true", help="use the general language model of pocketsphinx as well")
    parser.add_argument(
        "--german", type=float, metavar="MINUTES", help="train a German recogniser for these CPU minutes"
    )
    parser.add_argument("--no-mcd", action="store_true", help="leave out the MCD, which takes most of the time")
    parser.add_argument("--texts", type=Path, help="speak the first N English lines of this file instead; needs --open")
    parser.add_argument("--sounds", type=Path, help="folder for outputs and recordings")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cfg: Any = OmegaConf.load(args.run / "config.yaml")
    train, held = open_data(cfg)
    model = audiogan.load(args.model or args.run, strength=args.strength)
    texts, languages = train.columns["text"].texts, train.columns["text"].languages  # type: ignore[attr-defined]
    rows = {"en": [], "de": []}  # type: dict[str, list[int]]
    for row, label in zip(held.rows.tolist(), held.targets.tolist(), strict=True):
        rows[languages[label]].append(row)
    labels = train.columns["label"].class_indices  # type: ignore[attr-defined]

    def real(row: int) -> np.ndarray:
        sound: np.ndarray = train.columns["x"].storage.sounds[row] / np.float32(32768)  # type: ignore[attr-defined]
        return sound

    def say(row: int, label: int | None = None) -> np.ndarray:
        name = train.labels[labels[row] if label is None else label]
        sound: np.ndarray = model.sample(1, label=name, inputs={"text": texts[row]})[0, 0]
        return sound

    everything = [words_of(text) for text, label in zip(texts, labels, strict=True) if languages[label] == "en"]
    recognisers = {"sentences": Recogniser(everything)} if rows["en"] else {}
    if args.open and rows["en"]:
        recognisers["open"] = Recogniser()
    if args.texts is not None:
        lines = [line for line in args.texts.read_text().splitlines() if line.strip()][: args.n]
        spoken = [model.sample(1, label=model.labels[0], inputs={"text": line})[0, 0] for line in lines]
        wanted = [words_of(line) for line in lines]
        found = [w for x, words in zip(spoken, wanted, strict=True) if (w := recognisers["open"].skipped(x, words))]
        heard = [recognisers["open"].recognise(x) for x in spoken]
        print(f"{args.texts.name}: {len(lines)} sentences by {model.labels[0]}, skipped {len(found)}: {found[:5]}")
        print(f"open       CER {character_error_rate(heard, wanted):.3f}  WER {word_error_rate(heard, wanted):.3f}")
        for a, b in zip(wanted[:10], heard, strict=False):
            print(f"    {'=' if a == b else '!'} {a} | {b}")
        return
    for language, chosen in rows.items():
        chosen = [chosen[i] for i in np.unique(np.linspace(0, len(chosen) - 1, min(args.n, len(chosen))).astype(int))]
        if not chosen:
            continue
        start = time.process_time()
        made = {row: say(row) for row in chosen}
        spent, seconds = time.process_time() - start, sum(len(x) for x in made.values()) / RATE
        lasts = sum(len(real(row)) for row in chosen) / RATE
        print(f"{language}: {len(chosen)} sentences, {seconds:.0f} s (recordings: {lasts:.0f} s)")
        print(f"CPU seconds for each second of sound: {spent / seconds:.3f}")
        if args.sounds is not None:
            args.sounds.mkdir(parents=True, exist_ok=True)
            for row in chosen:
                model.save(args.sounds / f"{language}-{row}-output.wav", made[row][None])
                model.save(args.sounds / f"{language}-{row}-recording.wav", real(row)[None])
        if language == "en":
            wanted = [words_of(texts[row]) for row in chosen]
            for name, recogniser in recognisers.items():
                for kind, waves in (("output", made), ("recording", {row: real(row) for row in chosen})):
                    heard = [recogniser.recognise(waves[row]) for row in chosen]
                    print(
                        f"{name:10} {kind:10} CER {character_error_rate(heard, wanted):.3f}  "
                        f"WER {word_error_rate(heard, wanted):.3f}"
                    )
                    if kind == "output":
                        for a, b in zip(wanted, heard, strict=True):
                            print(f"    {'=' if a == b else '!'} {a} | {b}")
            for kind, waves in (("output", made), ("recording", {row: real(row) for row in chosen})):
                missed = [
                    recognisers["sentences"].skipped(waves[row], words)
                    for row, words in zip(chosen, wanted, strict=True)
                ]
                found = [words for words in missed if words]
                print(f"skipped    {kind:10} {len(found)} of {len(chosen)} sentences: {found[:5]}")
        elif args.german:

            def pair(wave: np.ndarray, row: int) -> tuple[Tensor, list[int]]:
                x = MelSpectrogram(RATE)(torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None, None])[0]
                place = 1 + list(dict.fromkeys(languages)).index("de")
                return x, [s for s in train.columns["text"].values[row][place].tolist() if s > 5]  # type: ignore

            known = [pair(real(row), row) for row in train.rows.tolist() if languages[labels[row]] == "de"]
            net = train_recogniser(known, args.german)
            for kind, waves in (("output", made), ("recording", {row: real(row) for row in chosen})):
                wrong = count = 0
                for row in chosen:
                    x, symbols = pair(waves[row], row)
                    with torch.no_grad():
                        best = torch.unique_consecutive(net(x[None])[0].argmax(-1)).tolist()
                    wrong, count = wrong + edit_distance([s for s in best if s], symbols), count + len(symbols)
                print(f"phonemes   {kind:10} error rate {wrong / count:.3f}")
        if not args.no_mcd:
            own = [warped_mcd(made[row], real(row)) for row in chosen]
            other = [warped_mcd(say(row, (labels[row] + 1) % len(train.labels)), real(row)) for row in chosen]
            print(
                f"MCD with time warping: {np.mean(own):.2f} dB; in the voice of another class {np.mean(other):.2f} dB"
            )


if __name__ == "__main__":
    main()
