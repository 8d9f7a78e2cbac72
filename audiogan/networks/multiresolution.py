"""Critic of sounds at full bandwidth that combines critics on spectrograms of several resolutions.

Critics on several resolutions of the STFT come from UnivNet (Jang et al., Interspeech 2021, section 2.2). At 44.1
kHz, spectrograms of whole stereo sounds are so large that element-wise operations take most of the time. Therefore only
the log-mel spectrogram shows the whole sound and both channels. The other spectrograms show the mid signal: a part of
the sound in short windows (phases), the beginning in very short windows (attacks), and long windows up to 11 kHz
(spectral lines).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.blocks import apply_spectral_norm
from audiogan.networks.checks import input_names
from audiogan.networks.multiview import ONSET_HOPS, MultiViewCritic, SpectrogramCritic
from audiogan.representations.sound_format import SoundFormat
from audiogan.representations.stft import Frames, magnitudes
from audiogan.representations.views import LogMelView, STFTView, round_frames


class MidSideMelView(nn.Module):
    """Log-mel spectrograms `[B, C, frames, n_mels]` of the mid and side signal of sounds `[B, C, length]`, C = 1 or 2.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length, in samples.
        hop_length: hop, in samples.
        n_mels: number of mel bands.
        frame_multiple: the number of frames is rounded to a multiple of this number, see `round_frames`.
    """

    def __init__(self, format: SoundFormat, n_fft: int, hop_length: int, n_mels: int, frame_multiple: int) -> None:
        super().__init__()
        sizes = format.length, format.channels, format.sample_rate, n_fft, hop_length, n_mels
        self.view = LogMelView(*sizes, frame_multiple=frame_multiple)
        self.shape = self.view.shape

    def forward(self, signal: Tensor) -> Tensor:
        if signal.shape[1] == 2:
            left, right = (0.5 * signal).unbind(1)
            signal = torch.stack([left + right, left - right], dim=1)
        return cast("Tensor", self.view(signal))


class CropSTFTView(nn.Module):
    """Compressed STFT `[B, 4, frames, bins]` of a part of sounds `[B, C, length]`, mid signal only, see `STFTView`.

    In training mode, half of the parts are the beginning of the sound. The others start at a random multiple of the hop
    length. Early parts are more probable, because most sounds are short. In evaluation mode all parts are the
    beginning. The fourth plane contains the time of each frame, as a fraction of the length of the sound.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length, in samples.
        hop_length: hop, in samples.
        part: length of the part, in samples. It is shortened to the length of the sound.
        frame_multiple: the number of frames is rounded to a multiple of this number, see `round_frames`.
    """

    def __init__(self, format: SoundFormat, n_fft: int, hop_length: int, part: int, frame_multiple: int) -> None:
        super().__init__()
        self.part, self.hop_length, self.length = min(part, format.length), hop_length, format.length
        self.view = STFTView(self.part, 1, n_fft, hop_length, frame_multiple=frame_multiple)
        planes, rows, columns = self.view.shape
        self.shape = (planes + 1, rows, columns)

    def forward(self, signal: Tensor) -> Tensor:
        middle, hop = signal.mean(1, keepdim=True), self.hop_length
        starts = torch.zeros(len(signal), dtype=torch.long, device=signal.device)
        if self.training and self.length > self.part:
            u = torch.rand(len(signal), device=signal.device)
            # Values below 0.5 select the beginning.
            place = ((2 * u - 1).clamp_min(0).square() * ((self.length - self.part) // hop + 1)).long()
            starts = place.clamp_max((self.length - self.part) // hop) * hop
            samples = starts[:, None] + torch.arange(self.part, device=signal.device)
            middle = middle.gather(2, samples[:, None])
        else:
            middle = middle[..., : self.part]
        frames = torch.arange(self.shape[1], device=signal.device) * hop
        time = (starts[:, None] + frames) / self.length
        plane = time[:, None, :, None].expand(-1, 1, -1, self.shape[2])
        return torch.cat([self.view(middle), plane.to(signal.dtype)], dim=1)


class MidBeginningView(nn.Module):
    """Log-mel spectrogram `[B, 1, frames, n_mels]` of the beginning of sounds `[B, C, length]`, mid signal only.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length, in samples.
        hop_length: hop, in samples.
        n_mels: number of mel bands.
        part: length of the beginning, in samples.
        frame_multiple: the number of frames is rounded to a multiple of this number, see `round_frames`.
    """

    def __init__(
        self, format: SoundFormat, n_fft: int, hop_length: int, n_mels: int, part: int, frame_multiple: int
    ) -> None:
        super().__init__()
        self.part = min(part, format.length)
        sizes = self.part, 1, format.sample_rate, n_fft, hop_length, n_mels
        self.view = LogMelView(*sizes, frame_multiple=frame_multiple)
        self.shape = self.view.shape

    def forward(self, signal: Tensor) -> Tensor:
        return cast("Tensor", self.view(signal[..., : self.part].mean(1, keepdim=True)))


class SpectralLineView(nn.Module):
    """Log magnitudes `[B, 1, frames, n_fft / 4]` of an STFT of the mid signal, up to a quarter of the sample rate.

    Args:
        format: sample rate, length and channels of the sounds.
        n_fft: window length, in samples.
        frame_multiple: the number of frames is rounded to a multiple of this number, see `round_frames`.
    """

    def __init__(self, format: SoundFormat, n_fft: int, frame_multiple: int) -> None:
        super().__init__()
        self.frames = Frames(format.length, n_fft, n_fft // 2, pad=n_fft // 2)
        self.shape = (1, round_frames(self.frames.count, frame_multiple), n_fft // 4)
        self.unit = 2.0 / float(self.frames.window.sum())

    def forward(self, signal: Tensor) -> Tensor:
        spectrum = self.frames.analyse(signal.mean(1, keepdim=True))[..., : self.shape[2]]
        missing = self.shape[1] - spectrum.shape[2]
        spectrum = F.pad(spectrum, (0, 0, 0, missing)) if missing > 0 else spectrum[:, :, : self.shape[1]]
        return (magnitudes(spectrum, 1e-9) * self.unit + 1e-4).log().add(7).div(2)


class MultiResolutionCritic(MultiViewCritic):
    """Critic that contains up to four critics: on a log-mel spectrogram, an STFT, the beginning, and spectral lines.

    `view` computes the spectrograms of sounds `[B, channels, length]`, flattened and concatenated to `[B, D]`.
    `forward` maps these to logits, as in `audiogan.networks.multiview.MultiViewCritic`.

    Args:
        format: sample rate, length and channels of the sounds.
        classes: number of classes; 0: unconditional. The class weights `[B, classes]` sum to 1.
        n_fft: window length of the log-mel spectrogram, in samples. The other critics have windows
            of ``n_fft / 2`` (STFT), ``n_fft / 4`` (beginning) and ``4 * n_fft`` (lines) samples.
        hop_length: hop of the log-mel spectrogram, in samples. The STFT has the hop ``hop_length / 2``, and
            the spectrogram of the beginning has the hop ``hop_length / 8``.
        n_mels: number of mel bands. The spectrogram of the beginning has half this number.
        part: length in samples of the part of a sound that the critic on the STFT receives.
        mel_widths: channels after each convolution of the critic on the log-mel spectrogram; ``()``: no such critic.
        stft_widths: channels after each convolution of the critic on the STFT; ``()``: no such critic.
        onset_widths: channels after each convolution of the critic on the beginning; ``()``: no such critic.
        line_widths: channels after each convolution of the critic on spectral lines; ``()``: no such critic.
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018).

    Examples:
        >>> import torch
        >>> from audiogan.networks.multiresolution import MultiResolutionCritic
        >>> from audiogan.representations import SoundFormat
        >>> critic = MultiResolutionCritic(SoundFormat(8192), n_mels=32, part=4096, mel_widths=(8, 8))
        >>> len(critic(critic.view(torch.zeros(2, 1, 8192))))
        4
    """

    def __init__(
        self,
        format: SoundFormat,
        classes: int = 0,
        n_fft: int = 1024,
        hop_length: int = 512,
        n_mels: int = 80,
        part: int = 16384,
        mel_widths: Sequence[int] = (24, 48, 96, 96),
        stft_widths: Sequence[int] = (10, 20, 40, 60, 60),
        onset_widths: Sequence[int] = (24, 48, 64),
        line_widths: Sequence[int] = (8, 16, 32, 48),
        conditioning: str = "projection",
        spectral_norm: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        self.shape, self.classes, self.takes = format.shape, classes, input_names(classes=classes)
        self.views, self.critics = nn.ModuleList(), nn.ModuleList()
        folds = [2 ** len(widths) for widths in (mel_widths, stft_widths, onset_widths, line_widths)]
        if mel_widths:
            self.views.append(MidSideMelView(format, n_fft, hop_length, n_mels, folds[0]))
        if stft_widths:
            self.views.append(CropSTFTView(format, n_fft // 2, hop_length // 2, part, folds[1]))
        if onset_widths:
            sizes = n_fft // 4, hop_length // 8, n_mels // 2, ONSET_HOPS * hop_length, folds[2]
            self.views.append(MidBeginningView(format, *sizes))
        if line_widths:
            self.views.append(SpectralLineView(format, 4 * n_fft, folds[3]))
        widths = [w for w in (mel_widths, stft_widths, onset_widths, line_widths) if w]
        if not widths:
            raise ValueError("MultiResolutionCritic needs at least one critic; set one of its widths")
        self.shapes = [cast("tuple[int, ...]", view.shape) for view in self.views]
        for shape, w in zip(self.shapes, widths, strict=True):
            self.critics.append(SpectrogramCritic(shape, classes, w, conditioning))
        if spectral_norm:
            apply_spectral_norm(self)
