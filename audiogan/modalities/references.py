"""Full-reference measures: how far outputs are from their targets, pair by pair.

Arrays are ``[N, *shape]``, floating-point, with a full scale of -1 ... 1. Functions return the mean over all pairs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

BETTER = {"l1": "lower", "psnr": "higher", "ssim": "higher", "si_sdr": "higher", "log_spectral_distance": "lower"}
"""Name of each measure -> the direction in which outputs come nearer to their targets."""
RANGE = 2.0
"""Distance from the lowest to the highest value."""
SMALLEST_ERROR = 1e-10
"""Mean squared errors below this count as this: equal images have a PSNR of 106 dB instead of infinity."""
LARGEST_RATIO_DB = 100.0
"""SI-SDR is limited to plus or minus this."""
SILENCE = 1e-5
"""A target of a smaller root mean square (-100 dB of full scale) has no SI-SDR."""
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
"""Settings of SSIM: width and standard deviation of the Gaussian window in pixels, constants of the paper."""
AT_A_TIME = 1 << 22
"""Values that are processed together."""


def check_pairs(output: np.ndarray, target: np.ndarray) -> None:
    """Raise ValueError unless both arrays have the same shape ``[N >= 1, ...]``."""
    if output.shape != target.shape or output.ndim < 2 or not output.size:
        raise ValueError(f"outputs {list(output.shape)} and targets {list(target.shape)} must have the same shape")


def l1(output: np.ndarray, target: np.ndarray) -> float:
    """Return the mean absolute difference, 0 ... 2."""
    check_pairs(output, target)
    return float(np.mean(np.abs(np.subtract(output, target, dtype=np.float64))))


def psnr(output: np.ndarray, target: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB.

    The squared errors of all pairs are averaged before the logarithm is taken. A mean of one ratio per pair would be
    infinite if a single pair is equal.
    """
    check_pairs(output, target)
    error = float(np.mean(np.square(np.subtract(output, target, dtype=np.float64))))
    return float(10 * np.log10(RANGE**2 / max(error, SMALLEST_ERROR)))


def ssim(output: np.ndarray, target: np.ndarray) -> float:
    """Return the mean structural similarity of images ``[N, C, H, W]``; 1 for equal images.

    Source: Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004, equation 13: a Gaussian window of 11 x 11 pixels with a standard deviation of 1.5,
    K1 = 0.01, K2 = 0.03. Pixels are mapped to 0 ... 1, as SSIM is not the same for signed values. Channels are
    measured alone and averaged. Windows lie inside the image. For images of fewer
    than 11 pixels the window is cut to the largest odd width that fits.
    """
    check_pairs(output, target)
    if output.ndim != 4:
        raise ValueError(f"expected images [N, C, H, W], got {list(output.shape)}")
    step = max(1, AT_A_TIME // int(np.prod(output.shape[1:])))
    total = 0.0
    for i in range(0, len(output), step):
        x, y = (torch.from_numpy(np.asarray(a[i : i + step], np.float64) + 1) / RANGE for a in (output, target))
        total += float(_ssim(x, y).sum())
    return total / len(output)


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the structural similarity ``[N]`` of images ``[N, C, H, W]`` in 0 ... 1."""
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x, var_y = _windowed(x * x) - mean_x**2, _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean((1, 2, 3))


def _windowed(x: Tensor) -> Tensor:
    """Return weighted means in all Gaussian windows inside images ``[N, C, H, W]``."""
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
    """Return the scale-invariant signal-to-distortion ratio of sounds ``[N, C, T]`` in dB.

    Source: Le Roux, Wisdom, Erdogan & Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5. Channels are
    taken together. Ratios are limited to -100 ... 100 dB. Pairs with a silent target are left out.

    Returns:
        The mean over the pairs; None if all targets are silent.
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
    """Return the log-spectral distance of sounds ``[N, C, T]`` in dB; see `audiogan.losses.spectra`."""
    from audiogan.losses.spectra import log_spectral_distance as distance

    check_pairs(output, target)
    step = max(1, AT_A_TIME // 4 // int(np.prod(output.shape[1:])))
    parts: list[NDArray[np.float32]] = []
    with torch.no_grad():
        for i in range(0, len(output), step):
            x, y = (torch.from_numpy(np.asarray(a[i : i + step], np.float32)) for a in (output, target))
            parts.append(distance(x, y, sample_rate).numpy())
    return float(np.concatenate(parts).astype(np.float64).mean())
