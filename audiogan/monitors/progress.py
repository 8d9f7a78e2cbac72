"""What several rules ask of a run: is it still getting better, is the critic perfect."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.history import Curve, History, Missing

WINDOW = 3
"""Values that a level is the median of: a single odd one decides nothing."""
RECORD = 0.9  # of the best level before: what counts as better
PERFECT = 0.99
SPENT = 0.05  # of its first value: a critic's loss that is as good as zero


def levels(curve: Curve) -> Curve:
    """Medians of each `WINDOW` successive values, at the step of the last; empty for a curve that is too short."""
    if len(curve) < WINDOW:
        return Curve(curve.steps[:0], curve.values[:0])
    windows = np.lib.stride_tricks.sliding_window_view(curve.values, WINDOW)
    return Curve(curve.steps[WINDOW - 1 :], np.median(windows, axis=1))


def level(curve: Curve) -> float:
    """The median of the last values."""
    return float(np.median(curve.tail(WINDOW).values))


def stuck(history: History, last: int = WINDOW) -> bool | None:
    """Whether the distance to real data has set no record in the last probes; ``None`` if that was not measured.

    The first probe, of untrained networks, does not count: anything is better than that.
    """
    distance = history.find("monitor/kernel")
    smooth = levels(Curve(distance.steps[1:], distance.values[1:]))
    if len(smooth) <= last:
        return None
    before, now = smooth.values[:-last], smooth.values[-last:]
    return bool(now.min() > RECORD * max(float(before.min()), 0.0))


def moved(history: History) -> float:
    """How far the distance to real data has come from its first value, as a share of it; 1 if it was not measured."""
    distance = history.find("monitor/kernel")
    if len(distance) < 2:
        return 1.0
    return float(np.abs(distance.values[1:] / (distance.values[0] or 1e-30) - 1).max())


def perfect(history: History, critic: str, values: int = WINDOW) -> float:
    """How well ``critic`` tells real from fake, 0.5 ... 1: its lowest separation of late, 1 if its loss says so.

    Raises `Missing` without either.
    """
    separation = history.find(f"{critic}/separation")
    if len(separation) >= values:
        return float(separation.tail(values).values.min())
    if spent(history, critic, values):
        return 1.0
    if len(history.find(f"{critic}/loss")) >= 2 * values:
        return 0.5
    raise Missing("neither the critic's separation of real and fake nor enough of its loss in the log")


def spent(history: History, critic: str, values: int = WINDOW) -> bool:
    """Whether the critic's loss, of a kind that ends at zero, has ended there."""
    loss = history.find(f"{critic}/loss")
    if len(loss) < 2 * values or loss.values.min() < 0:
        return False
    return bool(loss.tail(values).values.max() < SPENT * loss.values[:values].max())
