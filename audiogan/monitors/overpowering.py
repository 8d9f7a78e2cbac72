"""An overpowering critic: it tells real from fake without fail, and the generator gets nowhere."""

from __future__ import annotations

from audiogan.monitors.advice import offered, slower
from audiogan.monitors.finding import Finding
from audiogan.monitors.history import History, Missing
from audiogan.monitors.progress import PERFECT, level, perfect, spent, stuck

KIND = "overpowering critic"
ROWS = 5
FAR = 0.5  # of the untrained generator's distance to real data


def overpowering_critic(history: History) -> Finding | None:
    """A critic that is always right is no failure by itself: a Wasserstein critic should be. So either its loss must
    have gone to zero, or outputs must be stuck about as far from real data as those of an untrained generator.
    """
    critics = history.players("critic")
    if not critics:
        raise Missing("no critic in the log")
    findings = [_judge(history, critic) for critic in critics]
    return next((f for f in findings if f is not None), None)


def _judge(history: History, critic: str) -> Finding | None:
    sure = perfect(history, critic, ROWS)
    if sure < PERFECT:
        return None
    distance = history.find("monitor/kernel")
    figures = {"separation": sure}
    if len(distance) > ROWS:
        figures |= {"distance to real data": level(distance), "of an untrained generator": float(distance.values[0])}
    far = len(distance) > ROWS and level(distance) > FAR * float(distance.values[0]) and bool(stuck(history, ROWS - 2))
    if spent(history, critic, ROWS) and (far or len(distance) <= ROWS):
        why = "its loss has gone to zero" + (" and outputs are no nearer to real data" if far else "")
    elif far:
        why = f"outputs are no nearer to real data than {level(distance) / float(distance.values[0]):.0%} of the first"
    else:
        return None
    text = f"{critic} is right {sure:.0%} of the time: {why}"
    own, common = history.scaled(history.rate(critic), 0.25), slower(history, 0.25, "critic")
    override = offered(history.settings, [own, common, "loss=wgan-gp"])
    advice = "a critic that learns more slowly, a stronger gradient penalty, or augmentation of what it sees"
    return Finding(KIND, history.step, "warning", text, advice, override, figures)
