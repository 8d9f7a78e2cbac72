"""What any data offers, and where sounds come from: a folder, downloaded kits, or the built-in drum machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from audiogan.data import cache_dir
from audiogan.errors import UserError
from audiogan.modalities import Modality

SOUND_SETS = ("drums", "sc09", "fsdd")
"""Data sets of sounds that ``audiogan data get`` downloads."""


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


def open_sounds(root: str | None = None, sets: Sequence[str] = ("drums",), **settings: Any) -> Data:
    """The sounds of ``root``; without it the first of ``sets`` that was downloaded, else the built-in drum machine.

    Args:
        root: a folder of sounds, or the name of a data set that was downloaded: ``drums``, ``sc09`` or ``fsdd``.
        sets: data sets that serve without ``root``. The drum machine stands in for ``drums`` only.
        settings: those of `AudioFolder`; the drum machine takes of them what applies.

    Raises:
        UserError: a data set that was not downloaded yet, or what `AudioFolder` says of the folder.
    """
    if isinstance(sets, str) or not set(sets) <= set(SOUND_SETS):
        raise UserError(f"data.sets={sets!r}: choose from {', '.join(SOUND_SETS)}, as a list")
    have = [name for name in SOUND_SETS if (downloads() / name / "manifest.csv").is_file()]
    if root is None:
        found = next((name for name in sets if name in have), None)
        if found is None and "drums" in sets:
            return _drum_machine(settings)
        if found is None:
            commands = " or ".join(f"audiogan data get {name}" for name in sets)
            raise UserError(f"no data.root, and nothing downloaded; run {commands}, or give data.root=FOLDER")
        root = str(downloads() / found)
    elif root in SOUND_SETS and not Path(root).exists():
        if root not in have:
            raise UserError(f"data.root={root}: not downloaded yet; run: audiogan data get {root}")
        root = str(downloads() / root)
    from audiogan.data.audio import AudioFolder

    return AudioFolder(root, **settings)


def _drum_machine(settings: dict[str, Any]) -> Data:
    from audiogan.data.drum_machine import DrumMachine

    machine = DrumMachine(**{k: v for k, v in settings.items() if k in ("sample_rate", "length", "channels")})
    if settings.get("labels") == "none":
        machine.labels = []
    return machine
