"""Run folders, seen from outside: which there are, how each is doing, and what may be read of it."""

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
from audiogan.studio.runlog import row_of
from audiogan.utils.text import parse_json_object, printable

MARKS = ("run.json", "metrics.jsonl", "config.yaml", ".lock")
"""A folder with one of these is a run."""
DEPTH, FOLDERS, RUNS = 4, 5000, 500
"""How deep below ``runs/`` runs are looked for, in how many folders, and how many are shown."""
SMALL, TAIL, FINDINGS = 1 << 20, 32 << 10, 200
"""Bytes of a file that is read whole, bytes at the end of one that is not, and findings that are shown."""
PATIENCE = 60.0
"""Seconds without a sign after which a training is thought dead, at least."""


@dataclass(frozen=True)
class Run:
    """A run folder: what the page calls it, and where it is."""

    id: str
    name: str
    folder: Path

    @classmethod
    def at(cls, folder: Path, name: str) -> Run:
        digest = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()
        return cls(digest[:12], printable(name.encode("utf-8", "replace").decode())[:200], folder)

    def file(self, name: str) -> Path | None:
        """A file in the folder; None where it is missing, no plain file, or a link that leads out of the folder."""
        try:
            path = (self.folder / name).resolve(strict=True)
            return path if path.is_relative_to(self.folder.resolve()) and path.is_file() else None
        except (OSError, RuntimeError, ValueError):  # links in a circle are a RuntimeError up to Python 3.12
            return None

    def text(self, name: str) -> str:
        """A small text file of the folder; "" where there is none, or one that is not small."""
        path = self.file(name)
        try:
            if path is None or path.stat().st_size > SMALL:
                return ""
            return path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def object(self, name: str) -> dict[str, Any]:
        """A JSON file; empty where it is none."""
        return parse_json_object(self.text(name)) or {}

    def tail(self, name: str, size: int) -> list[bytes]:
        """The last whole lines of a file."""
        path = self.file(name)
        if path is None:
            return []
        try:
            with open(path, "rb") as file:
                end = file.seek(0, 2)
                file.seek(max(0, end - size))
                data = file.read(size)
        except OSError:
            return []
        lines = data.split(b"\n")[:-1]
        return lines[1:] if end > size else lines

    def floor(self) -> dict[str, float]:
        """By metric, what real data reaches, where the run was evaluated."""
        stored = self.object("evaluation.json").get("floor")
        floor = {n: to_float(v) for n, v in stored.items()} if isinstance(stored, dict) else {}
        return {name: value for name, value in floor.items() if value is not None and math.isfinite(value)}

    def plan(self) -> dict[str, float]:
        """What was planned: ``steps`` and ``minutes``, those that are known."""
        # A whole YAML parser takes longer than all else here together; the file is our own, two spaces a level.
        block = re.search(r"^trainer:\n((?:[ ]+.*\n?)+)", self.text("config.yaml"), re.MULTILINE)
        number_ = r"([0-9]+(?:\.[0-9]*)?(?:[eE]\+?[0-9]{1,3})?)"
        found = re.findall(rf"^  (steps|minutes): {number_}$", block[1] if block else "", re.MULTILINE)
        return {name: float(digits) for name, digits in found if 0 < float(digits) < 1e15}

    def findings(self) -> list[dict[str, Any]]:
        """What the monitors say, the verdict first, then the newest."""
        rows = map(parse_json_object, self.tail("findings.jsonl", SMALL // 4))
        found = [f for f in map(Finding.from_row, rows) if f is not None and 0 <= f.step < 10**15]
        return [
            {k: _lines(str(getattr(f, k))[:2000]) for k in ("kind", "severity", "text", "advice", "override")}
            | {"step": f.step}
            for f in sorted(found[-FINDINGS:], key=lambda f: (f.kind != VERDICT, -f.step))
        ]

    def facts(self, held: set[int] | None = None) -> dict[str, Any]:
        """How the run is doing: its state, where it is, how fast, how long still.

        ``state`` is *preparing*, *training*, *finished*, *stopped* (by itself, or by its own rules) or *interrupted*.
        """
        rows = _ahead([row for row in map(row_of, self.tail("metrics.jsonl", TAIL)) if row])
        timed = [
            (row["step"], at) for row in rows if (at := to_float(row.get("seconds"))) is not None and 0 <= at < 1e12
        ]
        step = rows[-1]["step"] if rows else 0.0
        seconds = timed[-1][1] if timed else None
        plan, age = self.plan(), self.age()
        rhythm = statistics.median([b[1] - a[1] for a, b in itertools.pairwise(timed)] or [0.0])
        alive = self._held(locks() if held is None else held) or age < max(PATIENCE, 6 * rhythm)
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
        """The state, and why it is so where that is known."""
        status = printable(str(self.object("run.json").get("status") or "")[:300])
        if status == "finished":
            return "finished", ""
        if reason := re.fullmatch(r"(?:stopped|failed) \((.*)\)", status, re.DOTALL):
            asked = reason[1] in ("interrupted", "asked to terminate")
            return ("interrupted" if asked else "stopped"), "" if asked else reason[1]
        if alive:
            return ("training", "") if begun else ("preparing", "it reads its data; nothing is logged yet")
        done = step >= plan.get("steps", math.inf) or (seconds or 0.0) >= 60 * plan.get("minutes", math.inf)
        if done and not status:
            return "finished", ""
        return "interrupted", "it ended without a word, or its machine did" if begun else "it never began to log"

    def age(self) -> float:
        """Seconds since the last sign of life."""
        signs = [*MARKS, "findings.jsonl", "previews", "checkpoints"]
        return max(0.0, time.time() - max((_changed(self.folder / name) for name in signs), default=0.0))

    def _held(self, held: set[int]) -> bool:
        try:
            return (self.folder / ".lock").stat().st_ino in held
        except OSError:
            return False


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def locks() -> set[int]:
    """Inodes of files that are locked now, as far as the system tells (Linux does). To try a run's lock oneself would
    turn away a training that begins at that moment.
    """
    try:
        rows = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    fields = [row.split() for row in rows]
    inodes = [f[5].rpartition(":")[2] for f in fields if len(f) > 5 and f[1] == "FLOCK" and f[3] == "WRITE"]
    return {int(inode) for inode in inodes if inode.isdecimal()}


def runs_below(root: Path) -> Iterator[Path]:
    """Run folders below a folder; those inside of others are none."""
    level, looked = [root], 0
    for _ in range(DEPTH):
        below: list[Path] = []
        for folder in level:
            try:
                with os.scandir(folder) as entries:
                    inside = sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir())
            except OSError:
                continue
            for name in inside:
                looked += 1
                if looked > FOLDERS:
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


def _ahead(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those since the run last went back to a checkpoint."""
    back = [i for i in range(1, len(rows)) if rows[i]["step"] < rows[i - 1]["step"]]
    return rows[back[-1] :] if back else rows


def _rate(timed: list[tuple[float, float]]) -> float | None:
    """Steps a second over the last lines."""
    if len(timed) < 2:
        return None
    (first, start), (last, end) = timed[max(0, len(timed) - 12)], timed[-1]
    return (last - first) / (end - start) if end > start and last > first else None
