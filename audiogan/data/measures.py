"""Table columns of values measured on sounds: knobs (such as brightness) and pitch."""

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
from audiogan.data.manifest import WithManifestValues, read_manifest
from audiogan.data.scan import hash_texts
from audiogan.data.sounds.knobs import LISTED_KNOBS, check_knob_names, chunk_size, chunk_slices, measure_knobs
from audiogan.data.sounds.pitch import CHUNK_SOUNDS, measure_pitch
from audiogan.data.table import Table
from audiogan.errors import UserError

VERSION = 1
"""Version of the cached values. Increase it when a measurement changes, to invalidate old caches."""
VALUES = "values.npy"


class Measured(Values):
    """Column of numbers computed from the signals of a table, at the first access.

    The values are cached on disk only if the signals come from a data folder.

    Args:
        table: table with the signals.
        function: function from ``n`` signals to values ``[n, *shape]``. It must treat signals independently.
        shape: shape of the values of one example.
        chunk_size: number of signals per call of ``function``.
        name: name of the measurement, for the progress bar and the cache.
        cache_key: settings of the measurement. A change causes a new measurement.
        names: names of the components of a value, see `Values`.
        progress: show a progress bar if measuring takes longer than two seconds.
    """

    def __init__(
        self,
        table: Table,
        function: Callable[[np.ndarray], NDArray[np.float32]],
        shape: tuple[int, ...],
        chunk_size: int,
        name: str,
        cache_key: str,
        names: Sequence[str] = (),
        progress: bool = True,
    ) -> None:
        self.names, self.shape = tuple(names), shape
        self._rows, first = np.unique(table.rows, return_index=True)
        self._table, self._sizes = table.take(first), (len(first), *shape)
        self._function, self._chunk_size, self._name, self._key = function, chunk_size, name, cache_key
        self._progress = progress
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
        key = f"{hash_texts(group, self._name, self._key, str(VERSION), part)[:16]}-{content}"
        folder = open_or_build(scan.folder.parent, key, self._build)
        return np.load(folder / VALUES, mmap_mode="r")

    def _build(self, folder: Path) -> None:
        out = np.lib.format.open_memmap(folder / VALUES, "w+", np.float32, self._sizes)
        self._fill(out)
        out.flush()

    def _fill(self, out: NDArray[np.float32]) -> None:
        description, quiet = f"measuring {self._name}", None if self._progress else True
        with tqdm(total=len(out), desc=description, unit="sound", disable=quiet, delay=2) as bar:
            for part in chunk_slices(len(out), self._chunk_size):
                out[part] = self._function(self._table.signals(part).numpy())
                bar.update(len(out[part]))


class KnobValues:
    """Function from a table of sounds to a column of knob values, float32 ``[N, K]``. Pass it to `Table.with_column`.

    Each knob has its own unit, see `audiogan.data.sounds.knobs.Knob`.

    Args:
        names: names of ``K`` knobs from `audiogan.data.sounds.knobs.KNOBS`. Empty or ``None``: no column is added.
            ``velocity`` is read from the manifest of the data folder and left out if there is none, see
            `audiogan.data.manifest`.
        progress: show a progress bar if measuring takes longer than two seconds.

    Examples:
        >>> from audiogan.data import open_sounds
        >>> from audiogan.data.measures import KnobValues
        >>> column = KnobValues(["brightness"])(open_sounds(length=2048))
        >>> column.names
        ('brightness',)
    """

    def __init__(self, names: Sequence[str] | None = (), *, progress: bool = True) -> None:
        self.names, self.progress = list(names or ()), progress

    def __call__(self, table: Table) -> Values | None:
        """Return the column of knob values for a table of sounds, or ``None`` without knobs.

        Raises:
            UserError: a knob is unknown, or the table does not contain sounds.
        """
        listed = {name: read_manifest(table, name) for name in self.names if name in LISTED_KNOBS}
        measured = self._measured(table, [name for name in self.names if name not in listed])
        found = {name: values for name, values in listed.items() if values is not None}
        return WithManifestValues(measured, np.stack([*found.values()], axis=1), tuple(found)) if found else measured

    def _measured(self, table: Table, wanted: Sequence[str]) -> Measured | None:
        if not wanted:
            return None
        names, modality, shape = check_knob_names(wanted), table.modality, table.shape
        if modality is None or modality.sample_rate is None:
            raise UserError(f"knobs {', '.join(names)} are measured on sounds, but this is other data: {table.source}")
        rate = modality.sample_rate
        key, size = repr((names, rate)), chunk_size(shape)
        return Measured(
            table, lambda x: measure_knobs(x, rate, names), (len(names),), size, "knobs", key, names, self.progress
        )


class PitchTrack:
    """Function from a table of sounds to a column of pitch tracks in Hz, float32 ``[N, frames]``.

    Unvoiced frames are NaN. Pass it to `Table.with_column`. `audiogan.data.sounds.pitch.measure_pitch` has details.

    Args:
        hop_length: hop between frames in samples, 1 or more.
        enabled: ``False``: no column is added.
        progress: show a progress bar if measuring takes longer than two seconds.

    Examples:
        >>> from audiogan.data import open_sounds
        >>> from audiogan.data.measures import PitchTrack
        >>> PitchTrack(hop_length=256, enabled=False)(open_sounds(length=2048)) is None
        True
    """

    def __init__(self, hop_length: int, enabled: bool = True, *, progress: bool = True) -> None:
        self.hop_length, self.enabled, self.progress = hop_length, enabled, progress

    def __call__(self, table: Table) -> Measured | None:
        """Return the column of pitch tracks for a table of sounds, or ``None`` if disabled.

        Raises:
            UserError: the table does not contain sounds.
        """
        if not self.enabled:
            return None
        modality, hop = table.modality, self.hop_length
        if modality is None or modality.sample_rate is None:
            raise UserError(f"pitch is measured on sounds, but this is other data: {table.source}")
        rate, frames = modality.sample_rate, 1 + -(-table.shape[-1] // hop)
        key, function = repr((hop, rate)), lambda waves: measure_pitch(waves, rate, hop)[:, :frames]
        return Measured(table, function, (frames,), CHUNK_SOUNDS, "pitch", key, progress=self.progress)
