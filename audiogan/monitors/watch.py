"""The list of all rules, and `Watch`, which applies them during a run and summarises the run in a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from audiogan.monitors.collapse import mode_collapse
from audiogan.monitors.convergence import non_convergence
from audiogan.monitors.dead import dead_start
from audiogan.monitors.explosion import explosion
from audiogan.monitors.finding import VERDICT, Finding
from audiogan.monitors.history import History, Inapplicable, Missing
from audiogan.monitors.memorising import memorising_critic
from audiogan.monitors.overpowering import overpowering_critic
from audiogan.monitors.translation import TRANSLATION_RULES
from audiogan.monitors.vanishing import vanishing_gradient

Rule = Callable[[History], Finding | None]
"""Type of a rule: a pure function that takes a history and returns a finding or ``None``.

A rule raises `Missing` if the log lacks the metrics that it needs, and `Inapplicable` if it does not concern the run.
"""

RULES: dict[str, Rule] = {
    "mode collapse": mode_collapse,
    "vanishing gradient": vanishing_gradient,
    "overpowering critic": overpowering_critic,
    "memorising critic": memorising_critic,
    "non-convergence": non_convergence,
    "dead start": dead_start,
    "explosion": explosion,
    **TRANSLATION_RULES,
}
MIN_CHECKS = 5
"""Smallest number of checks after which a verdict can state that there was no failure."""
CHECKS_UNTIL_OVER = 3
"""Number of consecutive checks without a failure after which it is reported as no longer detected."""


# Kinds of failure for which a later, less severe finding does not mean that the run has recovered.
STICKY_KINDS = ("mode collapse",)


class Watch:
    """Application of rules to a growing history, with reports of changes and a verdict on the run.

    Args:
        rules: rules by kind of failure. Default: `RULES`.

    Attributes:
        active: current finding of each kind.
        worst: most severe finding of each kind so far.
        abstained: reason why a rule could not be applied at the last check, by kind. Rules that do not concern the run
            are left out.
        inapplicable: kinds of failure whose rule does not concern the run.
        judged: kinds of failure whose rule could be applied at least once.
        checks: number of checks so far.

    Examples:
        >>> from audiogan.monitors import History, Watch
        >>> history = History([{"step": step, "critic/loss": float("nan")} for step in range(0, 500, 50)])
        >>> [finding.kind for finding in Watch().check(history)]
        ['explosion']
    """

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        self.rules = dict(rules)
        self.active: dict[str, Finding] = {}
        self.worst: dict[str, Finding] = {}
        self.abstained: dict[str, str] = {}
        self.judged: set[str] = set()
        self.inapplicable: set[str] = set()
        self.checks = 0
        self._since: dict[str, int] = {}
        self._absent: dict[str, int] = {}

    def check(self, history: History) -> list[Finding]:
        """Apply every rule.

        Returns:
            Findings that are new or more severe than before, and a finding of severity ``note`` for each failure that
            is no longer detected.
        """
        self.checks += 1
        new: list[Finding] = []
        self.abstained, self.inapplicable = {}, set()
        for kind, rule in self.rules.items():
            try:
                found = rule(history)
            except Inapplicable:
                self.inapplicable.add(kind)
                continue
            except Missing as reason:
                self.abstained[kind] = str(reason)
                continue
            self.judged.add(kind)
            new += self._changes(kind, found, history.step)
        return new

    def record(self, finding: Finding) -> None:
        """Record a finding that does not come from a rule, such as a finding of `Guard`."""
        known = self.worst.get(finding.kind)
        if known is None or finding.severity_rank >= known.severity_rank:
            self.worst[finding.kind] = finding

    def _changes(self, kind: str, found: Finding | None, step: int) -> list[Finding]:
        before = self.active.get(kind)
        if found is not None:
            if before is None or found.severity_rank >= before.severity_rank or kind not in STICKY_KINDS:
                self.active[kind] = found
            self._absent[kind] = 0
            self._since.setdefault(kind, found.step)
            self.record(found)
            return [found] if before is None or found.severity_rank > before.severity_rank else []
        self._absent[kind] = self._absent.get(kind, 0) + 1
        if before is None or (before.severity_rank and self._absent[kind] < CHECKS_UNTIL_OVER):
            return []
        del self.active[kind], self._since[kind]
        text = f"no longer detected; it was: {before.text}"
        return [Finding(kind, step, "note", text, figures=before.figures)] if before.severity_rank else []

    def verdict(self, history: History) -> Finding:
        """Return one finding that summarises the run.

        It names present failures, earlier failures, and rules that could not be applied.
        """
        now = sorted(self.active.values(), key=lambda f: (-f.severity_rank, self._since[f.kind]))
        passed = [f for kind, f in self.worst.items() if kind not in self.active and f.severity_rank]
        bad = [f for f in now if f.severity_rank]
        severity = bad[0].severity if bad else "warning" if any(f.severity_rank > 1 for f in passed) else "note"
        blind = [k for k in self.rules if k not in self.judged | self.inapplicable]
        parts = []
        if bad:
            parts.append("; ".join(f"{f.kind} since step {self._since[f.kind]:,} ({f.text})" for f in bad))
        elif self.checks < MIN_CHECKS or not self.judged:
            parts.append(f"too few measurements for a verdict: {self.checks} in {history.step:,} steps")
        else:
            kinds = ", ".join(k for k in self.rules if k in self.judged)
            state = "no failure at the end" if passed else "no failure was detected"
            parts.append(f"{state} in {history.step:,} steps; {self.checks} checks for {kinds}")
        if passed:
            parts.append("earlier: " + ", ".join(f"{f.kind} at step {f.step:,}" for f in passed))
        notes = [f for f in now if not f.severity_rank]
        if notes:
            parts.append("note: " + "; ".join(f.text for f in notes))
        if blind and (bad or self.checks >= MIN_CHECKS):
            parts.append("could not be judged: " + "; ".join(f"{k} ({self.abstained.get(k, '')})" for k in blind))
        first = bad[0] if bad else None
        advice, override = (first.advice, first.override) if first else ("", "")
        return Finding(VERDICT, history.step, severity, ". ".join(parts), advice, override)
