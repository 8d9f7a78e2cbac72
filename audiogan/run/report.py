"""What a run leaves for people: previews one can play and see, and `report.html`, a page that opens from disk.

The page is a function of the run folder alone, so it can be made again at any time, while a run goes on, after it was
killed, or on another machine. Every file it reads may be missing or cut short:

    config.yaml                   the resolved config
    run.json                      {"status": "finished", "source": "built-in drum machine"}: free text, both optional
    metrics.jsonl                 one flat JSON object a line, with "step" and mostly "seconds"
    previews/step-00001000.png    contact sheet of the preview samples
    previews/step-00001000.wav    sounds one after another; where each is, is in the file's comment
    findings.jsonl                {"kind", "step", "severity", "text"} a line
    evaluation.json               {"values": {name: value}, "floor": {name: value}, "nothing": {name: value}}
    scan.txt                      what was found in the data
    checkpoints/*.ckpt
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from audiogan.errors import UserError
from audiogan.files import is_plain, replacing
from audiogan.run.curves import Series, figure, number, plots, read_series, safe
from audiogan.utils.text import json_object

_MOST_TITLES = 4096  # names of sounds in one preview, at most
_AUDIO_CONTROLS = 12  # a browser takes long over hundreds of players; older previews are links


@dataclass
class _Preview:
    step: int
    png: str | None
    wav: str | None
    titles: list[str]
    seconds: float  # how long a sound is
    every: float  # from the start of one to the start of the next


def _previews(run_dir: Path) -> list[_Preview]:
    found: dict[int, dict[str, Path]] = {}
    for path in sorted((run_dir / "previews").glob("step-*")):
        match = re.fullmatch(r"step-([0-9]+)\.(png|wav)", path.name)
        if match and is_plain(path):
            found.setdefault(int(match[1]), {})[match[2]] = path
    previews = []
    for step, kinds in sorted(found.items()):
        names = {kind: f"previews/{path.name}" for kind, path in kinds.items()}
        titles, seconds, every = _layout(kinds["wav"]) if "wav" in kinds else ([], 0.0, 0.0)
        previews.append(_Preview(step, names.get("png"), names.get("wav"), titles, seconds, every))
    return previews


def _layout(path: Path) -> tuple[list[str], float, float]:
    """Names of the sounds in a joined WAV, the length of each and the distance of their starts, in seconds."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            layout = json.loads(file.comment)
        titles = layout.get("titles") or range(1, int(layout["count"]) + 1)
        seconds, every = float(layout["seconds"]), float(layout["every"])
        if len(titles) > _MOST_TITLES or not math.isfinite(seconds) or not math.isfinite(every):
            raise ValueError("no preview has so many sounds, or sounds of such a length")
        return [str(title) for title in titles], seconds, every
    except (soundfile.SoundFileError, OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return [], 0.0, 0.0  # made by someone else: it still plays, as a whole


def _json_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The objects of a JSON-lines file and how many other lines could not be read (a cut last line is none of them)."""
    rows: list[dict[str, Any]] = []
    broken = 0
    lines = _text(path).split("\n")
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        row = json_object(line)
        if row is not None:
            rows.append(row)
        elif index < len(lines) - 1:
            broken += 1
    return rows, broken


def _text(path: Path) -> str:
    """The text of a file; empty if it is missing, no regular file, or a link to one outside of its folder."""
    try:
        inside = os.path.dirname(os.path.realpath(path)) == os.path.realpath(path.parent)
        return path.read_text(encoding="utf-8", errors="replace") if inside and is_plain(path) else ""
    except OSError:
        return ""


def _object(path: Path) -> dict[str, Any]:
    return json_object(_text(path)) or {}


def _section(stored: dict[str, Any], key: str) -> dict[str, Any]:
    value = stored.get(key)
    return value if isinstance(value, dict) else {}


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; the columns `numbers` are set to the right."""
    kind = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    head = "".join(f"<th{k}>{h}</th>" for k, h in zip(kind, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{c}</td>" for k, c in zip(kind, row, strict=True)) + "</tr>" for row in rows
    )
    return f'<div class="card scroll"><table><tr>{head}</tr>{body}</table></div>'


def _evaluation(run_dir: Path) -> tuple[str, dict[str, float]]:
    """The section about measured quality, and the floor by metric."""
    stored = _object(run_dir / "evaluation.json")
    values, floor, nothing = (
        {n: number(v) for n, v in _section(stored, key).items()} for key in ("values", "floor", "nothing")
    )
    known = {name: value for name, value in floor.items() if value is not None and math.isfinite(value)}
    if not values:
        return "", known

    def cell(value: float | None) -> str:
        return "–" if value is None else figure(value)

    columns = {"this run": values, "floor": floor} | ({"do nothing": nothing} if nothing else {})
    rows = [(f"<code>{safe(n)}</code>", *(cell(column.get(n)) for column in columns.values())) for n in values]
    hint = "The floor is what real data scores against other real data: the most a model can hope for."
    if nothing:
        hint += " Do nothing is what the sources score as outputs: a model should do better."
    table = _table(("measure", *columns), rows, range(1, len(columns) + 1))
    return f'<h2>Measured</h2><p class="hint">{hint}</p>{table}', known


def _findings(run_dir: Path) -> str:
    rows, broken = _json_lines(run_dir / "findings.jsonl")
    if not rows:
        return ""
    cells = []
    for row in rows:
        severity = str(row.get("severity", "info"))
        level = {"warning": "warning", "warn": "warning", "info": "info", "note": "info"}.get(severity.lower(), "error")
        step = number(row.get("step"))
        advice = f'<br><span class="info">{safe(row["advice"])}</span>' if row.get("advice") else ""
        if row.get("override"):
            advice += f"<br><code>{safe(row['override'])}</code>"
        at = "" if step is None or not math.isfinite(step) else f"{step:,.0f}"
        kind = safe(row.get("kind", ""))
        cells.append((at, f'<span class="{level}">{safe(severity)}</span>', kind, safe(row.get("text", "")) + advice))
    note = f'<p class="hint">{broken:,} lines of findings.jsonl could not be read.</p>' if broken else ""
    return "<h2>Findings</h2>" + _table(("step", "severity", "kind", "what"), cells, (0,)) + note


def _curves(series: Series, broken: int, floor: dict[str, float]) -> tuple[str, list[dict[str, Any]]]:
    series = {name: points for name, points in series.items() if name != "seconds"}
    drawn = plots(series, floor)
    if not drawn:
        return "", []
    hint = "Over training steps. A line is a mean; the shade around it reaches from the smallest value to the largest."
    if broken:
        hint += f" {broken:,} lines of metrics.jsonl could not be read."
    _, figures, points = zip(*drawn, strict=True)
    return f'<h2>Curves</h2><p class="hint">{hint}</p><div class="curves">{"".join(figures)}</div>', list(points)


def _listen(previews: list[_Preview], animated: bool = False) -> str:
    if not previews:
        return ""
    newest = previews[-1]
    sheet = next((safe(p.png) for p in reversed(previews) if p.png), "")
    items = []
    for age, preview in enumerate(reversed(previews)):
        name = f"step {preview.step:,}"
        items.append("<li>" + (f'<a href="{safe(preview.png)}">{name}</a>' if preview.png else f"{name} "))
        if preview.wav and age < _AUDIO_CONTROLS:
            items.append(f'<audio controls preload="none" src="{safe(preview.wav)}"></audio>')
        elif preview.wav:
            items.append(f'<a href="{safe(preview.wav)}">listen</a>')
        items.append("</li>")
    heard = any(preview.wav for preview in previews)
    hint = "move the slider, pick a sound, hear it grow up" if heard else "move the slider and see them grow up"
    alt = "waveform and spectrogram of each preview sound" if heard else "the preview samples"
    evolve = '<button type="button" id="evolve" aria-pressed="false">▶ this sound through all steps</button>'
    animation = '<p><a href="previews/animation.gif">animation</a></p>' if animated else ""
    return (
        f"<h2>{'Listen' if heard else 'Look'}</h2>"
        f'<p class="hint">The same inputs at every step: {hint}.</p>'
        '<div class="card listen"><div class="controls" hidden>'
        '<input type="range" id="step" min="0" value="0" aria-label="step of the preview">'
        f'<output id="step-label">step {newest.step:,}</output><audio id="player" controls preload="metadata"></audio>'
        '</div><div class="controls" hidden><div class="sounds" id="sounds"></div>'
        f"{evolve if heard else ''}</div>"
        f'<img id="sheet" src="{sheet}" alt="{alt}"></div>{animation}'
        f'<details><summary>All {len(previews):,} previews</summary><ul class="steps">{"".join(items)}</ul></details>'
    )


def _config(run_dir: Path) -> tuple[str, dict[str, Any]]:
    import yaml

    text = _text(run_dir / "config.yaml")
    try:
        config = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        config = None
    fold = f'<h2>Config</h2><details class="card"><summary>config.yaml</summary><pre>{_block(text)}</pre></details>'
    return fold if text else "", config if isinstance(config, dict) else {}


def _facts(run_dir: Path, config: dict[str, Any], series: Series) -> str:
    """What happened, in one line."""
    run = _object(run_dir / "run.json")
    trainer, data = _section(config, "trainer"), _section(config, "data")
    steps = max((max(steps) for steps, _ in series.values()), default=0.0)
    seconds = max((v for v in series.get("seconds", ([], []))[1] if math.isfinite(v)), default=0.0)
    speeds = [v for v in series.get("examples_per_second", ([], []))[1] if math.isfinite(v)]
    status = run.get("status")
    if not status:
        planned, minutes = number(trainer.get("steps")), number(trainer.get("minutes"))
        done = (planned and steps >= planned) or (minutes and seconds >= 60 * minutes)
        status = "finished" if done else f"stopped, of {planned:,.0f} steps" if planned else "stopped"
    facts = [str(status), f"{steps:,.0f} steps", f"{seconds / 60:,.1f} minutes"]
    if speeds:
        facts.append(f"{figure(float(np.median(speeds)))} examples a second")
    source = run.get("source") or data.get("root")
    if source:
        facts.append(f"data: {source}")
    checkpoints = sorted(path.name for path in (run_dir / "checkpoints").glob("*.ckpt"))
    if checkpoints:
        facts.append(f"newest checkpoint: {checkpoints[-1]}")
    return " · ".join(safe(fact) for fact in facts)


def _page(title: str, body: str, data: dict[str, Any]) -> str:
    style = files("audiogan.run").joinpath("report.css").read_text(encoding="utf-8")
    script = files("audiogan.run").joinpath("report.js").read_text(encoding="utf-8")
    # Only this script may run, whatever a file name or a label tries to smuggle in.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    content = json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026")
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="script-src \'sha256-{digest}\'">\n'
        f"<title>{safe(title)}</title>\n<style>\n{style}</style>\n<body>\n{body}\n"
        f'<script type="application/json" id="data">{content}</script>\n<script>{script}</script>\n'
    )


def _block(text: str) -> str:
    """Text of several lines as HTML."""
    return "\n".join(safe(line) for line in text.splitlines())


def write_report(run_dir: str | os.PathLike[str]) -> Path:
    """Write `report.html` into a run folder, atomically, and return its path.

    One page without anything from elsewhere: what happened, previews to see and hear, findings, curves, measured
    quality, the data scan and the config. Missing, cut or broken files leave their section out or say so.

    Raises:
        UserError: `run_dir` is no folder.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run folder")
    rows, broken = _json_lines(run_dir / "metrics.jsonl")
    series = read_series(rows)
    previews = _previews(run_dir)
    config_section, config = _config(run_dir)
    evaluation, floor = _evaluation(run_dir)
    curves, plots = _curves(series, broken, floor)
    scan = _text(run_dir / "scan.txt").strip()
    name = run_dir.resolve().name
    parts = [
        f'<h1>{safe(name)}</h1><p class="lead">{_facts(run_dir, config, series)}</p>',
        _listen(previews, (run_dir / "previews" / "animation.gif").is_file()),
        _findings(run_dir),
        evaluation,
        curves,
        f'<h2>Data</h2><pre class="card">{_block(scan)}</pre>' if scan else "",
        config_section,
    ]
    page = _page(name, "\n".join(filter(None, parts)), {"plots": plots, "previews": [asdict(p) for p in previews]})
    path = run_dir / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return path
