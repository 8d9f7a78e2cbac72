"""Mode collapse: outputs are (nearly) all the same, or miss most classes of the data."""

from __future__ import annotations

from audiogan.monitors.advice import offered, slower
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import Curve, History
from audiogan.monitors.progress import WINDOW, level, levels, moved, stuck

KIND = "mode collapse"
# Figure -> (what it is, level of a collapse, level of a doubtful state). Identical outputs have a diversity of 0.05.
FIGURES = {
    "monitor/diversity": ("diversity of outputs against real data", 0.12, 0.3),
    "monitor/diversity_within": ("diversity of outputs of one class against real data", 0.12, 0.3),
    "monitor/classes": ("classes found among outputs against real data", 0.26, 0.5),
}
PROBES = 5  # an untrained generator is not diverse either: 'not yet' is not 'collapsed'
SOON, LATE = 0.15, 0.4  # shares of the budget: no judgement before; no more excuse of slow progress after
MOVED = 0.1  # outputs that never changed have not collapsed: nothing has learned, which others will say
DROP = 0.5  # of what it once was
REPEATS = 5  # moves of a Wasserstein critic for one of the generator, as in its papers


def mode_collapse(history: History) -> Finding | None:
    """A level that fell from what it had been, or one that never rose although the run no longer gets better."""
    history.need("monitor/diversity", PROBES, "measured diversity of outputs")
    found = [_judge(history, name, history.find(name)) for name in FIGURES]
    findings = [f for f in found if f is not None]
    return max(findings, key=lambda f: f.rank, default=None)


def _judge(history: History, name: str, curve: Curve) -> Finding | None:
    if len(curve) < PROBES:
        return None
    what, low, doubtful = FIGURES[name]
    smooth = levels(curve).values
    now, best = float(smooth[-1]), float(smooth[:-WINDOW].max(initial=0.0))
    if now > doubtful:
        return None
    figures = {name: now, "best before": best}
    if best > doubtful and now < DROP * best:
        severity = "failure" if now <= low else "warning"
        return _finding(history, severity, f"{what} fell from {best:.2f} to {now:.2f}", figures)
    if now > low or history.spent < SOON or level(curve) > 1.25 * max(best, 0.01):
        return None
    if moved(history) < MOVED:
        return None
    standing, late = stuck(history), history.spent >= LATE
    if late and name == "monitor/diversity_within":
        # All classes together may well come nearer to the data while each is one picture.
        standing = True
    if standing or (standing is None and late):
        return _finding(history, "failure", f"{what} is {now:.2f} and does not rise", figures)
    if late:
        return _finding(history, "note", f"{what} is still {now:.2f}, though outputs come nearer to the data", figures)
    return None


def _finding(history: History, severity: str, text: str, figures: dict[str, float]) -> Finding:
    generators, critics = history.configured("generator"), history.configured("critic")
    key = next(map(history.rate, generators), "")
    generator, critic = (history.setting(k) for k in (key, next(map(history.rate, critics), "")))
    if generator and critic and generator > critic:
        choices, advice = [f"{key}={critic:g}"], "the generator learns faster than the critic: slow it down"
    elif "Wasserstein" in str(history.settings.get("game.loss._target_", "")):
        few = [name for name in critics if (history.setting(f"players.{name}.repeats") or 1) < REPEATS]
        choices = [" ".join(f"players.{name}.repeats={REPEATS}" for name in few)]
        advice = "more moves of the critic for each of the generator"
    else:
        choices = ["loss=wgan-gp", slower(history, 0.5, "generator")]
        advice = "a loss with a gradient penalty, or a generator that learns more slowly"
    return Finding(KIND, history.step, severity, text, advice, offered(history.settings, choices), figures)
