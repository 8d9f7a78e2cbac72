"""Full-reference metrics, which compare each output of a translator with its target or source.

Signals are floating-point arrays ``[N, *shape]`` with a full scale of -1 ... 1. Unless stated otherwise, a metric is
averaged over all pairs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

BETTER = {
    "l1": "lower",
    "psnr": "higher",
    "ssim": "higher",
    "gmsd": "lower",
    "si_sdr": "higher",
    "lsd": "lower",
    "lsd_above": "lower",
    "snr_below": "higher",
    "stft_distance": "lower",
    "pesq_wb_ludlows": "higher",
    "estoi": "higher",
    "mcd24_world": "lower",
    "f0_rmse_cents": "lower",
    "f0_correlation": "higher",
    "voicing_error": "lower",
}
"""Name of each full-reference metric -> whether ``lower`` or ``higher`` values are better."""
CANDIDATES = 16
"""Number of targets among which `target_match_rate` searches for the nearest one."""
VALUE_RANGE = 2.0
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
"""Constants of SSIM: width and standard deviation of the Gaussian window in pixels, and the paper's K1 and K2."""
GRADIENT_CONSTANT = 170.0
"""Constant T of the gradient magnitude similarity deviation (GMSD), for grey levels from 0 to 255."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""
SMALLEST_GMSD_SIDE = 6
"""Smallest height and width of an image for `gmsd`, in pixels."""
BLOCK_VALUES = 1 << 22
"""Approximate number of values processed at a time, to limit memory."""


def check_pairs(output: np.ndarray, target: np.ndarray) -> None:
    """Raise ValueError unless both arrays have the same shape ``[N >= 1, ...]``.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import check_pairs
        >>> check_pairs(np.zeros((2, 3)), np.ones((2, 3)))  # no error
    """
    if output.shape != target.shape or output.ndim < 2 or not output.size:
        raise ValueError(f"outputs {list(output.shape)} and targets {list(target.shape)} must have the same shape")


def l1(output: np.ndarray, target: np.ndarray) -> float:
    """Return the mean absolute difference between outputs and targets, in the range 0 ... 2.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import l1
        >>> l1(np.zeros((2, 3)), np.full((2, 3), 0.5))
        0.5
    """
    check_pairs(output, target)
    return float(np.mean(np.abs(np.subtract(output, target, dtype=np.float64))))


def psnr(output: np.ndarray, target: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio (PSNR) in dB.

    Squared errors are averaged over all pairs before the logarithm is taken. In a mean of logarithms, a single output
    that is identical to its target would make the result infinite.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import psnr
        >>> psnr(np.zeros((1, 3)), np.full((1, 3), 0.2))
        20.0
    """
    check_pairs(output, target)
    error = float(np.mean(np.square(np.subtract(output, target, dtype=np.float64))))
    return float(10 * np.log10(VALUE_RANGE**2 / max(error, SMALLEST_ERROR)))


def ssim(output: np.ndarray, target: np.ndarray) -> float:
    """Return the mean structural similarity (SSIM) of images ``[N, C, H, W]``. Identical images have an SSIM of 1.

    The window is a Gaussian of 11 x 11 pixels with a standard deviation of 1.5 pixels; K1 = 0.01 and K2 = 0.03. Pixels
    are mapped to 0 ... 1 first, because the SSIM depends on the mean of the values. It is computed per channel and
    averaged over channels. Windows lie inside the image. If a side of the image is shorter than 11 pixels, the window
    is reduced to the largest odd width that fits.

    Source: Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 2004, equation 13.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import ssim
        >>> x = np.random.default_rng(0).uniform(-1, 1, (1, 1, 16, 16))
        >>> round(ssim(x, x), 3), round(ssim(x, -x), 3)
        (1.0, -0.971)
    """
    check_pairs(output, target)
    if output.ndim != 4:
        raise ValueError(f"expected images [N, C, H, W], got {list(output.shape)}")
    step = max(1, BLOCK_VALUES // int(np.prod(output.shape[1:])))
    total = 0.0
    for i in range(0, len(output), step):
        x, y = (torch.from_numpy(np.asarray(a[i : i + step], np.float64) + 1) / VALUE_RANGE for a in (output, target))
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


def gmsd(output: np.ndarray, target: np.ndarray) -> float:
    """Return the gradient magnitude similarity deviation (GMSD) of images ``[N, C, H, W]``, averaged over all pairs.

    The GMSD is 0 for identical images. It is large if the edges of an image are distorted in some places and not in
    others. Colours are converted to brightness first, and images are averaged over blocks of 2 x 2 pixels. Unlike in
    the authors' program, gradients are computed only where the 3 x 3 window lies inside the image.

    Raises:
        ValueError: the shapes differ, or a side of the images is shorter than 6 pixels.

    Source: Xue, Zhang, Mou & Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual image
    quality index", IEEE TIP 2014, equations 1 to 6, with Prewitt filters and T = 170.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import gmsd
        >>> x = np.random.default_rng(0).uniform(-1, 1, (1, 3, 16, 16))
        >>> gmsd(x, x), round(gmsd(x, x[..., ::-1].copy()), 3)
        (0.0, 0.162)
    """
    check_pairs(output, target)
    if output.ndim != 4 or min(output.shape[2:]) < SMALLEST_GMSD_SIDE:
        raise ValueError(f"expected images [N, C, H, W] of at least {SMALLEST_GMSD_SIDE} pixels, got {output.shape}")
    step = max(1, BLOCK_VALUES // int(np.prod(output.shape[1:])))
    total = 0.0
    for i in range(0, len(output), step):
        x, y = (_gradient_magnitude(torch.from_numpy(luminance(a[i : i + step]))) for a in (output, target))
        similarity = (2 * x * y + GRADIENT_CONSTANT) / (x**2 + y**2 + GRADIENT_CONSTANT)
        total += float(similarity.flatten(1).std(1, correction=0).sum())
    return total / len(output)


def luminance(x: np.ndarray) -> NDArray[np.float64]:
    """Return the brightness ``[N, H, W]`` of images ``[N, C, H, W]``, both in -1 ... 1. Grey images keep their values.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import luminance
        >>> red = np.array([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1)
        >>> luminance(red).round(3)
        array([[[-0.402]]])
    """
    weights = np.array(LUMINANCE if x.shape[1] == len(LUMINANCE) else [1 / x.shape[1]] * x.shape[1])
    return np.einsum("nchw,c->nhw", x.astype(np.float64), weights)


def _gradient_magnitude(grey: Tensor) -> Tensor:
    """Return the magnitude ``[N, H', W']`` of Prewitt gradients at half the resolution, in grey levels of 0 ... 255."""
    x = F.avg_pool2d((grey[:, None] + 1) / VALUE_RANGE * 255, 2)
    rows = torch.tensor([[1.0], [0.0], [-1.0]], dtype=x.dtype).expand(3, 3) / 3
    dy, dx = F.conv2d(x, torch.stack([rows, rows.T])[:, None]).unbind(1)
    return torch.hypot(dx, dy)


def edge_correlation(output: np.ndarray, source: np.ndarray) -> float:
    """Return the correlation between the edges of two batches of images, averaged over all pairs.

    The edges of an image are the magnitudes of the gradient of its mean over channels. The Pearson correlation between
    the edges of an output and those of its source is 1 if the output has the outlines of its source, and about 0 if the
    outlines are unrelated. Pairs with an image of a single colour are ignored.

    Args:
        output: images ``[N, C, H, W]``, at least 2 pixels high and wide.
        source: images ``[N, C', H, W]``.

    Returns:
        Mean over the pairs, -1 ... 1. NaN if all pairs are ignored.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import edge_correlation
        >>> x = np.random.default_rng(0).uniform(-1, 1, (1, 1, 16, 16))
        >>> round(edge_correlation(-x, x), 3)  # Inverted colours have the same edges.
        1.0
    """
    check_pairs(output[:, :1], source[:, :1])
    values = []
    for pair in zip(output, source, strict=True):
        x, y = (np.hypot(*np.gradient(image.astype(np.float64).mean(0))).ravel() for image in pair)
        x, y = x - x.mean(), y - y.mean()
        size = float(np.sqrt((x @ x) * (y @ y)))
        if size > 0:
            values.append(float(x @ y) / size)
    return float(np.mean(values)) if values else float("nan")


def target_match_rate(output: np.ndarray, target: np.ndarray, candidates: int = CANDIDATES) -> float:
    """Return the fraction of outputs that are nearer to their own target than to other targets.

    Each output is compared with its own target and with ``candidates - 1`` other targets. The result is the mean over
    all choices of other targets. The distance is the mean squared difference of the values. Outputs that are unrelated
    to their targets reach ``1 / candidates``.

    Args:
        output: signals ``[N, *shape]``.
        target: signals ``[N, *shape]``; the target ``i`` belongs to the output ``i``.
        candidates: number of targets per output, from 2 to N.

    Raises:
        ValueError: the shapes differ, or ``candidates`` is out of range.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import target_match_rate
        >>> target = np.arange(4.0)[:, None]
        >>> target_match_rate(target + 0.1, target, candidates=4), target_match_rate(target[::-1], target, candidates=4)
        (1.0, 0.0)
    """
    check_pairs(output, target)
    n, others = len(output), candidates - 1
    if not 2 <= candidates <= n:
        raise ValueError(f"candidates={candidates} must be from 2 to the number of pairs, {n}")
    x, y = output.reshape(n, -1), target.reshape(n, -1)
    # Squared distances between outputs (rows) and targets (columns), up to a constant per row.
    distances = np.zeros((n, n))
    step = max(1, BLOCK_VALUES // n)
    for i in range(0, x.shape[1], step):
        a, b = x[:, i : i + step].astype(np.float64), y[:, i : i + step].astype(np.float64)
        distances += np.square(b).sum(1) - 2 * a @ b.T
    own = distances.diagonal()[:, None]
    nearer = (distances < own - SMALLEST_ERROR * x.shape[1]).sum(1)
    # Probability that the other targets, drawn without replacement, include none that is nearer.
    drawn = np.arange(others)
    return float(np.prod(np.clip(n - 1 - nearer[:, None] - drawn, 0, None) / (n - 1 - drawn), axis=1).mean())


def si_sdr(output: np.ndarray, target: np.ndarray) -> float | None:
    """Return the scale-invariant signal-to-distortion ratio (SI-SDR) of sounds ``[N, C, T]`` in dB.

    The mean of each channel is subtracted, and the channels of a sound are concatenated. Ratios are clamped to
    -100 ... 100 dB. Pairs with a silent target are ignored.

    Returns:
        Mean over the pairs. None if all targets are silent.

    Source: Le Roux, Wisdom, Erdogan & Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.references import si_sdr
        >>> rng = np.random.default_rng(0)
        >>> voice, noise = rng.normal(size=(2, 1, 1, 8000))
        >>> round(si_sdr(voice + 0.1 * noise, voice))  # in dB
        20
    """
    check_pairs(output, target)
    ratios = []
    for made, wanted in zip(output, target, strict=True):
        x, y = (a.astype(np.float64) for a in (made, wanted))
        x, y = (x - x.mean(-1, keepdims=True)).ravel(), (y - y.mean(-1, keepdims=True)).ravel()
        energy = float(y @ y)
        if energy > SILENCE**2 * y.size:
            aim = (float(x @ y) / energy) * y
            limit = 10 ** (-LARGEST_RATIO_DB / 10)
            signal, distortion = float(aim @ aim), float(np.square(x - aim).sum())
            ratio = signal / max(distortion, limit * signal, np.finfo(float).tiny)
            ratios.append(10 * np.log10(max(ratio, limit)))
    return float(np.mean(ratios)) if ratios else None
