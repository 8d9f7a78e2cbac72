"""`VocodedMel`: log-mel spectrograms, which a trained vocoder converts to sounds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from audiogan.representations.base import Representation
from audiogan.representations.mel_spectrogram import MelSpectrogram
from audiogan.representations.parts import in_parts, mel_in_parts


class VocodedMel(Representation):
    """Log-mel spectrograms ``[B, n_mels, frames]`` of mono sounds ``[B, 1, T]``. A shipped vocoder decodes them.

    Sounds and spectrograms can have any length. The vocoder has its own model file. Checkpoints of a model that
    uses it contain only its name. `audiogan.run.vocoders.attach_vocoder` loads the vocoder.

    Args:
        shape: shape ``(1, T)`` of a sound in training.
        mel: settings of the spectrogram by name, see `MelSpectrogram`. They must be those of the vocoder.
        vocoder: name of a shipped vocoder.

    Raises:
        ValueError: the sounds are not mono, or their length is not a multiple of the hop.

    Examples:
        >>> import torch
        >>> from audiogan.representations import VocodedMel
        >>> VocodedMel((1, 2560), {"sample_rate": 16000}).encode(torch.zeros(2, 1, 5120)).shape
        torch.Size([2, 80, 20])
    """

    accuracy = "copy synthesis by a vocoder; phases are lost"

    def __init__(self, shape: Any, mel: Any, vocoder: str = "vocoder") -> None:
        super().__init__(shape)
        self.mel, self.vocoder_name = MelSpectrogram(**mel), vocoder
        channels, length = self.signal_shape
        if channels != 1 or length % self.mel.hop_length:
            hop = self.mel.hop_length
            raise ValueError(f"VocodedMel: shape={self.signal_shape} must be (1, T), with a multiple of {hop} samples")
        self.shape = (self.mel.n_mels, length // self.mel.hop_length)
        self._vocoder: list[nn.Module] = []  # A list, so that the state dict does not contain the vocoder.

    def set_vocoder(self, vocoder: nn.Module) -> None:
        """Set the vocoder, a network from spectrograms ``mel`` ``[B, n_mels, frames]`` to sounds ``[B, 1, T]``."""
        self._vocoder[:] = [vocoder]

    def encode(self, signal: Tensor) -> Tensor:
        if signal.dim() != 3 or signal.shape[1] != 1:
            self._check_signal(signal)
        return mel_in_parts(self.mel, signal)

    def decode(self, x: Tensor) -> Tensor:
        if x.dim() != 3 or x.shape[1] != self.mel.n_mels:
            self._check_encoded(x)
        if not self._vocoder:
            raise RuntimeError(f"VocodedMel: the vocoder {self.vocoder_name!r} has not been loaded")
        vocoder, hop = self._vocoder[0].to(x.device), self.mel.hop_length
        margin = -(-int(vocoder.receptive_field) // hop)  # type: ignore[arg-type]
        with torch.no_grad():
            return in_parts(lambda part: vocoder(mel=part), x.float(), margin, hop)
