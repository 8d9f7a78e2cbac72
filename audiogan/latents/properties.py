"""Measurable properties of signals, such as brightness, that give the directions of a latent space their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.modalities import Modality

Array = NDArray[np.float64]
Property = tuple[str, str]
"""Pair of words that describe a decrease and an increase of a property."""
BASS_HZ = 150.0
"""Upper limit of bass frequencies, in Hz."""


SOUND_PROPERTIES = {
    "brightness": ("darker", "brighter"),
    "attack": ("sharper", "softer"),
    "decay": ("shorter", "longer"),
    "noisiness": ("more tonal", "noisier"),
    "loudness": ("quieter", "louder"),
    "pitch": ("lower", "higher"),
    "bass": ("less bass", "more bass"),
}
"""Properties of sounds, with words for a decrease and an increase.

Brightness, attack, decay and noisiness are the knobs of `audiogan.data.sounds.knobs`. Loudness is the RMS level in dB.
Pitch is the frequency of the spectral peak in log2 Hz. Bass is the fraction of the power below 150 Hz in dB.
"""

IMAGE_PROPERTIES = {
    "lightness": ("darker", "lighter"),
    "contrast": ("flatter", "more contrast"),
    "detail": ("smoother", "more detail"),
    "height": ("lower", "higher"),
    "side": ("to the left", "to the right"),
}
"""Properties of images, with words for a decrease and an increase.

Lightness and contrast are the mean and the standard deviation of the pixels. Detail is the mean absolute difference of
neighbouring pixels. Height and side are the coordinates of the brightness-weighted centre, in -1 ... 1.
"""


def list_properties(modality: Modality, shape: tuple[int, ...]) -> Mapping[str, Property]:
    """Return a dict from the name of each property of a modality to its pair of words.

    Args:
        modality: modality of the signals.
        shape: shape of one signal.

    Raises:
        UserError: the signals are neither sounds nor images.
    """
    if modality.sample_rate is not None:
        return SOUND_PROPERTIES
    if len(shape) == 3:
        return IMAGE_PROPERTIES
    raise UserError(f"directions of {modality.noun}s are not supported; only those of sounds and images")


def measure_properties(modality: Modality, x: np.ndarray) -> Array:
    """Return the properties of signals ``[N, *shape]`` as float64 ``[N, K]``, in the order of `list_properties`."""
    return _images(x) if modality.sample_rate is None else _sounds(x, modality.sample_rate)


def _sounds(x: np.ndarray, sample_rate: int) -> Array:
    from audiogan.data.sounds.knobs import measure_knobs

    loudness = 10 * np.log10(np.square(x).mean((1, 2)) + 1e-10)
    power = np.square(np.abs(np.fft.rfft(x, axis=-1))).sum(1)
    hz = np.fft.rfftfreq(x.shape[-1], 1 / sample_rate)
    audible = np.where(hz >= 20, power, 0.0)
    pitch = np.log2(np.maximum(hz[audible.argmax(-1)], 20.0))
    bass = 10 * np.log10((audible[:, hz < BASS_HZ].sum(-1) + 1e-10) / (audible.sum(-1) + 1e-10) + 1e-4)
    return np.column_stack(
        [measure_knobs(x, sample_rate, ("brightness", "attack", "decay", "noisiness")), loudness, pitch, bass]
    )


def _images(x: np.ndarray) -> Array:
    grey = x.mean(1).astype(np.float64)
    light = grey - grey.min((1, 2), keepdims=True) + 1e-6
    light /= light.sum((1, 2), keepdims=True)
    detail = np.abs(np.diff(grey, axis=1)).mean((1, 2)) + np.abs(np.diff(grey, axis=2)).mean((1, 2))
    rows, columns = np.linspace(1, -1, grey.shape[1]), np.linspace(-1, 1, grey.shape[2])
    height, side = (light * rows[:, None]).sum((1, 2)), (light * columns).sum((1, 2))
    return np.column_stack([grey.mean((1, 2)), grey.std((1, 2)), detail, height, side])
