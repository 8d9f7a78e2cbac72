"""Vanishing gradient: the critic is near perfect and no longer tells the generator how to improve."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import offered, slower
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History, Missing
from audiogan.monitors.progress import WINDOW, level, perfect

KIND = "vanishing gradient"
ROWS = 2 * WINDOW
FADED, GONE = 0.01, 0.001  # of the early median
NEAR_PERFECT = 0.97


def vanishing_gradient(history: History) -> Finding | None:
    """The generator's gradient against its early median, while the critic is near perfect (Arjovsky & Bottou 2017)."""
    critics, generators = history.players("critic"), history.players("generator")
    if not critics or not generators:
        raise Missing("no critic and generator to be told apart in the log")
    findings = []
    for generator in generators:
        norms = history.need(f"{generator}/grad_norm", ROWS, "gradient norm of the generator")
        early, now = float(np.median(norms.values[:WINDOW])), level(norms)
        ratio = now / max(early, 1e-30)
        sure = max(perfect(history, critic) for critic in critics)
        if ratio < FADED and sure >= NEAR_PERFECT:
            findings.append(_finding(history, ratio, now, early, sure))
    return max(findings, key=lambda f: f.rank, default=None)


def _finding(history: History, ratio: float, now: float, early: float, sure: float) -> Finding:
    severity = "failure" if ratio < GONE else "warning"
    text = f"the generator's gradient is {ratio:.2g} of its early size, and the critic is right {sure:.0%} of the time"
    figures = {"gradient": now, "early gradient": early, "critic's separation": sure}
    saturating = "NonSaturating" not in str(history.settings.get("game.loss._target_", ""))
    loss = "loss=non-saturating" if saturating else "loss=wgan-gp"
    override = offered(history.settings, [loss, slower(history, 0.25, "critic")])
    advice = "a loss whose gradient does not vanish where the critic wins, or a critic that learns more slowly"
    return Finding(KIND, history.step, severity, text, advice, override, figures)
