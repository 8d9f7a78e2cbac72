"""The rules together: what is new at each look, and one honest verdict at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from audiogan.monitors.collapse import mode_collapse
from audiogan.monitors.convergence import non_convergence
from audiogan.monitors.dead import dead_start
from audiogan.monitors.explosion import explosion
from audiogan.monitors.finding import VERDICT, Finding
from audiogan.monitors.history import History, Missing
from audiogan.monitors.memorising import memorising_critic
from audiogan.monitors.overpowering import overpowering_critic
from audiogan.monitors.vanishing import vanishing_gradient

Rule = Callable[[History], Finding | None]
"""A pure function of a history: a finding, ``None`` if nothing was found, `Missing` raised if it cannot tell."""

RULES: dict[str, Rule] = {
    "mode collapse": mode_collapse,
    "vanishing gradient": vanishing_gradient,
    "overpowering critic": overpowering_critic,
    "memorising critic": memorising_critic,
    "non-convergence": non_convergence,
    "dead start": dead_start,
    "explosion": explosion,
}
LEAST_LOOKS = 5
PASSED = 3
"""Looks in a row without it, after which a finding has passed: what comes and goes has not."""


# Kinds of which a milder word is no all-clear: only silence is.
STICKY = ("mode collapse",)


class Watch:
    """Looks at a history again and again; says what is new since the last look.

    Attributes:
        active: what is the case now, by kind.
        worst: the worst finding of each kind there ever was.
        abstained: why a rule could not tell at the last look, by kind.
        looks: how often it looked.
    """

    def __init__(self, rules: Mapping[str, Rule] = RULES) -> None:
        self.rules = dict(rules)
        self.active: dict[str, Finding] = {}
        self.worst: dict[str, Finding] = {}
        self.abstained: dict[str, str] = {}
        self.judged: set[str] = set()
        self.looks = 0
        self._since: dict[str, int] = {}
        self._absent: dict[str, int] = {}

    def look(self, history: History) -> list[Finding]:
        """Run every rule. Returns findings that are new or worse than before, and a note for each that has passed."""
        self.looks += 1
        new: list[Finding] = []
        self.abstained = {}
        for kind, rule in self.rules.items():
            try:
                found = rule(history)
            except Missing as reason:
                self.abstained[kind] = str(reason)
                continue
            self.judged.add(kind)
            new += self._told(kind, found, history.step)
        return new

    def tell(self, finding: Finding) -> None:
        """Take in a finding from elsewhere (the guard's)."""
        known = self.worst.get(finding.kind)
        if known is None or finding.rank >= known.rank:
            self.worst[finding.kind] = finding

    def _told(self, kind: str, found: Finding | None, step: int) -> list[Finding]:
        before = self.active.get(kind)
        if found is not None:
            if before is None or found.rank >= before.rank or kind not in STICKY:
                self.active[kind] = found
            self._absent[kind] = 0
            self._since.setdefault(kind, found.step)
            self.tell(found)
            return [found] if before is None or found.rank > before.rank else []
        self._absent[kind] = self._absent.get(kind, 0) + 1
        if before is None or (before.rank and self._absent[kind] < PASSED):
            return []
        del self.active[kind], self._since[kind]
        text = f"no longer seen; it was: {before.text}"
        return [Finding(kind, step, "note", text, figures=before.figures)] if before.rank else []

    def verdict(self, history: History) -> Finding:
        """One line on the whole run: what is the matter now, what was, what could not be told."""
        now = sorted(self.active.values(), key=lambda f: (-f.rank, self._since[f.kind]))
        passed = [f for kind, f in self.worst.items() if kind not in self.active and f.rank]
        bad = [f for f in now if f.rank]
        severity = bad[0].severity if bad else "warning" if any(f.rank > 1 for f in passed) else "note"
        blind = [k for k in self.rules if k not in self.judged]
        parts = []
        if bad:
            parts.append("; ".join(f"{f.kind} since step {self._since[f.kind]:,} ({f.text})" for f in bad))
        elif self.looks < LEAST_LOOKS or len(blind) == len(self.rules):
            parts.append(f"too little was seen to tell: {self.looks} looks in {history.step:,} steps")
        else:
            what = ", ".join(k for k in self.rules if k in self.judged)
            seen = "nothing is wrong now" if passed else "nothing wrong was seen"
            parts.append(f"{seen} in {history.step:,} steps, {self.looks} looks at {what}")
        if passed:
            parts.append("earlier: " + ", ".join(f"{f.kind} at step {f.step:,}" for f in passed))
        notes = [f for f in now if not f.rank]
        if notes:
            parts.append("worth knowing: " + "; ".join(f.text for f in notes))
        if blind and (bad or self.looks >= LEAST_LOOKS):
            parts.append("could not be judged: " + "; ".join(f"{k} ({self.abstained.get(k, '')})" for k in blind))
        first = bad[0] if bad else None
        advice, override = (first.advice, first.override) if first else ("", "")
        return Finding(VERDICT, history.step, severity, ". ".join(parts), advice, override)
