"""API routes for the page that monitors runs: list of runs, state of a run, and files of its previews.

A request names a run by its id, never by a path. Each part of a response (curves, findings, previews) has a version.
The page sends the versions that it already has, and the response contains only the parts that changed.
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

from fastapi import APIRouter, Query, Request, Response

from audiogan.run.report import preview_files, read_preview_layout
from audiogan.studio.limits import Limits, Refused, Slots
from audiogan.studio.runlog import RunLog
from audiogan.studio.runs import MAX_RUNS, Run, find_run_folders, locked_inodes

router = APIRouter(prefix="/api/runs")
MEDIA_TYPES = {"wav": "audio/wav", "png": "image/png"}
MAX_WATCHED, MAX_PREVIEWS, MAX_SOUNDS = 8, 1000, 256
"""Largest number of logs kept in memory, of previews listed per run, and of sounds listed per preview."""
READ_SECONDS = 0.2
"""Time for reading a log during one request, in seconds. The next request continues."""
MAX_PREVIEW_BYTES = 64 << 20
"""Largest size of a preview file that is served, in bytes."""


class WatchedRun:
    """Run that a page watches, with cached drawings of its curves and the part of its log that has been read."""

    def __init__(self, run: Run) -> None:
        self.run, self.log, self.lock = run, RunLog(), threading.Lock()
        self._born = secrets.token_hex(4)
        self._drawn: tuple[str, dict[str, Any]] = ("", {})
        self._layouts: dict[str, tuple[str, dict[str, Any]]] = {}

    def changed_parts(self, versions: dict[str, str]) -> dict[str, Any]:
        """Return the state of the run, and its curves, findings and previews if they changed, as a JSON object.

        Args:
            versions: name of each part of the response -> its version that the page already has. Parts without an entry
                are always returned.
        """
        with self.lock:
            path, deadline = self.run.find_file("metrics.jsonl"), time.monotonic() + READ_SECONDS
            while (more := self.log.read(path)) and time.monotonic() < deadline:
                pass
            parts = {"curves": self._curves(), "findings": self._findings(), "previews": self._previews()}
            answer: dict[str, Any] = {"id": self.run.id, "name": self.run.name, **self.run.status(), "more": more}
            answer["share_read"], answer["broken"] = self.log.share, self.log.broken
            return answer | {name: part for name, part in parts.items() if part["version"] != versions.get(name)}

    def _curves(self) -> dict[str, Any]:
        floor = self.run.real_values()
        version = f"{self._born}-{self.log.revision}-{_digest(sorted(floor.items()))}"
        if self._drawn[0] != version:
            part = {"version": version, "each": self.log.lines_per_point, "figures": self.log.figures(floor)}
            self._drawn = version, part
        return self._drawn[1]

    def _findings(self) -> dict[str, Any]:
        found = self.run.findings()
        return {"version": _digest(found), "all": found}

    def _previews(self) -> dict[str, Any]:
        """Return the files of the previews by step, and the positions of the sounds in each WAV file."""
        steps = preview_files(self.run.folder)
        chosen = list(steps)
        if len(chosen) > MAX_PREVIEWS:  # Evenly spaced previews are chosen. The first and the last are among them.
            chosen = [chosen[round(i * (len(chosen) - 1) / (MAX_PREVIEWS - 1))] for i in range(MAX_PREVIEWS)]
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
            path = self.run.find_file(f"previews/{name}")
            self._layouts[name] = known = version, read_preview_layout(path, MAX_SOUNDS) if path else {}
        return known[1]


class Watching:
    """Runs that the studio lists, and the logs of the runs that pages watch.

    Args:
        root: folder that is searched for run folders. It may be missing.
        checkpoint: file of the model that is played. If it is in a run folder, this run is listed, too.
        extra_run: one more run folder to list.
    """

    def __init__(self, root: Path, checkpoint: Path, extra_run: Path | None = None) -> None:
        self.root = root.absolute()
        played = checkpoint.absolute().parent.parent if checkpoint.parent.name == "checkpoints" else None
        self.named = [
            Run.from_folder(folder.absolute(), folder.absolute().name) for folder in (played, extra_run) if folder
        ]
        self.played = Run.from_folder(played, "").id if played else None
        self.slots = Slots(2, Limits.max_waiting, Limits.wait_seconds)
        self._known: dict[str, Run] = {}
        self._watched: OrderedDict[str, WatchedRun] = OrderedDict()
        self._lock = threading.Lock()
        self._looked = -math.inf

    @classmethod
    def from_request(cls, request: Request) -> Watching:
        return request.app.state.watching

    def find_runs(self) -> dict[str, Run]:
        """Return all listed runs by id. The folder is searched at most twice per second."""
        with self._lock:
            if time.monotonic() - self._looked > 0.5:
                folders = find_run_folders(self.root)
                found = [Run.from_folder(path, path.relative_to(self.root).as_posix()) for path in folders]
                found = sorted(found, key=Run.idle_seconds)[:MAX_RUNS]
                self._known = {run.id: run for run in found}
                for run in self.named:
                    if run.folder.is_dir():
                        self._known.setdefault(run.id, run)
                self._looked = time.monotonic()
            return self._known

    def get_run(self, id: str) -> WatchedRun:
        """Return the run with this id. Only the logs of the eight runs requested last are kept in memory.

        Raises:
            Refused: there is no such run (status 404).
        """
        run = self._known.get(id) or self.find_runs().get(id)
        if run is None or not run.folder.is_dir():
            raise Refused(404, "this run does not exist or was deleted")
        with self._lock:
            watched = self._watched.setdefault(id, WatchedRun(run))
            self._watched.move_to_end(id)
            while len(self._watched) > MAX_WATCHED:
                self._watched.popitem(last=False)
        return watched

    def list_runs(self) -> list[dict[str, Any]]:
        """Return all runs as JSON objects. Active runs come first, then the others from new to old."""
        locked = locked_inodes()
        keys = ("state", "step", "share", "age")
        rows = []
        for run in self.find_runs().values():
            if not run.folder.is_dir():  # The run folder was deleted after the search.
                continue
            facts = run.status(locked)
            about = {"id": run.id, "name": run.name, "played": run.id == self.played}
            rows.append(about | {key: facts[key] for key in keys})
        return sorted(rows, key=lambda row: (row["state"] not in ("training", "preparing"), row["age"]))


@router.get("")
async def list_runs(request: Request) -> Response:
    """Return all runs in the folder, with their state."""
    watching = Watching.from_request(request)
    return _json({"runs": await watching.slots.run(watching.list_runs)})


@router.get("/{id}")
async def get_run(
    request: Request,
    id: str,
    curves_version: str = Query("", alias="curves"),
    findings_version: str = Query("", alias="findings"),
    previews_version: str = Query("", alias="previews"),
) -> Response:
    """Return the state of a run. Curves, findings and previews are left out if the page has their current version."""
    watching = Watching.from_request(request)
    versions = {"curves": curves_version, "findings": findings_version, "previews": previews_version}
    return _json(await watching.slots.run(lambda: watching.get_run(id).changed_parts(versions)))


@router.get("/{id}/previews/{name}")
async def get_preview(request: Request, id: str, name: str) -> Response:
    """Return the WAV or PNG file of a preview. Browsers may cache it, because its URL contains a version."""
    watching = Watching.from_request(request)

    def work() -> bytes:
        path = watching.get_run(id).run.find_file(f"previews/{name}") if _kind(name) else None
        try:
            if path is None:
                raise FileNotFoundError
            if path.stat().st_size > MAX_PREVIEW_BYTES:
                raise Refused(413, f"the preview is larger than {MAX_PREVIEW_BYTES:,} bytes; open it in the run folder")
            return path.read_bytes()
        except OSError:
            raise Refused(404, "this preview does not exist or was deleted") from None

    content = await watching.slots.run(work)
    return Response(content, media_type=MEDIA_TYPES[_kind(name)], headers={"Cache-Control": "private, max-age=86400"})


def _address(file: os.DirEntry[str]) -> str:
    """Return the URL of a preview file. Its query is a version made of the file's modification time and size."""
    try:
        about = file.stat(follow_symlinks=False)
    except OSError:  # The file was deleted after it was listed.
        return f"{file.name}?v=0"
    return f"{file.name}?v={about.st_mtime_ns:x}-{about.st_size:x}"


def _kind(name: str) -> str:
    match = re.fullmatch(r"step-[0-9]{1,15}\.(png|wav)", name)
    return match[1] if match else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _json(value: dict[str, Any]) -> Response:
    """Return a JSON response in ASCII, because names of folders may contain bytes that are not valid UTF-8."""
    return Response(json.dumps(value, allow_nan=False), media_type="application/json")
