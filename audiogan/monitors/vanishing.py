"""Rule for a vanishing gradient: the critic is nearly perfect and its gradient no longer guides the generator."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import first_valid_override, scale_learning_rates
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History, Missing
from audiogan.monitors.progress import WINDOW, critic_auc, recent_median

KIND = "vanishing gradient"
ROWS = 2 * WINDOW
FADED, GONE = 0.01, 0.001  # Fractions of the early gradient norm below which a warning or a failure is reported.
NEAR_PERFECT = 0.97


def vanishing_gradient(history: History) -> Finding | None:
    """Return a finding if the generator's gradient has vanished while the critic is nearly perfect.

    Source: Arjovsky & Bottou 2017, "Towards Principled Methods for Training Generative Adversarial Networks".
    """
    critics, generators = history.players("critic"), history.players("generator")
    if not critics or not generators:
        raise Missing("the log does not distinguish a critic and a generator")
    findings = []
    for generator in generators:
        norms = history.require_curve(f"{generator}/grad_norm", ROWS, "gradient norms of the generator")
        early, now = float(np.median(norms.values[:WINDOW])), recent_median(norms)
        ratio = now / max(early, 1e-30)
        sure = max(critic_auc(history, critic) for critic in critics)
        if ratio < FADED and sure >= NEAR_PERFECT:
            findings.append(_finding(history, ratio, now, early, sure))
    return max(findings, key=lambda f: f.severity_rank, default=None)


def _finding(history: History, ratio: float, now: float, early: float, sure: float) -> Finding:
    severity = "failure" if ratio < GONE else "warning"
    text = f"the generator's gradient is {ratio:.2g} of its early size, and the critic is right {sure:.0%} of the time"
    figures = {"gradient": now, "early gradient": early, "critic's separation": sure}
    saturating = "NonSaturating" not in str(history.settings.get("game.loss._target_", ""))
    loss = "loss=non-saturating" if saturating else "loss=wgan-gp"
    override = first_valid_override(history.settings, [loss, scale_learning_rates(history, 0.25, "critic")])
    advice = "use a loss whose gradient does not vanish for a perfect critic, or lower the learning rate of the critic"
    return Finding(KIND, history.step, severity, text, advice, override, figures)
