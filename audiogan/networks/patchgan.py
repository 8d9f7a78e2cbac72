"""The PatchGAN critic of pix2pix (Isola et al., CVPR 2017, section 3.2.2 and appendix 6.1.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.blocks import apply_spectral_norm
from audiogan.networks.checks import check_sizes
from audiogan.networks.translation_blocks import check_settings, init_translation_weights, norm2d


class PatchCritic(nn.Module):
    """PatchGAN critic: images ``[B, C, H, W]`` to one logit per patch, ``[B, 1, h, w]``, fully convolutional.

    The layers are 4x4 convolutions with LeakyReLU 0.2.

    Args:
        shape: shape ``(C, H, W)`` of an image. Images of other sizes are accepted as well.
        source: shape ``(C', H, W)`` of the source of a translation. The source is concatenated with the image, as
            further channels. ``None``: the critic is not conditioned on the source.
        classes: number of classes; 0: unconditional. A projection of the class is added to the logit of each patch
            (Miyato & Koyama, ICLR 2018, equation 3).
        width: channels of the first layer; each later layer has twice as many, at most ``8 * width``.
        layers: number of layers with stride 2; 3 in the paper. For 1 ... 5 layers, patches are 16, 34, 70, 142 or 286
            pixels wide.
        norm: normalisation of all layers but the first: ``batch`` (as in the paper), ``instance`` or ``none``. Use
            ``instance`` or ``none`` with a gradient penalty, because batch norm makes logits depend on the whole batch.
        spectral_norm: apply spectral norm to every layer (Miyato et al., ICLR 2018). Use it with ``norm="none"``.

    Attributes:
        patch: height and width of the image region that determines a logit, in pixels.

    Source:
        Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017, section 3.2.2.

    Examples:
        >>> import torch
        >>> from audiogan.networks.patchgan import PatchCritic
        >>> PatchCritic((3, 64, 64), width=4)(torch.zeros(2, 3, 64, 64)).logits.shape
        torch.Size([2, 1, 6, 6])
    """

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None] | None = None,
        classes: int = 0,
        width: int = 64,
        layers: int = 3,
        norm: str = "batch",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, layers=layers, classes=classes + 1)
        check_settings(self, shape, source or shape, norm)
        least = 3 * 2**layers
        if min(shape[1:]) < least:
            raise ValueError(f"PatchCritic: layers={layers} needs images of {least} pixels or more; use fewer layers")
        self.shape, self.classes = tuple(shape), classes
        self.source_channels = (source[0] or 0) if source is not None else 0
        self.takes = frozenset(({"source"} if source is not None else set()) | ({"classes"} if classes else set()))
        self.patch = 1
        for stride in (1, 1, *[2] * layers):
            self.patch = self.patch * stride + 4 - stride
        widths = [width * min(2**i, 8) for i in range(layers + 1)]
        strides = [2] * layers + [1]
        channels = [shape[0] + self.source_channels, *widths]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 4, stride, 1, bias=k == 0 or norm == "none")  # A norm removes any bias.
            for k, ((i, o), stride) in enumerate(zip(pairwise(channels), strides, strict=True))
        )
        self.norms = nn.ModuleList(norm2d(norm if k else "none", w) for k, w in enumerate(widths))
        self.score = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.embed = nn.Linear(classes, widths[-1], bias=False) if classes else None
        init_translation_weights(self, norm)
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, std=widths[-1] ** -0.5)
        if spectral_norm:
            apply_spectral_norm(self)

    def forward(self, x: Tensor, source: Tensor | None = None, classes: Tensor | None = None) -> CriticOutput:
        """Return a `CriticOutput` with logits ``[B, 1, h, w]`` and all hidden layers as features.

        Args:
            x: images ``[B, C, H, W]``.
            source: source images ``[B, C', H, W]`` of a translation.
            classes: class weights ``[B, classes]``.
        """
        hidden = self._hidden(x, source)
        logits = self.score(hidden[-1])
        if self.embed is not None:
            if classes is None or classes.shape != (len(x), self.classes):
                given = "none" if classes is None else str(list(classes.shape))
                raise ValueError(f"PatchCritic expected classes {[len(x), self.classes]}, got {given}")
            projection = (self.embed(classes)[:, :, None, None] * hidden[-1]).sum(1, keepdim=True)
            # The last convolution shrinks the logits by one pixel, so pooling shrinks the projection to the same size.
            logits = logits + F.avg_pool2d(projection, 2, 1)
        return CriticOutput(logits, None, hidden)

    def features(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Return the last hidden layer ``[B, D]`` of images ``[B, C, H, W]``, averaged over patches."""
        return self._hidden(x, source)[-1].mean((2, 3))

    def _hidden(self, x: Tensor, source: Tensor | None) -> list[Tensor]:
        if x.dim() != 4 or x.shape[1] != self.shape[0]:
            raise ValueError(f"PatchCritic expected images [B, {self.shape[0]}, H, W], got {list(x.shape)}")
        if (source is not None) != bool(self.source_channels):
            raise ValueError(f"PatchCritic: the source is {'missing' if source is None else 'not expected'}")
        if source is not None:
            if source.shape != (len(x), self.source_channels, *x.shape[2:]):
                expected = [len(x), self.source_channels, *x.shape[2:]]
                raise ValueError(f"PatchCritic expected a source {expected}, got {list(source.shape)}")
            x = torch.cat([x, source], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        hidden = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
            hidden.append(x)
        return hidden
