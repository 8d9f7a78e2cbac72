"""``audiogan sample``: sounds as WAV files, with a picture and a list of what they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audiogan.errors import UserError
from audiogan.generator import Generator
from audiogan.sounds import replacing

FIELDS = ["file", "seed", "class", "truncation", "checkpoint"]


def write_samples(
    generator: Generator,
    out: Path,
    n: int,
    *,
    seed: int | None = None,
    label: str | None = None,
    truncation: float = 1.0,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Write ``n`` sounds into ``out``: WAV files, ``contact-sheet.png`` and ``samples.csv``. Nothing there is
    overwritten by another sound.
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    waves, names = generator.sample_with_labels(n, seed=seed, label=label, truncation=truncation)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror})") from error
    rows = {row["file"]: row for row in _rows(out / "samples.csv")}
    files = []
    for i, (wave, name) in enumerate(zip(waves, names, strict=True)):
        what = [str(seed + i), name, f"{truncation:g}", f"{generator.checkpoint}"]
        file = _free_name(out, rows, _safe(name) or "sound", what)
        generator.save_wav(out / file, wave)
        rows[file] = dict(zip(FIELDS, [file, *what], strict=True))
        files.append(out / file)
    with (
        replacing(out / "samples.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.DictWriter(stream, FIELDS)
        table.writeheader()
        table.writerows(rows.values())
    _contact_sheet(generator, out, waves, [file.stem for file in files])
    say(f"{n} sounds from {generator.checkpoint} (step {generator.step:,}), seeds {seed} to {seed + n - 1}: {out}")
    return files


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            table = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a list of samples ({error}); choose another folder") from error
    return [{key: row[key] or "" for key in FIELDS} for row in table if set(FIELDS) <= row.keys()]


def _safe(label: str) -> str:
    """A label as part of a file name: it may come from a stranger's checkpoint."""
    return re.sub(r"[^\w.-]+", "_", label).strip("._-")[:80]


def _free_name(out: Path, rows: dict[str, dict[str, str]], stem: str, what: list[str]) -> str:
    """A file name for this sound: its own if it was written before, never that of another."""
    base = f"{stem}-{what[0]}"
    for attempt in range(1, 10_000):
        file = f"{base}.wav" if attempt == 1 else f"{base}-{attempt}.wav"
        row = rows.get(file)
        if row is not None and [row[key] for key in FIELDS[1:]] == what:
            return file
        if row is None and not (out / file).exists():
            return file
    raise UserError(f"{out}: too many sounds called {base}; choose another folder")


def _contact_sheet(generator: Generator, out: Path, waves: np.ndarray, titles: list[str], most: int = 64) -> None:
    from audiogan.pictures import contact_sheet

    contact_sheet(out / "contact-sheet.png", waves[:most], generator.sample_rate, titles[:most])
