"""Search for run folders, and the state of each run for the studio. Only files inside a run folder are read."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiogan.monitors.finding import VERDICT, Finding
from audiogan.run.curves import to_float
from audiogan.studio.runlog import parse_row
from audiogan.utils.text import parse_json_object, printable

MARKS = ("run.json", "metrics.jsonl", "config.yaml", ".lock")
"""Names of files that mark a run folder. A folder with at least one of them is a run folder."""
MAX_DEPTH, MAX_FOLDERS, MAX_RUNS = 4, 5000, 500
"""Limits of the search for runs: depth of folders (``MAX_DEPTH``), number of searched folders (``MAX_FOLDERS``), and
number of runs listed (``MAX_RUNS``)."""
MAX_TEXT_BYTES, TAIL_BYTES, MAX_FINDINGS = 1 << 20, 32 << 10, 200
"""Limits: bytes of a file that is read whole (``MAX_TEXT_BYTES``), bytes read at the end of a log (``TAIL_BYTES``), and
number of findings shown (``MAX_FINDINGS``)."""
ALIVE_SECONDS = 60.0
"""Time after the last file change for which a run counts as alive, in seconds. The time is longer for
runs that log rarely."""


@dataclass(frozen=True)
class Run:
    """Run folder with its id and its name on the page.

    Attributes:
        id: first twelve hexadecimal digits of the SHA-256 of the path. Requests contain the id instead of the path.
        name: name of the run on the page.
        folder: path of the run folder.
    """

    id: str
    name: str
    folder: Path

    @classmethod
    def from_folder(cls, folder: Path, name: str) -> Run:
        digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()
        return cls(digest[:12], printable(name.encode("utf-8", "replace").decode())[:200], folder)

    def find_file(self, name: str) -> Path | None:
        """Return the path of a file in the run folder. None if it is missing or a link to the outside of the folder."""
        try:
            path = (self.folder / name).resolve(strict=True)
            return path if path.is_relative_to(self.folder.resolve()) and path.is_file() else None
        except (OSError, RuntimeError, ValueError):  # Circular links raise RuntimeError before Python 3.13.
            return None

    def read_text(self, name: str) -> str:
        """Read a text file of the run folder. The result is empty if the file is missing or larger than 1 MiB."""
        path = self.find_file(name)
        try:
            if path is None or path.stat().st_size > MAX_TEXT_BYTES:
                return ""
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON object from a file of the run folder. The result is empty if the file cannot be read."""
        return parse_json_object(self.read_text(name)) or {}

    def read_tail(self, name: str, max_bytes: int) -> list[bytes]:
        """Return the complete lines in the last ``max_bytes`` bytes of a file. Empty if the file cannot be read."""
        path = self.find_file(name)
        if path is None:
            return []
        try:
            with open(path, "rb") as file:
                end = file.seek(0, 2)
                file.seek(max(0, end - max_bytes))
                data = file.read(max_bytes)
        except OSError:
            return []
        lines = data.split(b"\n")[:-1]
        return lines[1:] if end > max_bytes else lines

    def real_values(self) -> dict[str, float]:
        """Return the values of the evaluation metrics for real data: name -> value. Empty without an evaluation."""
        stored = self.read_json("evaluation.json").get("floor")
        real_values = {n: to_float(v) for n, v in stored.items()} if isinstance(stored, dict) else {}
        return {name: value for name, value in real_values.items() if value is not None and math.isfinite(value)}

    def planned_training(self) -> dict[str, float]:
        """Return the planned ``steps`` and ``minutes`` of training, as far as the configuration states them."""
        # The configuration is parsed with regular expressions, because a YAML parser is too slow for many runs. Its
        # layout is known, because audiogan writes it.
        block = re.search(r"^trainer:\n((?:[ ]+.*\n?)+)", self.read_text("config.yaml"), re.MULTILINE)
        number_ = r"([0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]{1,3})?)"
        found = re.findall(rf"^  (steps|minutes): {number_}$", block[1] if block else "", re.MULTILINE)
        return {name: float(digits) for name, digits in found if 0 < float(digits) < 1e15}

    def findings(self) -> list[dict[str, Any]]:
        """Return the findings of the monitors as JSON objects: the verdict first, then the others from new to old."""
        rows = map(parse_json_object, self.read_tail("findings.jsonl", MAX_TEXT_BYTES // 4))
        found = [f for f in map(Finding.from_row, rows) if f is not None and 0 <= f.step < 10**15]
        return [
            {k: _lines(str(getattr(f, k))[:2000]) for k in ("kind", "severity", "text", "advice", "override")}
            | {"step": f.step}
            for f in sorted(found[-MAX_FINDINGS:], key=lambda f: (f.kind != VERDICT, -f.step))
        ]

    def status(self, locked: set[int] | None = None) -> dict[str, Any]:
        """Return the state and progress of the run as a JSON object.

        ``state`` is *preparing*, *training*, *finished*, *stopped* (by a failure or a stopping rule) or *interrupted*.
        ``rate`` is in steps per minute. ``seconds`` (elapsed), ``left`` (remaining) and ``age`` (since the last file
        change) are in seconds.

        Args:
            locked: result of `locked_inodes`. By default it is determined here.
        """
        rows = _since_resume([row for row in map(parse_row, self.read_tail("metrics.jsonl", TAIL_BYTES)) if row])
        timed = [
            (row["step"], at) for row in rows if (at := to_float(row.get("seconds"))) is not None and 0 <= at < 1e12
        ]
        step = rows[-1]["step"] if rows else 0.0
        seconds = timed[-1][1] if timed else None
        plan, age = self.planned_training(), self.idle_seconds()
        interval = statistics.median([b[1] - a[1] for a, b in itertools.pairwise(timed)] or [0.0])
        alive = self._is_locked(locked_inodes() if locked is None else locked)
        alive = alive or age < max(ALIVE_SECONDS, 6 * interval)
        state, why = self._state(bool(rows), alive, step, seconds, plan)
        rate = _rate(timed)
        left = None
        if state == "training" and rate and seconds is not None:
            ends = [60 * plan["minutes"] - seconds] if "minutes" in plan else []
            ends += [(plan["steps"] - step) / rate] if "steps" in plan else []
            left = max(0.0, min(ends)) if ends else None
        shares = [step / plan["steps"]] if "steps" in plan else []
        shares += [seconds / (60 * plan["minutes"])] if "minutes" in plan and seconds is not None else []
        speeds = [s for row in rows if (s := to_float(row.get("examples_per_second"))) is not None and math.isfinite(s)]
        return {
            "state": state,
            "why": why,
            "step": int(step),
            "steps": int(plan["steps"]) if "steps" in plan else None,
            "share": 1.0 if state == "finished" else min(1.0, max(shares)) if shares else None,
            "seconds": seconds,
            "rate": 60 * rate if rate else None,
            "left": left,
            "examples": statistics.median(speeds[-5:]) if speeds else None,
            "age": age,
        }

    def _state(
        self, begun: bool, alive: bool, step: float, seconds: float | None, plan: dict[str, float]
    ) -> tuple[str, str]:
        """Return the state of the run and its reason, which is empty if it is not known."""
        status = printable(str(self.read_json("run.json").get("status") or "")[:300])
        if status == "finished":
            return "finished", ""
        if reason := re.fullmatch(r"(?:stopped|failed) \((.*)\)", status, re.DOTALL):
            by_user = reason[1] in ("interrupted", "asked to terminate")
            return ("interrupted" if by_user else "stopped"), "" if by_user else reason[1]
        if alive:
            return ("training", "") if begun else ("preparing", "reading the data; nothing is logged yet")
        done = step >= plan.get("steps", math.inf) or (seconds or 0.0) >= 60 * plan.get("minutes", math.inf)
        if done and not status:
            return "finished", ""
        return "interrupted", "the process or the machine stopped unexpectedly" if begun else "nothing was logged"

    def idle_seconds(self) -> float:
        """Return the time in seconds since a file of the run last changed."""
        signs = [*MARKS, "findings.jsonl", "previews", "checkpoints"]
        return max(0.0, time.time() - max((_changed(self.folder / name) for name in signs), default=0.0))

    def _is_locked(self, locked: set[int]) -> bool:
        try:
            return (self.folder / ".lock").stat().st_ino in locked
        except OSError:
            return False


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def locked_inodes() -> set[int]:
    """Return the inodes of all locked files. The result is empty on systems other than Linux.

    ``/proc/locks`` is read, because taking the lock of a run as a test could make a starting training run fail.
    """
    try:
        rows = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    fields = [row.split() for row in rows]
    inodes = [f[5].rpartition(":")[2] for f in fields if len(f) > 5 and f[1] == "FLOCK" and f[3] == "WRITE"]
    return {int(inode) for inode in inodes if inode.isdecimal()}


def find_run_folders(root: Path) -> Iterator[Path]:
    """Yield the run folders below ``root``. Folders inside a run folder are not searched."""
    level, looked = [root], 0
    for _ in range(MAX_DEPTH):
        below: list[Path] = []
        for folder in level:
            try:
                with os.scandir(folder) as entries:
                    inside = sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())
            except OSError:
                continue
            for name in inside:
                looked += 1
                if looked > MAX_FOLDERS:
                    return
                path = folder / name
                if any((path / mark).is_file() for mark in MARKS):
                    yield path
                elif not path.is_symlink():
                    below.append(path)
        level = below


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _since_resume(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows since the run was last resumed from a checkpoint, when the step decreased."""
    back = [i for i in range(1, len(rows)) if rows[i]["step"] < rows[i - 1]["step"]]
    return rows[back[-1] :] if back else rows


def _rate(timed: list[tuple[float, float]]) -> float | None:
    """Return the training speed in steps per second over the last 12 lines. None if it is not known."""
    if len(timed) < 2:
        return None
    (first, start), (last, end) = timed[max(0, len(timed) - 12)], timed[-1]
    return (last - first) / (end - start) if end > start and last > first else None
