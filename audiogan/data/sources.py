"""What any data offers, and where sounds come from: a folder, downloaded kits, or the built-in drum machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from audiogan.data import cache_dir
from audiogan.modalities import Modality


class Data(Protocol):
    """What every source of examples offers: the core's stream contract, and what a person or a metric asks of it.

    Attributes:
        labels: names of the classes; empty for data without labels.
        shape: of one signal: `(C, T)` for sounds, `(C, H, W)` for images, `(D,)` for points.
        modality: what kind of signal it is.
        source: one line for people.
        targets: class of each example, int64 `[N]`; empty without labels.
        class_counts: examples of each class.
    """

    labels: list[str]

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def modality(self) -> Modality: ...

    @property
    def source(self) -> str: ...

    @property
    def targets(self) -> np.ndarray: ...

    @property
    def class_counts(self) -> list[int]: ...

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]:
        """`x` float32 `[B, *shape]` and, with labels, `label` int64 `[B]`; pure and thread-safe."""
        ...

    def signals(self, indices: np.ndarray) -> Tensor:
        """Signals float32 `[n, *shape]`."""
        ...

    def take(self, indices: np.ndarray) -> Data:
        """A view of some examples, with all class names."""
        ...

    def split(self, fraction: float, seed: int = 0) -> tuple[Data, Data]:
        """(the rest, `fraction` of each class)."""
        ...


def downloads() -> Path:
    """Where ``audiogan data get`` puts data sets unless told otherwise."""
    return cache_dir() / "downloads"


def open_sounds(root: str | None = None, **settings: Any) -> Data:
    """The sounds of ``root``; without it what ``audiogan data get drums`` downloaded, else the built-in drum machine.

    ``settings`` are those of `AudioFolder`; the drum machine takes of them what applies.
    """
    downloaded = downloads() / "drums"
    if root is None and not (downloaded / "manifest.csv").is_file():
        from audiogan.data.drum_machine import DrumMachine

        machine = DrumMachine(**{k: v for k, v in settings.items() if k in ("sample_rate", "length", "channels")})
        if settings.get("labels") == "none":
            machine.labels = []
        return machine
    from audiogan.data.audio import AudioFolder

    return AudioFolder(root if root is not None else downloaded, **settings)
