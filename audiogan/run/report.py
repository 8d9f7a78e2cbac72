"""Write the report of a run: `report.html`, a self-contained web page with previews, curves and findings.

The report is generated from the files of the run folder only. It can be regenerated at any time: during training,
after a run was killed, or on another machine. Each of these files may be missing or truncated:

    config.yaml                   resolved configuration
    run.json                      status and data source: {"status": "finished", "source": "built-in drum machine"}
    metrics.jsonl                 one JSON object per line, with "step" and usually "seconds"
    previews/step-00001000.png    contact sheet of the preview samples; a text chunk of the PNG holds positions of
                                  sources, outputs and targets
    previews/step-00001000.wav    all preview sounds in sequence; a comment in the file holds their titles and times
    findings.jsonl                one finding per line: {"kind", "step", "severity", "text"}
    evaluation.json               metrics by name: of the model ("values"), of real data ("floor"), of another model
                                      ("baseline") and, if the model translates signals, of the unchanged source
                                      signals ("nothing")
    scan.txt                      summary of the training data
    checkpoints/*.ckpt            checkpoints; only their names are used
"""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from audiogan.errors import UserError
from audiogan.files import atomic_write, is_regular_file
from audiogan.modalities.drawing.grid import read_layout
from audiogan.run.curves import Series, format_number, plot_metrics, series_from_rows, template_environment, to_float
from audiogan.utils.text import parse_json_object, printable

_MAX_TITLES = 4096  # Largest number of sounds in a preview.
_AUDIO_CONTROLS = 12  # Largest number of audio players on the page. Older previews are links.


@dataclass
class _Preview:
    step: int
    png: str | None
    wav: str | None
    titles: Sequence[str] = ()
    seconds: float = 0.0  # Length of a sound, in seconds.
    every: float = 0.0  # Seconds between the starts of two sounds.


def preview_files(run_dir: Path) -> dict[int, dict[str, os.DirEntry[str]]]:
    """Return the preview files of a run: step -> suffix (``png`` or ``wav``) -> file. Symbolic links are skipped."""
    found: dict[int, dict[str, os.DirEntry[str]]] = {}
    folder = run_dir / "previews"
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = re.fullmatch(r"step-([0-9]{1,15})\.(png|wav)", entry.name)
            if match and not folder.is_symlink() and entry.is_file(follow_symlinks=False):
                found.setdefault(int(match[1]), {})[match[2]] = entry
    return dict(sorted(found.items()))


def _previews(run_dir: Path) -> list[_Preview]:
    previews = []
    for step, files in preview_files(run_dir).items():
        names = {kind: f"previews/{file.name}" for kind, file in files.items()}
        layout = read_preview_layout(Path(files["wav"].path)) if "wav" in files else {}
        previews.append(_Preview(step, names.get("png"), names.get("wav"), **layout))
    return previews


def read_preview_layout(path: Path, max_titles: int = _MAX_TITLES) -> dict[str, Any]:
    """Read titles and times of the sounds in a preview from the comment of its WAV file.

    Args:
        path: WAV file written by `audiogan.modalities.sound.write_preview`.
        max_titles: largest number of sounds.

    Returns:
        A dict with ``titles``, ``seconds`` (length of one sound) and ``every`` (seconds between the starts of two
        sounds). It is empty if the file has no valid comment.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            stored = parse_json_object(file.comment) or {}
        count, seconds, every = min(int(stored["count"]), max_titles), float(stored["seconds"]), float(stored["every"])
        titles = [printable(str(title)[:60]) for title in (stored.get("titles") or [])[:max_titles]]
    except (soundfile.SoundFileError, OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {}
    if count < 1 or not 0 < seconds <= every < 3600:
        return {}
    if len(titles) != count:
        titles = [str(i + 1) for i in range(count)]
    return {"titles": titles, "seconds": seconds, "every": every}


def _read_json_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the objects in a JSON-lines file and the number of unreadable lines. A truncated last line is ignored."""
    rows: list[dict[str, Any]] = []
    broken = 0
    lines = _read_text(path).split("\n")
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        row = parse_json_object(line)
        if row is not None:
            rows.append(row)
        elif index < len(lines) - 1:
            broken += 1
    return rows, broken


def _read_text(path: Path) -> str:
    """Return the text of a file. Empty if it is missing, not a regular file, or a link to another folder."""
    try:
        inside = os.path.dirname(os.path.realpath(path)) == os.path.realpath(path.parent)
        return path.read_text(encoding="utf-8", errors="replace") if inside and is_regular_file(path) else ""
    except OSError:
        return ""


def _read_object(path: Path) -> dict[str, Any]:
    return parse_json_object(_read_text(path)) or {}


def _section(stored: dict[str, Any], key: str) -> dict[str, Any]:
    value = stored.get(key)
    return value if isinstance(value, dict) else {}


def _metric_values(stored: dict[str, Any], key: str) -> dict[str, float | None]:
    return {name: to_float(value) for name, value in _section(stored, key).items()}


def _comparison(run_dir: Path, previews: Sequence[_Preview]) -> dict[str, Any]:
    """Return the positions of the source, output and target in the last preview, or an empty dict if there are none.

    Other columns, such as masks, are left out.
    """
    shown = [preview for preview in previews if preview.png]
    layout = read_layout(run_dir / str(shown[-1].png)) if shown else None
    kept = [i for i, name in enumerate(layout.columns if layout else []) if i == 0 or name in ("output", "target")]
    if layout is None or len(kept) < 2:
        return {}
    return {
        **{"png": shown[-1].png, "step": shown[-1].step},
        **{"sheet": layout.sheet, "cell": layout.cell, "rows": layout.rows, "titles": layout.titles},
        "columns": [layout.columns[i] for i in kept],
        "offsets": [i * layout.stride for i in kept],
    }


def _prepare_finding(row: dict[str, Any]) -> dict[str, Any]:
    """Prepare a finding for the report: formatted step, severity and CSS class."""
    severity, step = str(row.get("severity", "info")), to_float(row.get("step"))
    levels = {"warning": "warning", "warn": "warning", "info": "info", "note": "info"}
    at = "" if step is None or not math.isfinite(step) else f"{step:,.0f}"
    return {**row, "at": at, "severity": severity, "level": levels.get(severity.lower(), "error")}


def _parse_config(text: str) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        config = None
    return config if isinstance(config, dict) else {}


def _heading_facts(run_dir: Path, config: dict[str, Any], series: Series) -> list[str]:
    """Return the heading of the report: status, steps, duration, speed, data source and newest checkpoint."""
    run = _read_object(run_dir / "run.json")
    trainer, data = _section(config, "trainer"), _section(config, "data")
    steps = max((max(steps) for steps, _ in series.values()), default=0.0)
    seconds = max((v for v in series.get("seconds", ([], []))[1] if math.isfinite(v)), default=0.0)
    speeds = [v for v in series.get("examples_per_second", ([], []))[1] if math.isfinite(v)]
    status = run.get("status")
    if not status:
        planned, minutes = to_float(trainer.get("steps")), to_float(trainer.get("minutes"))
        done = (planned and steps >= planned) or (minutes and seconds >= 60 * minutes)
        status = "finished" if done else f"stopped, of {planned:,.0f} steps" if planned else "stopped"
    facts = [str(status), f"{steps:,.0f} steps", f"{seconds / 60:,.1f} minutes"]
    if speeds:
        facts.append(f"{format_number(float(np.median(speeds)))} examples per second")
    source = run.get("source") or data.get("root")
    if source:
        facts.append(f"data: {source}")
    checkpoints = sorted(path.name for path in (run_dir / "checkpoints").glob("*.ckpt"))
    if checkpoints:
        facts.append(f"newest checkpoint: {checkpoints[-1]}")
    return facts


def write_report(run_dir: str | os.PathLike[str]) -> Path:
    """Write ``report.html`` into a run folder and return its path. An existing report is replaced atomically.

    The page contains status, previews, findings, training curves, evaluation, data summary and configuration. It loads
    only the previews of the run folder, and nothing from the network. If a file is missing or unreadable, its section
    is omitted.

    Args:
        run_dir: run folder.

    Raises:
        UserError: ``run_dir`` is not a folder.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run folder")
    rows, broken_metrics = _read_json_lines(run_dir / "metrics.jsonl")
    findings, broken_findings = _read_json_lines(run_dir / "findings.jsonl")
    series, previews = series_from_rows(rows), _previews(run_dir)
    comparison = _comparison(run_dir, previews)
    config, stored = _read_text(run_dir / "config.yaml"), _read_object(run_dir / "evaluation.json")
    values, floor, nothing, baseline = (
        _metric_values(stored, key) for key in ("values", "floor", "nothing", "baseline")
    )
    measured = {"do nothing": nothing, "baseline": baseline, "this run": values, "floor": floor}
    measured = {name: column for name, column in measured.items() if column or name in ("this run", "floor")}
    drawn = plot_metrics(
        {name: points for name, points in series.items() if name != "seconds"},
        {name: value for name, value in floor.items() if value is not None and math.isfinite(value)},
    )
    script = Path(__file__).with_name("report.js").read_text(encoding="utf-8")
    page = (
        template_environment()
        .get_template("report.html")
        .render(
            name=run_dir.resolve().name,
            facts=_heading_facts(run_dir, _parse_config(config), series),
            previews=previews,
            comparison=comparison,
            players=_AUDIO_CONTROLS,
            animation=(run_dir / "previews" / "animation.gif").is_file(),
            findings=[_prepare_finding(row) for row in findings],
            broken_findings=broken_findings,
            measured=measured if values else {},
            baseline=str(stored.get("baseline_name", "")),
            figures=[html for _, html, _ in drawn],
            broken_metrics=broken_metrics,
            scan=_read_text(run_dir / "scan.txt").strip(),
            config=config,
            data={
                "plots": [points for *_, points in drawn],
                "previews": [asdict(preview) for preview in previews],
                "comparison": comparison,
            },
            style=Markup(Path(__file__).with_name("report.css").read_text(encoding="utf-8")),
            script=Markup(script),
            # The content security policy allows only this script, even if a file name or a label contains a script.
            script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
    path = run_dir / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path
