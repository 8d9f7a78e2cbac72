"""A finding: what a monitor says of a run, with its figures and what to try."""

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
    """What a monitor has to say.

    Attributes:
        kind: which failure, e.g. ``mode collapse``; ``verdict`` for the last word on a run.
        step: when it was seen.
        severity: ``note`` (worth knowing), ``warning`` (look at it) or ``failure`` (the run will not come to good).
        text: what was seen, in words.
        advice: what to try, in words.
        override: what to try, as an override of ``audiogan train`` that can be pasted; empty if none is known to help.
        figures: the numbers behind the text.
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
            raise ValueError(f"severity={self.severity!r} is none of {', '.join(SEVERITIES)}")

    @property
    def rank(self) -> int:
        """0 for a note, 1 for a warning, 2 for a failure."""
        return SEVERITIES.index(self.severity)

    @property
    def lines(self) -> list[str]:
        """For a terminal: what was seen, then what to try."""
        said = [f"{self.severity}: {self.kind} at step {self.step:,}: {self.text}"]
        if self.kind == VERDICT:
            said = [f"verdict: {self.text}"]
        if self.advice or self.override:
            said.append(f"  try: {'; '.join(filter(None, (self.advice, self.override)))}")
        return said

    def to_json(self) -> str:
        row = asdict(self)
        row["figures"] = {k: v if math.isfinite(v) else str(v) for k, v in self.figures.items()}
        return json.dumps(row, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_row(cls, row: Any) -> Finding | None:
        """What ``to_json`` wrote, parsed; ``None`` for anything else."""
        try:
            figures = {str(k): float(v) for k, v in dict(row.get("figures") or {}).items()}
            texts = {k: str(row.get(k) or "") for k in ("text", "advice", "override")}
            return cls(str(row["kind"]), int(row["step"]), str(row["severity"]), figures=figures, **texts)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return None


def read_findings(path: str | os.PathLike[str]) -> list[Finding]:
    """The findings in a file, without lines that are none; empty where there is no file."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n") if is_regular_file(path) else []
    except OSError:
        return []
    return [finding for line in lines if (finding := Finding.from_row(parse_json_object(line))) is not None]


def write_findings(path: str | os.PathLike[str], findings: Iterable[Finding]) -> None:
    """Write all findings of a run, one JSON object a line; the file appears under its name only when whole."""
    with atomic_write(Path(path)) as temporary:
        temporary.write_text("".join(f.to_json() + "\n" for f in findings), encoding="utf-8", errors="replace")
