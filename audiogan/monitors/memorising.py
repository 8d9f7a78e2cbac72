"""Rule for a critic that has memorised the training data and therefore takes held-out real data for fake."""

from __future__ import annotations

from audiogan.monitors.advice import first_valid_override
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History
from audiogan.monitors.progress import WINDOW, recent_median

KIND = "memorising critic"
# Probabilities that the critic scores a training example above a held-out example. From SLIGHT on, a note is reported,
# from CLEAR on, a warning or a failure. A critic that has not memorised has a probability of 0.50 +- 0.07, for 32
# examples of each kind.
SLIGHT, CLEAR = 0.68, 0.8
LOST = 0.6  # Accuracy on held-out data below which the critic is close to guessing.


def memorising_critic(history: History) -> Finding | None:
    """Return a finding if the critic scores training data above held-out data.

    Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", figure 1.
    """
    curve = history.require_curve("monitor/train_over_held_out", WINDOW, "scores of held-out data")
    ahead = recent_median(curve)
    if ahead < SLIGHT:
        return None
    train, held_out = (recent_median(history.find_curve(f"monitor/accuracy_{side}")) for side in ("train", "held_out"))
    severity = "note" if ahead < CLEAR else "failure" if held_out < LOST else "warning"
    text = (
        f"a training example scores above a held-out one {ahead:.0%} of the time (50% is expected); "
        f"accuracy is {train:.0%} on training data and {held_out:.0%} on held-out data"
    )
    figures = {"train over held out": ahead, "accuracy on train": train, "accuracy on held out": held_out}
    advice = "use more data, augmentation, a smaller critic, or fewer steps"
    stronger = history.scaled_setting_override("game.penalties.r1.weight", 10)
    override = first_valid_override(history.settings, [stronger, "loss=non-saturating game.penalties.r1.weight=10"])
    return Finding(KIND, history.step, severity, text, advice, override, figures)
