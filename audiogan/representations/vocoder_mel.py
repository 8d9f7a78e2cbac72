"""`VocoderMel`: log-mel spectrograms that a trained vocoder decodes to sounds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.representations.base import Representation
from audiogan.representations.mel_spectrogram import MelSpectrogram
from audiogan.representations.sound_format import SoundFormat

AT_ONCE = 4096
"""Number of frames that are processed at a time, to limit the memory."""


class VocoderMel(Representation):
    """Log-mel spectrogram ``[n_mels, frames]`` of mono sounds, decoded by a vocoder.

    The vocoder is not trained with the other networks. Training copies its weights from a trained model (setting
    ``vocoder``), and checks that both have the same `MelSpectrogram`. Model files contain the weights.

    Args:
        format: format of the sounds. The length must be a multiple of the hop.
        vocoder: network from spectrograms ``[B, n_mels, frames]`` to sounds ``[B, 1, frames * hop_length]``, such as
            `audiogan.networks.vocos.Vocos`, with the attribute ``receptive_field`` in samples.
        n_fft: length of an STFT frame in samples.
        hop_length: distance between frames in samples.
        n_mels: number of mel bands.
        f_min: lower edge of the first band in Hz.
        f_max: upper edge of the last band in Hz. Default: half the sample rate.
        clamp: lowest magnitude of a band before the logarithm.

    Raises:
        ValueError: the sounds are not mono, or their length is no multiple of the hop.

    Examples:
        >>> import torch
        >>> from audiogan.networks.vocos import Vocos
        >>> from audiogan.representations import SoundFormat, VocoderMel
        >>> vocoder = Vocos((1, 8192), {"sample_rate": 16000}, width=16, layers=1)
        >>> mel = VocoderMel(SoundFormat(8192), vocoder)
        >>> mel.encode(torch.zeros(2, 1, 8192)).shape, mel.decode(torch.zeros(2, 80, 9)).shape
        (torch.Size([2, 80, 32]), torch.Size([2, 1, 2304]))
    """

    accuracy = "depends on the vocoder"

    def __init__(
        self,
        format: SoundFormat,
        vocoder: nn.Module,
        n_fft: int = 1024,
        hop_length: int = 256,
        n_mels: int = 80,
        f_min: float = 0.0,
        f_max: float | None = None,
        clamp: float = 1e-5,
    ) -> None:
        if format.channels != 1 or format.length % hop_length:
            raise ValueError(
                f"VocoderMel: {format.channels} channels of {format.length} samples: need 1 channel and a length that "
                f"is a multiple of hop_length={hop_length}; set data.channels=1 and data.length"
            )
        super().__init__(format.shape)
        self.mel = MelSpectrogram(format.sample_rate, n_fft, hop_length, n_mels, f_min, f_max, clamp)
        self.vocoder = vocoder.requires_grad_(False)
        self.margin = -(-int(vocoder.receptive_field) // hop_length)  # type: ignore[arg-type]
        self.shape = (n_mels, format.length // hop_length)

    def encode(self, signal: Tensor) -> Tensor:
        return mel_in_parts(self.mel, signal)

    def decode(self, x: Tensor) -> Tensor:
        """Return sounds ``[B, 1, frames * hop_length]`` of log-mel spectrograms ``[B, n_mels, frames]``."""
        if x.dim() != 3 or x.shape[1] != self.shape[0]:
            self._check_encoded(x)
        return in_parts(self.vocoder, x, self.margin, self.mel.hop_length)


def in_parts(function: Callable[[Tensor], Tensor], x: Tensor, margin: int, factor: int = 1) -> Tensor:
    """Apply a function to long sequences of frames in parts, which limits the memory. The result is the same.

    Args:
        function: function from ``[B, C, frames]`` to ``[B, C', frames * factor]``.
        x: frames ``[B, C, frames]``.
        margin: number of frames on each side of a frame that its result depends on.
        factor: number of values of the result for each frame.

    Examples:
        >>> import torch
        >>> from audiogan.representations.vocoder_mel import in_parts
        >>> in_parts(lambda x: 2 * x, torch.ones(1, 1, 5000), margin=3).shape
        torch.Size([1, 1, 5000])
    """
    count = x.shape[-1]
    if count <= AT_ONCE + 2 * margin:
        return function(x)
    parts = []
    for start in range(0, count, AT_ONCE):
        first, stop = max(0, start - margin), min(count, start + AT_ONCE)
        part = function(x[..., first : stop + margin])
        parts.append(part[..., (start - first) * factor : (stop - first) * factor])
    return torch.cat(parts, dim=-1)


def mel_in_parts(mel: MelSpectrogram, sound: Tensor) -> Tensor:
    """Return log-mel spectrograms ``[B, n_mels, frames]`` of mono sounds ``[B, 1, T]``, computed in parts."""
    hop = mel.hop_length
    if sound.shape[-1] <= AT_ONCE * hop:
        return mel(sound)
    x = F.pad(sound, (0, -sound.shape[-1] % hop)).reshape(len(sound), -1, hop).transpose(1, 2)
    margin = -(-mel.n_fft // hop)
    return in_parts(lambda part: mel(part.transpose(1, 2).reshape(len(part), 1, -1)), x, margin)
