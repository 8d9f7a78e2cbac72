"""A memorising critic: it knows its training examples by heart and takes new real ones for fakes."""

from __future__ import annotations

from audiogan.monitors.advice import offered
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History
from audiogan.monitors.progress import WINDOW, level

KIND = "memorising critic"
# How often a training example scores above a held-out one. Of 32 each it is 0.50 +- 0.07 by chance.
SLIGHT, CLEAR = 0.68, 0.8
LOST = 0.6  # accuracy on held-out data: not much above guessing


def memorising_critic(history: History) -> Finding | None:
    """The critic's scores on training data against those on held-out data (Karras et al. 2020, ADA, figure 1)."""
    curve = history.need("monitor/train_over_held_out", WINDOW, "score of held-out data (is any held out?)")
    ahead = level(curve)
    if ahead < SLIGHT:
        return None
    train, held_out = (level(history.find(f"monitor/accuracy_{side}")) for side in ("train", "held_out"))
    severity = "note" if ahead < CLEAR else "failure" if held_out < LOST else "warning"
    text = (
        f"a training example scores above a held-out one {ahead:.0%} of the time (50% is fair); "
        f"accuracy is {train:.0%} on training data, {held_out:.0%} on held-out data"
    )
    figures = {"train over held out": ahead, "accuracy on train": train, "accuracy on held out": held_out}
    advice = "more data, augmentation of what the critic sees, a smaller critic, or an earlier end"
    stronger = history.scaled("game.penalties.r1.weight", 10)
    override = offered(history.settings, [stronger, "loss=non-saturating game.penalties.r1.weight=10"])
    return Finding(KIND, history.step, severity, text, advice, override, figures)
