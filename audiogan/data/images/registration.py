"""Shifts between the two images of a pair, by phase correlation of their edges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiogan.modalities.reading.pictures import Pixels

SEARCH_DIVISOR = 8  # Shifts are searched up to the side of the image divided by this number.
LOW_PASS_STD = 0.15  # Standard deviation of the low-pass filter of the correlation, in cycles per pixel.
MAX_SIDE = 256  # Larger images are reduced to at most this side in pixels.
# Smallest peak of the correlation, in standard deviations of the correlation, at which a shift is reliable. For 250
# pairs of unrelated images (100 of maps, 150 of drawings), the median peak was 5 and the largest peak 11.
MIN_PEAK = 9.0
MIN_SHIFTS = 3  # Smallest number of reliable shifts from which the usual shift of a folder is computed.
# Smallest difference from the usual shift at which a pair counts as misaligned, in units of `PairShift.unit`.
MIN_DIFFERENCE = 2
MIN_PEAK_RATIO = 1.5  # A peak is reliable only if it is this many times as high as the next peak.


class PairShift(NamedTuple):
    """Shift of a target against its source.

    Attributes:
        right: number of pixels by which the target lies to the right of its source.
        down: number of pixels by which the target lies below its source.
        reliable: whether the images have enough common edges to measure the shift.
        unit: resolution of the measurement in pixels. It is more than 1 for large images, which are reduced first.
    """

    right: int
    down: int
    reliable: bool
    unit: int = 1

    def differs_from(self, usual_shift: tuple[int, int]) -> bool:
        """Return whether the shift is reliable and differs from the usual shift ``(right, down)`` by at least 2 times
        `unit`."""
        most = max(abs(self.right - usual_shift[0]), abs(self.down - usual_shift[1]))
        return self.reliable and most >= MIN_DIFFERENCE * self.unit


def find_shift(source: Pixels, target: Pixels) -> PairShift:
    """Return the shift of a target against its source.

    The images may differ in colours and contrast, because their edges are compared.

    Args:
        source: image, uint8 ``[C, H, W]``.
        target: image of the same size, uint8 ``[C', H, W]``.

    Source:
        Kuglin & Hines, "The phase correlation image alignment method", Proc. Int. Conf. on Cybernetics and Society
        1975.
    """
    unit = -(-max(source.shape[1:]) // MAX_SIDE)
    edges = [_edges(each, unit) for each in (source, target)]
    product = np.conj(np.fft.rfft2(edges[0])) * np.fft.rfft2(edges[1])
    size, (height, width) = np.abs(product), edges[0].shape
    if not size.any():
        return PairShift(0, 0, False, unit)
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    smooth = np.exp(-(down**2 + right**2) / (2 * LOW_PASS_STD**2))
    surface = np.fft.irfft2(smooth * product / (size + 1e-9 * size.max()), s=(height, width))
    surface = (surface - surface.mean()) / surface.std()
    below, beside = (max(2, side // SEARCH_DIVISOR) for side in (height, width))
    near = np.roll(surface, (below, beside), (0, 1))[: 2 * below + 1, : 2 * beside + 1]
    row, column = (int(i) for i in np.unravel_index(near.argmax(), near.shape))
    peak = float(near[row, column])
    near[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = -np.inf
    reliable = peak >= MIN_PEAK and peak >= MIN_PEAK_RATIO * float(near.max())
    return PairShift(unit * (column - beside), unit * (row - below), reliable, unit)


def usual_shift(pair_shifts: Iterable[PairShift]) -> tuple[int, int]:
    """Return the median of the reliable shifts, to the right and down in pixels, or (0, 0) if fewer than 3 are
    reliable."""
    shifts = [(each.right, each.down) for each in pair_shifts if each.reliable]
    if len(shifts) < MIN_SHIFTS:
        return 0, 0
    right, down = (int(np.median(values)) for values in zip(*shifts, strict=True))
    return right, down


def describe_shift(shift: tuple[int, int]) -> str:
    """Return a shift in words, such as ``3 pixels to the right and 1 pixel up``."""
    words = [
        (shift[0], "to the right" if shift[0] > 0 else "to the left"),
        (shift[1], "down" if shift[1] > 0 else "up"),
    ]
    parts = [f"{abs(n)} pixel{'s'[: abs(n) > 1]} {where}" for n, where in words if n]
    return " and ".join(parts) or "not shifted"


def _edges(pixels: Pixels, factor: int) -> NDArray[np.float32]:
    """Return the gradient magnitude ``[H // factor, W // factor]`` of an image, faded out towards the border."""
    grey = pixels.astype(np.float32).mean(0)
    height, width = (side // factor for side in grey.shape)
    grey = grey[: height * factor, : width * factor].reshape(height, factor, width, factor).mean((1, 3))
    down, right = np.gradient(grey)
    edges = np.hypot(down, right)
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    return ((edges - edges.mean()) * window).astype(np.float32)
