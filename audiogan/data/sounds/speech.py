"""`open_speech`: a table of speech recordings that are varied at random in training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.data.columns import Inputs, MaybeAugment, Rng, Rows, Signals
from audiogan.data.sounds.sources import open_sounds
from audiogan.data.table import Table
from audiogan.errors import UserError
from audiogan.modalities.sound import Sound


class VariedSounds(Signals):
    """Column of sounds with random level and speed in training. Outside training, sounds do not change.

    Args:
        signals: column of the recorded sounds.
        gain: lowest and highest gain in dB.
        speed: lowest and highest speed, as a factor. A factor above 1 makes sounds shorter and higher. Sounds are cut
            or padded with zeros to their original length.
    """

    random = True

    def __init__(self, signals: Signals, gain: tuple[float, float], speed: tuple[float, float]) -> None:
        modality = signals.modality
        if isinstance(modality, Sound):
            modality = replace(modality, normalize="none")  # A translated sound keeps its level.
        super().__init__(signals.storage, modality, indices=signals.indices, group=signals.group)
        self.gain, self.speed = gain, speed

    def read(self, rows: Rows, augment: MaybeAugment = None, rng: Rng = None, input_values: Inputs = None) -> Tensor:
        x = super().read(rows, augment)
        if rng is None:
            return x
        return torch.stack([torch.from_numpy(self._vary(sound.numpy(), rng)) for sound in x])

    def _vary(self, sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import soxr

        speed, gain = round(rng.uniform(*self.speed), 3), 10 ** (rng.uniform(*self.gain) / 20)
        changed = sound if speed == 1 else soxr.resample(sound.T, speed, 1.0, quality="MQ").T
        out = np.zeros_like(sound)
        n = min(out.shape[1], changed.shape[1])
        out[:, :n] = changed[:, :n] * np.float32(gain)
        return out


def open_speech(
    root: str | os.PathLike[str] | None = None,
    gain: tuple[float, float] = (-20.0, 0.0),
    speed: tuple[float, float] = (0.9, 1.1),
    **settings: Any,
) -> Table:
    """Return a table of clean speech for speech enhancement. Long recordings are cut into consecutive clips.

    Add a column of noisy sounds with `audiogan.data.degrade.NoisySpeech`.

    Args:
        root: folder of recordings without noise, or name of a downloaded data set, see `audiogan.data.open_sounds`.
            Default: the first downloaded data set of ``sc09``, ``fsdd`` and ``drums``, otherwise the built-in drum
            machine.
        gain: lowest and highest gain of a training example, in dB, -80 to 20.
        speed: lowest and highest speed of a training example as a factor, 0.5 to 2. The speed also changes the pitch.
        settings: arguments of `audiogan.data.open_audio_folder`. The default of ``long`` is ``slice``.

    Raises:
        UserError: a setting is invalid, or the folder cannot be used.

    Examples:
        >>> from audiogan.data import open_speech
        >>> open_speech(length=4096).shape
        (1, 4096)
    """
    ranges = []
    for name, pair, low, high in (("gain", gain, -80, 20), ("speed", speed, 0.5, 2)):
        values = list(pair) if not isinstance(pair, str) and isinstance(pair, Sequence) else [pair, pair]
        numbers = len(values) == 2 and all(isinstance(v, int | float) for v in values)
        if not numbers or not low <= values[0] <= values[1] <= high:
            raise UserError(f"data.{name}={pair!r}: must be a range [low, high] from {low} to {high}")
        ranges.append((float(values[0]), float(values[1])))
    table = open_sounds(root, sets=("sc09", "fsdd", "drums"), **{"long": "slice", **settings})
    column = table.require_column("x")
    assert isinstance(column, Signals)
    return table.with_column("x", VariedSounds(column, ranges[0], ranges[1]))
