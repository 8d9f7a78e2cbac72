"""Points in the plane from a mixture of Gaussians, a standard test of mode collapse."""

from __future__ import annotations

import numpy as np

from audiogan.data.columns import Column, Labels, Signals
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities.points import Points as Plane

MODES = {"grid": 25, "ring": 8}
STD = {"grid": 0.05, "ring": 0.02}
GRID_EDGE = 4.0  # Largest coordinate of the grid's centres. With 25 modes, neighbouring centres are 2 apart.
RADIUS = 2.0  # Radius of the ring.


def open_points(
    layout: str = "grid",
    modes: int | None = None,
    std: float | None = None,
    count: int = 50_000,
    seed: int = 0,
    labels: str | None = "none",
) -> Table:
    """Return a table of points ``[2]`` from a mixture of equally likely Gaussians on a grid or on a ring.

    The ring has radius 2 (Metz et al., "Unrolled GANs", 2017, section 3.1). The grid ranges from -4 to 4 (Lin et al.,
    "PacGAN", 2018, section 4.1). The coordinates are then divided by the standard deviation of the centres, as in the
    code of Gulrajani et al., 2017. The modality stores the centres and the standard deviation in these scaled units.

    Args:
        layout: ``grid`` or ``ring``.
        modes: number of Gaussians, 2 or more, a square number for a grid. Default: 25 on a grid, 8 on a ring.
        std: standard deviation of each Gaussian before scaling, above 0 and at most 4. Default: 0.05 on a grid, 0.02 on
            a ring.
        count: number of points, 1 or more.
        seed: seed of the points, 0 or more.
        labels: ``none``, or ``modes`` to use the index of the Gaussian as the class.

    Raises:
        UserError: an argument is out of range.

    Examples:
        >>> points = open_points("ring", count=100, labels="modes")
        >>> points.shape, len(points.labels)
        ((2,), 8)
    """
    if layout not in MODES:
        raise UserError(f"data.layout={layout!r}: choose one of {', '.join(MODES)}")
    if labels not in (None, "none", "modes"):
        raise UserError(f"data.labels={labels!r}: choose none or modes")
    modes = MODES[layout] if modes is None else modes
    std = STD[layout] if std is None else std
    for key, number, least in (("modes", modes, 2), ("count", count, 1), ("seed", seed, 0)):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise UserError(f"data.{key}={number!r}: must be a whole number of at least {least}")
    if isinstance(std, bool) or not isinstance(std, int | float) or not 0 < std <= GRID_EDGE:
        raise UserError(f"data.std={std!r}: must be a number above 0, at most {GRID_EDGE:g}")
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
    """Return the centres of the Gaussians before scaling, ``[modes, 2]``."""
    if layout == "ring":
        angle = 2 * np.pi * np.arange(modes) / modes
        return RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    side = round(modes**0.5)
    if side**2 != modes:
        raise UserError(f"data.modes={modes}: a grid has a square number of modes (4, 9, 16, 25 ...)")
    line = np.linspace(-GRID_EDGE, GRID_EDGE, side)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
