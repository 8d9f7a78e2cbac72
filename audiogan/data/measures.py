"""Columns of measured values: the knobs and the pitch of sounds."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from audiogan.data.cache import open_or_build
from audiogan.data.columns import Rows, Values
from audiogan.data.scan import hash_of
from audiogan.data.sounds.knobs import known, measure, parts, together
from audiogan.data.sounds.pitch import AT_A_TIME, measure_pitch
from audiogan.data.table import Table
from audiogan.errors import UserError

VERSION = 1
"""Of the cached values; raise it when a measurement changes."""
VALUES = "values.npy"


class Measured(Values):
    """Numbers measured on the signals of a table, at the first use.

    The result is kept in the cache of the folder's scan. Data without a scan are measured in every process.

    Args:
        table: the examples.
        function: signals ``[n, *shape]`` to values ``[n, *shape]``. A value depends on its own signal only.
        shape: shape of the values of one example.
        together: number of signals that are measured at a time.
        name: what is measured, for the progress bar.
        key: settings of the measurement, for the cache.
        names: see `Values`.
        progress: show a progress bar if measuring takes longer than two seconds.
    """

    def __init__(
        self,
        table: Table,
        function: Callable[[np.ndarray], NDArray[np.float32]],
        shape: tuple[int, ...],
        together: int,
        name: str,
        key: str,
        names: Sequence[str] = (),
        progress: bool = True,
    ) -> None:
        self.names, self.shape = tuple(names), shape
        self._rows, first = np.unique(table.rows, return_index=True)
        self._table, self._sizes = table.take(first), (len(first), *shape)
        self._function, self._together, self._name, self._key, self._progress = function, together, name, key, progress
        self._measured: NDArray[np.float32] | None = None
        self._lock = threading.Lock()

    def values(self, rows: Rows) -> NDArray[np.float32]:
        with self._lock:
            if self._measured is None:
                self._measured = self._measure()
        places = np.searchsorted(self._rows, rows)
        if (places == len(self._rows)).any() or (self._rows[places] != rows).any():
            raise ValueError(f"{self._name}: some rows are not in the table for which the column was made")
        return np.array(self._measured[places], np.float32)

    def _measure(self) -> NDArray[np.float32]:
        scan = self._table.scan
        if scan is None or not len(self._rows):
            out = np.empty(self._sizes, np.float32)
            self._fill(out)
            return out
        group, _, content = scan.folder.name.rpartition("-")
        part = "" if len(self._rows) == scan.clips else hashlib.blake2b(self._rows.tobytes()).hexdigest()
        key = f"{hash_of(group, self._name, self._key, str(VERSION), part)[:16]}-{content}"
        folder = open_or_build(scan.folder.parent, key, self._build)
        return np.load(folder / VALUES, mmap_mode="r")

    def _build(self, folder: Path) -> None:
        out = np.lib.format.open_memmap(folder / VALUES, "w+", np.float32, self._sizes)
        self._fill(out)
        out.flush()

    def _fill(self, out: NDArray[np.float32]) -> None:
        description, quiet = f"measuring {self._name}", None if self._progress else True
        with tqdm(total=len(out), desc=description, unit="sound", disable=quiet, delay=2) as bar:
            for part in parts(len(out), self._together):
                out[part] = self._function(self._table.signals(part).numpy())
                bar.update(len(out[part]))


class KnobValues:
    """The knobs of sounds, each in its own unit (`audiogan.data.sounds.knobs.Knob.unit`): a column float32 ``[N, K]``.

    Args:
        names: names of knobs; see `audiogan.data.sounds.knobs.KNOBS`. Without names there is no column.
        progress: show a progress bar if measuring takes longer than two seconds.
    """

    def __init__(self, names: Sequence[str] | None = (), *, progress: bool = True) -> None:
        self.names, self.progress = list(names or ()), progress

    def __call__(self, table: Table) -> Measured | None:
        """Return the column; it is measured at its first use.

        Raises:
            UserError: an unknown knob, or data that are not sounds.
        """
        if not self.names:
            return None
        names, modality, shape = known(self.names), table.modality, table.shape
        if modality is None or modality.sample_rate is None:
            raise UserError(f"knobs {', '.join(names)} are measured on sounds, but this is other data: {table.source}")
        rate = modality.sample_rate
        key, size = repr((names, rate)), together(shape)
        return Measured(
            table, lambda waves: measure(waves, rate, names), (len(names),), size, "knobs", key, names, self.progress
        )


class PitchTrack:
    """The pitch of voices over time, in Hz: a column float32 ``[N, frames]``, NaN where there is no voice.

    See `audiogan.data.sounds.pitch.measure_pitch`.

    Args:
        hop_length: samples from one frame to the next.
        enabled: without it there is no column.
        progress: show a progress bar if measuring takes longer than two seconds.
    """

    def __init__(self, hop_length: int, enabled: bool = True, *, progress: bool = True) -> None:
        self.hop_length, self.enabled, self.progress = hop_length, enabled, progress

    def __call__(self, table: Table) -> Measured | None:
        """Return the column; it is measured at its first use.

        Raises:
            UserError: data that are not sounds.
        """
        if not self.enabled:
            return None
        modality, hop = table.modality, self.hop_length
        if modality is None or modality.sample_rate is None:
            raise UserError(f"voice: the pitch is that of sounds, but this is other data: {table.source}")
        rate, frames = modality.sample_rate, 1 + -(-table.shape[-1] // hop)
        key, function = repr((hop, rate)), lambda waves: measure_pitch(waves, rate, hop)[:, :frames]
        return Measured(table, function, (frames,), AT_A_TIME, "pitch", key, progress=self.progress)
