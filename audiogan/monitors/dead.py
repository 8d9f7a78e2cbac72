"""Dead start: nothing learns. Losses or logits stand still, outputs do not change or are at the edge."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import offered, slower
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Array, History, Missing
from audiogan.monitors.progress import WINDOW, moved

KIND = "dead start"
ROWS = 4
STILL = 1e-4  # relative change of a mean over many batches; living losses wobble by percents
FLAT = 1e-5
SATURATED = 0.5
LOW = "lr.generator=0.0001 lr.critic=0.0001"
PROBES, UNMOVED = 6, 0.003


def dead_start(history: History) -> Finding | None:
    """Losses or logits that are constant, or outputs that are saturated or what they were at the start."""
    players = history.players("critic") + history.players("generator")
    losses = {p: history.find(f"{p}/loss") for p in players}
    if not any(len(c) >= ROWS for c in losses.values()):
        raise Missing("fewer than four lines with losses of critic or generator in the log")
    still = {p: c.last for p, c in losses.items() if len(c) >= ROWS and _still(c.tail(ROWS).values)}
    if still:
        names = " and ".join(still)
        figures = {f"{p}/loss": v for p, v in still.items()}
        return _finding(history, f"the loss of {names} does not change at all", figures)
    for critic in history.players("critic"):
        spread = history.find(f"{critic}/logit_spread")
        if len(spread) >= WINDOW and spread.tail(WINDOW).values.max() < FLAT:
            return _finding(history, f"{critic} gives the same logit to everything", {"spread": spread.last})
    distance = history.find("monitor/kernel")
    if len(distance) >= PROBES and moved(history) < UNMOVED:
        text = f"outputs are what they were at step {distance.steps[0]:,.0f}: the generator does not learn"
        return _finding(history, text, {"distance to real data": distance.last})
    edge = history.find("monitor/saturation")
    if len(edge) >= WINDOW and edge.tail(WINDOW).values.min() >= SATURATED:
        text = f"{edge.last:.0%} more of the output is at full scale than of real data: the last layer is saturated"
        return _finding(history, text, {"saturation": edge.last})
    return None


def _still(values: Array) -> bool:
    return bool(np.ptp(values) <= STILL * max(float(np.abs(values).mean()), 1e-8))


def _finding(history: History, text: str, figures: dict[str, float]) -> Finding:
    advice = "check that data are scaled to -1 ... 1, then lower learning rates or another initialisation"
    override = offered(history.settings, [slower(history, 0.2), LOW])
    return Finding(KIND, history.step, "failure", text, advice, override, figures)
