"""Plot the metrics of a run as inline SVG for the report and the studio."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from audiogan.utils.text import printable

Series = dict[str, tuple[list[float], list[float]]]
"""Steps and values of each metric: metric name -> (steps, values)."""

# Size of the viewBox and edges of the plot area, in SVG units.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 190, 48, 412, 8, 168
_BINS = 100  # Largest number of bins of a curve. The plot shows the mean of each bin as a line and its range as a band.
_LAST_STEP = 1e15  # Rows with a larger step are skipped.
_TITLES = {
    "loss": "losses",
    "scores": "scores of real and of fake",
    "grad_norm": "gradient norms",
    "examples_per_second": "examples per second",
}


def to_float(value: Any) -> float | None:
    """Convert a JSON value to a float, or return ``None`` if it is not a number.

    The strings ``nan``, ``inf`` and ``-inf`` are numbers too, because JSON cannot represent these values otherwise.
    """
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def series_from_rows(rows: list[dict[str, Any]]) -> Series:
    """Convert rows of a metrics log to one series per metric.

    If the step decreases because a run resumed, earlier rows with this step or a later one are dropped. A row is
    skipped if its step is missing, negative or above 1e15.
    """
    kept: list[tuple[float, dict[str, Any]]] = []
    for row in rows:
        step = to_float(row.get("step"))
        if step is None or not 0 <= step <= _LAST_STEP:
            continue
        step = float(int(step))
        if kept and kept[-1][0] > step:
            while kept and kept[-1][0] >= step:
                kept.pop()
        kept.append((step, row))
    series: Series = {}
    for step, row in kept:
        for name, value in row.items():
            amount = to_float(value)
            if name != "step" and amount is not None:
                steps, values = series.setdefault(name, ([], []))
                steps.append(step)
                values.append(amount)
    return series


def group_metrics(names: Sequence[str]) -> dict[str, list[str]]:
    """Group metrics into plots. Return the names of the metrics by title of the plot, in display order.

    Evaluation metrics, whose names contain ``@``, come first and have one plot each. Then come losses, critic scores,
    gradient norms and all other metrics. A plot of scores shows one critic's mean scores of real and fake samples.
    Losses and gradient norms of all players share a plot.
    """
    last = [name.rsplit("/", 1)[-1] for name in names]
    critics = {name.rsplit("/", 1)[0] for name in names if _score(name) == "real"}
    groups: dict[str, list[str]] = {}
    for name, part in zip(names, last, strict=True):
        player = name.rsplit("/", 1)[0]
        if "@" in name or "/" not in name:
            title = name
        elif _score(name) and len(critics) < 2:
            title = "scores"
        elif _score(name):
            title = f"{player}/scores" if player in critics else name
        elif part in ("loss", "grad_norm") or last.count(part) > 1:
            title = part
        else:
            title = name
        groups.setdefault(title, []).append(name)

    def rank(title: str) -> tuple[int, str]:
        order = ["loss", "scores", "grad_norm"]
        kind = "scores" if any(map(_score, groups[title])) else title
        place = order.index(kind) if kind in order else 4 if title == "examples_per_second" else 3
        return (-1 if "@" in title else place, title)

    return {title: groups[title] for title in sorted(groups, key=rank)}


def _score(name: str) -> str:
    """Return ``real`` or ``fake`` for a critic's mean score of real or fake samples. Empty for any other metric."""
    found = re.search(r"/(real|fake)_(logits|scores?)$", name)
    return found[1] if found else ""


def format_number(value: float) -> str:
    """Format a number compactly, such as 0.0123, 4.57, 1,234, 12k or 3.4e+07."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-3:
        return f"{value:.3g}"
    if size >= 1e4:
        return f"{value / 1000:,.4g}k"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"


@dataclass(eq=False)
class _Line:
    """One metric, reduced to at most 100 points: mean, minimum and maximum of each bin of steps."""

    name: str
    label: str
    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    values: np.ndarray  # All finite values.
    lost: int  # Number of values that are not finite.
    peak_step: float

    @property
    def newest(self) -> str:
        return format_number(float(self.mean[-1])) if len(self.mean) else "–"

    @classmethod
    def from_values(cls, name: str, label: str, steps: Sequence[float], values: Sequence[float]) -> _Line:
        x, y = np.array(steps), np.array(values)
        finite = np.isfinite(y)
        x, y = x[finite], np.clip(y[finite], -1e30, 1e30)  # Sums of larger values would overflow.
        lost = int((~finite).sum())
        if not len(y):
            return cls(name, label, x, y, y, y, y, lost, 0.0)
        at = np.unique(np.linspace(0, len(y), min(len(y), _BINS), endpoint=False).astype(int))
        step, mean = (np.add.reduceat(each, at) / np.diff(np.append(at, len(y))) for each in (x, y))
        low, high = np.minimum.reduceat(y, at), np.maximum.reduceat(y, at)
        return cls(name, label, step, mean, low, high, y, lost, float(x[np.abs(y).argmax()]))


class _Scale:
    """Vertical scale of a plot: maps values to SVG coordinates. Logarithmic if the values span more than a decade.

    Args:
        values: all values of the plot.
        always: values that the plot area must include.
        signed: whether the metric can be negative and positive, such as scores. Its scale is always linear.
    """

    def __init__(self, values: np.ndarray, always: Sequence[float], signed: bool = False) -> None:
        low, start, end, high = np.percentile(values, (0, 1, 99, 100))
        self.log = bool(not signed and low > 0 and np.percentile(values, 98) / np.percentile(values, 2) > 15)
        # Outliers are clipped, because they would flatten the rest of the curve. A note below the plot reports them.
        if not self.log and high - low > 4 * (end - start) > 0:
            low, high = start - (end - start) / 4, end + (end - start) / 4
        low, high = min(low, *always, low), max(high, *always, high)
        self.log = self.log and low > 0
        self.low, self.high = float(low), float(high)
        lower, upper = self._transform(low), self._transform(high)
        margin = (upper - lower) * 0.05 or abs(upper) * 0.1 or 1.0
        self._span = (float(lower - margin), float(upper + margin))

    def _transform(self, value: Any) -> Any:
        return np.log10(np.maximum(value, 1e-300)) if self.log else value

    def __call__(self, value: Any) -> Any:
        share = (self._transform(value) - self._span[0]) / (self._span[1] - self._span[0])
        return np.clip(_BOTTOM + (_TOP - _BOTTOM) * share, -1e4, 1e4)

    def ticks(self) -> list[float]:
        lower, upper = self._span
        if self.log and upper - lower > 1.5:
            every = math.ceil((upper - lower) / 4)
            return [10.0**power for power in range(math.ceil(lower), math.floor(upper) + 1, every)]
        if self.log:
            decades = range(math.floor(lower), math.ceil(upper) + 1)
            return [d * 10.0**p for p in decades for d in (1, 2, 5) if lower <= math.log10(d) + p <= upper]
        return tick_values(lower, upper)


def tick_values(low: float, high: float, count: int = 4) -> list[float]:
    """Return about ``count`` evenly spaced round numbers from ``low`` to ``high`` as axis ticks."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    every = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.8)
    return [i * every for i in range(math.ceil(low / every), math.floor(high / every) + 1)]


def _labels(title: str, names: Sequence[str]) -> list[str]:
    if len(names) > 1 and all(map(_score, names)):
        players = [name.rsplit("/", 1)[0] for name in names]
        return [(f"{p} " if len(set(players)) > 1 else "") + _score(n) for p, n in zip(players, names, strict=True)]
    return [name.removesuffix(f"/{title}") if len(names) > 1 or name != title else "" for name in names]


def _heading(title: str) -> str:
    player, _, part = title.rpartition("/")
    return f"{player}: {_TITLES[part]}" if player and part == "scores" else _TITLES.get(title, title)


@lru_cache(maxsize=1)
def template_environment() -> Environment:
    """Return the Jinja environment of the HTML templates in this folder.

    Every value is escaped for HTML. Control characters and line breaks are printed as escape sequences. The filter
    ``block`` keeps line breaks.
    """
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(value),
    )
    found.filters |= {
        "figure": lambda value: "–" if value is None else format_number(value),
        "block": lambda text: Markup("\n").join(map(printable, text.splitlines())),
    }
    found.policies["json.dumps_kwargs"] = {"allow_nan": False}
    return found


def _path(x: np.ndarray, y: np.ndarray) -> Markup:
    return Markup("L".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)))


def plot_metrics(series: Series, real_values: dict[str, float]) -> list[tuple[str, Markup, dict[str, Any]]]:
    """Plot all groups of metrics. Return the title, HTML and plotted points of each plot.

    Args:
        series: all metrics.
        real_values: value of each evaluation metric for real data.
    """
    last = max((max(steps) for steps, _ in series.values()), default=0.0)
    groups = group_metrics(list(series)).items()
    return [(title, *plot_group(i, title, names, series, last, real_values)) for i, (title, names) in enumerate(groups)]


def plot_group(
    index: int, title: str, names: Sequence[str], series: Series, last_step: float, real_values: dict[str, float]
) -> tuple[Markup, dict[str, Any]]:
    """Plot a group of metrics. Return HTML with an inline SVG, and the points for the tooltips of the page.

    Args:
        index: number of the plot on the page, from 0.
        title: title of the group, see `group_metrics`.
        names: names of the metrics in the group.
        series: all metrics.
        last_step: end of the horizontal axis, which begins at step 0.
        real_values: value of each evaluation metric for real data. Drawn as a dashed line.
    """
    lines = [_Line.from_values(n, label, *series[n]) for n, label in zip(names, _labels(title, names), strict=True)]
    floors = [real_values[name] for name in names if name in real_values]
    values = np.concatenate([line.values for line in lines])
    scale = _Scale(values, floors, signed=any(map(_score, names))) if len(values) else None
    last_step = last_step or 1.0

    def across(steps: Any) -> Any:
        return _LEFT + (_RIGHT - _LEFT) * steps / last_step

    notes = []
    for line in lines:
        if line.lost:
            notes.append(f"{line.label} values that are not finite: {line.lost:,}".strip())
        if scale and len(line.mean):
            wild = max(line.values.max(), line.values.min(), key=abs)
            if not scale.low <= wild <= scale.high:
                notes.append(f"{format_number(float(wild))} at step {line.peak_step:,.0f} is outside the plot")
    if scale and scale.log:
        notes.append("logarithmic")
    if floors:
        notes.append("dashed: value of real data")
    drawn = (
        template_environment()
        .get_template("figure.html")
        .render(
            **{
                "index": index,
                "title": title,
                "heading": _heading(title),
                "lines": lines,
                "floors": floors,
                "notes": notes,
            },
            **{"scale": scale, "across": across, "path": _path, "zip": zip, "step_ticks": tick_values(0, last_step)},
            **{"width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _RIGHT, "top": _TOP, "bottom": _BOTTOM},
        )
    )
    points = [[[float(f"{v:.6g}") for v in part] for part in (line.steps, line.mean)] for line in lines]
    return Markup(drawn), {"series": points, "range": [0, last_step], "frame": [_LEFT, _RIGHT, _WIDTH]}
