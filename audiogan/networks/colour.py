"""Generator for colourisation: a U-Net that adds colour to a grey image without changing its lightness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiogan.networks.checks import check_sizes
from audiogan.networks.unet import UNet
from audiogan.representations.lab import grey_to_lightness


class Colouriser(nn.Module):
    """Generator for colourisation: grey images ``[B, 1, H, W]`` to scaled L*a*b* images ``[B, 3, H, W]``.

    A `UNet` computes a* and b* from the lightness of the source. The lightness of the output is that of the source. Use
    the generator with the representation `audiogan.representations.Lab`.

    Args:
        shape: shape ``(3, H, W)`` of the output.
        source: shape ``(1, H, W)`` of the source.
        latent_dim: size of a standard normal latent, as in `UNet`. 0: no latent.
        width: channels of the U-Net after the first layer.
        depth: number of encoder layers of the U-Net; ``None``: the largest possible, at most 8.
        norm: normalisation of the U-Net, ``batch``, ``instance`` or ``none``.
        dropout: dropout probability of the inner decoder layers in training, 0 to below 1.

    Attributes:
        multiple: height and width of sources must be multiples of this number of pixels.
        receptive_field: largest distance between an output pixel and a source pixel that it depends on, in evaluation
            mode; ``None``: each output pixel depends on all source pixels.

    Source:
        Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017, section 4.
    """

    latent = "normal"

    def __init__(
        self,
        shape: Sequence[int],
        source: Sequence[int | None],
        latent_dim: int = 0,
        width: int = 64,
        depth: int | None = None,
        norm: str = "batch",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(self, width=width, latent_dim=latent_dim + 1)
        if len(shape) != 3 or shape[0] != 3 or len(source) != 3 or source[0] != 1:
            raise ValueError(
                f"Colouriser: shape={tuple(shape)} must be (3, height, width), and source={tuple(source)} must be "
                "(1, height, width); use the degradation Grey for the source"
            )
        self.shape, self.source, self.latent_dim = tuple(shape), tuple(source), latent_dim
        self.unet = UNet((2, *shape[1:]), source, latent_dim, width, depth, norm, dropout)
        self.takes, self.multiple = self.unet.takes, self.unet.multiple
        self.receptive_field = self.unet.receptive_field

    def forward(self, source: Tensor, latent: Tensor | None = None) -> Tensor:
        """Return images ``[B, 3, H, W]`` as encoded by `audiogan.representations.Lab`.

        Args:
            source: grey images ``[B, 1, H, W]``, -1 ... 1. H and W must be multiples of the attribute ``multiple``.
            latent: standard normal latents ``[B, latent_dim]``, if ``latent_dim`` is not 0.
        """
        lightness = grey_to_lightness(source)
        return torch.cat([lightness, self.unet(lightness, latent)], dim=1)
