"""Rule for mode collapse: outputs are nearly identical, or they cover few classes of the data."""

from __future__ import annotations

from audiogan.monitors.advice import first_valid_override, scale_learning_rates
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Curve, History
from audiogan.monitors.progress import WINDOW, has_stalled, largest_distance_change, recent_median, running_median

KIND = "mode collapse"
# For each metric: its description, the level below which outputs have certainly collapsed, and the level below which
# they may have collapsed. All metrics are about 1 for healthy outputs. Identical outputs have a diversity of 0.05.
FIGURES = {
    "monitor/diversity": ("diversity of outputs against real data", 0.12, 0.3),
    "monitor/diversity_within": ("diversity of outputs within a class against real data", 0.12, 0.3),
    "monitor/classes": ("number of classes among outputs against real data", 0.26, 0.5),
}
# With fewer measurements, no collapse is reported: the outputs of an untrained generator are not diverse either.
MIN_MEASUREMENTS = 5
# Fractions of the training budget. No collapse is reported before EARLIEST. After LATE, a collapse is reported even if
# outputs slowly improve.
EARLIEST, LATE = 0.15, 0.4
# This rule applies only if the distance between outputs and real data has changed by at least this fraction of its
# first value. `dead_start` covers smaller changes.
MIN_DISTANCE_CHANGE = 0.1
DROP = 0.5  # A fall of a metric below this fraction of its highest earlier level counts as a collapse.
CRITIC_REPEATS = 5  # Number of critic updates per generator update in the papers on Wasserstein GANs.


def mode_collapse(history: History) -> Finding | None:
    """Return a finding if diversity has fallen, or if it has stayed low and outputs no longer improve."""
    history.require_curve("monitor/diversity", MIN_MEASUREMENTS, "diversity of outputs")
    found = [_judge(history, name, history.find_curve(name)) for name in FIGURES]
    findings = [f for f in found if f is not None]
    return max(findings, key=lambda f: f.severity_rank, default=None)


def _judge(history: History, name: str, curve: Curve) -> Finding | None:
    if len(curve) < MIN_MEASUREMENTS:
        return None
    description, low, doubtful = FIGURES[name]
    smooth = running_median(curve).values
    now, best = float(smooth[-1]), float(smooth[:-WINDOW].max(initial=0.0))
    if now > doubtful:
        return None
    figures = {name: now, "best before": best}
    if best > doubtful and now < DROP * best:
        severity = "failure" if now <= low else "warning"
        return _finding(history, severity, f"{description} fell from {best:.2f} to {now:.2f}", figures)
    if now > low or history.budget_used < EARLIEST or recent_median(curve) > 1.25 * max(best, 0.01):
        return None
    if largest_distance_change(history) < MIN_DISTANCE_CHANGE:
        return None
    standing, late = has_stalled(history), history.budget_used >= LATE
    if late and name == "monitor/diversity_within":
        # Outputs of all classes together can approach the data even if each class has collapsed to one output.
        standing = True
    if standing or (standing is None and late):
        return _finding(history, "failure", f"{description} is {now:.2f} and does not rise", figures)
    if late:
        text = f"{description} is still {now:.2f}, but outputs are approaching the data"
        return _finding(history, "note", text, figures)
    return None


def _finding(history: History, severity: str, text: str, figures: dict[str, float]) -> Finding:
    generators, critics = history.configured_players("generator"), history.configured_players("critic")
    key = next(map(history.learning_rate_key, generators), "")
    generator, critic = (history.setting(k) for k in (key, next(map(history.learning_rate_key, critics), "")))
    if generator and critic and generator > critic:
        candidates, advice = [f"{key}={critic:g}"], "lower the learning rate of the generator to that of the critic"
    elif "Wasserstein" in str(history.settings.get("game.loss._target_", "")):
        few = [name for name in critics if (history.setting(f"players.{name}.repeats") or 1) < CRITIC_REPEATS]
        candidates = [" ".join(f"players.{name}.repeats={CRITIC_REPEATS}" for name in few)]
        advice = "train the critic more often per step of the generator"
    else:
        candidates = ["loss=wgan-gp", scale_learning_rates(history, 0.5, "generator")]
        advice = "use a loss with a gradient penalty, or lower the learning rate of the generator"
    return Finding(
        KIND, history.step, severity, text, advice, first_valid_override(history.settings, candidates), figures
    )
