"""Inputs of voice conversion: the recording to convert with its pitch, and a recording of the target speaker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs.base import ByName, Random
from audiogan.inputs.signal import Signal
from audiogan.representations import MelSpectrogram, PitchTracker
from audiogan.representations.parts import mel_in_parts

REFERENCE_HZ = 100.0
"""Pitch in Hz that corresponds to 0 octaves."""


class VoiceSignal(Signal):
    """Input with a mono recording of a voice. Networks receive its log-mel spectrogram and its pitch.

    The shape of the encoded input is ``[n_mels + 3, frames]``. The first channels are the log-mel spectrogram. The last
    three channels are:

    * pitch in octaves relative to the median of the sound; 0 in unvoiced frames;
    * voicing: 1 in voiced frames, 0 in the others;
    * median pitch of the sound in octaves above 100 Hz, the same value in each frame; 0 for sounds without voiced
      frames.

    The median depends on the whole sound, so a long sound is processed as a whole and not in tiles.

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
        size: number of channels. It is ignored, because it is equal to ``n_mels + 3``.

    Raises:
        UserError: the sounds have more than one channel.

    Examples:
        >>> import torch
        >>> from audiogan.inputs import VoiceSignal
        >>> from audiogan.modalities import Sound
        >>> voice = VoiceSignal("source", shape=(1, 8192), modality=Sound(16000))
        >>> voice.encode(torch.zeros(2, 1, 8192)).shape
        torch.Size([2, 83, 32])
    """

    default_column = "x"
    whole = True

    def __init__(
        self,
        name: str = "source",
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
        self.pitch = PitchTracker(modality.sample_rate, n_fft, hop_length)

    @classmethod
    def data_facts(cls, table: Any, column: str | None = "x", n_mels: int = 80, **options: Any) -> dict[str, Any]:
        """Return ``shape`` and ``modality`` of the sounds in the column, and ``size``, the number of channels that
        networks receive."""
        found = super().data_facts(table, column or cls.default_column)
        if table is not None and "sample_rate" not in found["modality"]:
            raise UserError(f"the column {column!r} of the data holds no sounds; voice conversion needs sounds")
        return {**found, "size": n_mels + 3 if found["size"] else 0}

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return spectrogram and pitch ``[B, n_mels + 3, frames]`` of sounds ``[B, 1, T]``."""
        mel, hertz = mel_in_parts(self.mel, x), self.pitch(x)
        voiced = hertz > 0
        octaves = torch.where(voiced, hertz, REFERENCE_HZ).div(REFERENCE_HZ).log2()
        # The lower median of the voiced frames, by sorting: ONNX has no median that ignores some of the values.
        count = voiced.sum(1, keepdim=True)
        ordered = torch.where(voiced, octaves, math.inf).sort(1).values
        level = ordered.gather(1, (count - 1).clamp_min(0) // 2)
        level = torch.where(count > 0, level, 0.0)
        contour = torch.where(voiced, octaves - level, 0.0)
        return torch.cat([mel, torch.stack([contour, voiced.to(mel.dtype), level.expand_as(contour)], dim=1)], dim=1)

    def describe(self) -> str:
        return f"mono sound [1, any] at {self.modality.sample_rate} Hz: a file; or an array in Python"


class SpeakerReference(VoiceSignal):
    """Optional input with a recording of the target speaker, ``[1, any]``.

    Without a recording, the class input selects the speaker. The value is then one sample of silence. The arguments are
    those of `VoiceSignal`.

    Examples:
        >>> from audiogan.inputs import Seeded, SpeakerReference
        >>> from audiogan.modalities import Sound
        >>> SpeakerReference("speaker", shape=(1, 8192), modality=Sound(16000)).draw(2, Seeded(0)).shape
        torch.Size([2, 1, 1])
    """

    drawable = True

    def __init__(self, name: str = "speaker", *arguments: Any, **options: Any) -> None:
        super().__init__(name, *arguments, **options)
        self.shape, self.column = (1, None), None

    def parse(self, value: Any, *, any_size: bool = False) -> Tensor:
        """Return the recording ``[1, T]`` from a file, an array or a tensor.

        Raises:
            UserError: the file cannot be read, the shape is wrong, or the recording contains no voice.
        """
        x = super().parse(value, any_size=True)
        if not bool((self.pitch(x[None]) > 0).any()):
            raise UserError(f"{self.name}: no voice was found in the recording; give a recording with clear speech")
        return x

    def draw(
        self, n: int, random: Random, requested: Tensor | None = None, drawn: ByName = None, odds: ByName = None
    ) -> Tensor:
        return torch.zeros(n, 1, 1) if requested is None else self.expand_to_batch(requested, n)

    def to_json(self, x: Tensor) -> Any:
        """Return the shape and the SHA-256 of a recording. ``None`` if there is no recording."""
        return super().to_json(x) if bool(np.any(x.detach().cpu().numpy())) else None

    def from_json(self, json_value: Any) -> Tensor:
        return torch.zeros(1, 1) if json_value is None else super().from_json(json_value)

    def example_values(self, n: int) -> Tensor:
        return torch.zeros(n, 1, 1)

    def describe(self) -> str:
        return f"recording of the target speaker, instead of a class (optional); {super().describe()}"
