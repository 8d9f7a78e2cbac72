"""A PatchGAN critic for super-resolution, which compares an image with its interpolated source."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from audiogan.networks.base import CriticOutput
from audiogan.networks.patchgan import PatchCritic


class DetailCritic(PatchCritic):
    """PatchGAN critic for super-resolution: enlarged images ``[B, C, H, W]`` to one logit per patch, fully
    convolutional.

    The source is enlarged by bicubic interpolation. The critic receives the enlarged source and the difference between
    the image and the enlarged source. This difference contains the details that a super-resolution network adds. They
    are a small part of an image, so a critic of the whole image learns them slowly.

    Args:
        shape: shape ``(C, H, W)`` of an image. Images of other sizes are accepted as well.
        source: shape ``(C, h, w)`` of the source, at most as large as the image.
        gain: factor on the difference, more than 0.
        settings: other arguments of `PatchCritic`.

    Examples:
        >>> import torch
        >>> from audiogan.networks.detail_critic import DetailCritic
        >>> critic = DetailCritic((3, 64, 64), source=(3, 16, 16), width=4)
        >>> critic(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 16, 16)).logits.shape
        torch.Size([2, 1, 6, 6])
    """

    def __init__(
        self, shape: Sequence[int], source: Sequence[int | None], gain: float = 3.0, **settings: int | str | bool
    ) -> None:
        super().__init__(shape, source=(source[0], *shape[1:]), **settings)  # type: ignore[arg-type]
        if source[0] != shape[0]:
            raise ValueError(f"DetailCritic: shape={tuple(shape)} and source={tuple(source)} differ in their channels")
        if gain <= 0:
            raise ValueError(f"DetailCritic: gain={gain} must be more than 0")
        self.gain = gain

    def forward(self, x: Tensor, source: Tensor | None = None, classes: Tensor | None = None) -> CriticOutput:
        """Return a `CriticOutput` with logits ``[B, 1, h, w]`` and all hidden layers as features.

        Args:
            x: images ``[B, C, H, W]``.
            source: source images ``[B, C, h, w]``, in the same range as ``x``.
            classes: class weights ``[B, classes]``.
        """
        return super().forward(*self._split(x, source), classes)

    def features(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Return the last hidden layer ``[B, D]`` of images ``[B, C, H, W]``, averaged over patches."""
        return super().features(*self._split(x, source))

    def _split(self, x: Tensor, source: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the difference times the gain, and the enlarged source."""
        if source is None or source.dim() != 4:
            given = "none" if source is None else list(source.shape)
            raise ValueError(f"DetailCritic expected a source [B, {self.source_channels}, h, w], got {given}")
        enlarged = F.interpolate(source, x.shape[2:], mode="bicubic", align_corners=False)
        return self.gain * (x - enlarged), enlarged
