"""Where sounds come from: the user's folder, downloaded kits, or the built-in drum machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from audiogan.data import cache_dir


class Sounds(Protocol):
    """What every source of sounds offers: the core's stream contract, and what a person or a metric asks of it."""

    labels: list[str]
    sample_rate: int
    length: int
    channels: int

    @property
    def source(self) -> str: ...

    @property
    def class_counts(self) -> list[int]: ...

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> dict[str, Tensor]: ...

    def waves(self, indices: np.ndarray) -> Tensor: ...

    def split(self, fraction: float, seed: int = 0) -> tuple[Sounds, Sounds]: ...


def downloads() -> Path:
    """Where ``audiogan data get`` puts data sets unless told otherwise."""
    return cache_dir() / "downloads"


def open_sounds(root: str | None = None, **settings: Any) -> Sounds:
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
