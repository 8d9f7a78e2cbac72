"""Training-free features of images and points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Coordinates", "Pixels"]


class Pixels:
    """The pixels themselves, averaged over areas down to at most ``most`` x ``most``.

    Cells need not hold a whole number of pixels: each pixel counts by the share of it that lies in the cell, so the
    mean of the image is kept. Images that are small enough stay as they are.

    Such features see layout, brightness and colour, not what a picture means: comparable between runs on the same
    data, a first reading where there is no classifier.

    Args:
        shape: of an image, ``(C, H, W)``.
        most: largest height and width of the features, in cells.
    """

    def __init__(self, shape: Sequence[int], most: int = 16) -> None:
        if len(shape) != 3 or min(shape) < 1 or most < 1:
            raise ValueError(f"shape={list(shape)} must be [C, H, W] and most={most} at least 1")
        self.shape = tuple(int(n) for n in shape)
        channels, height, width = self.shape
        self._down = _areas(height, min(most, height)), _areas(width, min(most, width))
        self.name = f"pixels{channels}x{min(most, height)}x{min(most, width)}-of-{height}x{width}"

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Images ``[B, C, H, W]`` in -1 ... 1 to features ``[B, C * h * w]`` in -1 ... 1, float64."""
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"images must be [B, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        rows, columns = self._down
        return (rows @ x.double() @ columns.T).flatten(1).numpy()


def _areas(size: int, cells: int) -> Tensor:
    """Weights ``[cells, size]`` of the mean over each of ``cells`` equal stretches of ``size`` pixels."""
    edges = torch.linspace(0, size, cells + 1, dtype=torch.float64)
    pixel = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    return overlap.clamp_min(0) * (cells / size)


class Coordinates:
    """Points as they are: features ``[B, D]`` are the coordinates."""

    def __init__(self, dimensions: int = 2) -> None:
        self.dimensions = int(dimensions)
        self.name = f"coordinates{self.dimensions}"

    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Points ``[B, D]`` to float64."""
        if x.ndim != 2 or x.shape[1] != self.dimensions:
            raise ValueError(f"points must be [B, {self.dimensions}], got {list(x.shape)}")
        return x.detach().double().numpy()
