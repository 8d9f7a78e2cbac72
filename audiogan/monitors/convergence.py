"""Non-convergence: outputs get worse again, players run in circles, or nothing improves any longer."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import offered, slower
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Array, Curve, History, Missing
from audiogan.monitors.progress import RECORD, WINDOW, levels

KIND = "non-convergence"
PROBES = 7
WORSE, MARGIN = 3.0, 0.15  # times the best distance, plus a share of the untrained generator's
PLATEAU = 12  # probes without a record
ROWS, CYCLES = 24, 3  # log lines to see a rhythm in, and how often it must return
RHYTHM = 0.5  # autocorrelation one period on; minus that half a period on


def non_convergence(history: History) -> Finding | None:
    """The worst of: worse than it had been, in circles, no longer better."""
    distance, logits = history.find("monitor/kernel"), _swinging(history)
    if len(distance) < PROBES and not any(len(c) >= ROWS for _, c in logits):
        raise Missing("neither enough measured distances to real data nor enough lines of logits or losses in the log")
    found = [_circles(history, name, curve) for name, curve in logits]
    found += [_worse(history, distance), _plateau(history, distance)]
    return max((f for f in found if f is not None), key=lambda f: f.rank, default=None)


def _worse(history: History, distance: Curve) -> Finding | None:
    if len(distance) < PROBES:
        return None
    first, smooth = float(distance.values[0]), levels(Curve(distance.steps[1:], distance.values[1:]))
    before = Curve(smooth.steps[:-WINDOW], smooth.values[:-WINDOW])
    if not len(before):
        return None
    at = int(before.values.argmin())
    best, now = max(float(before.values[at]), 0.0), float(distance.tail(WINDOW).values.min())
    if now <= WORSE * best + MARGIN * max(first, 0.0):
        return None
    severity = "failure" if now > max(first, 0.0) else "warning"
    text = f"outputs were nearest to real data at step {before.steps[at]:,.0f} and are {_times(now, best)} as far now"
    if severity == "failure":
        text += ", farther than untrained ones"
    return _finding(history, severity, text, {"distance": now, "best": best, "untrained": first})


def _plateau(history: History, distance: Curve) -> Finding | None:
    smooth = levels(Curve(distance.steps[1:], distance.values[1:]))
    if len(smooth) <= PLATEAU:
        return None
    records = np.flatnonzero(np.diff(np.minimum.accumulate(smooth.values)) < 0) + 1
    last = 0
    for i in records:  # a record is one only if it is clearly better than the last
        if smooth.values[i] < RECORD * max(smooth.values[last], 0.0):
            last = int(i)
    if len(smooth) - 1 - last < PLATEAU:
        return None
    text = f"outputs have come no nearer to real data since step {smooth.steps[last]:,.0f}"
    advice = "stop here and listen or look, or go on with lower learning rates"
    figures = {"distance": float(smooth.values[-1]), "best": float(smooth.values[last])}
    return Finding(KIND, history.step, "note", text, advice, "", figures)


def _swinging(history: History) -> list[tuple[str, Curve]]:
    """Where a rhythm would show: what the players score, or else what they lose."""
    names = [f"{g}/fake_logits" for g in history.players("generator")] or []
    curves = [(name, history.find(name)) for name in names]
    if not any(len(c) for _, c in curves):
        curves = [(f"{p}/loss", history.find(f"{p}/loss")) for p in history.players("generator")]
    return curves


def _circles(history: History, name: str, curve: Curve) -> Finding | None:
    """A rhythm in the later half of a figure that does not die away."""
    y = curve.values[len(curve) // 2 :]
    if len(y) < ROWS:
        return None
    x = np.arange(len(y))
    y = y - np.polyval(np.polyfit(x, y, 1), x)
    half = len(y) // 2
    dying = y[half:].std() < 0.7 * y[:half].std()
    period = _period(y)
    if period is None or dying or y.std() < 0.05 * max(float(np.abs(curve.values).mean()), 0.1):
        return None
    steps = period * float(np.median(np.diff(curve.steps)))
    text = f"{name} swings with a period of about {steps:,.0f} steps that does not die away: the players run in circles"
    return _finding(history, "warning", text, {"period": steps, "swing": float(y.std())})


def _period(y: Array) -> int | None:
    """The lag at which ``y`` is like itself again, having been its opposite half-way; ``None`` without a rhythm."""
    n = len(y)
    power = np.abs(np.fft.rfft(y, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n] / np.arange(n, 0, -1)  # unbiased
    if correlation[0] <= 0:
        return None
    correlation = correlation[: n // CYCLES + 1] / correlation[0]
    below = np.flatnonzero(correlation < 0)
    if not len(below):
        return None
    lag = int(below[0] + correlation[below[0] :].argmax())
    return lag if lag >= 4 and correlation[lag] > RHYTHM and correlation[lag // 2] < -RHYTHM else None


def _finding(history: History, severity: str, text: str, figures: dict[str, float]) -> Finding:
    advice = "lower learning rates, a gradient penalty, no momentum (betas=[0.0,0.9]); and sample from the average"
    override = offered(history.settings, [slower(history, 0.5), "loss=wgan-gp"])
    return Finding(KIND, history.step, severity, text, advice, override, figures)


def _times(now: float, best: float) -> str:
    return f"{now / best:.1f} times" if best > 1e-3 else "many times"
