"""WaveGAN (Donahue, McAuley & Puckette, ICLR 2019): 1-D convolutional networks on waveforms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import ClassFiLM, SameConv1d, SameConvTranspose1d, apply_spectral_norm, init_glorot
from audiogan.networks.checks import check_inputs, check_sizes, check_tensor, input_names
from audiogan.networks.heads import Head
from audiogan.representations.sound_format import SoundFormat

KERNEL = 25
STRIDES = {16384: (4,) * 5, 32768: (4,) * 5 + (2,), 65536: (4,) * 6}
"""Strides of the layers of generator and critic, for each supported length of sounds in samples."""


class WaveGANGenerator(nn.Module):
    """WaveGAN generator: latents `[B, latent_dim]` to sounds `[B, channels, length]` in -1 ... 1.

    Args:
        format: sample rate, length and channels of the sounds. The length must be 16384, 32768 or 65536 samples.
        latent_dim: size of the latent, which is uniform in -1 ... 1.
        model_size: base number of channels; d = 64 in the paper. The first layer has
            `16 * model_size` channels, or `32 * model_size` for lengths above 16384.
        post_filter: length in samples of a learned filter that is applied to each channel after the tanh; 512 in the
            paper; `None`: no filter. With a filter the output may exceed 1.
        classes: number of classes; 0: unconditional, as in the paper. The class weights `[B, classes]` sum to 1.

    Source:
        Donahue, McAuley & Puckette, "Adversarial audio synthesis", ICLR 2019, section 2.3 and appendix D.

    Examples:
        >>> import torch
        >>> from audiogan.networks.wavegan import WaveGANGenerator
        >>> from audiogan.representations import SoundFormat
        >>> WaveGANGenerator(SoundFormat(16384), latent_dim=8, model_size=2)(latent=torch.zeros(2, 8)).shape
        torch.Size([2, 1, 16384])
    """

    latent = "uniform"

    def __init__(
        self,
        format: SoundFormat,
        latent_dim: int = 100,
        model_size: int = 64,
        post_filter: int | None = None,
        classes: int = 0,
    ) -> None:
        super().__init__()
        taps = 1 if post_filter is None else post_filter
        check_sizes(self, latent_dim=latent_dim, model_size=model_size, post_filter=taps)
        channels, strides = format.channels, _strides(self, format.length)
        self.latent_dim, self.shape, self.classes = latent_dim, format.shape, classes
        self.takes = input_names(latent=latent_dim, classes=classes)
        widths = [model_size * 2 ** (len(strides) - 1 - i) for i in range(len(strides))] + [channels]
        self.dense = nn.Linear(latent_dim, 16 * widths[0])
        self.layers = nn.ModuleList(
            SameConvTranspose1d(widths[i], widths[i + 1], KERNEL, stride) for i, stride in enumerate(strides)
        )
        init_glorot(self)
        self.films = nn.ModuleList(ClassFiLM(classes, width) for width in widths[:-1] if classes)
        self.post_filter = None
        if post_filter is not None:
            self.post_filter = SameConv1d(channels, channels, post_filter, 1, groups=channels, bias=False)
            # `nn.init.xavier_uniform_` is not used, because it would count the fan-out of all groups together.
            bound = math.sqrt(3 / post_filter)
            nn.init.uniform_(self.post_filter.weight, -bound, bound)

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        check_inputs(self, latent=latent, classes=classes)
        x = self.dense(latent).unflatten(1, (-1, 16))
        for i, layer in enumerate(self.layers):
            x = layer(F.relu(self.films[i](x, classes) if self.classes else x))
        x = torch.tanh(x)
        return x if self.post_filter is None else self.post_filter(x)


class WaveGANCritic(nn.Module):
    """WaveGAN critic: sounds `[B, channels, length]` and class weights `[B, classes]` to logits `[B]`.

    Args:
        format: sample rate, length and channels of the sounds. The length must be 16384, 32768 or 65536 samples.
        model_size: channels of the first layer; d = 64 in the paper. Each later layer has twice as many.
        phase_shuffle: largest random shift n, in samples, of the features after each of the first four layers, in
            training; 2 in the paper; 0: no shift. All sounds of a batch have the same shift.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018); not in the paper.
        classes: number of classes; 0: unconditional, as in the paper. Class weights sum to 1.
        conditioning: class conditioning, ``projection``, ``embedding`` or ``auxiliary``; see `Head`.

    Source:
        Donahue, McAuley & Puckette, "Adversarial audio synthesis", ICLR 2019, sections 2.3 and 3.3, appendix D.

    Examples:
        >>> import torch
        >>> from audiogan.networks.wavegan import WaveGANCritic
        >>> from audiogan.representations import SoundFormat
        >>> WaveGANCritic(SoundFormat(16384), model_size=2)(torch.zeros(2, 1, 16384)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        format: SoundFormat,
        model_size: int = 64,
        phase_shuffle: int = 2,
        spectral_norm: bool = False,
        classes: int = 0,
        conditioning: str = "projection",
    ) -> None:
        super().__init__()
        check_sizes(self, model_size=model_size, phase_shuffle=phase_shuffle + 1)
        channels, strides = format.channels, _strides(self, format.length)
        self.shape, self.phase_shuffle, self.classes = format.shape, phase_shuffle, classes
        widths = [channels] + [model_size * 2**i for i in range(len(strides))]
        self.layers = nn.ModuleList(
            SameConv1d(widths[i], widths[i + 1], KERNEL, stride) for i, stride in enumerate(strides)
        )
        self.head = Head(16 * widths[-1], classes, conditioning)
        self.takes = self.head.takes
        init_glorot(self.layers, self.head.score)
        if spectral_norm:
            apply_spectral_norm(self)

    def features(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Return the last hidden layer `[B, D]` of sounds `[B, channels, length]`. Classes are ignored."""
        check_tensor(self, "x", x, self.shape)
        for i, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), 0.2)
            if i < 4 and self.phase_shuffle and self.training:
                x = phase_shuffle(x, self.phase_shuffle)
        return x.flatten(1)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor | CriticOutput:
        """Return logits `[B]`, or with ``auxiliary`` conditioning a `CriticOutput` that also has class logits."""
        check_inputs(self, classes=classes)
        return self.head(self.features(x), classes)


def phase_shuffle(x: Tensor, n: int) -> Tensor:
    """Shift features `[B, C, L]` by a random integer in -n ... n, with reflection padding (WaveGAN, section 3.3).

    Examples:
        >>> import torch
        >>> from audiogan.networks.wavegan import phase_shuffle
        >>> phase_shuffle(torch.arange(5.0).view(1, 1, 5), 0)  # n=0: no shift
        tensor([[[0., 1., 2., 3., 4.]]])
    """
    # The shift is drawn on the CPU, because reading a number drawn on a GPU would wait for all its pending work.
    shift = int(torch.randint(-n, n + 1, ()))
    if not shift:
        return x
    if shift > 0:
        return F.pad(x[..., :-shift], (shift, 0), "reflect")
    return F.pad(x[..., -shift:], (0, -shift), "reflect")


def _strides(network: nn.Module, length: int) -> tuple[int, ...]:
    if length not in STRIDES:
        lengths = ", ".join(map(str, STRIDES))
        raise ValueError(f"{type(network).__name__}: length={length} must be one of {lengths} samples")
    return STRIDES[length]
