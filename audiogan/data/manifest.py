"""Numbers about the files of a data folder, read from its manifest, the CSV file ``manifest.csv``."""

from __future__ import annotations

import csv
import io

import numpy as np
from numpy.typing import NDArray

from audiogan.data.columns import Rows, Values
from audiogan.data.label_list import PATH_COLUMNS, read_text
from audiogan.data.table import Table
from audiogan.errors import UserError

MANIFEST = "manifest.csv"


def read_manifest(table: Table, name: str) -> NDArray[np.float32] | None:
    """Return the values ``[rows]`` of one column of the manifest for all rows of a table. Missing values are NaN.

    Paths in the manifest are relative to the data folder or to its parent.

    Args:
        table: table of a data folder.
        name: name of the column, in the first line of the manifest.

    Returns:
        The values, or ``None`` if there is no manifest, no such column, or no file with a value.

    Raises:
        UserError: the manifest cannot be read, or a value is not a number.
    """
    scan = table.scan
    if scan is None or not (scan.root / MANIFEST).is_file():
        return None
    text = read_text(scan.root / MANIFEST, MANIFEST)[0]
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    columns = {column.strip().lower(): column for column in reader.fieldnames or () if column}
    path = next((columns[key] for key in PATH_COLUMNS if key in columns), None)
    if path is None or name not in columns:
        return None
    values: dict[str, float] = {}
    for row in reader:
        cell, place = (row[columns[name]] or "").strip(), (row[path] or "").replace("\\", "/")
        try:
            number = float(cell) if cell else float("nan")
        except ValueError:
            number = float("inf")
        if np.isinf(number):
            line = reader.line_num
            raise UserError(f"{MANIFEST}, line {line}: {name}={cell!r:.40} is not a number; correct or remove it")
        values[place] = values[place.removeprefix(f"{scan.root.name}/")] = number
    files = [values.get(row["path"], float("nan")) for row in scan.rows() if row["reason"] == "usable"]
    found = np.array(files, np.float32)[np.load(scan.folder / "index.npy")["file"]]
    return found if np.isfinite(found[table.rows]).any() else None


class WithManifestValues(Values):
    """Column with the values of another column, followed by values from a manifest.

    Args:
        measured: column with other values ``[N, K]``; ``None``: there are no other values.
        listed: values from the manifest ``[N, L]``; a missing value is NaN.
        names: names of the L values.
    """

    def __init__(self, measured: Values | None, listed: NDArray[np.float32], names: tuple[str, ...]) -> None:
        super().__init__(listed, (*(() if measured is None else measured.names), *names))
        self.measured, self.shape = measured, (len(self.names),)

    def values(self, rows: Rows) -> NDArray[np.float32]:
        listed = super().values(rows)
        return listed if self.measured is None else np.concatenate([self.measured.values(rows), listed], axis=1)
