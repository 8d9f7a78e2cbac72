"""Features of image patches, with which a Fréchet distance detects blur and noise without a trained network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Patches"]

SIZE = 8
"""Height and width of a patch in cells. A cell is an average of 1 x 1 or 2 x 2 pixels."""
SCALES = (1, 2)
"""Side lengths of a cell in pixels. Patches of cells are computed for each side length."""
MEAN_FACTOR = 0.5
"""Factor for the DCT coefficient of frequency 0, which is the mean of a patch. Every other coefficient is multiplied by
its frequency in half periods per patch.
"""


class Patches:
    """DCT coefficients of image patches at two scales.

    At each position, two patches are transformed by an orthonormal two-dimensional DCT: 8 x 8 pixels, and the
    surrounding 16 x 16 pixels averaged to 8 x 8 cells. Coefficients are multiplied by their frequency, because
    amplitudes in natural images decrease with frequency. Fine details then contribute as much as large areas to a
    Fréchet distance, so both blur and noise increase it.

    These features describe texture and edges, but not content or position. Use them together with `Pixels`. A Fréchet
    distance uses the patches of all images. With 64 positions per image, 60 images have 3,840 patches. These are enough
    for the 384 features of a patch of a colour image (2 scales, 3 channels, 64 coefficients).

    Args:
        shape: shape of an image, ``(C, H, W)``, at least 16 pixels high and wide.
        count: number of positions per image.
        seed: seed for the positions, which are the same in all images.

    Source: Field, "Relations between the statistics of natural images and the response properties of cortical cells",
    JOSA A 1987.

    Examples:
        >>> import torch
        >>> from audiogan.metrics import Patches
        >>> Patches.supports((3, 64, 64))
        True
        >>> Patches((3, 64, 64))(torch.zeros(2, 3, 64, 64)).shape
        (2, 64, 384)
    """

    def __init__(self, shape: Sequence[int], count: int = 64, seed: int = 0) -> None:
        if not self.supports(shape) or count < 1:
            raise ValueError(f"shape={list(shape)} must be [C, H, W] of at least 16 pixels, count={count} positive")
        self.shape = tuple(int(n) for n in shape)
        channels, height, width = self.shape
        largest = SIZE * max(SCALES)
        rng = np.random.default_rng(seed)
        # The positions are corners of the largest patches. Smaller patches have the same centres.
        self._corners = rng.integers(0, (height - largest + 1, width - largest + 1), (count, 2)).tolist()
        transform = _dct_matrix(SIZE)
        frequency = torch.arange(SIZE, dtype=torch.float64)
        weight = torch.hypot(frequency[:, None], frequency[None]).clamp_min(MEAN_FACTOR)
        self._transform, self._weight = transform, weight / SIZE
        scales = "+".join(map(str, SCALES))
        self.name = f"patches{count}of{SIZE}x{SIZE}-scales{scales}-of-{channels}x{height}x{width}"

    @staticmethod
    def supports(shape: Sequence[int]) -> bool:
        """Return whether images of a shape ``(C, H, W)`` are large enough."""
        return len(shape) == 3 and shape[0] >= 1 and min(shape[1:]) >= SIZE * max(SCALES)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> NDArray[np.float64]:
        """Return features of images.

        Args:
            x: images ``[B, C, H, W]`` in -1 ... 1.

        Returns:
            Features ``[B, count, 2 * C * 64]``, float64.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"images must be [B, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        x, parts = x.double(), []
        for scale in SCALES:
            side, inset = SIZE * scale, (SIZE * max(SCALES) - SIZE * scale) // 2
            cut = [x[:, :, i + inset : i + inset + side, j + inset : j + inset + side] for i, j in self._corners]
            patches = torch.stack(cut, 1).flatten(0, 1)  # [B * count, C, side, side]
            cells = F.avg_pool2d(patches, scale) if scale > 1 else patches
            parts.append((self._transform @ cells @ self._transform.T * self._weight).flatten(1))
        return torch.cat(parts, 1).unflatten(0, (len(x), -1)).numpy()


def _dct_matrix(size: int) -> Tensor:
    """Return the orthonormal DCT-II matrix ``[frequency, cell]``."""
    at = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos(torch.pi * at[:, None] * (at[None] + 0.5) / size) * (2 / size) ** 0.5
    matrix[0] /= 2**0.5
    return matrix
