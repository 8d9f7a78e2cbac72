"""Rule for an overpowering critic: it always separates real from fake, and the generator stops improving."""

from __future__ import annotations

from audiogan.monitors.advice import first_valid_override, scale_learning_rates
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History, Missing
from audiogan.monitors.progress import PERFECT, critic_auc, has_stalled, loss_vanished, recent_median

KIND = "overpowering critic"
ROWS = 5
# Outputs count as far from real data if their distance to it is more than this fraction of the first distance.
FAR = 0.5


def overpowering_critic(history: History) -> Finding | None:
    """Return a finding if a critic is always right and the generator does not learn from it.

    A perfect critic alone is not a failure, because a Wasserstein critic should be perfect. A finding also requires
    that the critic's loss has vanished, or that outputs have hardly come closer to real data since training began.
    """
    critics = history.players("critic")
    if not critics:
        raise Missing("the log has no critic")
    findings = [_judge(history, critic) for critic in critics]
    return next((f for f in findings if f is not None), None)


def _judge(history: History, critic: str) -> Finding | None:
    sure = critic_auc(history, critic, ROWS)
    if sure < PERFECT:
        return None
    distance = history.find_curve("monitor/kernel")
    figures = {"separation": sure}
    far, now, first = False, 0.0, 0.0
    if len(distance) > ROWS:
        now, first = recent_median(distance), float(distance.values[0])
        figures |= {"distance to real data": now, "of an untrained generator": first}
        far = now > FAR * first and bool(has_stalled(history, ROWS - 2))
    if loss_vanished(history, critic, ROWS) and (far or len(distance) <= ROWS):
        reason = "its loss is zero" + (" and outputs do not approach real data" if far else "")
    elif far:
        reason = f"the distance of outputs to real data is still {now / first:.0%} of the initial one"
    else:
        return None
    text = f"{critic} is right {sure:.0%} of the time: {reason}"
    own = history.scaled_setting_override(history.learning_rate_key(critic), 0.25)
    common = scale_learning_rates(history, 0.25, "critic")
    override = first_valid_override(history.settings, [own, common, "loss=wgan-gp"])
    advice = "lower the critic's learning rate, strengthen the gradient penalty, or use augmentation"
    return Finding(KIND, history.step, "warning", text, advice, override, figures)
