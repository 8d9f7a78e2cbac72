"""Diagnosis of finished runs and of logs written by other programs, for ``audiogan doctor``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiogan.errors import UserError
from audiogan.monitors.advice import clear_invalid_override
from audiogan.monitors.callback import is_monitor_row, read_settings
from audiogan.monitors.finding import VERDICT, Finding, read_findings
from audiogan.monitors.history import History, step_from_row
from audiogan.monitors.logs import find_log, read_log
from audiogan.monitors.logs.reading import SUPPORTED_FORMATS
from audiogan.monitors.watch import Watch
from audiogan.utils.text import printable

USUAL_CHECKS = 60  # Rules are applied at 60 to 119 steps of a long log that does not mark monitoring steps.
KNOWN_METRICS = "losses of critic and generator (d_loss, loss_G ...), gradient norms, logits, accuracy"


@dataclass(frozen=True)
class Diagnosis:
    """Result of applying all rules to a log.

    Attributes:
        path: file that was read.
        findings: findings in the order of their steps.
        verdict: summary of the whole run.
        rows: number of rows of the log.
        figures: names of the metrics that rules can read.
        abstained: reason why a rule could not be applied, by kind of failure.
        remarks: messages about parts of the log that could not be read.
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
        """The report as lines of text for a terminal."""
        lines = [f"{self.path}: {self.rows:,} lines; metrics: {', '.join(map(printable, self.figures))}"]
        lines += self.remarks
        for finding in self.findings:
            lines += finding.lines
        lines += [f"not judged: {kind}: {reason}" for kind, reason in self.abstained.items()]
        return lines + self.verdict.lines


def diagnose(path: str | os.PathLike[str]) -> Diagnosis:
    """Apply the rules to a log row by row, as if the run were still being logged.

    Args:
        path: a run folder, or a log in any format that `audiogan.monitors.logs` reads.

    Raises:
        UserError: ``path`` contains no log, or the log contains no metric that a rule reads.

    Examples:
        >>> import json, pathlib, tempfile
        >>> from audiogan.monitors import diagnose
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = [json.dumps({"step": i, "critic/loss": 1.0, "generator/loss": 1.0}) for i in range(9)]
        ...     _ = (pathlib.Path(folder) / "metrics.jsonl").write_text(chr(10).join(rows))
        ...     diagnose(folder).rows
        9
    """
    log = read_log(find_log(Path(path)))
    path, rows = log.path, log.rows
    if not rows:
        raise UserError(f"{path}: contains no metrics; doctor reads {SUPPORTED_FORMATS}")
    settings = read_settings(path.parent)
    if not settings:
        settings = {"trainer.steps": History(rows).step}
    own = [f for f in read_findings(path.parent / "findings.jsonl") if f.kind != VERDICT]
    history, watch, findings = _replay(rows, settings)
    if not history.names:
        names = ", ".join(printable(name)[:40] for name in log.names[:8])
        raise UserError(f"{path}: contains only {names}; doctor needs one of: {KNOWN_METRICS}")
    remarks = list(log.remarks)
    if _has_steps(rows) and (lost := sum(step_from_row(row) is None for row in rows)):
        remarks.append(f"{lost:,} line{'s'[: lost > 1]} could not be read: they state no step")
    # Findings of the guard are kept, because the log does not record them.
    from_guard = [clear_invalid_override(f, settings) for f in own if "the step was not applied" in f.text]
    for finding in from_guard:
        watch.record(finding)
    findings = sorted([*findings, *from_guard], key=lambda f: f.step)
    return Diagnosis(path, findings, watch.verdict(history), len(rows), history.names, dict(watch.abstained), remarks)


def print_diagnosis(path: str | os.PathLike[str], echo: Callable[[str], None] = print) -> Diagnosis:
    """Diagnose a run and print the findings.

    Args:
        path: see `diagnose`.
        echo: function that prints a line.

    Returns:
        The diagnosis.

    Raises:
        UserError: see `diagnose`.

    Examples:
        >>> import json, pathlib, tempfile
        >>> from audiogan.monitors import print_diagnosis
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = [json.dumps({"step": i, "critic/loss": 1.0, "generator/loss": 1.0}) for i in range(9)]
        ...     _ = (pathlib.Path(folder) / "metrics.jsonl").write_text(chr(10).join(rows))
        ...     diagnosis = print_diagnosis(folder, echo=lambda line: None)
    """
    diagnosis = diagnose(path)
    for line in diagnosis.lines:
        echo(line)
    return diagnosis


def _replay(rows: list[dict[str, Any]], settings: dict[str, Any]) -> tuple[History, Watch, list[Finding]]:
    history, watch, findings = History(settings=settings), Watch(), []
    numbered = not _has_steps(rows)
    monitored = any(is_monitor_row(row) for row in rows)
    stride = max(1, len(rows) // USUAL_CHECKS)
    for i, row in enumerate(rows, 1):
        history.add({**row, "step": i} if numbered else row)
        if i == len(rows) or (is_monitor_row(row) if monitored else i % stride == 0):
            findings += watch.check(history)
    return history, watch, findings


def _has_steps(rows: list[dict[str, Any]]) -> bool:
    """Return whether the rows of a log contain their steps. Rows without steps are numbered."""
    return History(rows).step > 0
