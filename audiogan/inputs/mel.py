"""The mel input: a log-mel spectrogram that is computed from a sound or given as an array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.signal import Signal
from audiogan.representations import MelSpectrogram

MAX_LOG_MEL = 15.0
"""Largest log-mel value that is accepted. A full-scale sine has about 2."""
ROUNDING_TOLERANCE = 0.01
"""Largest difference below the logarithm of ``clamp`` that counts as rounding error."""


class MelSignal(Signal):
    """Input with a log-mel spectrogram, for vocoders. Its values are sounds or spectrograms.

    A sound ``[1, T]`` becomes a spectrogram by `MelSpectrogram`, so a vocoder can be trained on sounds, and
    ``audiogan apply`` makes a sound from the spectrogram of a sound (copy synthesis). A spectrogram is a float array
    ``[n_mels, frames]`` or an ``.npy`` file. It must come from a `MelSpectrogram` with the same settings. An array with
    another number of bands, or with values that `MelSpectrogram` cannot return, is refused.

    Args:
        name: keyword argument of the networks, and key in recipes (stored inputs of generated samples).
        shape: shape of the sounds, ``[1, T]``.
        modality: modality of the sounds, with their sample rate.
        column: name of the data column with the sounds.
        n_fft: length of an STFT frame in samples.
        hop_length: distance between frames in samples.
        n_mels: number of mel bands.
        f_min: lower edge of the first band in Hz.
        f_max: upper edge of the last band in Hz. Default: half the sample rate.
        clamp: lowest magnitude of a band before the logarithm.
        size: number of mel bands. It is ignored, because it is equal to ``n_mels``.

    Raises:
        UserError: the sounds have more than one channel.

    Examples:
        >>> import torch
        >>> from audiogan.inputs import MelSignal
        >>> from audiogan.modalities import Sound
        >>> mel = MelSignal("mel", shape=(1, 8192), modality=Sound(16000))
        >>> mel.encode(torch.zeros(2, 1, 8192)).shape
        torch.Size([2, 80, 32])
    """

    default_column = "x"

    def __init__(
        self,
        name: str = "mel",
        shape: Sequence[int | None] = (),
        modality: Any = None,
        column: str | None = "x",
        n_fft: int = 1024,
        hop_length: int = 256,
        n_mels: int = 80,
        f_min: float = 0.0,
        f_max: float | None = None,
        clamp: float = 1e-5,
        size: int | None = None,
    ) -> None:
        super().__init__(name, shape, modality, column)
        if len(self.shape) != 2 or self.shape[0] != 1:
            raise UserError(f"{name}: the sounds must be mono, [1, T], not {list(self.shape)}; set data.channels=1")
        self.mel = MelSpectrogram(modality.sample_rate, n_fft, hop_length, n_mels, f_min, f_max, clamp)

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "x", n_mels: int = 80, **options: Any) -> dict[str, Any]:
        """Return ``shape`` and ``modality`` of the sounds in the column, and ``size``, the number of mel bands."""
        found = super().data_facts(table, column)
        if table is not None and "sample_rate" not in found["modality"]:
            raise UserError(f"the column {column!r} of the data holds no sounds; a mel input needs sounds")
        return {**found, "size": n_mels if found["size"] else 0}

    def encode(self, x: Tensor) -> Tensor:
        """Return spectrograms ``[B, n_mels, frames]`` of sounds ``[B, 1, T]``. Spectrograms are returned unchanged."""
        return self.mel(x) if x.shape[1] == 1 != self.mel.n_mels else x

    def parse(self, value: Any, *, any_size: bool = False) -> Tensor:
        """Return a sound ``[1, T]`` or a spectrogram ``[n_mels, frames]`` from a file, an array or a tensor.

        A two-dimensional array with more than one row, and the content of an ``.npy`` file, are spectrograms.

        Args:
            value: path of a sound file or of an ``.npy`` file, or an array.
            any_size: whether to accept other lengths than `shape`. Spectrograms can always have any length.

        Raises:
            UserError: the file cannot be read, the array is not a spectrogram that `mel` can return, or a value is not
                finite.
        """
        if isinstance(value, str | os.PathLike):
            if Path(value).suffix.lower() != ".npy":
                return super().parse(value, any_size=any_size)
            try:
                value = np.load(value, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise UserError(f"{self.name}: {os.fspath(value)}: cannot be read as an .npy file") from error
            return self.check_mel(value)
        shape = tuple(getattr(value, "shape", ()))
        return self.check_mel(value) if len(shape) == 2 and shape[0] != 1 else super().parse(value, any_size=any_size)

    def check_mel(self, value: Any) -> Tensor:
        """Return a spectrogram as a float tensor ``[n_mels, frames]``.

        Args:
            value: array or tensor.

        Raises:
            UserError: the array has another number of bands, or values that `MelSpectrogram` cannot return.
        """
        array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value)
        bands, low = self.mel.n_mels, float(np.log(self.mel.clamp))
        made = "log-mel spectrogram of this model: " + ", ".join(f"{k}={v:g}" for k, v in self.mel.settings.items())
        if array.ndim != 2 or array.shape[0] != bands or not array.shape[1] or array.dtype.kind != "f":
            kind = f"{array.dtype} {_format_shape(array.shape)}"
            raise UserError(f"{self.name}: expected floats [{bands}, frames], got {kind}; make a {made}")
        if not np.isfinite(array).all():
            raise UserError(f"{self.name}: the spectrogram contains NaN or infinity")
        if array.min() < low - ROUNDING_TOLERANCE or array.max() > MAX_LOG_MEL:
            span = f"values from {array.min():.3g} to {array.max():.3g}, expected {low:.3g} to {MAX_LOG_MEL:g}"
            raise UserError(f"{self.name}: {span}; make a {made}")
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    def describe(self) -> str:
        rate = self.mel.sample_rate
        return (
            f"sound [1, any] at {rate} Hz, or its log-mel spectrogram [{self.mel.n_mels}, frames]: a sound file, an "
            ".npy file, or an array in Python"
        )


def _format_shape(shape: Sequence[int]) -> str:
    return f"[{', '.join(map(str, shape))}]"
