"""`RunLog`, which reads the metrics of a run incrementally and keeps a limited number of points per curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audiogan.run.curves import Series, plot_metrics, to_float
from audiogan.utils.text import parse_json_object

READ_BYTES = 1 << 20
"""Number of bytes that `RunLog.read` reads at a time."""
MAX_POINTS = 4096
"""Largest number of points of a curve. It must be even, because a curve with this number of points is reduced to half
this number by averaging pairs of points.
"""
MAX_CURVES, MAX_NAME = 200, 160
"""Largest number of curves, and largest length of the name of a metric in characters."""
COMPARED_BYTES = 64
"""Number of bytes before the reading position that are compared with those read earlier, to detect a rewritten file."""


@dataclass
class ThinnedCurve:
    """Curve of one metric with a limited number of points. Each point is the mean of consecutive lines of the log.

    Attributes:
        steps: mean training step of each point.
        values: mean value of each point. NaN if none of its values is finite.
        lines_per_point: number of lines that one point averages, a power of two.
    """

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    lines_per_point: int = 1
    # Counts and sums of the lines that do not yet form a complete point.
    _count: int = 0
    _finite: int = 0
    _step: float = 0.0
    _sum: float = 0.0

    def add(self, step: float, value: float) -> None:
        """Append the value of one line of the log."""
        if self.lines_per_point > 1:
            self._count += 1
            self._step += step
            if math.isfinite(value):
                self._finite += 1
                self._sum += value
            if self._count < self.lines_per_point:
                return
            step, value = self._partial_point()
            self._reset_partial_point()
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) >= MAX_POINTS:
            self._average_pairs()

    def remove_from(self, step: float) -> None:
        """Remove the points at ``step`` and later, and the lines that do not yet form a complete point."""
        self._reset_partial_point()
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()

    def points(self) -> tuple[list[float], list[float]]:
        """Return the steps and values of all points. The last point may be the mean of fewer lines than the others."""
        if not self._count:
            return self.steps, self.values
        step, value = self._partial_point()
        return [*self.steps, step], [*self.values, value]

    def _partial_point(self) -> tuple[float, float]:
        return self._step / self._count, self._sum / self._finite if self._finite else math.nan

    def _reset_partial_point(self) -> None:
        self._count = self._finite = 0
        self._step = self._sum = 0.0

    def _average_pairs(self) -> None:
        values = np.array(self.values).reshape(-1, 2)
        finite = np.isfinite(values)
        # If neither value of a pair is finite, 0 / 0 gives NaN, as intended. Its warning is ignored.
        with np.errstate(invalid="ignore", over="ignore"):
            means = np.where(finite, values, 0.0).sum(1) / finite.sum(1)
        self.values, self.steps = means.tolist(), np.array(self.steps).reshape(-1, 2).mean(1).tolist()
        self.lines_per_point *= 2


class RunLog:
    """Curves of all metrics in the file ``metrics.jsonl`` of a run.

    Attributes:
        curves: name of each metric -> its curve.
        revision: number that increases whenever the curves change.
        share: fraction of the file that has been read, 0 ... 1.
        broken: number of lines that could not be parsed.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._clear()

    def _clear(self) -> None:
        self.revision += 1
        self.curves: dict[str, ThinnedCurve] = {}
        self.share, self.broken = 0.0, 0
        self._offset, self._mark, self._inside, self._step = 0, b"", False, -1.0

    def read(self, path: Path | None) -> bool:
        """Read the next piece of the file and add it to the curves.

        If the part that was read before has changed, all curves are discarded and the file is read again from its
        beginning. This happens when a resumed run rewrites its log.

        Args:
            path: the file. None if it does not exist.

        Returns:
            Whether the file may have more unread lines.
        """
        try:
            if path is None:
                raise FileNotFoundError
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                if self._offset:
                    file.seek(max(0, self._offset - COMPARED_BYTES))
                    if size < self._offset or file.read(len(self._mark)) != self._mark:
                        self._clear()
                file.seek(self._offset)
                data = file.read(READ_BYTES)
                end = data.rfind(b"\n") + 1 or (len(data) if len(data) == READ_BYTES else 0)
                if not end:
                    self.share = 1.0
                    return False
                self._add_lines(data[:end])
                self._offset += end
                file.seek(max(0, self._offset - COMPARED_BYTES))
                self._mark = file.read(min(COMPARED_BYTES, self._offset))
        except OSError:
            if self._offset:
                self._clear()
            self.share = 1.0
            return False
        self.share = self._offset / size if size else 1.0
        return len(data) == READ_BYTES

    def _add_lines(self, data: bytes) -> None:
        self.revision += 1
        lines = data.split(b"\n")
        if self._inside:  # This is the rest of a line whose beginning was already counted as broken.
            lines = lines[1:]
        self._inside = not data.endswith(b"\n")
        for line in lines:
            if line and not line.isspace():
                self._add_line(line)

    def _add_line(self, line: bytes) -> None:
        row = parse_row(line)
        if row is None:
            self.broken += 1
            return
        step = row["step"]
        # A lower step means that the run was resumed from a checkpoint. Old points from this step on are removed.
        if step < self._step:
            for curve in self.curves.values():
                curve.remove_from(step)
        self._step = step
        for name, value in row.items():
            amount = value if type(value) is float else to_float(value)
            known = self.curves.get(name)
            if known is None and amount is not None:
                known = self._add_curve(name)
            if known is not None and amount is not None:
                known.add(step, amount)

    def _add_curve(self, name: str) -> ThinnedCurve | None:
        """Add an empty curve for a metric and return it. None if it is not drawn or there are too many curves."""
        if name in ("step", "seconds") or len(name) > MAX_NAME or len(self.curves) >= MAX_CURVES:
            return None
        return self.curves.setdefault(name, ThinnedCurve())

    @property
    def lines_per_point(self) -> int:
        """Number of log lines that are averaged into one point of a curve. If curves differ, the largest number."""
        return max((curve.lines_per_point for curve in self.curves.values()), default=1)

    def figures(self, real_values: dict[str, float]) -> list[dict[str, Any]]:
        """Draw the curves as in the HTML report.

        Args:
            real_values: name of each metric -> its value for real data, which is drawn as a horizontal line.

        Returns:
            One JSON object per figure: ``title``, ``section`` of the page, ``html`` with the drawing, and ``points``
            for the cursor.
        """
        series: Series = {name: curve.points() for name, curve in self.curves.items()}
        series = {name: points for name, points in series.items() if points[0]}
        return [
            {"title": title, "section": _section(title), "html": html, "points": points}
            for title, html, points in plot_metrics(series, real_values)
        ]


def parse_row(line: bytes) -> dict[str, Any] | None:
    """Parse a line of ``metrics.jsonl``. None if it is not a JSON object with a valid ``step``.

    The step is returned as a float, 0 ... 1e15.
    """
    row = parse_json_object(line) or {}
    step = to_float(row.get("step"))
    if step is None or not 0 <= step <= 1e15:
        return None
    return {**row, "step": float(int(step))}


def _section(title: str) -> str:
    if title.startswith("monitor/"):
        return "monitors"
    return "measured" if "@" in title else "training"
