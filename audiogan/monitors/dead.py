"""Rule for a dead start: losses, logits or outputs do not change, or outputs are saturated."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import first_valid_override, scale_learning_rates
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Array, History, Missing
from audiogan.monitors.progress import WINDOW, largest_distance_change

KIND = "dead start"
ROWS = 4  # A loss counts as constant after this number of equal values in a row.
# A loss counts as constant if it changes by a smaller fraction than this. Normally, even a mean over many batches
# changes by a few percent.
MAX_LOSS_CHANGE = 1e-4
MAX_LOGIT_SPREAD = 1e-5  # Logits count as equal if their standard deviation is below this.
# The last layer counts as saturated if the fraction of output values at full scale exceeds the same fraction of real
# values by at least this difference.
MIN_EXCESS_SATURATION = 0.5
LOW_RATES = "lr.generator=0.0001 lr.critic=0.0001"
# Outputs count as unchanged if, in at least MIN_MEASUREMENTS measurements, their distance to real data has changed by
# less than the fraction MAX_DISTANCE_CHANGE.
MIN_MEASUREMENTS, MAX_DISTANCE_CHANGE = 6, 0.003


def dead_start(history: History) -> Finding | None:
    """Return a finding if losses or logits are constant, or if outputs are saturated or have never changed."""
    players = history.players("critic") + history.players("generator")
    losses = {p: history.find_curve(f"{p}/loss") for p in players}
    if not any(len(c) >= ROWS for c in losses.values()):
        raise Missing("the log has fewer than four losses of a critic or generator")
    still = {p: c.last for p, c in losses.items() if len(c) >= ROWS and _still(c.tail(ROWS).values)}
    if still:
        names = " and ".join(still)
        figures = {f"{p}/loss": v for p, v in still.items()}
        return _finding(history, f"the loss of {names} is constant", figures)
    for critic in history.players("critic"):
        spread = history.find_curve(f"{critic}/logit_spread")
        if len(spread) >= WINDOW and spread.tail(WINDOW).values.max() < MAX_LOGIT_SPREAD:
            return _finding(history, f"{critic} gives the same logit to all samples", {"spread": spread.last})
    distance = history.find_curve("monitor/kernel")
    if len(distance) >= MIN_MEASUREMENTS and largest_distance_change(history) < MAX_DISTANCE_CHANGE:
        text = f"outputs have not changed since step {distance.steps[0]:,.0f}: the generator does not learn"
        return _finding(history, text, {"distance to real data": distance.last})
    edge = history.find_curve("monitor/saturation")
    if len(edge) >= WINDOW and edge.tail(WINDOW).values.min() >= MIN_EXCESS_SATURATION:
        excess = f"{100 * edge.last:.0f} percentage points more values at full scale than real data"
        text = f"outputs have {excess}: the last layer is saturated"
        return _finding(history, text, {"saturation": edge.last})
    return None


def _still(values: Array) -> bool:
    return bool(np.ptp(values) <= MAX_LOSS_CHANGE * max(float(np.abs(values).mean()), 1e-8))


def _finding(history: History, text: str, figures: dict[str, float]) -> Finding:
    advice = "check that data are scaled to -1 ... 1; then lower the learning rates or change the initialisation"
    override = first_valid_override(history.settings, [scale_learning_rates(history, 0.2), LOW_RATES])
    return Finding(KIND, history.step, "failure", text, advice, override, figures)
