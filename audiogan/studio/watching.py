"""The page of a run in progress: what it asks for every two seconds, and the previews that it plays.

A run is asked for by an id that stands for one of the folders found, never by a path. An answer holds what changed
since the page asked last: each part comes with a version, and one that the page has already is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from audiogan.run.report import preview_files, read_preview_layout
from audiogan.studio.limits import Limits, Refused, Slots
from audiogan.studio.runlog import RunLog
from audiogan.studio.runs import RUNS, Run, locks, runs_below

router = APIRouter(prefix="/api/runs")
TYPES = {"wav": "audio/wav", "png": "image/png"}
WATCHED, PREVIEWS, SOUNDS = 8, 1000, 256
"""Runs whose logs are kept in memory, and the most previews of a run, and sounds of a preview, that are shown."""
READING = 0.2
"""Seconds after which no further piece of a long log is read for an answer."""
LARGEST = 64 << 20
"""Bytes of a preview file at most."""


class Watched:
    """A run that a page looks at: its log as far as it was read, and what was drawn of it."""

    def __init__(self, run: Run) -> None:
        self.run, self.log, self.lock = run, RunLog(), threading.Lock()
        self._born = secrets.token_hex(4)
        self._drawn: tuple[str, dict[str, Any]] = ("", {})
        self._layouts: dict[str, tuple[str, dict[str, Any]]] = {}

    def look(self, seen: dict[str, str]) -> dict[str, Any]:
        """The facts, and those parts whose version is not the one that was ``seen``."""
        with self.lock:
            path, deadline = self.run.file("metrics.jsonl"), time.monotonic() + READING
            while (more := self.log.read(path)) and time.monotonic() < deadline:
                pass
            parts = {"curves": self._curves(), "findings": self._findings(), "previews": self._previews()}
            answer: dict[str, Any] = {"id": self.run.id, "name": self.run.name, **self.run.facts(), "more": more}
            answer["share_read"], answer["broken"] = self.log.share, self.log.broken
            return answer | {name: part for name, part in parts.items() if part["version"] != seen.get(name)}

    def _curves(self) -> dict[str, Any]:
        floor = self.run.floor()
        version = f"{self._born}-{self.log.revision}-{_digest(sorted(floor.items()))}"
        if self._drawn[0] != version:
            part = {"version": version, "each": self.log.each, "figures": self.log.figures(floor)}
            self._drawn = version, part
        return self._drawn[1]

    def _findings(self) -> dict[str, Any]:
        found = self.run.findings()
        return {"version": _digest(found), "all": found}

    def _previews(self) -> dict[str, Any]:
        """Steps of which there is a picture or a sound, and where each sound lies in the latter."""
        steps = preview_files(self.run.folder)
        chosen = list(steps)
        if len(chosen) > PREVIEWS:  # evenly, and the newest
            chosen = [chosen[round(i * (len(chosen) - 1) / (PREVIEWS - 1))] for i in range(PREVIEWS)]
        files = {step: {kind: _address(file) for kind, file in steps[step].items()} for step in chosen}
        layouts: dict[str, dict[str, Any]] = {}
        rows = []
        for step, kinds in files.items():
            layout = self._layout(kinds["wav"]) if "wav" in kinds else {}
            key = _digest(layout) if layout else None
            if key:
                layouts[key] = layout
            rows.append({"step": step, **kinds, "layout": key})
        return {"version": _digest([files, layouts]), "all": rows, "layouts": layouts}

    def _layout(self, address: str) -> dict[str, Any]:
        name, _, version = address.partition("?v=")
        known = self._layouts.get(name)
        if known is None or known[0] != version:
            path = self.run.file(f"previews/{name}")
            self._layouts[name] = known = version, read_preview_layout(path, SOUNDS) if path else {}
        return known[1]


class Watching:
    """The runs below a folder, and the one whose model is played.

    Args:
        root: the folder in which runs are looked for; it may be missing.
        checkpoint: the file that is played. Where it lies in a run, that run is listed wherever it is.
        other: one more run that is listed wherever it is.
    """

    def __init__(self, root: Path, checkpoint: Path, other: Path | None = None) -> None:
        self.root = root.absolute()
        played = checkpoint.absolute().parent.parent if checkpoint.parent.name == "checkpoints" else None
        self.named = [Run.at(folder.absolute(), folder.absolute().name) for folder in (played, other) if folder]
        self.played = Run.at(played, "").id if played else None
        self.slots = Slots(2, Limits.waiting, Limits.patience)
        self._known: dict[str, Run] = {}
        self._watched: OrderedDict[str, Watched] = OrderedDict()
        self._lock = threading.Lock()
        self._looked = -math.inf

    @classmethod
    def of(cls, request: Request) -> Watching:
        return request.app.state.watching

    def find(self) -> dict[str, Run]:
        """All runs by id, looked for at most twice a second."""
        with self._lock:
            if time.monotonic() - self._looked > 0.5:
                found = [Run.at(path, path.relative_to(self.root).as_posix()) for path in runs_below(self.root)]
                found = sorted(found, key=Run.age)[:RUNS]
                self._known = {run.id: run for run in found}
                for run in self.named:
                    if run.folder.is_dir():
                        self._known.setdefault(run.id, run)
                self._looked = time.monotonic()
            return self._known

    def watch(self, id: str) -> Watched:
        """A run by its id; ``Refused`` with 404 where there is none, or no more."""
        run = self._known.get(id) or self.find().get(id)
        if run is None or not run.folder.is_dir():
            raise Refused(404, "there is no such run here, or no more")
        with self._lock:
            watched = self._watched.setdefault(id, Watched(run))
            self._watched.move_to_end(id)
            while len(self._watched) > WATCHED:
                self._watched.popitem(last=False)
        return watched

    def listed(self) -> list[dict[str, Any]]:
        """All runs, those that train first, then the one that last did."""
        held = locks()
        keys = ("state", "step", "share", "age")
        rows = []
        for run in self.find().values():
            if not run.folder.is_dir():  # deleted since they were looked for
                continue
            facts = run.facts(held)
            about = {"id": run.id, "name": run.name, "played": run.id == self.played}
            rows.append(about | {key: facts[key] for key in keys})
        return sorted(rows, key=lambda row: (row["state"] not in ("training", "preparing"), row["age"]))


@router.get("")
async def every(request: Request) -> Response:
    """The runs there are."""
    watching = Watching.of(request)
    return _json({"runs": await watching.slots.run(watching.listed)})


@router.get("/{id}")
async def one(request: Request, id: str, curves: str = "", findings: str = "", previews: str = "") -> Response:
    """A run, without the parts of which the page has these versions."""
    watching = Watching.of(request)
    seen = {"curves": curves, "findings": findings, "previews": previews}
    return _json(await watching.slots.run(lambda: watching.watch(id).look(seen)))


@router.get("/{id}/previews/{name}")
async def preview(request: Request, id: str, name: str) -> Response:
    """A preview's sounds or picture. Its address has a version in it, so a browser need not ask twice."""
    watching = Watching.of(request)

    def work() -> bytes:
        path = watching.watch(id).run.file(f"previews/{name}") if _kind(name) else None
        try:
            if path is None:
                raise FileNotFoundError
            if path.stat().st_size > LARGEST:
                raise Refused(413, f"the preview is larger than {LARGEST:,} bytes; open it in the run folder")
            return path.read_bytes()
        except OSError:
            raise Refused(404, "there is no such preview, or no more") from None

    content = await watching.slots.run(work)
    return Response(content, media_type=TYPES[_kind(name)], headers={"Cache-Control": "private, max-age=86400"})


def _address(file: os.DirEntry[str]) -> str:
    """The address of a preview file, with a version that changes with the file."""
    try:
        about = file.stat(follow_symlinks=False)
    except OSError:  # deleted since it was listed
        return f"{file.name}?v=0"
    return f"{file.name}?v={about.st_mtime_ns:x}-{about.st_size:x}"


def _kind(name: str) -> str:
    match = re.fullmatch(r"step-[0-9]{1,15}\.(png|wav)", name)
    return match[1] if match else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _json(value: dict[str, Any]) -> Response:
    """ASCII only: names of folders and lines of logs can hold what UTF-8 cannot."""
    return Response(json.dumps(value, allow_nan=False), media_type="application/json")
