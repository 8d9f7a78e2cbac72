"""Points in the plane from a mixture of Gaussians: the smallest data on which a GAN can collapse."""

from __future__ import annotations

import numpy as np

from audiogan.data.columns import Column, Labels, Signals
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities.points import Points as Plane

MODES = {"grid": 25, "ring": 8}
STD = {"grid": 0.05, "ring": 0.02}
EDGE = 4.0  # of the grid: 25 modes are two apart
RADIUS = 2.0  # of the ring


def open_points(
    layout: str = "grid",
    modes: int | None = None,
    std: float | None = None,
    count: int = 50_000,
    seed: int = 0,
    labels: str | None = "none",
) -> Table:
    """Return ``count`` points ``[2]`` of equally likely round Gaussians on a grid or on a ring, drawn from ``seed``.

    This is the usual test of mode collapse: a ring of 8 of radius 2 with standard deviation 0.02 (Metz et al. 2017,
    "Unrolled GANs", section 3.1), or a grid of 25 from -4 to 4, two apart, with 0.05 (Lin et al. 2018, "PacGAN",
    section 4.1). As in the code of Gulrajani et al. 2017, signals are the coordinates divided by the standard
    deviation of the centres. So they spread by about 1 in each direction and end at +-1.41. The modality
    (`audiogan.modalities.Points`) has the centres and the standard deviation in these units.

    Args:
        layout: ``grid`` or ``ring``.
        modes: number of Gaussians, default 25 or 8; a square number for a grid.
        std: of each, in the units above (before scaling), default 0.05 or 0.02.
        count: number of points.
        seed: at least 0.
        labels: ``none``, or ``modes``: the class of a point is its mode.

    Raises:
        UserError: a value out of range.

    Examples:
        >>> points = open_points("ring", count=100, labels="modes")
        >>> points.shape, len(points.labels)
        ((2,), 8)
    """
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
    centres = _centres(layout, modes)
    scale = float(1 / centres.std())
    centres, deviation = centres * scale, float(std) * scale
    limit = round(float(np.abs(centres).max()) + max(0.45, 4 * deviation), 2)
    rng = np.random.default_rng(seed)
    mode = rng.integers(modes, size=count)
    noise = rng.standard_normal((count, 2)) * deviation
    points = (centres[mode] + noise).astype(np.float32)
    columns: dict[str, Column] = {"x": Signals(points, Plane(limit, centres.round(6).tolist(), round(deviation, 9)))}
    if labels == "modes":
        columns["label"] = Labels(mode, [f"mode {i + 1:0{len(str(modes))}}" for i in range(modes)])

    def source(table: Table) -> str:
        return f"{len(table):,} points of {modes} Gaussians on a {layout}, seed {seed}"

    return Table(columns, count, source=source, strata=mode)


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
