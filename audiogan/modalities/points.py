"""The modality of points: vectors of coordinates ``[D]``, shown as scatter plots."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.features.pixels import Coordinates
from audiogan.files import check_readable_file, write_file
from audiogan.modalities.base import Modality, PathLike, Signals, Titles, as_array, check_columns
from audiogan.modalities.drawing.spectrograms import BACKGROUND, CHANNEL_COLOURS, FAINT, PANEL, TEXT
from audiogan.utils.text import printable

MAX_VALUES = 1 << 24
"""Largest number of coordinates in a file or array of points."""
ACCEPTED_TYPES = "an array of numbers [D] or [N, D]"


class ModeCoverage(NamedTuple):
    """Result of `count_modes`.

    Attributes:
        modes: number of modes with enough points near them.
        share: fraction of the points that are near a mode, 0 ... 1.
    """

    modes: int
    share: float


def count_modes(points: np.ndarray, centres: np.ndarray, std: float, k_sigma: float = 3.0) -> ModeCoverage:
    """Count the modes of a mixture of isotropic Gaussians that a set of points covers.

    A point is near a mode if this mode is the nearest and the distance is at most ``k_sigma`` standard deviations. In
    the plane, 98.9 % of the points of a Gaussian lie within three standard deviations. A mode is counted if at least
    N / (5 * modes) points are near it, for example 20 of 2,500 points for 25 modes. In the paper a single point is
    enough.

    Args:
        points: generated points ``[N, D]``. Points with NaN or infinity are near no mode.
        centres: means of the Gaussians ``[modes, D]``.
        std: standard deviation of each Gaussian.
        k_sigma: largest distance of a point from its mode, in standard deviations.

    Raises:
        ValueError: an array is empty or has another shape.

    Source: Srivastava et al., "VEEGAN: Reducing mode collapse in GANs using implicit variational learning", NeurIPS
    2017, section 4.1.
    """
    points, centres = np.asarray(points, np.float64), np.asarray(centres, np.float64)
    if points.ndim != 2 or points.shape[1:] != centres.shape[1:] or 0 in points.shape or 0 in centres.shape:
        raise ValueError(f"points {list(points.shape)} and centres {list(centres.shape)} must be [N, D] and [modes, D]")
    finite = np.isfinite(points).all(1)
    distance = np.linalg.norm(points[finite, None] - centres, axis=-1)
    nearest = distance.argmin(1)
    close = distance[np.arange(len(distance)), nearest] <= k_sigma * std
    counts = np.bincount(nearest[close], minlength=len(centres))
    enough = max(1.0, len(points) / (5 * len(centres)))
    return ModeCoverage(int((counts >= enough).sum()), float(close.sum() / len(points)))


@dataclass(frozen=True)
class Points(Modality):
    """Modality of points in the plane ``[2]``, shown as scatter plots.

    Args:
        limit: largest absolute coordinate that pictures show.
        centres: coordinates of the modes of the training data, if they are known. Pictures then show the modes and the
            number of modes that the points cover.
        std: standard deviation of each mode, in the unit of the coordinates.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities import Points
        >>> points = Points(centres=[[-1, 0], [1, 0]], std=0.1)
        >>> points.count_modes(np.array([[-1.0, 0.0]])).modes
        1
    """

    limit: float = 2.0
    centres: Sequence[Sequence[float]] = ()
    std: float = 0.0

    noun: ClassVar[str] = "point"
    suffix: ClassVar[str] = ".npy"
    single: ClassVar[bool] = False

    def __post_init__(self) -> None:
        # Lists from YAML become tuples, because a frozen dataclass must be hashable.
        object.__setattr__(self, "centres", tuple(tuple(float(v) for v in centre) for centre in self.centres))
        if not 0 < self.limit < float("inf") or self.std < 0 or any(len(centre) != 2 for centre in self.centres):
            given = f"limit={self.limit!r} and std={self.std!r} must be positive"
            raise ValueError(f"{given}, and centres must be pairs of numbers")

    def check_shape(self, shape: Sequence[int]) -> None:
        spread = (self.limit, self.std, *(x for centre in self.centres for x in centre))
        if not all(isinstance(x, int | float) and abs(x) < 1e6 for x in spread):
            raise UserError("limit, std and centres must be below 1,000,000")
        if tuple(shape) != (2,):
            raise UserError(f"a point cannot have the shape {list(shape)}")

    def load(self, path: PathLike, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Read points from a ``.npy`` file or from a text file with one point per line, separated by commas.

        If the first line of a text file is not numeric, it is skipped as a header.

        Returns:
            float32 array: one point ``[D]`` or several points ``[N, D]``, depending on the file.

        Raises:
            UserError: the file cannot be read, is too large or holds NaN or infinity.
        """
        check_readable_file(path)
        try:
            if Path(path).suffix.lower() == ".npy":
                # Memory mapping detects a header with a wrong size before memory is allocated.
                return self.convert(np.array(np.load(path, mmap_mode="r", allow_pickle=False)), shape)
            if os.path.getsize(path) > 32 * MAX_VALUES:
                raise UserError(f"more than {MAX_VALUES:,} numbers")
            with open(path, encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
            header = bool(lines) and not _numeric(lines[0])
            return self.convert(np.loadtxt(lines[header:], delimiter=",", comments=None), shape)
        except UserError as error:
            raise UserError(f"{printable(path)}: {error}") from error
        except (OSError, ValueError, EOFError, MemoryError) as error:
            why = " ".join(str(error).split())[:200]
            raise UserError(f"{printable(path)}: not points in a .npy or .csv file ({printable(why)})") from error

    def convert(self, value: Any, shape: Sequence[int | None]) -> NDArray[np.float32]:
        """Convert an array or tensor to one point ``[D]`` or several points ``[N, D]``, float32.

        Integers are converted without scaling.

        Raises:
            UserError: another type or shape, too many points, or coordinates that are NaN or infinite.
        """
        x = as_array(value, self.noun, ACCEPTED_TYPES)
        if x.ndim not in (1, 2) or shape[-1] not in (None, x.shape[-1]) or x.size > MAX_VALUES:
            raise UserError(f"expected [{shape[-1]}] or [N, {shape[-1]}], got {list(x.shape)}")
        if not np.isfinite(x).all():
            raise UserError("coordinates are NaN or infinite")
        return np.ascontiguousarray(x, np.float32)

    def save(self, path: PathLike, x: np.ndarray, comment: str | None = None) -> None:
        """Write a batch of points ``[N, 2]`` as a float32 ``.npy`` file, atomically. ``comment`` is ignored."""
        path = Path(path)
        if path.suffix.lower() != ".npy":
            raise ValueError(f"{path}: points are saved as .npy, so the name has to end in .npy")
        content = io.BytesIO()
        np.save(content, _checked(x).astype(np.float32), allow_pickle=False)
        write_file(path, content.getbuffer())

    def sheet(self, path: PathLike, x: np.ndarray, titles: Titles = None, title: str | None = None) -> None:
        """Draw a scatter plot of points ``[N, 2]`` in one PNG file, written atomically.

        Circles with a radius of three standard deviations show the modes of the training data. Points with the same
        title have the same colour. The caption states the number of points outside the picture.
        """
        x = _checked(x)
        if titles is not None and len(titles) != len(x):
            raise ValueError(f"{len(titles)} titles for {len(x)} points")
        _write(path, self._figure({"": x}, titles, title))

    def draw_columns(self, path: PathLike, columns: Signals, title: str | None = None, titles: Titles = None) -> None:
        """Draw one PNG file with a scatter plot per key of ``columns``. Points with the same title share a colour.

        `Modality.draw_columns` describes the arguments.
        """
        check_columns(columns, titles)
        _write(path, self._figure({name: _checked(x) for name, x in columns.items()}, titles, title))

    def draw_frame(self, x: np.ndarray, columns: int | None = None) -> np.ndarray:
        """Return a scatter plot of points ``[N, 2]``. ``columns`` is ignored."""
        return self._pixels(x, None)

    def log_tensorboard(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """Write a scatter plot of points ``[N, 2]`` to TensorBoard."""
        writer.add_image(tag, self._pixels(x, f"step {step:,}"), step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> Coordinates:
        """Return the feature extractor for points, which returns their coordinates."""
        return Coordinates(shape[0])

    def to_images(self, x: Tensor) -> Tensor:
        """Convert points ``[B, D]`` to images ``[B, D, 1, 1]`` of one pixel, with the coordinates as channels."""
        return x[:, :, None, None]

    def sample_metrics(self, x: np.ndarray, real: np.ndarray | None = None) -> dict[str, float]:
        """Return the number of modes that points ``[N, 2]`` cover and the fraction of points near a mode.

        The result is empty if the modes of the training data are not known.
        """
        if not self.centres:
            return {}
        held = self.count_modes(x)
        return {"modes/3sigma": float(held.modes), "share_at_modes/3sigma": held.share}

    def count_modes(self, points: np.ndarray, k_sigma: float = 3.0) -> ModeCoverage:
        """Count the modes of the training data that points ``[N, 2]`` cover. It calls the function `count_modes`.

        Raises:
            ValueError: the modes are not known, because `centres` is empty.
        """
        if not self.centres:
            raise ValueError("the modes are not known; set centres")
        return count_modes(points, np.asarray(self.centres), self.std, k_sigma)

    def _figure(self, columns: Signals, titles: Titles, title: str | None) -> Any:
        """Return a figure with one scatter plot per column. The caption begins with the header of the column."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        count = len(columns)
        figure = Figure(figsize=(4.8 * count, 5.1), dpi=110, facecolor=BACKGROUND)
        FigureCanvasAgg(figure)
        figure.text(0.09 / count, 0.945, title or "", color=TEXT, fontsize=12, parse_math=False)
        for i, (name, x) in enumerate(columns.items()):
            axes = figure.add_axes(((0.09 + i) / count, 0.06, 0.88 / count, 0.83), facecolor=PANEL, aspect="equal")
            self._scatter(axes, x, titles)
            caption = f"{printable(name)[:40]}: {self._caption(x)}" if name else self._caption(x)
            figure.text((0.09 + i) / count, 0.905, caption, color=FAINT, fontsize=8, parse_math=False)
        return figure

    def _pixels(self, x: np.ndarray, title: str | None) -> np.ndarray:
        """Return a scatter plot of points ``[N, 2]`` as uint8 pixels ``[H, W, 3]``."""
        figure = self._figure({"": _checked(x)}, None, title)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())[..., :3]

    def _scatter(self, axes: Any, x: np.ndarray, titles: Titles) -> None:
        from matplotlib.collections import EllipseCollection

        axes.set(xlim=(-self.limit, self.limit), ylim=(-self.limit, self.limit))
        axes.tick_params(colors=FAINT, labelsize=7, length=2)
        axes.spines[:].set_color(FAINT)
        if self.centres:
            width = np.full(len(self.centres), 6 * self.std)
            circles: Any = {"units": "x", "offsets": np.asarray(self.centres), "offset_transform": axes.transData}
            circles |= {"facecolor": "#343848", "edgecolor": FAINT, "lw": 0.6, "zorder": 0.5}
            axes.add_collection(EllipseCollection(width, width, 0 * width, **circles))
        names, codes = np.unique(list(titles) if titles is not None else [""] * len(x), return_inverse=True)
        colours = np.array(CHANNEL_COLOURS)[codes % len(CHANNEL_COLOURS)] if len(names) > 1 else CHANNEL_COLOURS[0]
        size = float(np.clip(6000 / len(x), 2, 12))
        axes.scatter(x[:, 0], x[:, 1], s=size, c=colours, alpha=0.7, linewidths=0)

    def _caption(self, x: np.ndarray) -> str:
        parts = [f"{len(x):,} points"]
        if self.centres:
            held = self.count_modes(x)
            parts.append(f"{held.modes} of {len(self.centres)} modes, {held.share:.1%} within 3σ")
        outside = int((~(np.abs(x) <= self.limit).all(1)).sum())  # Points with NaN are outside, too.
        return ", ".join(parts + ([f"{outside:,} outside the picture"] if outside else []))


def _checked(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"expected points [N, 2] that are not empty, got {list(x.shape)}")
    return x


def _numeric(line: str) -> bool:
    try:
        [float(cell) for cell in line.split(",")]
    except ValueError:
        return False
    return True


def _write(path: PathLike, figure: Any) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", facecolor=BACKGROUND, pil_kwargs={"compress_level": 4})
    write_file(path, content.getbuffer())
