"""Rule for an explosion: a loss or gradient is NaN, infinite or extremely large. `Guard` prevents explosions."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import first_valid_override, scale_learning_rates
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Curve, History, Missing

KIND = "explosion"
RUNAWAY = 1000.0
"""A loss or gradient norm counts as exploded if it exceeds this multiple of the median magnitude of its first values. A
median below 1 is replaced by 1.

In healthy runs, no loss or gradient norm comes near this limit.
"""
EARLY = 5
"""Number of first values of a loss or gradient norm from which the median is computed."""
ADVICE = "lower the learning rates and clip gradients (players.critic.clip, players.generator.clip)"


def explosion(history: History) -> Finding | None:
    """Return a finding if a loss, gradient norm or output has exploded. The severity is ``note`` if the value has
    returned to normal."""
    names = [n for n in history.names if n.rsplit("/", 1)[-1] in ("loss", "grad_norm")]
    if not names:
        raise Missing("the log has no loss")
    outputs = history.raw_curve("monitor/finite")
    if len(outputs) and outputs.last == 0:
        return explosion_finding(history, history.step, "failure", "the generator's outputs are not finite", {})
    found = [f for f in (_judge(history, name, history.raw_curve(name)) for name in names) if f is not None]
    return max(found, key=lambda f: (f.severity_rank, -f.step), default=None)


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
    text += "" if wild[-1] else f", and recovered after step {curve.steps[wild.nonzero()[0][-1]]:,.0f}"
    return explosion_finding(history, step, severity, text, {name: value, "limit": limit})


def explosion_finding(history: History, step: int, severity: str, text: str, figures: dict[str, float]) -> Finding:
    """Return a finding that a value has exploded, with advice and a configuration override that may help."""
    clips = [f"players.{name}.clip=1" for name in history.configured_players("critic")]
    override = first_valid_override(history.settings, [scale_learning_rates(history, 0.5), " ".join(clips), *clips])
    return Finding(KIND, step, severity, text, ADVICE, override, figures)
