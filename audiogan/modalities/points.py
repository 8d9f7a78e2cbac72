"""Points in the plane: what one does with `[N, 2]` once they are made."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch import Tensor

from audiogan.metrics.pixels import Coordinates
from audiogan.modalities.base import animate, preview_path
from audiogan.pictures import _BACKGROUND, _CHANNELS, _FAINT, _PANEL, _TEXT
from audiogan.writing import write_file


class ModesHeld(NamedTuple):
    """How many modes of a mixture a set of points holds, and which share of the points lies at a mode at all."""

    modes: int
    share: float


def modes_held(points: np.ndarray, centres: np.ndarray, std: float, k_sigma: float = 3.0) -> ModesHeld:
    """Which modes of a mixture of round Gaussians a set of points holds.

    A point belongs to its nearest mode if it is within ``k_sigma`` standard deviations of it (of true points 98.9 % are
    within three). Srivastava et al. 2017 (VEEGAN, section 4.1) count a mode from one such point on. One stray point is
    no mode, so here a mode is held only if it has at least a fifth of its fair share of all points (and at least one):
    20 of 2,500 where there are 25 modes.

    Args:
        points: ``[N, 2]``; those that are not finite are near no mode.
        centres: ``[modes, 2]``, in the units of the points.
        std: of each mode, in the same units.

    Returns:
        (number of modes held, share of points within ``k_sigma`` of a mode).

    Raises:
        ValueError: other shapes, or no points.
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
    return ModesHeld(int((counts >= enough).sum()), float(close.sum() / len(points)))


@dataclass(frozen=True)
class Points:
    """Points in the plane, shown within -``limit`` ... ``limit``.

    ``centres`` and ``std`` are the modes of the real data, where they are known: pictures show them and say how many
    are held.
    """

    limit: float = 2.0
    centres: Sequence[Sequence[float]] = ()
    std: float = 0.0

    noun: ClassVar[str] = "point"
    suffix: ClassVar[str] = ".npy"
    single: ClassVar[bool] = False

    def __post_init__(self) -> None:
        # Lists come from YAML; tuples can be hashed and compared.
        object.__setattr__(self, "centres", tuple(tuple(float(v) for v in centre) for centre in self.centres))
        if not 0 < self.limit < float("inf") or self.std < 0 or any(len(centre) != 2 for centre in self.centres):
            raise ValueError(f"limit={self.limit!r} and std={self.std!r} must be positive, centres pairs of numbers")

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Points `[N, 2]` as they are: those far off are a finding, not something to hide."""
        return np.asarray(x, np.float32)

    def save(self, path: str | os.PathLike[str], x: np.ndarray, comment: str | None = None) -> None:
        """All points `[N, 2]` as one `.npy` file, float32; it has no place for a comment."""
        path = Path(path)
        if path.suffix.lower() != ".npy":
            raise ValueError(f"{path}: points are saved as .npy, so the name has to end in .npy")
        content = io.BytesIO()
        np.save(content, _checked(x).astype(np.float32), allow_pickle=False)
        write_file(path, content.getbuffer())

    def sheet(
        self,
        path: str | os.PathLike[str],
        x: np.ndarray,
        titles: Sequence[str] | None = None,
        title: str | None = None,
    ) -> None:
        """Scatter plot of all points `[N, 2]` as one PNG, the real modes (3 sigma) as faint circles beneath.

        Points of one title share a colour. Points outside the picture are counted in its corner.
        """
        x = _checked(x)
        if titles is not None and len(titles) != len(x):
            raise ValueError(f"{len(titles)} titles for {len(x)} points")
        figure = self._figure(x, titles, title)
        content = io.BytesIO()
        figure.savefig(content, format="png", facecolor=_BACKGROUND, pil_kwargs={"compress_level": 4})
        write_file(path, content.getbuffer())

    def preview(
        self, run_dir: str | os.PathLike[str], step: int, x: np.ndarray, titles: Sequence[str] | None = None
    ) -> None:
        """Write `previews/step-<step>.png` of a run."""
        self.sheet(preview_path(run_dir, step), x, titles, f"step {step:,}")

    def animation(self, run_dir: str | os.PathLike[str]) -> Path:
        """Join the previews of a run into `previews/animation.gif`: the points moving."""
        return animate(run_dir)

    def board(self, writer: Any, tag: str, x: np.ndarray, step: int) -> None:
        """The scatter plot to TensorBoard."""
        figure = self._figure(_checked(x), None, f"step {step:,}")
        figure.canvas.draw()
        writer.add_image(tag, np.asarray(figure.canvas.buffer_rgba())[..., :3], step, dataformats="HWC")

    def embedding(self, shape: Sequence[int]) -> Coordinates:
        """The training-free extractor: the coordinates."""
        return Coordinates(shape[0])

    def picture(self, x: Tensor) -> Tensor:
        """Points `[B, D]` as images of one pixel, `[B, D, 1, 1]`: the coordinates are its channels."""
        return x[:, :, None, None]

    def modes_held(self, points: np.ndarray, k_sigma: float = 3.0) -> ModesHeld:
        """See `modes_held`. ValueError if the modes are not known."""
        if not self.centres:
            raise ValueError("the modes of these points are not known")
        return modes_held(points, np.asarray(self.centres), self.std, k_sigma)

    def _figure(self, x: np.ndarray, titles: Sequence[str] | None, title: str | None) -> Any:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import EllipseCollection
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.8, 5.1), dpi=110, facecolor=_BACKGROUND)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.09, 0.06, 0.88, 0.83), facecolor=_PANEL, aspect="equal")
        axes.set(xlim=(-self.limit, self.limit), ylim=(-self.limit, self.limit))
        axes.tick_params(colors=_FAINT, labelsize=7, length=2)
        axes.spines[:].set_color(_FAINT)
        if self.centres:
            width = np.full(len(self.centres), 6 * self.std)
            circles: Any = {"units": "x", "offsets": np.asarray(self.centres), "offset_transform": axes.transData}
            axes.add_collection(
                EllipseCollection(
                    width, width, 0 * width, facecolor="#343848", edgecolor=_FAINT, lw=0.6, zorder=0.5, **circles
                )
            )
        names, codes = np.unique(list(titles) if titles is not None else [""] * len(x), return_inverse=True)
        colours = np.array(_CHANNELS)[codes % len(_CHANNELS)] if len(names) > 1 else _CHANNELS[0]
        size = float(np.clip(6000 / len(x), 2, 12))
        axes.scatter(x[:, 0], x[:, 1], s=size, c=colours, alpha=0.7, linewidths=0)
        figure.text(0.09, 0.945, title or "", color=_TEXT, fontsize=12, parse_math=False)
        figure.text(0.09, 0.905, self._caption(x), color=_FAINT, fontsize=8)
        return figure

    def _caption(self, x: np.ndarray) -> str:
        parts = [f"{len(x):,} points"]
        if self.centres:
            held = self.modes_held(x)
            parts.append(f"{held.modes} of {len(self.centres)} modes, {held.share:.1%} within 3σ")
        outside = int((~(np.abs(x) <= self.limit).all(1)).sum())  # NaN too
        return ", ".join(parts + ([f"{outside:,} outside the picture"] if outside else []))


def _checked(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != 2 or not len(x):
        raise ValueError(f"expected points [N, 2] that are not empty, got {list(x.shape)}")
    return x
