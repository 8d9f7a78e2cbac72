"""Walks: closed, smooth paths through the latent space of a model, as recipes or as files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.files import check_output
from audiogan.inputs import Latent, Seeded
from audiogan.latents.walk_files import SOUNDS, SUFFIXES, Film, check_film, write_film, write_sound
from audiogan.model.recipe import Recipe
from audiogan.model.recipe_inputs import parse_inputs
from audiogan.model.sample_inputs import has_random_inputs
from audiogan.utils.progress import ItemProgress, interruptible
from audiogan.utils.text import printable

if TYPE_CHECKING:
    from audiogan.model.generator import Generator, Label

MOST_POINTS, MOST_FRAMES = 1000, 1_000_000
"""Maximum number of points of a path, and of recipes on it."""
LONGEST, MOST_CELLS, MOST_VALUES = 3600.0, 1024, 1 << 24
"""Limits of a file: duration in seconds, signals in one frame, and values (such as pixels) of these signals."""
SCATTER = 1000
"""Number of points in one frame, for models of points in the plane."""
BATCH = 32
"""Number of signals that are generated at a time."""
EDGE = 1e-6
"""Smallest distance of a uniform latent from its limits, because the normal scores of the limits are infinite."""


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
    """Return recipes on a closed path through the latent space. The last recipe precedes the first.

    The path goes through the samples with the seeds ``seed``, ``seed + 1`` and so on, at equal distances. It has no
    corners. Each recipe on it is distributed like a random one, because the squares of the weights of the seeds sum
    to 1. Class weights and knobs change gradually from one seed to the next.

    Args:
        generator: the model.
        frames: number of recipes, 1 to 1,000,000.
        points: number of seeds, 2 to 1,000. With 2, the path goes back as it came.
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
    if not 1 <= frames <= MOST_FRAMES:
        raise UserError(f"frames={frames} must be from 1 to {MOST_FRAMES:,}")
    path = ClosedPath(generator, [parse_inputs(generator, label, knobs, inputs)], points, seed, truncation)
    found = []
    for i in range(frames):
        values = path.values(np.array([i / frames]))
        found.append(generator.recipe_from_values(values, seed if i == 0 else None, truncation))
    return found


class ClosedPath:
    """Closed path of one or several signals through the space of a model's inputs.

    A latent at position t is the trigonometric interpolation of the latents of the points, with weights divided by the
    root of the sum of their squares. Uniform latents are converted to normal scores first.

    Args:
        generator: the model.
        requested: input values of each signal that stay fixed.
        points: number of points of the path.
        seed: seed of the first point of the first signal. Each point of each signal has its own seed.
        truncation: truncation of the latent.

    Raises:
        UserError: an argument is out of range, an input is missing, or the model draws nothing at random.
    """

    def __init__(
        self,
        generator: Generator,
        requested: Sequence[Mapping[str, Any]],
        points: int,
        seed: int,
        truncation: float | None = None,
    ) -> None:
        if not has_random_inputs(generator):
            raise UserError(f"{generator.name}: it draws nothing at random, so there is no walk; use `audiogan apply`")
        if not 2 <= points <= MOST_POINTS:
            raise UserError(f"points={points} must be from 2 to {MOST_POINTS:,}")
        if not 0 <= seed <= 2**63 - 1 - points * len(requested):
            raise UserError(f"seed={seed} must be a whole number from 0 to 2**63 - 1 - the number of points")
        if truncation is not None and not 0 < truncation < math.inf:
            raise UserError(f"truncation={truncation} must be more than 0 and finite")
        self.generator, self.points, self.count, self.truncation = generator, points, len(requested), truncation
        drawn: list[list[dict[str, Tensor]]] = []
        for i, mine in enumerate(requested):
            seeds = range(seed + i * points, seed + (i + 1) * points)
            drawn.append([generator.game.draw(1, Seeded(each), **mine) for each in seeds])
        self._fixed: dict[str, Tensor] = {}
        self._latents: dict[str, Tensor] = {}  # normal scores [points, count, ...]
        self._others: dict[str, Tensor] = {}
        for name, given in generator.inputs.items():
            first = torch.cat([each[0][name] for each in drawn])
            whole = torch.stack([torch.cat([each[p][name] for each in drawn]) for p in range(points)])
            if not given.drawable or bool((whole == first).all()):
                self._fixed[name] = first
            elif isinstance(given, Latent):
                self._latents[name] = whole if given.is_normal else _normal_scores(whole)
            else:
                self._others[name] = whole

    def values(self, positions: NDArray[np.float64]) -> dict[str, Tensor]:
        """Return the input values ``[positions * signals, ...]`` by input name. Positions are in 0 ... 1."""
        inputs, out = self.generator.inputs, {}
        weights = torch.from_numpy(path_weights(positions, self.points)).float()
        for name, whole in self._latents.items():
            x = torch.tensordot(weights, whole, 1).flatten(0, 1)
            given: Any = inputs[name]
            out[name] = x if given.is_normal else 2 * torch.special.ndtr(x) - 1
        for name, whole in self._others.items():
            parts = [self._mixed(inputs[name], whole, float(position)) for position in positions]
            out[name] = torch.cat(parts)
        for name, first in self._fixed.items():
            out[name] = first.repeat(len(positions), *[1] * (first.dim() - 1))
        return {name: out[name] for name in inputs}

    def _mixed(self, given: Any, whole: Tensor, position: float) -> Tensor:
        """Return the values ``[signals, ...]`` of an input between two points."""
        point, fraction = divmod(position * self.points, 1)
        first, second = whole[int(point) % self.points], whole[(int(point) + 1) % self.points]
        share = math.sin(fraction * math.pi / 2) ** 2  # The path has no corner at the points.
        if not whole.is_floating_point():
            return first if share < 0.5 else second
        return torch.stack([given.mix(a, b, share) for a, b in zip(first, second, strict=True)])

    def signals(self, positions: NDArray[np.float64], route: str | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield the signals ``[signals, *shape]`` at each position. A few positions are computed at a time."""
        generator, size = self.generator, max(1, BATCH // self.count)
        for start in range(0, len(positions), size):
            part = positions[start : start + size]
            made = generator.game.generate(self.values(part), generator=route, truncation=self.truncation)
            if not bool(torch.isfinite(made.sum())):
                raise UserError(f"{generator.name}: its {generator.modality.noun}s are not finite numbers")
            x = generator.modality.postprocess(made.cpu().numpy())
            yield from x.reshape(len(part), self.count, *x.shape[1:])


def path_weights(positions: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """Return the weights ``[positions, points]`` of the points of a closed path. The squares of a row sum to 1.

    They are the weights of trigonometric interpolation through equidistant points, divided by their norm. So a path
    through standard normal latents is smooth and standard normal everywhere.

    Args:
        positions: positions on the path, 0 ... 1. Point ``k`` is at ``k / points``.
        points: number of points.
    """
    x = np.pi * (np.asarray(positions)[:, None] - np.arange(points) / points)
    at_point = np.abs(np.sin(x)) < 1e-9
    below = np.where(at_point, 1.0, points * (np.sin(x) if points % 2 else np.tan(x)))
    weights = np.where(at_point, 1.0, np.sin(points * x) / below)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _normal_scores(x: Tensor) -> Tensor:
    return torch.special.ndtri(((x.double() + 1) / 2).clamp(EDGE, 1 - EDGE)).float()


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
    sounds of the path. An MP4 film of sounds contains them, too. See `walk` for the path.

    Args:
        generator: the model.
        out: the file, ``.gif``, ``.mp4``, ``.wav`` or ``.flac``. An existing file is replaced.
        points: number of seeds through which the path goes, 2 to 1,000.
        seconds: duration of one round in seconds, at most 3,600.
        fps: frames per second, at most 50 for GIF and 240 for MP4.
        columns: number of pictures side by side. Without ``label``, each column of a model with classes keeps
            one class. The default is the number of signals in ``inputs``, or 1.
        rows: number of pictures one below the other.
        spacing: time from the start of a sound to the start of the next, in seconds. A sound that is longer is faded
            out. The default is the duration of a sound.
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
    """
    check_output(out, "walk", SUFFIXES)
    modality, suffix, is_sound = generator.modality, out.suffix.lower(), generator.modality.sample_rate is not None
    if suffix in SOUNDS and not is_sound:
        raise UserError(f"{out}: {generator.name} makes {modality.noun}s, not sounds; choose a .gif or .mp4 file")
    if not 0 < seconds <= LONGEST:
        raise UserError(f"seconds={seconds:g} must be more than 0, and {LONGEST:,g} at most")
    if suffix not in SOUNDS:
        check_film(out, seconds, fps)
    requested = _requested(generator, parse_inputs(generator, label, knobs, inputs), columns, rows, out)
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


def _requested(
    generator: Generator, fixed: dict[str, Any], columns: int | None, rows: int, out: Path
) -> list[dict[str, Any]]:
    """Return the fixed input values of each signal of a frame, row by row."""
    lists = {name: value for name, value in fixed.items() if isinstance(value, list)}
    across = max([1, *map(len, lists.values())]) if columns is None else columns
    if across < 1 or rows < 1 or across * rows > MOST_CELLS or across * rows * math.prod(generator.shape) > MOST_VALUES:
        raise UserError(f"columns={across}, rows={rows}: a frame has 1 to {MOST_CELLS:,} {generator.modality.noun}s, "
                        f"and {MOST_VALUES:,} values at most; choose fewer")  # fmt: skip
    if not generator.modality.single:
        if across * rows > 1:
            raise UserError(f"columns={across}, rows={rows}: {generator.modality.noun}s are drawn in one picture")
        return [fixed] * SCATTER
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
