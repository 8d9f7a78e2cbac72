"""Targets of an inversion: the signal to imitate, its loss for gradient descent, and its distance from signals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiogan.data.images.decode import crop_resize
from audiogan.inputs import Knobs
from audiogan.losses.spectra import RecordingLoss, log_spectral_distance

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

STEP_SECONDS = 0.014
"""Time in seconds that one CPU core needs for an optimisation step, for one candidate sound of 16,384 samples."""
FLOPS = 8e9
"""Number of floating-point operations per second that an image network performs on one CPU core."""
OVERHEAD_SECONDS = 0.0002
"""Time in seconds that one CPU core needs for an optimisation step, for one candidate image of negligible size."""
SMALLEST_LEVEL = 4
"""Smallest height and width at which images are compared, in pixels."""
Array = NDArray[np.float32]


class SoundTarget:
    """Recording as the target of an inversion.

    Args:
        generator: model of sounds.
        signal: recording from `audiogan.latents.recording.prepare_recording`, float32 ``[C, T]``.
    """

    def __init__(self, generator: Generator, signal: Array) -> None:
        self.generator, self.signal = generator, signal
        device = next(generator.game.parameters()).device
        self._loss = RecordingLoss(torch.from_numpy(signal).to(device), generator.sample_rate)

    def loss(self, signals: Tensor) -> Tensor:
        """Return the losses ``[B]`` of sounds, after scaling them to the peak level of the recording."""
        peak = signals.abs().amax((1, 2), keepdim=True).clamp_min(1e-3)
        return self._loss(signals * (float(np.abs(self.signal).max()) / peak))

    def distances(self, signals: Array) -> Array:
        """Return the log-spectral distances ``[N]`` of sounds from the recording, in dB."""
        made, wanted = torch.from_numpy(signals), torch.from_numpy(self.signal)
        return log_spectral_distance(made, wanted[None], self.generator.sample_rate).numpy()

    def measured_inputs(self, requested: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return input values that were measured on the recording: its knob settings, unless they are requested."""
        from audiogan.data.sounds.knobs import measure_knobs

        found = {}
        for name, given in self.generator.inputs.items():
            if isinstance(given, Knobs) and name not in requested:
                values = measure_knobs(self.signal[None], self.generator.sample_rate, given.names)
                found[name] = torch.from_numpy(given.scale.to_normal_scores(values)[0])
        return found

    @property
    def step_seconds(self) -> float:
        """Estimated time in seconds of an optimisation step for one candidate, equal on all machines."""
        return STEP_SECONDS * max(0.1, self.signal.size / 16384)


class PictureTarget:
    """Picture as the target of an inversion.

    Args:
        generator: model of images.
        signal: picture from `prepare_picture`, float32 ``[C, H, W]``.
    """

    def __init__(self, generator: Generator, signal: Array) -> None:
        self.generator, self.signal = generator, signal
        device = next(generator.game.parameters()).device
        self._levels = _pyramid(torch.from_numpy(signal)[None].to(device))

    def loss(self, signals: Tensor) -> Tensor:
        """Return the losses ``[B]`` of images: root mean square differences, averaged over several resolutions.

        Low resolutions give useful gradients even if the lines of the two images do not overlap.
        """
        total = torch.zeros(len(signals), device=signals.device)
        for x, target in zip(_pyramid(signals), self._levels, strict=True):
            # The constant keeps the square root differentiable where both images are equal.
            total = total + ((x - target).square().mean((1, 2, 3)) + 1e-6).sqrt()
        return total / len(self._levels)

    def distances(self, signals: Array) -> NDArray[np.float64]:
        """Return the distances ``[N]`` of images from the picture, see `pixel_distances`."""
        return pixel_distances(signals, self.signal)

    def measured_inputs(self, requested: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return an empty dict, because no input is measured on pictures."""
        return {}

    @cached_property
    def step_seconds(self) -> float:
        """Estimated time in seconds of an optimisation step for one candidate, equal on all machines."""
        from torch.utils.flop_counter import FlopCounterMode

        generator = self.generator
        values = generator.game.draw(1, torch.Generator().manual_seed(0))
        with FlopCounterMode(display=False) as counter:
            generator.game.generate(values)
        # A backward pass takes as long as two forward passes.
        return OVERHEAD_SECONDS + 3 * counter.get_total_flops() / FLOPS


def pixel_distances(images: Array, picture: Array) -> NDArray[np.float64]:
    """Return the root mean square differences ``[N]`` of pixels, 0 ... 1. Black and white differ by 1.

    Args:
        images: images ``[N, C, H, W]`` in -1 ... 1.
        picture: picture ``[C, H, W]`` in -1 ... 1.
    """
    return np.sqrt(np.square((images - picture) / 2, dtype=np.float64).mean((1, 2, 3)))


def _pyramid(x: Tensor) -> list[Tensor]:
    """Return images ``[B, C, H, W]`` at full, half, quarter ... resolution."""
    levels = [x]
    while min(levels[-1].shape[2:]) >= 2 * SMALLEST_LEVEL:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def prepare_picture(generator: Generator, picture: str | os.PathLike[str] | Any) -> Array:
    """Return a picture with the channels and the size of a model's images, resized as training images are.

    The central part with the aspect ratio of the images is cut out and resized with a Lanczos filter.

    Args:
        generator: model of images.
        picture: path of an image file, an array, a tensor or a Pillow image of any size, see `Image.convert`.

    Returns:
        Picture, float32 ``[C, H, W]`` in -1 ... 1.

    Raises:
        UserError: the file cannot be read, or the array is not an image.
    """
    is_path = isinstance(picture, str | os.PathLike)
    modality, shape = generator.modality, (generator.shape[0], None, None)
    x = modality.load(picture, shape) if is_path else modality.convert(picture, shape)
    if x.shape == generator.shape:
        return np.ascontiguousarray(x, np.float32)
    pixels = crop_resize(np.rint((x + 1) * 127.5).astype(np.uint8), *generator.shape[1:])
    return pixels.astype(np.float32) / 127.5 - 1
