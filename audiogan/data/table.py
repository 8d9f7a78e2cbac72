"""The data set: a table with named columns."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.data.columns import Column, Labels, Rows, Values, View, ViewAugment
from audiogan.data.splitting import choose_held_out
from audiogan.data.verdicts import Scan
from audiogan.errors import UserError
from audiogan.modalities import Modality

Indices = Sequence[int] | NDArray[np.int64] | slice


class Table:
    """Examples with named columns. All methods are pure and may be called from several threads.

    A view, such as a part of a split, has other `rows` and shares the columns.

    Args:
        columns: columns by name; ``x`` is the signal and ``label`` the class.
        rows: number of examples, or the row of each example in the columns, int64 ``[N]``.
        source: one line for people about the data, or a function of the table that returns it.
        scan: the verdict on every file, for data from a folder.
        augment: the augmentation of each group of columns, by the name of the group.
        strata: class of each row as `split` sees it, int64; ``None``: the column ``label``.
        recordings: the recording to which each row belongs; `split` keeps recordings together.

    Attributes:
        note: a remark of `split` about the held-out examples; part of `source`.

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
        """One line for people about the data."""
        return self._source if isinstance(self._source, str) else self._source(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one signal: ``(C, T)`` for sounds, ``(C, H, W)`` for images, ``(D,)`` for points."""
        return self.columns["x"].shape  # type: ignore[return-value]

    @property
    def modality(self) -> Modality:
        """The kind of the signals."""
        return self.columns["x"].modality  # type: ignore[return-value]

    @property
    def labels(self) -> list[str]:
        """Names of the classes; empty without labels."""
        found = self.columns.get("label")
        return list(found.labels) if isinstance(found, Labels) else []

    @property
    def targets(self) -> NDArray[np.int64]:
        """Class of each example, int64 ``[N]``; empty without labels."""
        found = self.columns.get("label")
        return found.codes[self.rows].astype(np.int64) if isinstance(found, Labels) else np.empty(0, np.int64)

    @property
    def class_counts(self) -> list[int]:
        """Number of examples of each class."""
        return np.bincount(self.targets, minlength=len(self.labels)).tolist()

    # Reading.

    def batch(self, indices: Indices, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
        """Return all columns of some examples, augmented.

        The column ``x`` and the augmentation of its group draw from ``rng``. Every other column and group draws from a
        generator that depends on the seed of ``rng`` and on its name, so that more columns change no crop.

        Args:
            places: places of the examples, ``[B]``.
            rng: source of random numbers; ``None``: no augmentation.
        """
        return self._read(self.rows[indices], self.columns, rng)

    def examples(self, indices: Indices) -> dict[str, Tensor]:
        """Return all columns of some examples, without augmentation."""
        return self._read(self.rows[indices], self.columns, None)

    def signals(self, indices: Indices) -> Tensor:
        """Return signals ``[n, *shape]``, without augmentation."""
        return self.column("x", indices)

    def column(self, name: str, indices: Indices) -> Tensor:
        """Return the values ``[n, ...]`` of one column, without augmentation."""
        self.require_column(name)
        return self._read(self.rows[indices], [name], None)[name]

    def _read(self, rows: Rows, names: Iterable[str], rng: np.random.Generator | None) -> dict[str, Tensor]:
        # A nested function that calls itself would be a reference cycle, which keeps the tensors of a batch in memory.
        views: dict[str, View] = {}
        values: dict[str, Tensor] = {}
        own = self.columns["x"].group
        if rng is not None and own in self._augment:  # draws from rng itself, before anything else does
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
        """Return columns and the columns from which they are computed; the latter come first."""
        order: dict[str, None] = {}
        for name in names:
            if name not in order:
                order.update(self._in_order(self.columns[name].inputs))
                order[name] = None
        return order

    # Views and other columns.

    def take(self, indices: Indices) -> Table:
        """Return a view of some examples, with all class names."""
        return self._with(rows=self.rows[indices])

    def split(self, fraction: float, seed: int = 0, groups: str | None = None) -> tuple[Table, Table]:
        """Return two views: the rest, and ``fraction`` of each class.

        Examples of one recording stay together. Where a few long recordings have most of the examples of a folder,
        these are cut: their last examples are held out, and `source` says so. The choice depends only on the data, on
        ``fraction`` and on ``seed``.

        Args:
            fraction: share of the examples to hold out, 0 to 1.
            seed: seed of the choice.
            groups: name of a column, such as ``speaker``. Examples with the same value stay together; nothing is cut.

        Raises:
            UserError: there is no column ``groups``, or it holds signals.

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
        """Return a number for each example; examples with the same value of a column have the same number."""
        if self.require_column(name).modality is not None:
            raise UserError(f"the column {name!r} holds signals; choose a column of labels, numbers or texts")
        values = self.column(name, slice(None)).numpy()
        return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)

    def with_column(self, name: str, column: Column | Callable[[Table], Column | None] | None) -> Table:
        """Return a view with one more column, or with another one of this name.

        Args:
            name: the name that the column has in batches.
            column: a column, or a function that returns one for this table. ``None``: the table stays as it is.
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
        """Return a view without a column. A table that has no such column stays as it is."""
        if name == "x" or any(name in column.inputs for column in self.columns.values()):
            raise ValueError(f"the table needs the column {name!r}")
        return self._with(columns={key: column for key, column in self.columns.items() if key != name})

    def map_column(self, name: str, function: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> Table:
        """Return a view with a column of numbers replaced by ``function(values [N, K])``, as float32."""
        column = self.require_column(name)
        if not isinstance(column, Values):
            raise ValueError(f"the column {name!r} holds no numbers")
        rows = np.unique(self.rows)
        made = np.asarray(function(column.values(rows)), np.float32)
        array = np.full((int(rows[-1]) + 1 if len(rows) else 0, *made.shape[1:]), np.nan, np.float32)
        array[rows] = made
        return self._with(columns={**self.columns, name: Values(array, column.names)})

    def require_column(self, name: str) -> Column:
        """Return a column; UserError if there is none of this name."""
        if name not in self.columns:
            raise UserError(f"the data has no column {name!r}; it has {', '.join(self.columns)}: {self.source}")
        return self.columns[name]

    def _with(self, columns: dict[str, Column] | None = None, rows: Rows | None = None) -> Table:
        view = copy.copy(self)
        view.columns = self.columns if columns is None else columns
        view.rows = self.rows if rows is None else rows
        return view


def _child(rng: np.random.Generator, name: str) -> np.random.Generator:
    """Return a generator that depends only on the seed of ``rng`` and on a name; ``rng`` is not advanced."""
    seed = rng.bit_generator.seed_seq
    assert isinstance(seed, np.random.SeedSequence)
    key = (*seed.spawn_key, zlib.crc32(name.encode()))
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=key))


def describe_table(table: Table, total: int, things: str, origin: str) -> str:
    """Return a line for people: how many of ``total`` examples a table has, where they are from, and remarks."""
    facts = [f"{len(table.labels)} classes"] if table.labels else []
    facts += [table.note] if table.note else []
    facts += [] if table.scan is None else table.scan.notes
    part = f" of {total:,}" if len(table) != total else ""
    return f"{len(table):,}{part} {things} from {origin}" + (f" ({'; '.join(facts)})" if facts else "")
