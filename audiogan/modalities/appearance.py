"""Metrics of the appearance of a set of images: sharpness and colourfulness.

Images are floating-point arrays ``[N, C, H, W]`` in -1 ... 1. The metrics describe sets of images, so generated and
real images need not form pairs.
"""

from __future__ import annotations

import numpy as np
import torch

from audiogan.modalities.references import BLOCK_VALUES, VALUE_RANGE

BETTER = {"colourfulness": "near floor", "sharpness": "near 1"}
"""Name of each metric -> which values are better."""
HIGH_BAND = 0.25
"""Lower limit of the high band in cycles per pixel: half the Nyquist frequency."""
SMALLEST_ENERGY = 1e-10
"""Smallest high-band energy of real images for which `sharpness` is defined."""


def sharpness(images: np.ndarray, real: np.ndarray) -> float:
    """Return the high-band energy of images divided by that of real images, see `high_band_energy`.

    Blurred images have a ratio below 1. Noise and artefacts with fine structure have a ratio above 1.

    Args:
        images: images ``[N, C, H, W]``.
        real: images ``[M, C, H, W]`` of the same height and width.

    Returns:
        The ratio. NaN if the real images have no energy in the high band.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.appearance import sharpness
        >>> noise = np.random.default_rng(0).uniform(-1, 1, (4, 1, 32, 32))
        >>> blurred = (noise + np.roll(noise, 1, axis=2) + np.roll(noise, 1, axis=3)) / 3
        >>> sharpness(blurred, noise) < 0.5
        True
    """
    if images.shape[2:] != real.shape[2:]:
        raise ValueError(f"images {list(images.shape)} and real images {list(real.shape)} must have the same size")
    energy = high_band_energy(real)
    return high_band_energy(images) / energy if energy > SMALLEST_ENERGY else float("nan")


def high_band_energy(images: np.ndarray) -> float:
    """Return the energy of images in frequencies above half the Nyquist frequency, averaged over images and channels.

    A component belongs to the high band if it has more than 0.25 cycles per pixel vertically or horizontally. An image
    that was enlarged by a factor of 2 with an ideal filter has no energy in this band. The mean of an image is
    subtracted, and the image is multiplied by a Hann window, so that the step between opposite borders is not counted.

    Args:
        images: images ``[N, C, H, W]`` in -1 ... 1.

    Returns:
        Contribution of the high band to the mean squared value of the windowed image.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.appearance import high_band_energy
        >>> checkerboard = np.indices((32, 32)).sum(0)[None, None] % 2 * 2.0 - 1
        >>> slope = np.linspace(-1, 1, 32) * np.ones((1, 1, 32, 1))
        >>> high_band_energy(checkerboard) > 100 * high_band_energy(slope)
        True
    """
    _check(images)
    height, width = images.shape[2:]
    rows, columns = torch.fft.fftfreq(height).abs(), torch.fft.fftfreq(width).abs()
    high = (rows[:, None] > HIGH_BAND) | (columns > HIGH_BAND)
    window = torch.outer(*(torch.hann_window(n + 2, False, dtype=torch.float64)[1:-1] for n in (height, width)))
    step = max(1, BLOCK_VALUES // 4 // int(np.prod(images.shape[1:])))
    total = 0.0
    for i in range(0, len(images), step):
        x = torch.from_numpy(images[i : i + step].astype(np.float64))
        power = torch.fft.fft2((x - x.mean((2, 3), keepdim=True)) * window).abs().square()
        total += float(power[..., high].sum((1, 2)).sum())
    return total / (len(images) * images.shape[1] * (height * width) ** 2)


def colourfulness(images: np.ndarray) -> float:
    """Return the mean colourfulness of images ``[N, 3, H, W]``: 0 for grey images.

    In the authors' survey, images with a value of 15 were rated as slightly colourful, 33 as moderately, 45 as
    averagely, 59 as quite, 82 as highly, and 109 as extremely colourful.

    Source: Hasler & Suesstrunk, "Measuring colourfulness in natural images", Human Vision and Electronic Imaging 2003,
    the metric in the opponent space of R - G and (R + G) / 2 - B, with pixels in 0 ... 255.

    Examples:
        >>> import numpy as np
        >>> from audiogan.modalities.appearance import colourfulness
        >>> red = np.array([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1) * np.ones((1, 3, 8, 8))
        >>> round(colourfulness(red), 1), colourfulness(np.zeros((1, 3, 8, 8)))
        (85.5, 0.0)
    """
    _check(images)
    if images.shape[1] != 3:
        raise ValueError(f"expected colour images [N, 3, H, W], got {list(images.shape)}")
    total = 0.0
    for image in images:
        red, green, blue = (image.astype(np.float64) + 1) / VALUE_RANGE * 255
        first, second = red - green, (red + green) / 2 - blue
        total += float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))
    return total / len(images)


def _check(images: np.ndarray) -> None:
    if images.ndim != 4 or not images.size:
        raise ValueError(f"expected images [N, C, H, W], got {list(images.shape)}")
