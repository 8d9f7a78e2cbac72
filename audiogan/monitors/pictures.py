"""Measures of pictures for the rules on translations: correlation between two pictures, and checkerboard patterns."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiogan.representations.lab import LUMA

COARSE_SIDE = 32  # Largest side in pixels at which colours are compared, because texture is noise in this comparison.
MIN_STD = 0.01  # A channel with a smaller standard deviation, on the scale -1 to 1, counts as constant.
TILE = 32  # Side in pixels of the tiles whose spectra are averaged.
MAX_PERIOD = 4  # Longest period in pixels of the patterns that are measured.
SURROUNDING_DISTANCE = 2  # The power of a pattern is compared with the power at frequencies this number of bins away.


def convert_to_shape(x: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Convert signals to the shape of other signals. Return ``None`` if they cannot be converted.

    Grey pictures become colour pictures and colour pictures become grey. Pictures of another size are resized
    (bilinear).

    Args:
        x: signals ``[N, ...]``.
        shape: shape of one converted signal, without the batch dimension.
    """
    if tuple(x.shape[1:]) == tuple(shape):
        return x
    if x.dim() != 4 or len(shape) != 3:
        return None
    if x.shape[1] != shape[0]:
        if x.shape[1] == 1:
            x = x.expand(-1, shape[0], -1, -1)
        elif x.shape[1] == 3 and shape[0] == 1:
            x = _luma(x)[:, None]
        else:
            return None
    return x if tuple(x.shape[2:]) == tuple(shape[1:]) else F.interpolate(x, size=tuple(shape[1:]), mode="bilinear")


def _luma(x: Tensor) -> Tensor:
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1)


def channel_correlations(x: Tensor, y: Tensor) -> NDArray[np.float64]:
    """Return the correlation over pixels between the pictures ``x[i]`` and ``y[i]``, averaged over ``i``. There is one
    value for the luma and one for each channel.

    Args:
        x: pictures ``[N, C, H, W]``, -1 to 1, with C = 1 or 3.
        y: pictures of the same shape.

    Returns:
        Correlations from -1 to 1, ``[1 + C]`` for three channels, ``[1]`` for one. NaN for a channel that is constant
        in all pictures.
    """
    found = []
    for a, b in zip(_channels(x), _channels(y), strict=True):
        a, b = (v - v.mean(1, keepdim=True) for v in (a, b))
        scale = a.square().mean(1).sqrt(), b.square().mean(1).sqrt()
        varied = (scale[0] > MIN_STD) & (scale[1] > MIN_STD)
        each = ((a * b).mean(1) / (scale[0] * scale[1]))[varied]
        found.append(float(each.mean()) if len(each) else float("nan"))
    return np.array(found)


def _channels(x: Tensor) -> list[Tensor]:
    """Return the luma and the channels of pictures at a coarse resolution, each ``[N, pixels]``."""
    x = x.float()
    if max(x.shape[2:]) > COARSE_SIDE:
        x = F.adaptive_avg_pool2d(x, COARSE_SIDE)
    parts = [_luma(x), *x.unbind(1)] if x.shape[1] == 3 else list(x.unbind(1))
    return [part.flatten(1) for part in parts]


def checkerboard(x: Tensor, real: Tensor) -> tuple[float, float]:
    """Return the strength and the amplitude of patterns that repeat every 2 or 4 pixels.

    Upsampling layers with a stride of 2 produce such patterns (Odena, Dumoulin & Olah, "Deconvolution and checkerboard
    artifacts", Distill 2016). The power spectrum is averaged over overlapping tiles. The strength of a frequency is its
    power divided by that of the surrounding frequencies.

    Args:
        x: generated pictures ``[N, C, H, W]``, -1 to 1.
        real: real pictures ``[M, C, H, W]``.

    Returns:
        Two values for the frequency at which generated pictures differ most from real pictures: the strength in
        generated pictures divided by the strength in real pictures, about 1 without a pattern; and the approximate
        difference between neighbouring pixels that the pattern causes. Both are NaN for pictures with a side shorter
        than 16 pixels.
    """
    side = next((s for s in (TILE, TILE // 2) if s <= min(*x.shape[2:], *real.shape[2:])), 0)
    if not side:
        return float("nan"), float("nan")
    own, theirs = _spectrum(x, side), _spectrum(real, side)
    window = float(np.hanning(side + 1)[:-1].sum()) ** 2
    steps = range(0, side, side // MAX_PERIOD)
    strongest = (0.0, 0.0)
    for u in steps:
        for v in steps[: len(steps) // 2 + 1]:
            if u or v:
                around, before = _surrounding(own, u, v), _surrounding(theirs, u, v)
                ratio = own[u, v] / around / max(theirs[u, v] / before, 1.0)
                power = max(float(own[u, v]) - around, 0.0)
                strongest = max(strongest, (float(ratio), 2 * power**0.5 / window))
    return strongest


def _spectrum(x: Tensor, side: int) -> NDArray[np.float64]:
    """Return the mean power spectrum ``[side, side // 2 + 1]`` of the tiles of pictures, with a floor above 0."""
    tiles = x.float().unfold(2, side, side // 2).unfold(3, side, side // 2)
    window = torch.from_numpy(np.hanning(side + 1)[:-1]).float()
    tiles = (tiles - tiles.mean((-1, -2), keepdim=True)) * window * window[:, None]
    power = torch.fft.rfft2(tiles).abs().square().mean((0, 1, 2, 3)).double().numpy()
    floor = (1e-4 * float(window.sum()) ** 2) ** 2  # Power of an amplitude of 1e-4, which is invisible.
    return power + floor


def _surrounding(spectrum: NDArray[np.float64], u: int, v: int) -> float:
    """Return the geometric mean of the spectrum at the frequencies around ``(u, v)``.

    The geometric mean does not depend on the slope of the spectrum, which falls with a power of the frequency.
    """
    rows, last = len(spectrum), spectrum.shape[1] - 1
    values = []
    for i in range(-SURROUNDING_DISTANCE - 1, SURROUNDING_DISTANCE + 2):
        for j in range(-SURROUNDING_DISTANCE - 1, SURROUNDING_DISTANCE + 2):
            if max(abs(i), abs(j)) >= SURROUNDING_DISTANCE:
                row, column = u + i, v + j
                if column < 0 or column > last:  # The other half of the spectrum of real values is its mirror image.
                    row, column = -row, (-column if column < 0 else 2 * last - column)
                values.append(spectrum[row % rows, column])
    return float(np.exp(np.log(values).mean()))
