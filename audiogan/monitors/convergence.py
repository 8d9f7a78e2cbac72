"""Rule for non-convergence: outputs get worse, logits or losses oscillate, or outputs no longer improve."""

from __future__ import annotations

import numpy as np

from audiogan.monitors.advice import first_valid_override, scale_learning_rates
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Array, Curve, History, Missing
from audiogan.monitors.progress import IMPROVEMENT, WINDOW, running_median

KIND = "non-convergence"
MIN_MEASUREMENTS = 7
# Outputs count as worse if their distance to real data is more than WORSE * smallest earlier distance + MARGIN *
# distance at the first measurement.
WORSE, MARGIN = 3.0, 0.15
PLATEAU = 12  # Number of measurements without improvement after which a run counts as being on a plateau.
ROWS, CYCLES = 24, 3  # An oscillation needs at least ROWS values that contain at least CYCLES periods.
# The autocorrelation of an oscillation is above MIN_AUTOCORRELATION at a lag of one period, and below
# -MIN_AUTOCORRELATION at half a period.
MIN_AUTOCORRELATION = 0.5


def non_convergence(history: History) -> Finding | None:
    """Return the most severe finding of three tests: oscillation, worsening and plateau."""
    distance, logits = history.find_curve("monitor/kernel"), _oscillating_curves(history)
    if len(distance) < MIN_MEASUREMENTS and not any(len(c) >= ROWS for _, c in logits):
        raise Missing("the log has too few distances to real data, and too few logits or losses")
    found = [_oscillation(history, name, curve) for name, curve in logits]
    found += [_worse(history, distance), _plateau(history, distance)]
    return max((f for f in found if f is not None), key=lambda f: f.severity_rank, default=None)


def _worse(history: History, distance: Curve) -> Finding | None:
    if len(distance) < MIN_MEASUREMENTS:
        return None
    first, smooth = float(distance.values[0]), running_median(Curve(distance.steps[1:], distance.values[1:]))
    before = Curve(smooth.steps[:-WINDOW], smooth.values[:-WINDOW])
    if not len(before):
        return None
    at = int(before.values.argmin())
    best, now = max(float(before.values[at]), 0.0), float(distance.tail(WINDOW).values.min())
    if now <= WORSE * best + MARGIN * max(first, 0.0):
        return None
    severity = "failure" if now > max(first, 0.0) else "warning"
    text = f"outputs were closest to real data at step {before.steps[at]:,.0f}; they are now {_times(now, best)} as far"
    if severity == "failure":
        text += ", and farther than those of the untrained generator"
    return _finding(history, severity, text, {"distance": now, "best": best, "untrained": first})


def _plateau(history: History, distance: Curve) -> Finding | None:
    smooth = running_median(Curve(distance.steps[1:], distance.values[1:]))
    if len(smooth) <= PLATEAU:
        return None
    records = np.flatnonzero(np.diff(np.minimum.accumulate(smooth.values)) < 0) + 1
    last = 0
    for i in records:  # Small improvements are ignored, because measurements are noisy.
        if smooth.values[i] < IMPROVEMENT * max(smooth.values[last], 0.0):
            last = int(i)
    if len(smooth) - 1 - last < PLATEAU:
        return None
    text = f"outputs have not approached real data since step {smooth.steps[last]:,.0f}"
    advice = "stop training and judge the samples, or continue with lower learning rates"
    figures = {"distance": float(smooth.values[-1]), "best": float(smooth.values[last])}
    return Finding(KIND, history.step, "note", text, advice, "", figures)


def _oscillating_curves(history: History) -> list[tuple[str, Curve]]:
    """Return the curves to test for oscillation: logits of fake samples, or losses if there are no logits."""
    names = [f"{g}/fake_logits" for g in history.players("generator")] or []
    curves = [(name, history.find_curve(name)) for name in names]
    if not any(len(c) for _, c in curves):
        curves = [(f"{p}/loss", history.find_curve(f"{p}/loss")) for p in history.players("generator")]
    return curves


def _oscillation(history: History, name: str, curve: Curve) -> Finding | None:
    """Return a finding if the second half of a curve oscillates with an amplitude that does not decay."""
    y = curve.values[len(curve) // 2 :]
    if len(y) < ROWS:
        return None
    x = np.arange(len(y))
    y = y - np.polyval(np.polyfit(x, y, 1), x)
    half = len(y) // 2
    decays = y[half:].std() < 0.7 * y[:half].std()
    period = _period(y)
    if period is None or decays or y.std() < 0.05 * max(float(np.abs(curve.values).mean()), 0.1):
        return None
    steps = period * float(np.median(np.diff(curve.steps)))
    text = f"{name} oscillates with a period of about {steps:,.0f} steps, and the oscillation does not decay"
    return _finding(history, "warning", text, {"period": steps, "amplitude": float(y.std())})


def _period(y: Array) -> int | None:
    """Return the period of an oscillation, as a number of values of ``y``. ``None`` if ``y`` does not oscillate.

    The autocorrelation must be high at a lag of one period and strongly negative at half a period.
    """
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
    return (
        lag
        if lag >= 4 and correlation[lag] > MIN_AUTOCORRELATION and correlation[lag // 2] < -MIN_AUTOCORRELATION
        else None
    )


def _finding(history: History, severity: str, text: str, figures: dict[str, float]) -> Finding:
    advice = "lower the learning rates, add a gradient penalty, or disable momentum (betas=[0.0,0.9])"
    override = first_valid_override(history.settings, [scale_learning_rates(history, 0.5), "loss=wgan-gp"])
    return Finding(KIND, history.step, severity, text, advice, override, figures)


def _times(now: float, best: float) -> str:
    return f"{now / best:.1f} times" if best > 1e-3 else "many times"
