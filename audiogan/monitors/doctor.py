"""``audiogan doctor``: what a finished or foreign log says about the run that wrote it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiogan.errors import UserError
from audiogan.monitors.advice import pasteable
from audiogan.monitors.callback import is_look, read_settings
from audiogan.monitors.finding import VERDICT, Finding, read_findings
from audiogan.monitors.history import History, step_of
from audiogan.monitors.logs import find_log, read_log
from audiogan.monitors.logs.reading import KINDS
from audiogan.monitors.watch import Watch
from audiogan.utils.text import printable

LOOKS = 60  # at a log in which nobody looked while it grew
KNOWN = "loss of critic and generator (d_loss, loss_G ...), gradient norms, logits, accuracy"


@dataclass(frozen=True)
class Diagnosis:
    """What a log tells.

    Attributes:
        path: the file that was read.
        findings: in the order in which they came up.
        verdict: the last word.
        rows: lines of the log.
        figures: names (ours) of the figures that rules could read.
        abstained: why a rule could not tell, by kind.
        remarks: lines about what of the log could not be read.
    """

    path: Path
    findings: list[Finding]
    verdict: Finding
    rows: int
    figures: list[str]
    abstained: dict[str, str]
    remarks: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """For a terminal."""
        said = [f"{self.path}: {self.rows:,} lines; figures: {', '.join(map(printable, self.figures))}"]
        said += self.remarks
        for finding in self.findings:
            said += finding.lines
        said += [f"cannot tell: {kind}: {why}" for kind, why in self.abstained.items()]
        return said + self.verdict.lines


def diagnose(path: str | os.PathLike[str]) -> Diagnosis:
    """Run the rules over a log as if it grew before our eyes.

    Args:
        path: a run folder, or a log of anyone's: see `audiogan.monitors.logs`.

    Raises:
        UserError: no log there, or none with a figure that a rule knows.
    """
    log = read_log(find_log(Path(path)))
    path, rows = log.path, log.rows
    if not rows:
        raise UserError(f"{path}: no rows of figures in it; doctor reads {KINDS}")
    settings = read_settings(path.parent)
    if not settings:
        settings = {"trainer.steps": History(rows).step}
    own = [f for f in read_findings(path.parent / "findings.jsonl") if f.kind != VERDICT]
    history, watch, findings = _replay(rows, settings)
    if not history.names:
        names = ", ".join(printable(name)[:40] for name in log.names[:8])
        raise UserError(f"{path}: knows {names}; doctor looks for {KNOWN}")
    remarks = list(log.remarks)
    if _stepped(rows) and (lost := sum(step_of(row) is None for row in rows)):
        remarks.append(f"{lost:,} line{'s'[: lost > 1]} could not be read: they name no step")
    # The guard's: no log line shows them.
    acted = [pasteable(f, settings) for f in own if "the step was not applied" in f.text]
    for finding in acted:
        watch.tell(finding)
    findings = sorted([*findings, *acted], key=lambda f: f.step)
    return Diagnosis(path, findings, watch.verdict(history), len(rows), history.names, dict(watch.abstained), remarks)


def doctor(path: str | os.PathLike[str], echo: Callable[[str], None] = print) -> Diagnosis:
    """`diagnose`, and say it."""
    diagnosis = diagnose(path)
    for line in diagnosis.lines:
        echo(line)
    return diagnosis


def _replay(rows: list[dict[str, Any]], settings: dict[str, Any]) -> tuple[History, Watch, list[Finding]]:
    history, watch, findings = History(settings=settings), Watch(), []
    numbered = not _stepped(rows)
    looked = any(is_look(row) for row in rows)
    stride = max(1, len(rows) // LOOKS)
    for i, row in enumerate(rows, 1):
        history.add({**row, "step": i} if numbered else row)
        if i == len(rows) or (is_look(row) if looked else i % stride == 0):
            findings += watch.look(history)
    return history, watch, findings


def _stepped(rows: list[dict[str, Any]]) -> bool:
    """Whether rows say their step; else they are counted."""
    return History(rows).step > 0
