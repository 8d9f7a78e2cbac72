"""Gated convolutions for inpainting, and the SN-PatchGAN critic (Yu et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.checks import check_sizes, check_tensor
from audiogan.networks.patchgan import PatchCritic
from audiogan.networks.receptive_field import Layer, receptive_field
from audiogan.networks.translation_blocks import check_settings, check_source

FEATURE_GAIN, GATE_GAIN = 2.5, 1.0
"""Initial standard deviations in a gated convolution: of the features, and of the gates before the sigmoid. With these
values, an input with a mean square of 1 gives a result with a mean square of 1."""
MAX_TANH = 0.98
"""Absolute value to which pixels are clamped before the inverse of tanh, which is infinite at 1."""


class GatedConv2d(nn.Module):
    """Gated convolution ``elu(a) * sigmoid(b)``: ``[B, in_channels, H, W]`` to ``[B, out_channels, H / s, W / s]``.

    One convolution makes the features ``a`` and the gates ``b``. The network can learn gates that suppress the features
    of missing pixels.

    Args:
        in_channels: number of input channels.
        out_channels: number of channels after gating. The convolution has twice as many outputs.
        kernel: side of the square kernel in pixels, an odd number.
        stride: stride ``s`` in pixels. H and W must be multiples of it.
        dilation: distance between neighbouring taps of the kernel, in pixels.

    Source:
        Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, section 3.1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(in_channels, 2 * out_channels, kernel, stride, padding, dilation)
        self.path = Layer(dilation * (kernel - 1) + 1, stride, padding)
        with torch.no_grad():
            for part, gain in zip(self.conv.weight.chunk(2), (FEATURE_GAIN, GATE_GAIN), strict=True):
                nn.init.normal_(part, std=gain / (in_channels * kernel**2) ** 0.5)
            nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        features, gates = self.conv(x).chunk(2, dim=1)
        return F.elu(features) * torch.sigmoid(gates)


class GatedGenerator(nn.Module):
    """Inpainting generator: images ``[B, C, H, W]`` and masks ``[B, 1, H, W]`` to images ``[B, C, H, W]`` in -1 ... 1.

    The network ignores the missing pixels of the source, and copies the known pixels to its output without change. The
    missing pixels are first filled with local averages, see `fill_smoothly`. A convolutional network then changes them.
    It has two layers of stride 2, dilated convolutions in the middle, and two layers of nearest-neighbour upsampling.
    All layers but the last are gated convolutions.

    The paper's network has ``width=48``, ``dilations=[2, 4, 8, 16]``, ``stages=2`` and ``levels=0``. Two parts of the
    paper are left out: the branch with contextual attention in the second stage, and the L1 loss of the first stage.

    Args:
        shape: shape ``(C, H, W)`` of the output. Height and width must be multiples of 4 and
            of ``2**levels``.
        source: shape ``(C, H, W)`` of the source.
        width: number of outputs of the first convolution, a multiple of 4. Gating halves this number.
        dilations: dilations of the convolutions in the middle, in units of 4 pixels.
        stages: number of networks in series, 1 or 2. The second one refines the result of the first one.
        levels: number of times that `fill_smoothly` halves the image, 0 to 6. With 0, missing pixels start as 0.

    Attributes:
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: largest distance between an output pixel and a source pixel that it depends on.

    Source:
        Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, section 3.
    """

    takes = frozenset({"source", "mask"})

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        width: int = 32,
        dilations: Sequence[int] = (2, 4, 8),
        stages: int = 1,
        levels: int = 4,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, dilations=min(dilations, default=1))
        check_settings(self, shape, source, "none")
        if source[0] != shape[0]:
            raise ValueError(f"GatedGenerator: source={tuple(source)} and shape={tuple(shape)} must agree in channels")
        if width % 4:
            raise ValueError(f"GatedGenerator: width={width} must be a multiple of 4")
        if stages not in (1, 2):
            raise ValueError(f"GatedGenerator: stages={stages} must be 1 or 2")
        if not 0 <= levels <= 6:
            raise ValueError(f"GatedGenerator: levels={levels} must be from 0 to 6")
        self.levels, self.multiple = levels, max(4, 2**levels)
        if any(side % self.multiple for side in shape[1:]):
            sides = f"height and width of shape={tuple(shape)} must be multiples of {self.multiple}"
            raise ValueError(f"GatedGenerator: {sides}")
        self.shape, self.source = tuple(shape), tuple(source)
        self.stages = nn.ModuleList(
            nn.Sequential(*_stage_layers(shape[0], width, list(dilations))) for _ in range(stages)
        )
        pyramid = [Layer(2, 2)] * levels + [Layer(4, 2, 1, transposed=True)] * levels
        self.receptive_field = receptive_field([*pyramid, *[*_receptive_field_layers(self.stages[0])] * stages])

    def forward(self, source: Tensor, mask: Tensor) -> Tensor:
        """Return images ``[B, C, H, W]``. Known pixels are equal to those of the source.

        Args:
            source: images ``[B, C, H, W]`` in -1 ... 1. H and W must be multiples of the attribute ``multiple``. The
                values of missing pixels have no effect.
            mask: masks ``[B, 1, H, W]``. Pixels above 0.5 are missing.
        """
        check_source(self, source, self.shape[0], self.multiple)
        check_tensor(self, "mask", mask, (1, *source.shape[2:]))
        missing = (mask > 0.5).to(source.dtype)
        known = source * (1 - missing)
        x = fill_smoothly(known, 1 - missing, self.levels) if self.levels else known
        for stage in self.stages:
            # The channel of ones marks the pixels inside the image, because the padding outside is zero.
            given = torch.cat([x, torch.ones_like(missing), missing], dim=1)
            change = stage(given.contiguous(memory_format=torch.channels_last))
            # The inverse of tanh lets the stage change its input x, while the result remains in -1 ... 1.
            x = known + torch.tanh(torch.atanh(x.clamp(-MAX_TANH, MAX_TANH)) + change) * missing
        return x


def fill_smoothly(known: Tensor, known_mask: Tensor, levels: int) -> Tensor:
    """Return images whose missing pixels are averages of the known pixels around them.

    The images are reduced to half their size ``levels`` times, by averages over known pixels. Then, from the smallest
    to the largest size, missing pixels receive the upsampled values of the next smaller size.

    Args:
        known: images ``[B, C, H, W]``, 0 for missing pixels. H and W must be multiples of ``2**levels``.
        known_mask: mask ``[B, 1, H, W]``, 1 for known and 0 for missing pixels.
        levels: number of halvings, 1 or more. Pixels without a known pixel nearby remain 0.

    Source:
        Gortler et al., "The lumigraph", SIGGRAPH 1996, section 3.4 (pull-push).
    """
    pyramid = [(known, known_mask)]
    for _ in range(levels):
        x, w = pyramid[-1]
        total = F.avg_pool2d(w, 2)
        pyramid.append((F.avg_pool2d(x * w, 2) / total.clamp_min(1e-6), (4 * total).clamp_max(1)))
    filled = pyramid[-1][0]
    for x, w in reversed(pyramid[:-1]):
        filled = x * w + F.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False) * (1 - w)
    return filled


def _stage_layers(channels: int, width: int, dilations: Sequence[int]) -> Iterator[nn.Module]:
    """Yield the layers of one stage, from ``channels + 2`` channels to ``channels``."""
    half, full, most = width // 2, width, 2 * width
    yield from (GatedConv2d(channels + 2, half, 5), GatedConv2d(half, full, stride=2), GatedConv2d(full, full))
    yield from (GatedConv2d(full, most, stride=2), GatedConv2d(most, most), GatedConv2d(most, most))
    yield from (GatedConv2d(most, most, dilation=dilation) for dilation in dilations)
    yield from (GatedConv2d(most, most), GatedConv2d(most, most))
    yield from (nn.Upsample(scale_factor=2), GatedConv2d(most, full), GatedConv2d(full, full))
    yield from (nn.Upsample(scale_factor=2), GatedConv2d(full, half), GatedConv2d(half, width // 4))
    last = nn.Conv2d(width // 4, channels, 3, padding=1)
    nn.init.normal_(last.weight, std=0.1 * (9 * width // 4) ** -0.5)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    yield last


def _receptive_field_layers(stage: nn.Module) -> Iterator[Layer]:
    """Yield the kernel, stride and padding of each layer of one stage, for `receptive_field`."""
    for layer in stage.children():
        if isinstance(layer, GatedConv2d):
            yield layer.path
        elif isinstance(layer, nn.Upsample):
            yield Layer(2, 2, 0, transposed=True)
        elif isinstance(layer, nn.Conv2d):
            yield Layer(3, 1, 1)


class InpaintingCritic(PatchCritic):
    """SN-PatchGAN critic: completed images ``[B, C, H, W]`` and their masks ``[B, 1, H, W]`` to one logit per patch.

    It is a `PatchCritic` that receives the mask as a further channel, with spectral norm in every layer. Use it with
    the hinge loss. The paper's critic has six layers with 5x5 kernels and stride 2. This critic has 4x4
    kernels.

    Args:
        shape: shape ``(C, H, W)`` of an image. Images of other sizes are accepted as well.
        width: channels of the first layer; each later layer has twice as many, at most ``8 * width``.
        layers: number of layers with stride 2. For 1 ... 5 layers, patches are 16, 34, 70, 142 or 286 pixels wide.
        spectral_norm: apply spectral norm to every layer.

    Source:
        Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, section 3.3.
    """

    def __init__(self, shape: Sequence[int], width: int = 64, layers: int = 3, spectral_norm: bool = True) -> None:
        super().__init__(shape, (1, *shape[1:]), width=width, layers=layers, norm="none", spectral_norm=spectral_norm)
        self.takes = frozenset({"mask"})

    def forward(self, x: Tensor, mask: Tensor) -> CriticOutput:  # type: ignore[override]
        """Return a `CriticOutput` with logits ``[B, 1, h, w]`` and all hidden layers as features.

        Args:
            x: completed images ``[B, C, H, W]``.
            mask: masks ``[B, 1, H, W]``, 1 for missing pixels.
        """
        hidden = self._hidden(x, mask)
        return CriticOutput(self.score(hidden[-1]), None, hidden)

    def features(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        """Return the last hidden layer ``[B, D]`` of images ``[B, C, H, W]``, averaged over patches."""
        return self._hidden(x, mask)[-1].mean((2, 3))
