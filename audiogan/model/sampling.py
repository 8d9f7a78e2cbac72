"""The ``audiogan sample`` command: write samples as files, with a contact sheet and a list."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiogan.errors import UserError
from audiogan.files import check_readable_file, check_writable_folder, create_folder
from audiogan.inputs import Signal
from audiogan.modalities import read_comment
from audiogan.modalities.drawing.sheets import SHEET_NAME, check_sheet_overwritable
from audiogan.model.generator import Generator, Label
from audiogan.model.recipe import Recipe
from audiogan.model.sample_inputs import has_random_inputs
from audiogan.model.sample_list import SampleList
from audiogan.utils.progress import Interrupts, ItemProgress, interruptible
from audiogan.utils.text import printable

BLOCK = 64
"""Maximum number of samples in memory, and on a contact sheet."""
MAX_SAMPLES = 10**9
"""Maximum number of samples in one call."""
MAX_NAME_BYTES = 160
"""Maximum length of a label in a file name, in bytes. File systems allow 255 bytes for the whole name."""
Block = tuple[list[Recipe], np.ndarray]


def write_samples(
    generator: Generator,
    out: Path,
    n: int,
    *,
    seed: int | None = None,
    label: Label = None,
    knobs: Mapping[str, float] | None = None,
    truncation: float | None = None,
    inputs: Mapping[str, Any] | None = None,
    route: str | None = None,
    echo: Callable[[str], None] = print,
) -> list[Path]:
    """Write samples into a folder: one file for each sound or image, ``contact-sheet.png`` and ``samples.csv``.

    All points are written to one file. Each file stores its recipe, see `read_recipe`. Each sample is listed as soon as
    it is written, so an interrupted call leaves a complete list. Files of other samples are never overwritten.

    Args:
        generator: the model.
        out: output folder. It is created if it is missing.
        n: number of samples.
        seed: random seed, see `Generator.sample`.
        label: class name or weights of classes, see `Generator.sample`.
        knobs: knob settings, see `Generator.sample`.
        truncation: truncation of the latent, see `Generator.sample`.
        inputs: values of other inputs, see `Generator.sample`. Samples made from signal files are named after these
            files, and the contact sheet shows the files too.
        route: name of the generator network, for models with several. None selects the first.
        echo: function that prints a line.

    Returns:
        Paths of the written files.

    Raises:
        UserError: an argument is invalid, the folder contains a conflicting file of the user, or the disk is full.
    """
    if n > MAX_SAMPLES:
        raise UserError(f"n={n}: at most {MAX_SAMPLES:,} at a time")
    drawn = not inputs or has_random_inputs(generator)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0]) if drawn else 0
    if not 0 <= seed <= 2**63 - 1 - n:
        raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1 - n")
    modality, first = generator.modality, seed
    check_writable_folder(out)
    listing = _open_list(out)

    chosen: dict[str, Any] = {} if route is None else {"generator": route}

    def blocks() -> Iterator[Block]:
        wanted: dict[str, Any] = {"label": label, "knobs": knobs, "truncation": truncation}
        for start in range(0, max(n, 1), BLOCK):
            count = min(BLOCK, n - start)
            part = {k: v[start : start + count] if isinstance(v, list) else v for k, v in (inputs or {}).items()}
            recipes = generator.recipes(count, seed=first + start, inputs=part, **wanted)
            yield recipes, generator.render(recipes, **chosen)

    mixture = "" if label is None or isinstance(label, str) else _format_values(label)
    settings = [mixture, _format_values(knobs or {}), "" if truncation is None else f"{truncation:g}", generator.name]
    progress = ItemProgress(n, modality.noun, echo)
    job = _Job(generator, listing, settings, progress, n)
    job.route, job.inputs, job.drawn = route or "", dict(inputs or {}), drawn
    try:
        with interruptible() as interrupts, create_folder(out):
            (job.one_file_each if modality.single else job.one_file)(blocks(), interrupts)
    except KeyboardInterrupt:
        progress.close()
        if job.files:
            echo(f"stopped: {job.state()}: {out}")
        raise
    except (UserError, OSError) as error:
        if not job.files:
            raise
        raise UserError(f"{error}; {job.state()}") from error
    finally:
        progress.close()
    model = f"{printable(generator.name)} (step {generator.step:,})"
    seeds = (f", seeds {seed} to {seed + n - 1}" if n > 1 else f", seed {seed}") if drawn else ""
    echo(f"{n} {_plural(modality.noun, n)} from {model}{seeds}: {out}")
    return job.files


class _Job:
    """State of one `write_samples` call."""

    def __init__(
        self, generator: Generator, listing: SampleList, settings: Sequence[str], progress: ItemProgress, n: int
    ) -> None:
        self.modality, self.listing, self.settings = generator.modality, listing, settings
        self.progress, self.n = progress, n
        self.files: list[Path] = []
        self.generator, self.route, self.drawn = generator, "", True
        self.inputs: dict[str, Any] = {}

    def state(self) -> str:
        noun = _plural(self.modality.noun, self.n)
        return f"{len(self.files):,} of {self.n:,} {noun} are there and listed in {self.listing.path.name}"

    def one_file_each(self, blocks: Iterator[Block], interrupts: Interrupts) -> None:
        """Write each sound or image to its own file as soon as it is generated."""
        for recipes, waves in blocks:
            if not self.files:
                self.check_room(self.size(waves[0]))
            for recipe, wave in zip(recipes, waves, strict=True):
                with interrupts.delayed():
                    self.write(self.stem(recipe), recipe, wave)
                self.progress.step()
            if len(self.files) == len(waves):
                self.sheet(recipes, waves)

    def one_file(self, blocks: Iterator[Block], interrupts: Interrupts) -> None:
        """Write all points to one file."""
        first, parts = None, []
        for recipes, points in blocks:
            if first is None:
                first = recipes[0]
                self.check_room(points[0].nbytes)
            parts.append(points)
            self.progress.step(len(recipes))
        assert first is not None
        whole = np.concatenate(parts)
        with interrupts.delayed():
            self.write(f"{self.modality.noun}s-{first.seed}", first, whole)
        self.modality.sheet(self.listing.folder / SHEET_NAME, whole)

    def sheet(self, recipes: Sequence[Recipe], waves: np.ndarray) -> None:
        """Write the contact sheet: the samples, next to their sources if these can be displayed."""
        path, titles = self.listing.folder / SHEET_NAME, [file.stem for file in self.files]
        columns = {
            name: given.to_display(np.stack([np.asarray(recipe.signals[name], np.float32) for recipe in recipes]))
            for name, given in self.signals.items()
            if self.modality.same_kind(given.modality)
        }
        if columns:
            self.modality.draw_columns(path, {**columns, "output": waves}, titles=titles)
        else:
            self.modality.sheet(path, waves, titles)

    @property
    def signals(self) -> dict[str, Any]:
        """Signal inputs that the user gave."""
        return {name: given for name in self.inputs if isinstance(given := self.generator.inputs[name], Signal)}

    def stem(self, recipe: Recipe) -> str:
        """Return the stem of the next file name: the stem of the source file, or class and seed."""
        for name in self.signals:
            if isinstance(value := self.value(name), str | os.PathLike):
                stem = _safe_name(Path(value).stem) or self.modality.noun
                taken = f"{stem}{self.modality.suffix}".lower() == SHEET_NAME
                return f"{stem}-output" if taken else stem
        return f"{_safe_name(recipe.label) or self.modality.noun}-{recipe.seed}"

    def value(self, name: str) -> Any:
        """Return the value of an input for the next file."""
        value = self.inputs.get(name)
        return value[len(self.files)] if isinstance(value, list) else value

    def cell(self, recipe: Recipe) -> str:
        """Return the inputs of the next file as text for the list. File paths are shortened to the file name."""
        shown = []
        for name in self.inputs:
            value = self.value(name)
            if name in self.signals:
                is_path = isinstance(value, str | os.PathLike)
                value = Path(value).name if is_path else recipe.inputs[name]["sha256"][:8]
            shown.append(f"{name}={value}")
        return " ".join(shown)

    def write(self, base: str, recipe: Recipe, signal: np.ndarray) -> None:
        """Write one file and its row in the list, or neither."""
        seed = str(recipe.seed) if self.drawn else ""
        row = [seed, recipe.label, *self.settings, self.cell(recipe), self.route]

        def same(path: Path) -> bool:
            """Whether a file was made from the same signals; their names may be the same by chance."""
            if not self.signals:
                return True
            try:
                return read_recipe(path).inputs == recipe.inputs
            except UserError:
                return False

        with self.listing.lock():
            file = self.listing.file_name(base, self.modality.suffix, row, same)
            path = self.listing.folder / file
            self.modality.save(path, signal, recipe.to_json())
            try:
                self.listing.add(file, row)
            except BaseException:
                if file not in self.listing:
                    path.unlink(missing_ok=True)
                raise
        self.files.append(path)

    def size(self, signal: np.ndarray) -> int:
        """Return the file size of one sample in bytes, or 0 if the samples are few."""
        if self.n <= BLOCK:
            return 0
        with tempfile.TemporaryDirectory(dir=self.listing.folder) as folder:
            path = Path(folder) / f"one{self.modality.suffix}"
            self.modality.save(path, signal)
            return path.stat().st_size

    def check_room(self, size: int) -> None:
        """Raise `UserError` if the disk has no room for all samples of ``size`` bytes each."""
        need, free = size * self.n, shutil.disk_usage(self.listing.folder).free
        if need > free:
            noun = _plural(self.modality.noun, self.n)
            about = f"{self.n:,} {noun} need about {_format_size(need)}, and {_format_size(free)} are free"
            raise UserError(f"{self.listing.folder}: {about}; make fewer")


def _open_list(out: Path) -> SampleList:
    """Return the list of samples in a folder. Raise `UserError` that names every conflicting file of the user."""
    problems = []
    try:
        check_sheet_overwritable(out / SHEET_NAME)
    except UserError as error:
        problems.append(str(error))
    try:
        listing = SampleList(out)
        if not problems:
            return listing
    except UserError as error:
        problems.append(str(error))
    raise UserError("; ".join(problems))


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Return the recipe stored in a WAV or PNG file that audiogan wrote.

    Raises:
        UserError: the file cannot be read, or contains no recipe.
    """
    path = Path(path)
    check_readable_file(path)
    text = read_comment(path)
    if not text:
        raise UserError(
            f"{path}: contains no recipe; only files written by audiogan contain one, and editors may remove it"
        )
    try:
        return Recipe.from_json(text)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _format_values(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in values.items())


def _safe_name(label: str) -> str:
    """Return a label as part of a file name. The label may come from an untrusted checkpoint."""
    name = re.sub(r"[^\w.-]+", "_", label).strip("._-")[:80]
    return name.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def _format_size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def _plural(noun: str, n: int) -> str:
    return noun if n == 1 else f"{noun}s"
