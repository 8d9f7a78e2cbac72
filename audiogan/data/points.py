"""Points in the plane from a mixture of Gaussians: the smallest data on which a GAN can collapse."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from audiogan.errors import UserError
from audiogan.modalities.points import ModesHeld, modes_held
from audiogan.modalities.points import Points as Plane

__all__ = ["ModesHeld", "Points", "modes_held"]

MODES = {"grid": 25, "ring": 8}
STD = {"grid": 0.05, "ring": 0.02}
EDGE = 4.0  # of the grid: 25 modes are two apart
RADIUS = 2.0  # of the ring


class Points:
    """``count`` points `[2]` of equally likely round Gaussians on a grid or on a ring, drawn once from ``seed``.

    The usual test of mode collapse: a ring of 8 of radius 2 with standard deviation 0.02 (Metz et al. 2017, "Unrolled
    GANs", section 3.1), a grid of 25 from -4 to 4, two apart, with 0.05 (Lin et al. 2018, "PacGAN", section 4.1). As in
    the code of Gulrajani et al. 2017 signals are the coordinates divided by the standard deviation of the centres, so
    that both spread by about 1 in each direction and end at +-1.41. All methods are pure and may be called from several
    threads.

    Args:
        layout: ``grid`` or ``ring``.
        modes: how many Gaussians, default 25 or 8; of a grid a square number.
        std: of each, in the units above (before scaling), default 0.05 or 0.02.
        count: points. seed: at least 0.
        labels: ``none``, or ``modes``: the class of a point is its mode.

    Attributes:
        centres: float64 `[modes, 2]`, in the units of the signals. std: of each mode, in the same units.

    Raises:
        UserError: a value that makes no such mixture.
    """

    def __init__(
        self,
        layout: str = "grid",
        modes: int | None = None,
        std: float | None = None,
        count: int = 50_000,
        seed: int = 0,
        labels: str | None = "none",
    ) -> None:
        if layout not in MODES:
            raise UserError(f"data.layout={layout!r}: choose one of {', '.join(MODES)}")
        if labels not in (None, "none", "modes"):
            raise UserError(f"data.labels={labels!r}: points know none or modes")
        modes = MODES[layout] if modes is None else modes
        std = STD[layout] if std is None else std
        for key, number, least in (("modes", modes, 2), ("count", count, 1), ("seed", seed, 0)):
            if not isinstance(number, int) or isinstance(number, bool) or number < least:
                raise UserError(f"data.{key}={number!r}: must be a whole number of at least {least}")
        if isinstance(std, bool) or not isinstance(std, int | float) or not 0 < std <= EDGE:
            raise UserError(f"data.std={std!r}: must be a number above 0, at most {EDGE:g}")
        plain = _centres(layout, modes)
        self.layout, self.seed, self.scale = layout, seed, float(1 / plain.std())
        self.centres, self.std = plain * self.scale, float(std) * self.scale
        self.labels = [f"mode {i + 1:0{len(str(modes))}}" for i in range(modes)] if labels == "modes" else []
        self.shape: tuple[int, ...] = (2,)
        limit = round(float(np.abs(self.centres).max()) + max(0.45, 4 * self.std), 2)
        self.modality = Plane(limit, self.centres.round(6).tolist(), round(self.std, 9))
        rng = np.random.default_rng(seed)
        self._mode = rng.integers(modes, size=count)
        noise = rng.standard_normal((count, 2)) * self.std
        self._points = (self.centres[self._mode] + noise).astype(np.float32)

    def __len__(self) -> int:
        return len(self._points)

    @property
    def source(self) -> str:
        return f"{len(self):,} points of {len(self.centres)} Gaussians on a {self.layout}, seed {self.seed}"

    @property
    def targets(self) -> np.ndarray:
        """Mode of each point, int64 `[N]`; empty without labels."""
        return self._mode if self.labels else np.empty(0, np.int64)

    @property
    def class_counts(self) -> list[int]:
        return np.bincount(self.targets, minlength=len(self.labels)).tolist()

    def signals(self, indices: Sequence[int] | np.ndarray | slice) -> torch.Tensor:
        """Points as float32 `[n, 2]`."""
        return torch.tensor(self._points[indices])

    def batch(self, indices: np.ndarray, rng: np.random.Generator | None = None) -> dict[str, torch.Tensor]:
        """`x` float32 `[B, 2]` and, with labels, `label` int64 `[B]`. `rng` is not used."""
        batch = {"x": self.signals(indices)}
        if self.labels:
            batch["label"] = torch.tensor(self._mode[indices])
        return batch

    def take(self, indices: np.ndarray) -> Points:
        """A view of some of the points."""
        view = copy.copy(self)
        view._points, view._mode = self._points[indices], self._mode[indices]
        return view

    def split(self, fraction: float, seed: int = 0) -> tuple[Points, Points]:
        """(train, held out), `fraction` of each mode's points held out; they depend only on the data and ``seed``."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction={fraction}: must be from 0 to 1")
        rng = np.random.default_rng(seed)
        out = np.zeros(len(self), bool)
        for mode in range(len(self.centres)):
            members = rng.permutation(np.flatnonzero(self._mode == mode))
            out[members[: round(fraction * len(members))]] = True
        return self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))

    def modes_held(self, points: np.ndarray | torch.Tensor, k_sigma: float = 3.0) -> ModesHeld:
        """(modes held, share of the points at one) of signals `[N, 2]`; see `audiogan.modalities.points.modes_held`."""
        return modes_held(np.asarray(points), self.centres, self.std, k_sigma)


def _centres(layout: str, modes: int) -> np.ndarray:
    """`[modes, 2]`, in the papers' units."""
    if layout == "ring":
        angle = 2 * np.pi * np.arange(modes) / modes
        return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    side = round(modes**0.5)
    if side**2 != modes:
        raise UserError(f"data.modes={modes}: a grid has a square number of modes (4, 9, 16, 25 ...)")
    line = np.linspace(-EDGE, EDGE, side)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
