"""Training-free features of images and points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Coordinates", "Pixels"]


class Pixels:
    """Pixel values of images, averaged down to at most ``max_side`` x ``max_side`` cells.

    Cells may cover fractions of pixels. Each pixel is weighted by the fraction inside the cell, so the mean of the
    image is preserved. Images of at most ``max_side`` x ``max_side`` pixels are not changed.

    These features describe layout, brightness and colour, but not content. They allow comparisons between runs on the
    same data when no classifier is available.

    Args:
        shape: shape of an image, ``(C, H, W)``.
        max_side: largest height and width of the features, in cells.
    """

    def __init__(self, shape: Sequence[int], max_side: int = 16) -> None:
        if len(shape) != 3 or min(shape) < 1 or max_side < 1:
            raise ValueError(f"shape={list(shape)} must be [C, H, W] and max_side={max_side} at least 1")
        self.shape = tuple(int(n) for n in shape)
        channels, height, width = self.shape
        self._down = _averaging_matrix(height, min(max_side, height)), _averaging_matrix(width, min(max_side, width))
        self.name = f"pixels{channels}x{min(max_side, height)}x{min(max_side, width)}-of-{height}x{width}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Return features of images.

        Args:
            x: images ``[B, C, H, W]`` in -1 ... 1.

        Returns:
            Features ``[B, C * h * w]`` in -1 ... 1, float64.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"images must be [B, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        rows, columns = self._down
        return (rows @ x.double() @ columns.T).flatten(1).numpy()


def _averaging_matrix(size: int, cells: int) -> Tensor:
    """Return a matrix ``[cells, size]`` that averages ``size`` pixels over equally wide cells."""
    edges = torch.linspace(0, size, cells + 1, dtype=torch.float64)
    pixel = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return overlap.clamp_min(0) * (cells / size)


class Coordinates:
    """An embedding of points that returns their coordinates ``[B, D]`` as features.

    Args:
        dimensions: number of coordinates D.
    """

    def __init__(self, dimensions: int = 2) -> None:
        self.dimensions = int(dimensions)
        self.name = f"coordinates{self.dimensions}"

    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Return points ``[B, D]`` as float64."""
        if x.ndim != 2 or x.shape[1] != self.dimensions:
            raise ValueError(f"points must be [B, {self.dimensions}], got {list(x.shape)}")
        return x.detach().double().numpy()
