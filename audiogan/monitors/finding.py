"""The `Finding` class, and reading and writing of ``findings.jsonl``."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from audiogan.files import atomic_write, is_regular_file
from audiogan.utils.text import parse_json_object

SEVERITIES = ("note", "warning", "failure")
VERDICT = "verdict"


@dataclass(frozen=True)
class Finding:
    """A failure detected in a run, with the measured metrics and a suggested override.

    Attributes:
        kind: kind of failure, e.g. ``mode collapse``; ``verdict`` for the summary of a run.
        step: training step at which the failure was detected.
        severity: ``note`` (worth knowing), ``warning`` (check it) or ``failure`` (the run will not recover by itself).
        text: description of the failure.
        advice: suggested remedy in words.
        override: suggested override for ``audiogan train``. Empty if none is known to help.
        figures: dict from metric name to measured value.

    Examples:
        >>> from audiogan.monitors import Finding
        >>> Finding("mode collapse", 500, "warning", "all samples are alike").severity_rank  # 0: note, 2: failure
        1
    """

    kind: str
    step: int
    severity: str
    text: str
    advice: str = ""
    override: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity={self.severity!r} must be one of {', '.join(SEVERITIES)}")

    @property
    def severity_rank(self) -> int:
        """Severity as a number: 0 for a note, 1 for a warning, 2 for a failure."""
        return SEVERITIES.index(self.severity)

    @property
    def lines(self) -> list[str]:
        """The finding as lines of text for a terminal: the failure, then the suggested remedy."""
        lines = [f"{self.severity}: {self.kind} at step {self.step:,}: {self.text}"]
        if self.kind == VERDICT:
            lines = [f"verdict: {self.text}"]
        if self.advice or self.override:
            lines.append(f"  try: {'; '.join(filter(None, (self.advice, self.override)))}")
        return lines

    def to_json(self) -> str:
        row = asdict(self)
        row["figures"] = {k: v if math.isfinite(v) else str(v) for k, v in self.figures.items()}
        return json.dumps(row, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_row(cls, row: Any) -> Finding | None:
        """Return the finding that ``to_json`` wrote, given the parsed JSON. ``None`` for any other value."""
        try:
            figures = {str(k): float(v) for k, v in dict(row.get("figures") or {}).items()}
            texts = {k: str(row.get(k) or "") for k in ("text", "advice", "override")}
            return cls(str(row["kind"]), int(row["step"]), str(row["severity"]), figures=figures, **texts)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return None


def read_findings(path: str | os.PathLike[str]) -> list[Finding]:
    """Read the findings in a ``findings.jsonl`` file. Invalid lines are skipped. A missing file gives an empty list.

    Examples:
        >>> from audiogan.monitors import read_findings
        >>> read_findings("no-such-run/findings.jsonl")
        []
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n") if is_regular_file(path) else []
    except OSError:
        return []
    return [finding for line in lines if (finding := Finding.from_row(parse_json_object(line))) is not None]


def write_findings(path: str | os.PathLike[str], findings: Iterable[Finding]) -> None:
    """Write all findings of a run as JSON lines. The file is replaced atomically.

    Examples:
        >>> import tempfile
        >>> from audiogan.monitors import Finding, read_findings, write_findings
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_findings(f"{folder}/findings.jsonl", [Finding("mode collapse", 500, "warning", "all alike")])
        ...     [finding.kind for finding in read_findings(f"{folder}/findings.jsonl")]
        ['mode collapse']
    """
    with atomic_write(Path(path)) as temporary:
        temporary.write_text("".join(f.to_json() + "\n" for f in findings), encoding="utf-8", errors="replace")
