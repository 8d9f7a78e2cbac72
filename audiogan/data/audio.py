"""A folder of sounds as a data set that never waits for the disk."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from audiogan.data.scan import CLIPS, INDEX, scan_folder
from audiogan.data.verdicts import Scan, require_usable
from audiogan.modalities.sound import Sound
from audiogan.text import printable


class AudioFolder:
    """Clips `[C, T]` of every usable file below a folder, float32, decoded once into the cache.

    Memory does not grow with the audio: clips are read from a memory-mapped file, and the index takes 16 bytes a clip.
    All methods are pure and may be called from several threads.

    Args:
        root: folder of sounds, searched with its sub-folders.
        sample_rate, length, channels, channel_mode, long, trim, lead, min_seconds, normalize:
            see `audiogan.data.decode.Settings`.
        labels: `auto`, `folders`, `none` or a CSV file (see `audiogan.data.scan.scan_folder`).
        links: `follow` uses links that lead out of the folder, too; None or `inside` leaves them out.
        cache: folder for the cache instead of the user's.
        progress: show a progress bar while decoding.

    Attributes:
        scan: the verdict on every file. labels: sorted class names, [] if none. class_counts: clips of each.
        sample_rate (Hz), length (samples), channels; source: one line for people.

    Raises:
        UserError: no such folder, a bad setting, nothing usable, or a cache that cannot be written.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        sample_rate: int = 16_000,
        length: int = 16_384,
        channels: int = 1,
        channel_mode: str = "mix",
        long: str = "onset",
        trim: bool = False,
        lead: float = 0.005,
        labels: str | os.PathLike[str] | None = "auto",
        min_seconds: float = 0.02,
        normalize: str = "peak",
        links: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> None:
        settings: dict[str, Any] = {"sample_rate": sample_rate, "length": length, "channels": channels}
        settings |= {"channel_mode": channel_mode, "long": long, "trim": trim, "lead": lead}
        settings |= {"min_seconds": min_seconds, "normalize": normalize}
        self.scan: Scan = scan_folder(root, labels=labels, links=links, cache=cache, progress=progress, **settings)
        require_usable(self.scan)
        self.sample_rate, self.length, self.channels = int(sample_rate), int(length), int(channels)
        self.labels = self.scan.labels
        self.shape = (self.channels, self.length)
        self.modality = Sound(self.sample_rate, normalize)
        self._note = ""  # on the clips that `split` held out
        self._index: np.ndarray = np.load(self.scan.folder / INDEX)
        self._clips = np.memmap(self.scan.folder / CLIPS, np.float32, "r").reshape(-1, self.channels, self.length)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def source(self) -> str:
        facts = [*([f"{len(self.labels)} classes"] if self.labels else []), *([self._note] if self._note else [])]
        classes = f" ({'; '.join(facts)})" if facts else ""
        part = f" of {self.scan.clips:,}" if len(self) != self.scan.clips else ""
        return f"{len(self):,}{part} clips from {printable(str(self.scan.root))}{classes}"

    @property
    def targets(self) -> np.ndarray:
        """Class of each clip, int64 `[N]`; empty without labels."""
        return self._index["label"].astype(np.int64) if self.labels else np.empty(0, np.int64)

    @property
    def class_counts(self) -> list[int]:
        return np.bincount(self.targets, minlength=len(self.labels)).tolist()

    def signals(self, indices: Sequence[int] | np.ndarray | slice) -> torch.Tensor:
        """Clips as float32 `[n, C, T]`."""
        return torch.from_numpy(self._clips[self._index["row"][indices]])

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> dict[str, torch.Tensor]:
        """`x` float32 `[B, C, T]` and, if the data set has labels, `label` int64 `[B]`. `rng` is not used."""
        batch = {"x": self.signals(indices)}
        if self.labels:
            batch["label"] = torch.from_numpy(self._index["label"][indices].astype(np.int64))
        return batch

    def split(self, fraction: float, seed: int = 0) -> tuple[AudioFolder, AudioFolder]:
        """(train, held out) views on the same cache, `fraction` of each class held out.

        Slices of one file stay together, so training sees nothing held out. Only where that misses `fraction` by
        more than half, because some recordings make most of the clips, these recordings are cut: their last clips are
        held out, and `source` says so. The views keep the order and all class names, and depend only on the files,
        `fraction` and `seed`.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction={fraction}: must be from 0 to 1")
        rng = np.random.default_rng(seed)
        files, first, counts = np.unique(self._index["file"], return_index=True, return_counts=True)
        label_of = self._index["label"][first]
        orders = [rng.permutation(np.flatnonzero(label_of == label)) for label in np.unique(label_of)]
        held = np.zeros(len(files), np.int64)  # clips of each file
        for order in orders:
            chosen = order[: round(fraction * len(order))]
            held[chosen] = counts[chosen]
        distinct = len(np.unique(self._index["row"])) == len(self)
        if distinct and not _about(int(held.sum()), fraction * len(self), len(self)) and counts.max(initial=0) > 1:
            for order in orders:
                held[order] = _shares(counts[order], fraction)
        out = np.zeros(len(self), bool)
        for i in np.flatnonzero(held):
            rows = np.flatnonzero(self._index["file"] == files[i])
            out[rows[np.argsort(self._index["row"][rows])][len(rows) - held[i] :]] = True
        train, rest = self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))
        if isinstance(train, AudioFolder):  # `Extended` asks for indices instead of views
            train._note = _note(held, counts, fraction)
        return train, rest

    def take(self, indices: np.ndarray) -> AudioFolder:
        """A view of some of the clips, with all class names."""
        view = copy.copy(self)
        view._index = self._index[indices]
        return view


def _about(held: int, wanted: float, total: int) -> bool:
    """Return whether the numbers of held-out and of training clips are near the requested share."""
    return abs(held - wanted) <= max(0.5, min(wanted, total - wanted) / 2)


def _shares(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Return how many of the clips of each recording of a class to hold out.

    Args:
        counts: clips of each recording, in random order.
        fraction: of the clips to hold out.
    """
    held = np.zeros_like(counts)
    long = counts > max(1.0, min(fraction, 1 - fraction) * counts.sum())  # alone more than the share of the class
    whole = np.flatnonzero(~long)
    whole = whole[: round(fraction * len(whole))]
    held[whole] = counts[whole]
    cut = np.flatnonzero(long)
    exact = fraction * counts[cut]
    held[cut] = exact.astype(np.int64)
    missing = round(float(exact.sum())) - int(held[cut].sum())
    held[cut[np.argsort(held[cut] - exact, kind="stable")[:missing]]] += 1
    return held


def _note(held: np.ndarray, counts: np.ndarray, fraction: float) -> str:
    """Return a remark on the held-out clips: recordings that were cut, or why there are none."""
    cut = (held > 0) & (held < counts)
    if cut.any():
        clips, long = int(held[cut].sum()), int(cut.sum())
        return f"held out are the last clips of {long:,} long recording{'s' * (long > 1)}, {clips:,} in all"
    if not held.any() and round(fraction * counts.sum()) >= 1:
        return f"no class has enough files to hold {fraction:g} of them out"
    return ""
