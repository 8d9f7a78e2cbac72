"""Full-reference metrics, which compare each output of a translator with its target.

Outputs and targets are floating-point arrays ``[N, *shape]`` with a full scale of -1 ... 1. Each metric is averaged
over all pairs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

BETTER = {"l1": "lower", "psnr": "higher", "ssim": "higher", "si_sdr": "higher", "log_spectral_distance": "lower"}
"""Name of each full-reference metric -> ``lower`` or ``higher``, the better direction."""
RANGE = 2.0
"""Difference between the largest and the smallest possible value of a signal, 1 and -1."""
SMALLEST_ERROR = 1e-10
"""Lower limit of the mean squared error. Without it, the PSNR of an output that is identical to its target would be
infinite. With it, the PSNR is 106 dB.
"""
LARGEST_RATIO_DB = 100.0
"""Largest absolute value of the SI-SDR, in dB. Larger ratios are clamped."""
SILENCE = 1e-5
"""Smallest root mean square of a target for which the SI-SDR is defined (-100 dB relative to full scale)."""
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
"""Constants of SSIM: width and standard deviation of the Gaussian window in pixels, then K1 and K2 of the paper."""
BLOCK_VALUES = 1 << 22
"""Approximate number of values processed at a time, to limit memory."""


def check_pairs(output: np.ndarray, target: np.ndarray) -> None:
    """Raise ValueError unless both arrays have the same shape ``[N >= 1, ...]``."""
    if output.shape != target.shape or output.ndim < 2 or not output.size:
        raise ValueError(f"outputs {list(output.shape)} and targets {list(target.shape)} must have the same shape")


def l1(output: np.ndarray, target: np.ndarray) -> float:
    """Return the mean absolute difference between outputs and targets, in the range 0 ... 2."""
    check_pairs(output, target)
    return float(np.mean(np.abs(np.subtract(output, target, dtype=np.float64))))


def psnr(output: np.ndarray, target: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio (PSNR) in dB.

    Squared errors are averaged over all pairs before the logarithm is taken. In a mean of logarithms, a single output
    that is identical to its target would make the result infinite.
    """
    check_pairs(output, target)
    error = float(np.mean(np.square(np.subtract(output, target, dtype=np.float64))))
    return float(10 * np.log10(RANGE**2 / max(error, SMALLEST_ERROR)))


def ssim(output: np.ndarray, target: np.ndarray) -> float:
    """Return the mean structural similarity (SSIM) of images ``[N, C, H, W]``. Identical images have an SSIM of 1.

    The window is a Gaussian of 11 x 11 pixels with a standard deviation of 1.5 pixels; K1 = 0.01 and K2 = 0.03. Pixels
    are mapped to 0 ... 1 first, because the SSIM depends on the mean of the values. It is computed per channel and
    averaged over channels. Windows lie inside the image. If a side of the image is shorter than 11 pixels, the window
    is reduced to the largest odd width that fits.

    Source: Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004, equation 13.
    """
    check_pairs(output, target)
    if output.ndim != 4:
        raise ValueError(f"expected images [N, C, H, W], got {list(output.shape)}")
    step = max(1, BLOCK_VALUES // int(np.prod(output.shape[1:])))
    total = 0.0
    for i in range(0, len(output), step):
        x, y = (torch.from_numpy(np.asarray(a[i : i + step], np.float64) + 1) / RANGE for a in (output, target))
        total += float(_ssim(x, y).sum())
    return total / len(output)


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the SSIM ``[N]`` of images ``[N, C, H, W]`` with values in 0 ... 1."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x, var_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean((1, 2, 3))


def _windowed(x: Tensor) -> Tensor:
    """Return the Gaussian-weighted mean in every window that lies inside the images ``[N, C, H, W]``."""
    n, c, height, width = x.shape
    x = x.reshape(n * c, 1, height, width)
    x = F.conv2d(x, _gaussian(height)[None, None, :, None])
    return F.conv2d(x, _gaussian(width)[None, None, None, :]).unflatten(0, (n, c))[:, :, 0]


def _gaussian(size: int) -> Tensor:
    width = min(WINDOW, size - (size + 1) % 2)
    at = torch.arange(width, dtype=torch.float64) - width // 2
    weights = torch.exp(-(at**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def si_sdr(output: np.ndarray, target: np.ndarray) -> float | None:
    """Return the scale-invariant signal-to-distortion ratio (SI-SDR) of sounds ``[N, C, T]`` in dB.

    The channels of a sound are concatenated. Ratios are clamped to -100 ... 100 dB. Pairs with a silent target are
    ignored.

    Returns:
        Mean over the pairs. None if all targets are silent.

    Source: Le Roux, Wisdom, Erdogan & Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5.
    """
    check_pairs(output, target)
    ratios = []
    for made, wanted in zip(output, target, strict=True):
        x, y = made.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
        energy = float(y @ y)
        if energy > SILENCE**2 * y.size:
            aim = (float(x @ y) / energy) * y
            limit = 10 ** (-LARGEST_RATIO_DB / 10)
            signal, distortion = float(aim @ aim), float(np.square(x - aim).sum())
            ratio = signal / max(distortion, limit * signal, np.finfo(float).tiny)
            ratios.append(10 * np.log10(max(ratio, limit)))
    return float(np.mean(ratios)) if ratios else None


def log_spectral_distance(output: np.ndarray, target: np.ndarray, sample_rate: int) -> float:
    """Return the log-spectral distance between sounds ``[N, C, T]`` in dB, averaged over all pairs.

    `audiogan.losses.spectra.log_spectral_distance` defines the distance.
    """
    from audiogan.losses.spectra import log_spectral_distance as distance

    check_pairs(output, target)
    step = max(1, BLOCK_VALUES // 4 // int(np.prod(output.shape[1:])))
    parts: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for i in range(0, len(output), step):
            x, y = (torch.from_numpy(np.asarray(a[i : i + step], np.float32)) for a in (output, target))
            parts.append(distance(x, y, sample_rate).numpy())
    return float(np.concatenate(parts).astype(np.float64).mean())
