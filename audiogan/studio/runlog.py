"""The log of a run, read as it grows: a bounded piece at a time, kept as few points."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audiogan.run.curves import Series, plot_all, to_float
from audiogan.utils.text import parse_json_object

PIECE = 1 << 20
"""Bytes that are read at a time."""
POINTS = 4096
"""Points of a curve at most, an even number; one that has as many is halved."""
CURVES, NAME = 200, 160
"""Curves at most, and characters of their names."""
MARK = 64  # bytes before the place where reading stopped: are they still the same?


@dataclass
class ThinnedCurve:
    """One metric. Where it is long, a point is the mean of ``each`` lines: the line that is drawn stays a true mean."""

    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    each: int = 1
    _count: int = 0  # of lines that are no whole point yet, and their sums
    _finite: int = 0
    _step: float = 0.0
    _sum: float = 0.0

    def add(self, step: float, value: float) -> None:
        if self.each > 1:
            self._count += 1
            self._step += step
            if math.isfinite(value):
                self._finite += 1
                self._sum += value
            if self._count < self.each:
                return
            step, value = self._unfinished()
            self._drop()
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) >= POINTS:
            self._halve()

    def forget(self, step: float) -> None:
        """Drop what was logged at ``step`` and later, and what is no whole point yet."""
        self._drop()
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()

    def points(self) -> tuple[list[float], list[float]]:
        """Steps and values, the newest lines among them."""
        if not self._count:
            return self.steps, self.values
        step, value = self._unfinished()
        return [*self.steps, step], [*self.values, value]

    def _unfinished(self) -> tuple[float, float]:
        return self._step / self._count, self._sum / self._finite if self._finite else math.nan

    def _drop(self) -> None:
        self._count = self._finite = 0
        self._step = self._sum = 0.0

    def _halve(self) -> None:
        values = np.array(self.values).reshape(-1, 2)
        finite = np.isfinite(values)
        with np.errstate(invalid="ignore", over="ignore"):  # 0 / 0 where neither of two is finite: so it stays NaN
            means = np.where(finite, values, 0.0).sum(1) / finite.sum(1)
        self.values, self.steps = means.tolist(), np.array(self.steps).reshape(-1, 2).mean(1).tolist()
        self.each *= 2


class RunLog:
    """``metrics.jsonl`` of a run.

    Attributes:
        revision: goes up whenever the curves change.
        share: of the file that was read, 0 to 1.
        broken: lines that could not be read.
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
        """Take in the next piece of the file; whether there is more. A file that is another one now, shorter or with
        another text where reading stopped, is read anew: a resumed run writes its log again.
        """
        try:
            if path is None:
                raise FileNotFoundError
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                if self._offset:
                    file.seek(max(0, self._offset - MARK))
                    if size < self._offset or file.read(len(self._mark)) != self._mark:
                        self._clear()
                file.seek(self._offset)
                data = file.read(PIECE)
                end = data.rfind(b"\n") + 1 or (len(data) if len(data) == PIECE else 0)
                if not end:
                    self.share = 1.0
                    return False
                self._take(data[:end])
                self._offset += end
                file.seek(max(0, self._offset - MARK))
                self._mark = file.read(min(MARK, self._offset))
        except OSError:
            if self._offset:
                self._clear()
            self.share = 1.0
            return False
        self.share = self._offset / size if size else 1.0
        return len(data) == PIECE

    def _take(self, data: bytes) -> None:
        self.revision += 1
        lines = data.split(b"\n")
        if self._inside:  # a line longer than a piece: it was counted
            lines = lines[1:]
        self._inside = not data.endswith(b"\n")
        for line in lines:
            if line and not line.isspace():
                self._line(line)

    def _line(self, line: bytes) -> None:
        row = row_of(line)
        if row is None:
            self.broken += 1
            return
        step = row["step"]
        if step < self._step:  # the run went back to a checkpoint: what it takes again replaces what it lost
            for curve in self.curves.values():
                curve.forget(step)
        self._step = step
        for name, value in row.items():
            amount = value if type(value) is float else to_float(value)
            known = self.curves.get(name)
            if known is None and amount is not None:
                known = self._new(name)
            if known is not None and amount is not None:
                known.add(step, amount)

    def _new(self, name: str) -> ThinnedCurve | None:
        """Room for one more curve; None where there is none, or none is wanted."""
        if name in ("step", "seconds") or len(name) > NAME or len(self.curves) >= CURVES:
            return None
        return self.curves.setdefault(name, ThinnedCurve())

    @property
    def each(self) -> int:
        """Lines that the coarsest point stands for."""
        return max((curve.each for curve in self.curves.values()), default=1)

    def figures(self, floor: dict[str, float]) -> list[dict[str, Any]]:
        """Drawn curves as in the report: title, section, HTML, and the numbers that a pointer shows.

        Args:
            floor: by metric, what real data reaches.
        """
        series: Series = {name: curve.points() for name, curve in self.curves.items()}
        series = {name: points for name, points in series.items() if points[0]}
        return [
            {"title": title, "section": _section(title), "html": html, "points": points}
            for title, html, points in plot_all(series, floor)
        ]


def row_of(line: bytes) -> dict[str, Any] | None:
    """The object in a line of the log, its step a float from 0 on; None where it is none."""
    row = parse_json_object(line) or {}
    step = to_float(row.get("step"))
    if step is None or not 0 <= step <= 1e15:
        return None
    return {**row, "step": float(int(step))}


def _section(title: str) -> str:
    if title.startswith("monitor/"):
        return "monitors"
    return "measured" if "@" in title else "training"
