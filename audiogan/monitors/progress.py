"""Measures shared by several rules: progress of the outputs, and how well the critic separates real from fake."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.history import Curve, History, Missing

WINDOW = 3
"""Number of values over which a median is taken, so that outliers have no effect."""
# A distance to real data below this fraction of the smallest earlier distance counts as an improvement.
IMPROVEMENT = 0.9
PERFECT = 0.99  # Separation from which a critic counts as perfect.
VANISHED_LOSS = 0.05  # A critic's loss below this fraction of its early maximum counts as zero.


def running_median(curve: Curve) -> Curve:
    """Return the running median over `WINDOW` values. It is empty for a shorter curve.

    The step of each median is the last step in its window.
    """
    if len(curve) < WINDOW:
        return Curve(curve.steps[:0], curve.values[:0])
    windows = np.lib.stride_tricks.sliding_window_view(curve.values, WINDOW)
    return Curve(curve.steps[WINDOW - 1 :], np.median(windows, axis=1))


def recent_median(curve: Curve) -> float:
    """Return the median of the last `WINDOW` values."""
    return float(np.median(curve.tail(WINDOW).values))


def has_stalled(history: History, window: int = WINDOW) -> bool | None:
    """Return whether the distance to real data has stopped improving. ``None`` if it was not measured often enough.

    The first measurement is ignored, because every generator improves at first: untrained outputs are farther from the
    data than any later ones.

    Args:
        history: the logged metrics.
        window: number of recent running medians. The distance has stalled if none of them improves on the earlier ones.
    """
    distance = history.find_curve("monitor/kernel")
    smooth = running_median(Curve(distance.steps[1:], distance.values[1:]))
    if len(smooth) <= window:
        return None
    before, now = smooth.values[:-window], smooth.values[-window:]
    return bool(now.min() > IMPROVEMENT * max(float(before.min()), 0.0))


def largest_distance_change(history: History) -> float:
    """Return the largest change of the distance to real data, relative to the first value. 1 if there is no value."""
    distance = history.find_curve("monitor/kernel")
    if len(distance) < 2:
        return 1.0
    return float(np.abs(distance.values[1:] / (distance.values[0] or 1e-30) - 1).max())


def critic_auc(history: History, critic: str, window: int = WINDOW) -> float:
    """Return how well a critic separates real from fake, from 0.5 (guessing) to 1 (perfect).

    The result is the smallest of the last ``window`` values of ``separation``. If the log has none, the result is 1 if
    the critic's loss has vanished, and 0.5 if it has not.

    Args:
        history: the logged metrics.
        critic: name of the critic.
        window: number of values.

    Raises:
        Missing: the log has too few values of both metrics.
    """
    separation = history.find_curve(f"{critic}/separation")
    if len(separation) >= window:
        return float(separation.tail(window).values.min())
    if loss_vanished(history, critic, window):
        return 1.0
    if len(history.find_curve(f"{critic}/loss")) >= 2 * window:
        return 0.5
    raise Missing("the log has too few values of the critic's separation and of its loss")


def loss_vanished(history: History, critic: str, window: int = WINDOW) -> bool:
    """Return whether a non-negative critic loss has fallen to nearly zero."""
    loss = history.find_curve(f"{critic}/loss")
    if len(loss) < 2 * window or loss.values.min() < 0:
        return False
    return bool(loss.tail(window).values.max() < VANISHED_LOSS * loss.values[:window].max())
