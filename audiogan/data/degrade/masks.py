"""Masks of missing pixels, and pictures with holes, as for inpainting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from audiogan.data.degrade.base import Degradation, Range, Shape, drawn, limits, picture, whole
from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.data.columns import Column
    from audiogan.data.table import Table


class Mask(Degradation):
    """Base class of masks: float32 `[1, H, W]`, 1 where a picture is missing, 0 where it is known."""

    def missing(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        """Return which pixels are missing, bool `[H, W]`."""
        raise NotImplementedError

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        height, width = x.shape[-2:]
        return torch.from_numpy(self.missing(height, width, rng).astype(np.float32))[None]

    def shape(self, of: Shape) -> Shape:
        return (1, *picture(self, of)[1:])


class BoxMask(Mask):
    """One missing rectangle at a random place (Pathak et al., "Context encoders", CVPR 2016, section 3.3).

    Args:
        side: height and width as a share of the picture's, 0 ... 1, or a range; both are drawn separately.
        centred: in the middle of the picture.
        of: the column that gives height and width.
    """

    def __init__(self, side: Range = (0.25, 0.5), centred: bool = False, of: str = "x") -> None:
        super().__init__(of)
        self.side, self.centred = limits(self, "side", side, 0, 1), bool(centred)

    def missing(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        h, w = (max(1, round(drawn(self.side, rng) * side)) for side in (height, width))
        top, left = (int(rng.integers(0, most + 1)) for most in (height - h, width - w))
        if self.centred:
            top, left = (height - h) // 2, (width - w) // 2
        mask[top : top + h, left : left + w] = True
        return mask


class FreeFormMask(Mask):
    """Missing brush strokes: random lines that turn, with round joints.

    Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, appendix ("Automatic algorithm to
    generate free-form masks"), with lengths relative to the picture.

    Args:
        strokes: largest number of strokes, from 1 to 32; at least one is drawn.
        width: of the brush, as a share of the smaller side, 0.01 ... 0.5, or a range.
        of: the column that gives height and width.
    """

    def __init__(self, strokes: int = 4, width: Range = (0.05, 0.15), of: str = "x") -> None:
        super().__init__(of)
        self.strokes, self.width = whole(self, "strokes", strokes, 1, 32), limits(self, "width", width, 0.01, 0.5)

    def missing(self, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
        from PIL import Image, ImageDraw

        canvas = Image.new("L", (width, height), 0)
        draw, side = ImageDraw.Draw(canvas), min(height, width)
        for _ in range(int(rng.integers(1, self.strokes + 1))):
            brush = max(1, round(drawn(self.width, rng) * side))
            x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, 2 * math.pi)
            for i in range(int(rng.integers(3, 9))):
                turn = rng.uniform(0.3, 1.6)  # radians
                angle += math.pi - turn if i % 2 else turn
                length = rng.uniform(0.1, 0.35) * side
                to = (x + length * math.cos(angle), y + length * math.sin(angle))
                nx, ny = min(max(to[0], 0.0), width - 1.0), min(max(to[1], 0.0), height - 1.0)
                draw.line((x, y, nx, ny), fill=255, width=brush)
                r = brush / 2
                draw.ellipse((nx - r, ny - r, nx + r, ny + r), fill=255)
                x, y = nx, ny
        return np.asarray(canvas) > 0


class Hole(Degradation):
    """Remove the pixels that a mask marks as missing, as for inpainting.

    Args:
        mask: a `Mask`, drawn anew for each example; or the name of a column that holds masks `[1, H, W]`, so that
            networks can receive the mask, too.
        fill: value of missing pixels, -1 ... 1.
        append: add the mask as a last channel: `[C + 1, H, W]`.
        of: the column that is degraded.
    """

    def __init__(self, mask: Mask | str = "mask", fill: float = 0.0, append: bool = False, of: str = "x") -> None:
        super().__init__(of)
        if not isinstance(mask, Mask | str):
            raise UserError(f"Hole: mask={mask!r}: must be the name of a column, or a mask such as BoxMask")
        self.mask, self.append = mask, bool(append)
        self.fill = limits(self, "fill", fill, -1, 1)[0]

    def apply(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        if isinstance(self.mask, str):
            raise UserError(f"Hole: mask={self.mask!r} names a column, which works outside Steps only; give a BoxMask")
        return self.cut(x, self.mask.apply(x, rng))

    def column(self, table: Table) -> Column:
        if not isinstance(self.mask, str):
            return super().column(table)
        return self.derived(table, (self.of, self.mask), lambda x, mask, rng: self.cut(x, mask))

    def cut(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return pictures `[..., C, H, W]` with `fill` where masks `[..., 1, H, W]` are 1."""
        holed = torch.where(mask > 0.5, torch.as_tensor(self.fill, dtype=x.dtype), x)
        return torch.cat([holed, mask.to(x.dtype)], -3) if self.append else holed

    def shape(self, of: Shape) -> Shape:
        channels, *sides = picture(self, of)
        return (None if channels is None else channels + self.append, *sides)
