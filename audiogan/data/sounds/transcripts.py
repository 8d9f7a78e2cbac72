"""`open_transcribed`: a table of recordings with their texts, for text to speech."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiogan.data.columns import Column, Inputs, Labels, MaybeAugment, Rng, Rows, Signals, Values
from audiogan.data.label_list import read_text
from audiogan.data.manifest import MANIFEST
from audiogan.data.sounds.pitch import measure_pitch
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.inputs.spoken import LANGUAGES, check_text, pronounce
from audiogan.inputs.spoken_text import encode_text
from audiogan.modalities.reading.sound import read_sound
from audiogan.modalities.sound import Sound
from audiogan.utils.text import join_names, printable

QUIET_DB = -42.0
"""Level relative to the loudest window below which the start and the end of a recording count as silence, in dB."""
MARGIN_SECONDS = 0.06
"""Length of the silence that remains at the start and the end of a recording, in seconds."""


class Transcript(NamedTuple):
    """A line of the manifest.

    Attributes:
        path: sound file.
        text: words of the recording.
        speaker: name of the speaker.
        language: ``en`` or ``de``.
    """

    path: Path
    text: str
    speaker: str
    language: str


def open_transcribed(
    root: str | os.PathLike[str] | None = None,
    sample_rate: int = 16_000,
    hop_length: int = 256,
    seconds: float = 12.0,
    speakers: Sequence[str] | None = None,
    progress: bool = True,
) -> Table:
    """Return a table of recordings with their texts.

    The texts are in files ``manifest.csv`` in the folder or its sub-folders, with the columns ``path``, ``text``, and
    optionally ``speaker`` and ``language`` (``en`` or ``de``, also with a region such as ``en-US``). A path is relative
    to the folder of its manifest or to a parent of this folder. Silence at the start and the end is removed.

    The columns are ``x`` (sounds ``[1, T]``, padded with zeros), ``samples`` (lengths in samples), ``text``
    (`audiogan.inputs.SpokenText`), ``pitch`` (in Hz, 0: unvoiced, one value more than there are frames), ``label``
    (speakers) and ``sentence`` (equal numbers for equal texts, for ``data.groups``).

    Args:
        root: folder with recordings and manifests.
        sample_rate: sample rate in Hz. Files with other rates are resampled.
        hop_length: distance between two frames of the pitch track, in samples.
        seconds: longest recording in seconds. Longer recordings are left out.
        speakers: names of the speakers. Default: all speakers whose language is English or German.
        progress: show a progress bar while reading.

    Raises:
        UserError: there is no manifest with texts, or none of its recordings can be used.

    Examples:
        >>> import numpy as np, tempfile
        >>> from pathlib import Path
        >>> from audiogan.data import open_transcribed
        >>> from audiogan.modalities import Sound
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Sound(16000).save(f"{folder}/yes.wav", np.random.default_rng(0).normal(0, 0.1, (1, 8000)))
        ...     _ = Path(folder, "manifest.csv").write_text("path,text,language\\nyes.wav,Yes.,en\\n")
        ...     sorted(open_transcribed(folder, progress=False).columns)
        ['label', 'pitch', 'samples', 'sentence', 'text', 'x']
    """
    if root is None:
        raise UserError(f"data.root: give a folder with recordings and the file {MANIFEST}, with path and text")
    folder, found = Path(root), []
    if not folder.is_dir():
        raise UserError(f"data.root={printable(folder)}: no such folder")
    manifests = sorted([*folder.glob(MANIFEST), *folder.glob(f"*/{MANIFEST}"), *folder.glob(f"*/*/{MANIFEST}")])
    for manifest in manifests:
        found += _read_manifest(manifest)
    if not found:
        raise UserError(
            f"data.root={printable(folder)}: no {MANIFEST} with the columns path and text, and no text in it"
        )
    names = sorted({each.speaker for each in found}) if speakers is None else list(speakers)
    if missing := set(names) - {each.speaker for each in found}:
        have = ", ".join(sorted({each.speaker for each in found}))
        raise UserError(f"data.speakers: no recordings of {sorted(missing)[0]!r}; there are {have}")
    kept, sounds, skipped = [], [], 0
    for each in tqdm([r for r in found if r.speaker in names], "reading", disable=not progress or None, delay=2):
        sound = _trimmed(read_sound(each.path, sample_rate, 1)[0], sample_rate)
        frames = -(-len(sound) // hop_length)
        if len(sound) > seconds * sample_rate or frames < len(pronounce(each.text, each.language)):
            skipped += 1
            continue
        kept.append(each)
        sounds.append((sound * 32767).round().clip(-32768, 32767).astype(np.int16))
    if not kept:
        raise UserError(f"data.root={printable(folder)}: none of {len(found):,} recordings has at most {seconds:g} s")
    length = max(-(-len(sound) // hop_length) * hop_length for sound in sounds)
    names = [name for name in names if any(each.speaker == name for each in kept)]
    languages = [next(each.language for each in kept if each.speaker == name) for name in names]
    sentences = {text: i for i, text in enumerate(dict.fromkeys(pronounce(r.text, r.language) for r in kept))}
    total = sum(map(len, sounds)) / sample_rate / 60
    note = f"; {skipped} left out, longer than {seconds:g} s or too fast" if skipped else ""
    columns: dict[str, Column] = {
        "x": Signals(PaddedSounds(sounds, length), Sound(sample_rate, normalize="none")),
        "samples": Values(np.array([[len(sound)] for sound in sounds], np.float32)),
        "text": PronouncedTexts([each.text for each in kept], languages),
        "pitch": RecordingPitch(sounds, sample_rate, hop_length, length),
        "label": Labels(np.array([names.index(each.speaker) for each in kept]), names),
        "sentence": Values(np.array([[sentences[pronounce(r.text, r.language)]] for r in kept], np.float32)),
    }
    who = join_names(names, 5)
    return Table(columns, len(kept), source=f"{len(kept):,} sentences, {total:.1f} minutes, by {who}{note}: {folder}")


def _read_manifest(manifest: Path) -> list[Transcript]:
    """Return the recordings of a manifest with texts in a known language. Without a column of texts, there are none.

    Raises:
        UserError: a file does not exist, or a text cannot be pronounced.
    """
    reader = csv.DictReader(io.StringIO(read_text(manifest, str(manifest))[0].removeprefix("\ufeff"), newline=""))
    if not {"path", "text"} <= set(reader.fieldnames or ()):
        return []
    out = []
    for row in reader:
        language = (row.get("language") or "en").partition("-")[0].lower()
        if language not in LANGUAGES or not (row["text"] or "").strip():
            continue
        where = f"{printable(manifest)}, line {reader.line_num}"
        parts = PurePosixPath((row["path"] or "").replace("\\", "/")).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise UserError(f"{where}: the path must be relative, without ..")
        places = (manifest.parent.joinpath(*parts[i:]) for i in range(len(parts)))
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise UserError(f"{where}: {printable(row['path'])}: no such file")
        try:
            out.append(Transcript(path, check_text(row["text"]), row.get("speaker") or "speaker", language))
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    return out


def _trimmed(sound: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return a sound ``[T]`` without the silence at its start and its end."""
    window = max(1, sample_rate // 100)
    count = len(sound) // window
    if count < 3:
        return sound
    levels = np.square(sound[: count * window]).reshape(count, window).mean(1)
    loud = np.flatnonzero(levels > levels.max() * 10 ** (QUIET_DB / 10))
    margin = round(MARGIN_SECONDS * sample_rate)
    return sound[max(0, loud[0] * window - margin) : (loud[-1] + 1) * window + margin]


class PaddedSounds:
    """Array-like storage ``[N, 1, length]`` of sounds of different lengths, padded with zeros when they are read.

    Args:
        sounds: samples ``[T]``, int16.
        length: length of the padded sounds in samples.
    """

    def __init__(self, sounds: Sequence[np.ndarray], length: int) -> None:
        self.sounds, self.shape = list(sounds), (len(sounds), 1, length)

    def __len__(self) -> int:
        return len(self.sounds)

    def __getitem__(self, rows: Rows) -> np.ndarray:
        out = np.zeros((len(rows), *self.shape[1:]), np.float32)
        for signal, row in zip(out, np.asarray(rows).tolist(), strict=True):
            signal[0, : len(self.sounds[row])] = self.sounds[row] / np.float32(32768)
        return out


class PronouncedTexts(Column):
    """Column of texts as encoded by `encode_text`: code points, and symbols in each language. int64 ``[1 + languages,
    length]``.

    Args:
        texts: text of each row.
        languages: language of each speaker.
    """

    def __init__(self, texts: Sequence[str], languages: Sequence[str]) -> None:
        self.texts, self.languages, self.count = list(texts), list(languages), len(texts)
        rows = tuple(dict.fromkeys(languages))
        self.values = [encode_text(text, rows) for text in texts]
        self.shape = (1 + len(rows), max(value.shape[1] for value in self.values))

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        out = torch.zeros(len(rows), *(size or 0 for size in self.shape), dtype=torch.int64)
        for x, row in zip(out, np.asarray(rows).tolist(), strict=True):
            x[:, : self.values[row].shape[1]] = self.values[row]
        return out


class RecordingPitch(Column):
    """Column of pitch tracks in Hz, float32 ``[1 + frames]``, measured at the first access. Unvoiced frames are 0.

    Args:
        sounds: samples ``[T]``, int16.
        sample_rate: sample rate in Hz.
        hop_length: distance between frames in samples.
        length: length of the padded sounds in samples.
    """

    def __init__(self, sounds: Sequence[np.ndarray], sample_rate: int, hop_length: int, length: int) -> None:
        self.sounds, self.sample_rate, self.hop_length = list(sounds), sample_rate, hop_length
        self.shape, self.count = (1 + length // hop_length,), len(sounds)
        self._known: dict[int, np.ndarray] = {}

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        out = torch.zeros(len(rows), self.shape[0] or 0)
        for x, row in zip(out, np.asarray(rows).tolist(), strict=True):
            if row not in self._known:
                wave = (self.sounds[row] / np.float32(32768))[None, None]
                self._known[row] = np.nan_to_num(measure_pitch(wave, self.sample_rate, self.hop_length)[0])
            x[: len(self._known[row])] = torch.from_numpy(self._known[row])
        return out
