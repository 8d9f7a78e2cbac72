"""The ``audiogan morph`` command: write a gradual transition between two samples as files."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiogan.errors import UserError
from audiogan.files import check_writable_folder, create_folder
from audiogan.modalities.drawing.sheets import SHEET_NAME, check_sheet_overwritable
from audiogan.model.generator import Generator
from audiogan.model.recipe import Recipe
from audiogan.model.sample_list import SampleList
from audiogan.model.sampling import BLOCK, read_recipe
from audiogan.utils.progress import interruptible
from audiogan.utils.text import printable

MAX_STEPS = 1000
"""Maximum number of steps of a morph."""
JOINED_FILE = "morph.wav"


def write_morph(
    generator: Generator, out: Path, start: str, end: str, steps: int = 9, echo: Callable[[str], None] = print
) -> list[Recipe]:
    """Write a morph into a folder.

    The folder receives one file for each step, ``morph.wav`` with all sounds joined, and a contact sheet. Files of an
    earlier morph in the folder are deleted.

    Args:
        generator: the model.
        out: output folder. It is created if it is missing.
        start: first sample: a seed such as ``7``, a class and seed such as ``kick-7``, or a file written by ``audiogan
            sample``.
        end: last sample, in the same form as ``start``.
        steps: number of samples, both ends included, from 2 to 1,000.
        echo: function that prints a line.

    Returns:
        Recipes of the steps.

    Raises:
        UserError: an argument is invalid, the folder contains a conflicting file of the user, or the disk is full.
    """
    modality = generator.modality
    if not modality.single:
        raise UserError(f"{generator.name}: {modality.noun}s cannot be morphed; choose a model of sounds or images")
    if not 2 <= steps <= MAX_STEPS:
        raise UserError(f"steps={steps}: a morph has 2 to {MAX_STEPS:,} steps, both ends included")
    check_writable_folder(out)
    old = _earlier_files(out)
    check_sheet_overwritable(out / SHEET_NAME)
    recipes = generator.morph(_parse_end(generator, start), _parse_end(generator, end), steps)
    waves = generator.render(recipes)
    titles = [f"{i + 1:0{len(str(steps))}}" for i in range(steps)]
    # All files are written before an old file is deleted, so a full disk leaves the earlier morph intact.
    with (
        interruptible() as interrupts,
        create_folder(out),
        tempfile.TemporaryDirectory(dir=out, prefix=".morph-") as temporary,
    ):
        folder = Path(temporary)
        try:
            for wave, recipe, title in zip(waves, recipes, titles, strict=True):
                modality.save(folder / f"morph-{title}{modality.suffix}", wave, recipe.to_json())
            joined = modality.concatenate(waves)
            if joined is not None:
                modality.save(folder / JOINED_FILE, joined)
            shown = np.unique(np.linspace(0, steps - 1, min(steps, BLOCK)).round().astype(int))
            modality.sheet(folder / SHEET_NAME, waves[shown], [titles[i] for i in shown])
        except UserError as error:
            raise UserError(str(error).replace(temporary, str(out))) from error
        with interrupts.delayed():
            for path in old:
                path.unlink(missing_ok=True)
            for path in sorted(folder.iterdir()):
                os.replace(path, out / path.name)
    echo(f"{steps} {modality.noun}s from {start} to {end} of {printable(generator.name)}: {out}")
    return recipes


def _earlier_files(out: Path) -> list[Path]:
    """Return the files of an earlier morph in a folder. Raise `UserError` if one of them is not part of a morph."""
    try:
        listing: SampleList | None = SampleList(out)
    except UserError:  # The table was not written by audiogan.
        listing = None
    found = sorted(path for path in out.glob("morph-*") if re.fullmatch(r"morph-\d+\.(wav|png)", path.name))
    for path in found:
        try:
            if listing is not None and path.name in listing:
                raise UserError(f"{path}: a sample")
            read_recipe(path)
        except UserError as error:
            raise UserError(f"{error}; it is not a step of a morph, so rename it, or choose another folder") from error
    whole = out / JOINED_FILE
    if os.path.lexists(whole):
        if not whole.is_file() or not any(path.suffix == whole.suffix for path in found):
            raise UserError(f"{whole}: not a morph of audiogan; rename it, or choose another folder")
        found.append(whole)
    return found


def _parse_end(generator: Generator, text: str) -> Recipe:
    """Return the recipe for a seed, ``CLASS-SEED`` or a file."""
    if Path(text).suffix.lower() in (".wav", ".png"):
        recipe = read_recipe(text)
        # Only the file names of the models are compared, because the recipe may name the same model by another path.
        same = Path(recipe.model).stem == Path(generator.name).stem
        return replace(recipe, model=generator.name if same else printable(recipe.model)[:200])
    generator.require_random_inputs("the ends of a morph")
    label, _, seed = text.rpartition("-")
    if not seed.isdecimal() or len(seed) > 20:
        raise UserError(f"{text!r}: write a seed (7), CLASS-SEED (kick-7), or a file that `audiogan sample` wrote")
    return generator.recipes(1, seed=int(seed), label=label or None)[0]
