"""`Table`: a data set with named columns, and its train/held-out split."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.data.columns import AugmentFunction, Column, Labels, Rows, Values, ViewAugment
from audiogan.data.splitting import choose_held_out
from audiogan.data.verdicts import Scan
from audiogan.errors import UserError
from audiogan.modalities import Modality

Indices = Sequence[int] | NDArray[np.int64] | slice


class Table:
    """Data set of examples with named columns, such as the signal ``x`` and the class ``label``.

    Tables are immutable and thread-safe. Methods that select examples return a view: a table that shares the columns.

    Args:
        columns: columns by name. The signal column ``x`` is required.
        rows: number of examples, or the row index of each example in the columns, int64 ``[N]``.
        source: one-line description of the data, or a function that computes the description from the table.
        scan: scan of the folder from which the data was read. ``None`` for data that is not read from a folder.
        augment: augmentation of each group of columns, by group name.
        strata: class of each row, used by `split`, int64. Default: the column ``label``.
        recordings: index of the recording to which each row belongs, int64. `split` keeps recordings together.

    Attributes:
        note: remark by `split` about the held-out examples. `source` includes it.

    Examples:
        >>> from audiogan.data.columns import Labels, Signals
        >>> waves = np.zeros((6, 1, 100), np.float32)
        >>> table = Table({"x": Signals(waves), "label": Labels(np.arange(6) % 2, ["kick", "snare"])}, 6)
        >>> len(table), table.shape, table.class_counts
        (6, (1, 100), [3, 3])
        >>> {name: tuple(column.shape) for name, column in table.batch([0, 3]).items()}
        {'x': (2, 1, 100), 'label': (2,)}
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        rows: int | Rows,
        *,
        source: str | Callable[[Table], str] = "memory",
        scan: Scan | None = None,
        augment: Mapping[str, ViewAugment] | None = None,
        strata: np.ndarray | None = None,
        recordings: np.ndarray | None = None,
    ) -> None:
        if "x" not in columns:
            raise ValueError(f"a table needs a column 'x'; there are {', '.join(columns)}")
        self.columns: dict[str, Column] = dict(columns)
        self.rows: Rows = np.arange(rows) if isinstance(rows, int) else np.asarray(rows, np.int64)
        self.scan, self.note, self._source = scan, "", source
        for name, column in self.columns.items():
            self._check_count(name, column)
        self._augment, self._strata, self._recordings = dict(augment or {}), strata, recordings

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def source(self) -> str:
        """One-line description of the data: number of examples, kind and origin."""
        return self._source if isinstance(self._source, str) else self._source(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one signal: ``(C, T)`` for sounds, ``(C, H, W)`` for images, ``(D,)`` for points."""
        return self.columns["x"].shape  # type: ignore[return-value]

    @property
    def modality(self) -> Modality:
        """Modality of the signals, such as `audiogan.modalities.Sound`."""
        return self.columns["x"].modality  # type: ignore[return-value]

    @property
    def labels(self) -> list[str]:
        """Names of the classes. Empty for data without labels."""
        found = self.columns.get("label")
        return list(found.labels) if isinstance(found, Labels) else []

    @property
    def targets(self) -> NDArray[np.int64]:
        """Class index of each example, int64 ``[N]``. Empty for data without labels."""
        found = self.columns.get("label")
        return found.class_indices[self.rows].astype(np.int64) if isinstance(found, Labels) else np.empty(0, np.int64)

    @property
    def class_counts(self) -> list[int]:
        """Number of examples of each class, in the order of `labels`."""
        return np.bincount(self.targets, minlength=len(self.labels)).tolist()

    def batch(self, indices: Indices, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Return a batch: all columns of the selected examples, with augmentation.

        Random numbers for ``x`` and its augmentation come from ``rng``. Every other column has a random generator of
        its own, seeded by ``rng`` and by the name of the column. Adding a column therefore does not change the other
        columns.

        Args:
            indices: indices of the examples in this table, ``[B]``.
            rng: random generator. ``None`` disables the augmentation.
        """
        return self._read(self.rows[indices], self.columns, rng)

    def examples(self, indices: Indices) -> dict[str, Tensor]:
        """Return all columns of the selected examples without augmentation."""
        return self._read(self.rows[indices], self.columns, None)

    def signals(self, indices: Indices) -> Tensor:
        """Return the signals ``[n, *shape]`` of the selected examples without augmentation."""
        return self.column("x", indices)

    def column(self, name: str, indices: Indices) -> Tensor:
        """Return the values ``[n, ...]`` of one column for the selected examples, without augmentation."""
        self.require_column(name)
        return self._read(self.rows[indices], [name], None)[name]

    def _read(self, rows: Rows, names: Iterable[str], rng: np.random.Generator | None) -> dict[str, Tensor]:
        # Use a loop. A recursive nested function would be a reference cycle, which would keep the batch in memory.
        views: dict[str, AugmentFunction] = {}
        values: dict[str, Tensor] = {}
        own = self.columns["x"].group
        if rng is not None and own in self._augment:
            views[own] = self._augment[own].draw(len(rows), rng)
        for name in self._in_order(names):
            column, view, random = self.columns[name], None, None
            group = column.group
            if rng is not None and group in self._augment:
                if group not in views:
                    views[group] = self._augment[group].draw(len(rows), _child(rng, f"/{group}"))
                view = views[group]
            if rng is not None and column.random:
                random = rng if name == "x" else _child(rng, name)
            values[name] = column.read(rows, view, random, values)
        return {name: values[name] for name in names}

    def _in_order(self, names: Iterable[str]) -> dict[str, None]:
        """Return the named columns and all their input columns. Inputs come before the columns computed from them."""
        order: dict[str, None] = {}
        for name in names:
            if name not in order:
                order.update(self._in_order(self.columns[name].inputs))
                order[name] = None
        return order

    def take(self, indices: Indices) -> Table:
        """Return a view of the selected examples. The view keeps the names of all classes."""
        return self._with(rows=self.rows[indices])

    def split(self, fraction: float, seed: int = 0, groups: str | None = None) -> tuple[Table, Table]:
        """Split the table into training and held-out examples, stratified by class.

        Examples of one recording stay together. If a few long recordings contain most of the examples, the split cuts
        these recordings, holds out their last examples, and reports this in `source`. The result depends only on the
        data, on ``fraction`` and on ``seed``.

        Args:
            fraction: share of the examples to hold out, 0 to 1.
            seed: seed of the random selection.
            groups: name of a column, such as ``speaker``. Examples with the same value stay together, and recordings
                are not cut.

        Returns:
            A view of the training examples and a view of the held-out examples.

        Raises:
            UserError: the column ``groups`` does not exist or contains signals.

        Examples:
            >>> from audiogan.data.toys.points import open_points
            >>> train, held_out = open_points(count=1000).split(0.1)
            >>> len(train) + len(held_out), 90 <= len(held_out) <= 110
            (1000, True)
        """
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction={fraction}: must be from 0 to 1")
        strata = self.targets if self._strata is None else self._strata[self.rows]
        if not len(strata):
            strata = np.zeros(len(self), np.int64)
        recordings = None if self._recordings is None else self._recordings[self.rows]
        together = None if groups is None else self._values_of(groups)
        out, note = choose_held_out(self.rows, strata, recordings, together, fraction, seed)
        train, held = self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))
        train.note = note
        return train, held

    def _values_of(self, name: str) -> NDArray[np.int64]:
        """Return an integer ID per example, int64 ``[N]``. Examples with equal values in the column share an ID."""
        if self.require_column(name).modality is not None:
            raise UserError(f"the column {name!r} contains signals; choose a column of labels, numbers or texts")
        values = self.column(name, slice(None)).numpy()
        return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)

    def with_column(self, name: str, column: Column | Callable[[Table], Column | None] | None) -> Table:
        """Return a view with a column added or replaced.

        Args:
            name: name of the column in batches.
            column: the column, or a function from this table to the column. If it is or returns ``None``, the table is
                returned unchanged.
        """
        found = column(self) if column is not None else None
        if found is None:
            return self
        if name in self._in_order(found.inputs):
            raise UserError(f"the column {name!r} cannot be computed from itself; give the new column another name")
        self._check_count(name, found)
        return self._with(columns={**self.columns, name: found})

    def _check_count(self, name: str, column: Column) -> None:
        if column.count is not None and len(self) and int(self.rows.max()) >= column.count:
            wanted = f"{int(self.rows.max()) + 1:,}"
            raise UserError(f"the column {name!r} has {column.count:,} rows; the data has {wanted}")

    def drop_column(self, name: str) -> Table:
        """Return a view without the named column. A table without such a column is returned unchanged."""
        if name == "x" or any(name in column.inputs for column in self.columns.values()):
            raise ValueError(f"the table needs the column {name!r}")
        return self._with(columns={key: column for key, column in self.columns.items() if key != name})

    def map_column(self, name: str, function: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> Table:
        """Return a view with a numeric column ``[N, K]`` replaced by the result of ``function``, as float32."""
        column = self.require_column(name)
        if not isinstance(column, Values):
            raise ValueError(f"the column {name!r} is not numeric")
        rows = np.unique(self.rows)
        made = np.asarray(function(column.values(rows)), np.float32)
        array = np.full((int(rows[-1]) + 1 if len(rows) else 0, *made.shape[1:]), np.nan, np.float32)
        array[rows] = made
        return self._with(columns={**self.columns, name: Values(array, column.names)})

    def require_column(self, name: str) -> Column:
        """Return the named column, or raise `UserError` if the table has no such column."""
        if name not in self.columns:
            raise UserError(f"the data has no column {name!r}; it has {', '.join(self.columns)}: {self.source}")
        return self.columns[name]

    def _with(self, columns: dict[str, Column] | None = None, rows: Rows | None = None) -> Table:
        view = copy.copy(self)
        view.columns = self.columns if columns is None else columns
        view.rows = self.rows if rows is None else rows
        return view


def _child(rng: np.random.Generator, name: str) -> np.random.Generator:
    """Return a generator seeded by the seed of ``rng`` and by ``name``. The state of ``rng`` does not change."""
    seed = rng.bit_generator.seed_seq
    assert isinstance(seed, np.random.SeedSequence)
    key = (*seed.spawn_key, zlib.crc32(name.encode()))
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=key))


def describe_table(table: Table, total: int, noun: str, origin: str) -> str:
    """Return a one-line description of a table, such as ``90 of 100 clips from drums (2 classes)``.

    Args:
        table: the table to describe, with its classes, note and scan.
        total: number of examples in the whole data set. ``table`` may be a view with fewer examples.
        noun: plural noun for the examples.
        origin: source of the data, such as a folder.
    """
    facts = [f"{len(table.labels)} classes"] if table.labels else []
    facts += [table.note] if table.note else []
    facts += [] if table.scan is None else table.scan.notes
    part = f" of {total:,}" if len(table) != total else ""
    return f"{len(table):,}{part} {noun} from {origin}" + (f" ({'; '.join(facts)})" if facts else "")
