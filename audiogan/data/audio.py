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
        self._index: np.ndarray = np.load(self.scan.folder / INDEX)
        self._clips = np.memmap(self.scan.folder / CLIPS, np.float32, "r").reshape(-1, self.channels, self.length)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def source(self) -> str:
        classes = f" ({len(self.labels)} classes)" if self.labels else ""
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

        Slices of one file stay together, so nothing held out is heard in training. The views keep the order and all
        class names, and depend only on the files, `fraction` and `seed`.
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction={fraction}: must be from 0 to 1")
        rng = np.random.default_rng(seed)
        files, first = np.unique(self._index["file"], return_index=True)
        label_of = self._index["label"][first]
        held = [
            rng.permutation(members)[: round(fraction * len(members))]
            for members in (files[label_of == label] for label in np.unique(label_of))
        ]
        out = np.isin(self._index["file"], np.concatenate(held))
        return self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))

    def take(self, indices: np.ndarray) -> AudioFolder:
        """A view of some of the clips, with all class names."""
        view = copy.copy(self)
        view._index = self._index[indices]
        return view
