"""Walks: closed, smooth paths through the latent space of a model, as recipes or as files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audiogan.errors import UserError
from audiogan.files import check_output
from audiogan.latents.path import ClosedPath
from audiogan.latents.walk_files import SOUNDS, SUFFIXES, Film, check_film, write_film, write_sound
from audiogan.model.recipe import Recipe
from audiogan.model.recipe_inputs import parse_inputs
from audiogan.utils.progress import ItemProgress, interruptible
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator, Label

MAX_FRAMES = 1_000_000
"""Maximum number of recipes of a walk."""
MAX_SECONDS, MAX_CELLS, MAX_VALUES = 3600.0, 1024, 1 << 24
"""Limits of a walk in a file: duration in seconds, number of signals in one frame, and number of values (such as
pixels) of these signals."""
SCATTER_POINTS = 1000
"""Number of points in one frame, for models of points in the plane."""


def walk(
    generator: Generator,
    frames: int = 100,
    *,
    points: int = 5,
    seed: int = 0,
    label: Label = None,
    knobs: Mapping[str, float] | None = None,
    inputs: Mapping[str, Any] | None = None,
    truncation: float | None = None,
) -> list[Recipe]:
    """Return recipes on a closed path through the latent space. After the last recipe, the path returns to the first.

    The path goes through the samples with the seeds ``seed``, ``seed + 1`` and so on, at equal distances. It is smooth.
    Latents on the path have the same distribution as random latents, because the squares of the weights of the seeds
    sum to 1. Class weights and knobs change gradually from one seed to the next.

    Args:
        generator: the model.
        frames: number of recipes, 1 to 1,000,000.
        points: number of seeds, 2 to 1,000. With 2, the second half of the path retraces the first.
        seed: seed of the first recipe.
        label: class name or weights of classes of all recipes, see `Generator.sample`. By default, each seed draws a
            class.
        knobs: knob settings of all recipes, see `Generator.sample`.
        inputs: values of other inputs, see `Generator.sample`. They are the same for all recipes.
        truncation: truncation of the latent, see `Generator.sample`.

    Raises:
        UserError: a number is out of range, an input is unknown or missing, or the model draws nothing at random.

    Examples:
        >>> import audiogan
        >>> from audiogan.latents import walk
        >>> generator = audiogan.load("drums")
        >>> recipes = walk(generator, 12, points=3, label="snare")
        >>> generator.render(recipes).shape
        (12, 1, 16384)
    """
    if not 1 <= frames <= MAX_FRAMES:
        raise UserError(f"frames={frames} must be from 1 to {MAX_FRAMES:,}")
    path = ClosedPath(generator, [parse_inputs(generator, label, knobs, inputs)], points, seed, truncation)
    found = []
    for i in range(frames):
        values = path.values(np.array([i / frames]))
        found.append(generator.recipe_from_values(values, seed if i == 0 else None, truncation))
    return found


def write_walk(
    generator: Generator,
    out: Path,
    *,
    points: int = 5,
    seconds: float = 10.0,
    fps: float = 25.0,
    columns: int | None = None,
    rows: int = 1,
    spacing: float | None = None,
    seed: int = 0,
    label: Label = None,
    knobs: Mapping[str, float] | None = None,
    inputs: Mapping[str, Any] | None = None,
    truncation: float | None = None,
    route: str | None = None,
    echo: Callable[[str], None] = print,
) -> None:
    """Write a closed path through the latent space as a GIF, an MP4 film or a sound file. The file can be looped.

    Frames show images, spectrograms of sounds, or scatter plots of 1,000 points. A sound file contains consecutive
    sounds of the path, and an MP4 film of sounds has the same sounds as its soundtrack. `walk` describes the path.

    Args:
        generator: the model.
        out: the file, ``.gif``, ``.mp4``, ``.wav`` or ``.flac``. An existing file is replaced.
        points: number of seeds through which the path goes, 2 to 1,000.
        seconds: time in which the path is traversed once, in seconds, at most 3,600.
        fps: frames per second, at most 50 for GIF and 240 for MP4.
        columns: number of pictures side by side. Without ``label``, each column of a model with classes keeps
            one class. The default is the number of signals in ``inputs``, or 1.
        rows: number of pictures one below the other.
        spacing: time from the start of a sound to the start of the next, in seconds. A longer sound is faded out
            when the next one starts. The default is the duration of a sound.
        seed: random seed. The path of the second picture begins at ``seed + points``.
        label: class name or weights of classes, see `Generator.sample`.
        knobs: knob settings, see `Generator.sample`.
        inputs: values of other inputs, see `Generator.sample`. A list has one value for each column.
        truncation: truncation of the latent, see `Generator.sample`.
        route: name of the generator network, for models with several. None selects the first.
        echo: function that prints a line.

    Raises:
        UserError: an argument is invalid, the model draws nothing at random, PyAV is missing, or the file cannot be
            written.

    Examples:
        >>> import audiogan, pathlib, tempfile
        >>> from audiogan.latents import write_walk
        >>> generator = audiogan.load("drums")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     out = pathlib.Path(folder) / "walk.wav"
        ...     write_walk(generator, out, seconds=2, points=2, echo=lambda line: None)
        ...     out.stat().st_size > 60_000
        True
    """
    check_output(out, "walk", SUFFIXES)
    modality, suffix, is_sound = generator.modality, out.suffix.lower(), generator.modality.sample_rate is not None
    if suffix in SOUNDS and not is_sound:
        raise UserError(f"{out}: {generator.name} makes {modality.noun}s, not sounds; choose a .gif or .mp4 file")
    if not 0 < seconds <= MAX_SECONDS:
        raise UserError(f"seconds={seconds:g} must be more than 0, and {MAX_SECONDS:,g} at most")
    if suffix not in SOUNDS:
        check_film(out, seconds, fps)
    requested = _fixed_inputs(generator, parse_inputs(generator, label, knobs, inputs), columns, rows, out)
    path = ClosedPath(generator, requested, points, seed, truncation)
    across = len(requested) // rows
    with interruptible():
        if suffix in SOUNDS:
            count = write_sound(path, out, seconds, spacing, route, echo)
            what = f"{count} sounds"
        else:
            count = max(2, round(seconds * fps))
            progress = ItemProgress(count, "frame", echo)
            try:
                write_film(path, Film(out, count, count / fps, fps, across, spacing, route), progress.step)
            finally:
                progress.close()
            what = f"{count} frames"
    last = seed + points * len(requested) - 1
    model = f"{printable(generator.name)} (step {generator.step:,})"
    echo(f"{printable(out)}: {what} on a closed path through the seeds {seed} to {last} of {model}")


def _fixed_inputs(
    generator: Generator, fixed: dict[str, Any], columns: int | None, rows: int, out: Path
) -> list[dict[str, Any]]:
    """Return the fixed input values of each signal of a frame, row by row."""
    lists = {name: value for name, value in fixed.items() if isinstance(value, list)}
    across = max([1, *map(len, lists.values())]) if columns is None else columns
    if across < 1 or rows < 1 or across * rows > MAX_CELLS or across * rows * math.prod(generator.shape) > MAX_VALUES:
        raise UserError(f"columns={across}, rows={rows}: a frame has 1 to {MAX_CELLS:,} {generator.modality.noun}s, "
                        f"and {MAX_VALUES:,} values at most; choose fewer")  # fmt: skip
    if not generator.modality.single:
        if across * rows > 1:
            raise UserError(f"columns={across}, rows={rows}: {generator.modality.noun}s are drawn in one picture")
        return [fixed] * SCATTER_POINTS
    if across * rows > 1 and generator.modality.sample_rate is not None and out.suffix.lower() != ".gif":
        raise UserError(f"columns={across}, rows={rows}: a {out.suffix} file plays one sound at a time; choose .gif")
    wrong = next((name for name, value in lists.items() if len(value) not in (1, across)), None)
    if wrong is not None:
        raise UserError(f"{wrong}: {len(lists[wrong])} values for {across} columns; give one, or one for each column")
    kinds: Any = None
    if across > 1 and "classes" in generator.inputs and "classes" not in fixed:
        kinds = generator.inputs["classes"].balanced_values(across)
    found = []
    for i in range(across * rows):
        mine = {**fixed, **{name: value[i % across % len(value)] for name, value in lists.items()}}
        found.append(mine if kinds is None else {**mine, "classes": kinds[i % across]})
    return found
