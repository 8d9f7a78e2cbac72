"""``audiogan sample``: sounds, images or points as files, with a picture and a list of what they are."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile

from audiogan.errors import UserError
from audiogan.files import check_file
from audiogan.generator import Generator, Label
from audiogan.modalities.sound import GAP_SECONDS, Sound
from audiogan.png import open_png
from audiogan.recipe import Recipe
from audiogan.sounds import replacing
from audiogan.text import printable, table_cell, table_text

SHEET = 64  # most samples on a contact sheet
LONGEST_NAME = 160
"""Bytes of a label in a file name. File systems allow 255 for the whole name."""
LARGEST_IMAGE = 1 << 24
"""Most pixels of an image that is opened for its recipe."""
FIELDS = ["file", "seed", "class", "mixture", "knobs", "truncation", "checkpoint"]


def write_samples(
    generator: Generator,
    out: Path,
    n: int,
    *,
    seed: int | None = None,
    label: Label = None,
    knobs: Mapping[str, float] | None = None,
    truncation: float | None = None,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Write ``n`` samples into ``out``: one file each (WAV, PNG; all points in one file), ``contact-sheet.png`` and
    ``samples.csv``. Nothing there is overwritten by another sample. Each file holds its recipe (`recall`).
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    recipes = generator.recipes(n, seed=seed, label=label, knobs=knobs, truncation=truncation)
    waves, names = generator.render(recipes), [recipe.label for recipe in recipes]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror})") from error
    modality = generator.modality
    rows = {row["file"]: row for row in _rows(out / "samples.csv")}
    mixture = "" if label is None or isinstance(label, str) else _listed(label)
    settings = [mixture, _listed(knobs or {}), "" if truncation is None else f"{truncation:g}"]
    files = []
    for i, name in enumerate(names if modality.single else names[:1]):
        row = [printable(cell) for cell in (str(seed + i), name, *settings, generator.name)]
        stem = (_safe(name) or modality.noun) if modality.single else f"{modality.noun}s"
        file = _free_name(out, rows, stem, modality.suffix, row)
        modality.save(out / file, waves[i] if modality.single else waves, recipes[i].to_json())
        rows[file] = dict(zip(FIELDS, [file, *row], strict=True))
        files.append(out / file)
    with (
        replacing(out / "samples.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.DictWriter(stream, FIELDS)
        table.writeheader()
        table.writerows({key: table_cell(cell) for key, cell in row.items()} for row in rows.values())
    if modality.single:
        modality.sheet(out / "contact-sheet.png", waves[:SHEET], [file.stem for file in files[:SHEET]])
    else:
        modality.sheet(out / "contact-sheet.png", waves)
    what = modality.noun if n == 1 else f"{modality.noun}s"
    model = f"{printable(generator.name)} (step {generator.step:,})"
    say(f"{n} {what} from {model}, seeds {seed} to {seed + n - 1}: {out}")
    return files


def recall(path: str | os.PathLike[str]) -> Recipe:
    """Return the recipe in a WAV or PNG file that this package wrote.

    Raises:
        UserError: the file cannot be read, or holds no recipe.
    """
    path = Path(path)
    check_file(path)
    text = _png_comment(path) if path.suffix.lower() == ".png" else _sound_comment(path)
    if not text:
        raise UserError(f"{path}: holds no recipe; only files that audiogan wrote do, and sound editors drop them")
    try:
        return Recipe.from_json(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _sound_comment(path: Path) -> str:
    try:
        with soundfile.SoundFile(path) as file:
            return file.comment or ""
    except (OSError, ValueError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        reason = getattr(error, "error_string", None) or str(error)
        raise UserError(f"{path}: cannot be read ({reason.strip().rstrip('.')})") from error


def _png_comment(path: Path) -> str:
    with open_png(path, LARGEST_IMAGE) as picture:
        # In files of audiogan the text comes first; other programs may write it behind the pixels.
        return str(picture.info.get("Comment") or getattr(picture, "text", {}).get("Comment", ""))


def write_morph(
    generator: Generator, out: Path, start: str, end: str, steps: int = 9, say: Callable[[str], None] = print
) -> list[Recipe]:
    """Write the way from one sound to another into ``out``: a file a step, all of them in a row, a contact sheet.

    Args:
        start, end: a seed, ``CLASS-SEED`` as in the names of sampled files, or such a file.
        steps: how many sounds, both ends among them.
    """
    recipes = generator.morph(_named(generator, start), _named(generator, end), steps)
    waves, modality = generator.render(recipes), generator.modality
    if not modality.single:
        raise UserError(f"{generator.name}: {modality.noun}s have no morph; it is for sounds and images")
    digits = len(str(steps))
    titles = [f"{i + 1:0{digits}}" for i in range(steps)]
    for wave, recipe, title in zip(waves, recipes, titles, strict=True):
        modality.save(out / f"morph-{title}{modality.suffix}", wave, recipe.to_json())
    if isinstance(modality, Sound):
        gap = np.zeros((waves.shape[1], round(GAP_SECONDS * modality.sample_rate)), np.float32)
        modality.save(out / "morph.wav", np.concatenate([part for wave in waves for part in (wave, gap)][:-1], axis=1))
    modality.sheet(out / "contact-sheet.png", waves, titles)
    say(f"{steps} {modality.noun}s from {start} to {end} of {printable(generator.name)}: {out}")
    return recipes


def _named(generator: Generator, text: str) -> Recipe:
    """The recipe that a seed, ``CLASS-SEED`` or a file means."""
    if Path(text).suffix.lower() in (".wav", ".png"):
        return recall(text)
    label, _, seed = text.rpartition("-")
    if not seed.isdecimal():
        raise UserError(f"{text!r}: write a seed (7), CLASS-SEED (kick-7), or a file that `audiogan sample` wrote")
    return generator.recipes(1, seed=int(seed), label=label or None)[0]


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            table = list(csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a list of samples ({error}); choose another folder") from error
    return [{key: table_text(row.get(key) or "") for key in FIELDS} for row in table if {"file", "seed"} <= row.keys()]


def _listed(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in values.items())


def _safe(label: str) -> str:
    """Return a label as part of a file name. It may come from a stranger's checkpoint."""
    name = re.sub(r"[^\w.-]+", "_", label).strip("._-")[:80]
    return name.encode()[:LONGEST_NAME].decode(errors="ignore")


def _free_name(out: Path, rows: dict[str, dict[str, str]], stem: str, suffix: str, what: list[str]) -> str:
    """A file name for this sample: its own if it was written before, never that of another."""
    base = f"{stem}-{what[0]}"
    for attempt in range(1, 10_000):
        file = f"{base}{suffix}" if attempt == 1 else f"{base}-{attempt}{suffix}"
        row = rows.get(file)
        if row is not None and [row[key] for key in FIELDS[1:]] == what:
            return file
        if row is None and not (out / file).exists():
            return file
    raise UserError(f"{out}: too many files called {base}; choose another folder")
