"""Explosion: a loss or gradient that is NaN, infinite or beyond all measure. The rule; `guard.Guard` acts on it."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import offered, slower
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Curve, History, Missing

KIND = "explosion"
RUNAWAY = 1000.0
"""Times the early size (or 1, if that is smaller): no loss or gradient of a healthy run comes near."""
EARLY = 5
ADVICE = "lower learning rates and a bound on the gradient (players.critic.clip, players.generator.clip)"


def explosion(history: History) -> Finding | None:
    """Whether any loss or gradient norm, or the outputs, left all measure; a note if they came back since."""
    names = [n for n in history.names if n.rsplit("/", 1)[-1] in ("loss", "grad_norm")]
    if not names:
        raise Missing("no loss in the log")
    outputs = history.raw("monitor/finite")
    if len(outputs) and outputs.last == 0:
        return exploded(history, history.step, "failure", "outputs of the generator are not finite", {})
    found = [f for f in (_judge(history, name, history.raw(name)) for name in names) if f is not None]
    return max(found, key=lambda f: (f.rank, -f.step), default=None)


def _judge(history: History, name: str, curve: Curve) -> Finding | None:
    finite = np.isfinite(curve.values)
    early = curve.values[finite][:EARLY]
    limit = RUNAWAY * max(1.0, float(np.median(np.abs(early)))) if len(early) else RUNAWAY
    with np.errstate(invalid="ignore"):
        wild = ~finite | (np.abs(curve.values) > limit)
    if not wild.any():
        return None
    at = int(wild.argmax())
    value, step = float(curve.values[at]), int(curve.steps[at])
    severity = "failure" if wild[-1] else "note"
    text = f"{name} was {value:.3g}" + ("" if np.isfinite(value) else ", not a finite number")
    text += "" if wild[-1] else f", and came back after step {curve.steps[wild.nonzero()[0][-1]]:,.0f}"
    return exploded(history, step, severity, text, {name: value, "limit": limit})


def exploded(history: History, step: int, severity: str, text: str, figures: dict[str, float]) -> Finding:
    """The finding, with what to try."""
    clips = [f"players.{name}.clip=1" for name in history.configured("critic")]
    override = offered(history.settings, [slower(history, 0.5), " ".join(clips), *clips])
    return Finding(KIND, step, severity, text, ADVICE, override, figures)
