"""Path length regularisation of StyleGAN2, a penalty on generators with styles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class PathLength(nn.Module):
    """Path length regularisation: ``weight * E (|J_w^T y| - a)^2``.

    J_w is the Jacobian of the image with respect to the style ``w``. ``y`` is an image of standard normal numbers,
    divided by the square root of its number of pixels. ``a`` is a running mean of the norms ``|J_w^T y|``. The penalty
    makes a step of fixed size in ``w`` change every image by the same amount. To save time, it is evaluated every
    ``every`` steps only, and multiplied by ``every``.

    Args:
        weight: factor of the penalty, 0 or more; 2 in the authors' code. With 0, the penalty takes no time.
        every: interval between evaluations, in steps.
        batch_shrink: the penalty uses only the first ``1 / batch_shrink`` of the batch, to save time; 1 or more.
        decay: decay of the running mean per evaluation, 0 to below 1.

    Source:
        Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020, section 3.2 and equation 4.

    Examples:
        >>> import torch
        >>> from audiogan.losses.path_length import PathLength
        >>> from audiogan.networks.stylegan import StyleGANGenerator
        >>> generator = StyleGANGenerator((1, 8, 8), latent_dim=4, style_dim=4, channel_base=32, mapping_layers=1)
        >>> PathLength()(generator, {"latent": torch.randn(4, 4)}, torch.randn).shape
        torch.Size([])
    """

    mean: Tensor

    def __init__(self, weight: float = 2.0, every: int = 8, batch_shrink: int = 2, decay: float = 0.99) -> None:
        super().__init__()
        if weight < 0 or every < 1 or batch_shrink < 1 or not 0 <= decay < 1:
            raise ValueError(
                "PathLength needs weight >= 0, every >= 1, batch_shrink >= 1 and 0 <= decay < 1, "
                f"got weight={weight}, every={every}, batch_shrink={batch_shrink}, decay={decay}"
            )
        self.weight, self.every, self.decay = float(weight), int(every), float(decay)
        self.batch_shrink = int(batch_shrink)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, generator: Any, inputs: Mapping[str, Tensor], randn: Callable[..., Tensor]) -> Tensor:
        """Return the penalty, a scalar, and update the running mean.

        Args:
            generator: a network with the methods ``mapping(**inputs)`` and ``synthesis(ws)`` and the attribute
                ``layers``, such as `StyleGANGenerator`.
            inputs: named inputs of the generator, with ``latent`` ``[B, latent_dim]``.
            randn: function that draws standard normal numbers, ``randn(*shape)``.
        """
        if not self.weight:
            return inputs["latent"].new_zeros(())
        n = max(1, len(inputs["latent"]) // self.batch_shrink)
        w = generator.mapping(**{name: value[:n] for name, value in inputs.items()})
        lengths = path_lengths(generator, w, randn)
        mean = torch.lerp(lengths.detach().mean(), self.mean, self.decay)
        self.mean.copy_(mean)
        return self.every * self.weight * (lengths - mean).square().mean()


def path_lengths(generator: Any, styles: Tensor, randn: Callable[..., Tensor]) -> Tensor:
    """Return the path length ``[B]`` of each style: the norm of ``J_w^T y`` for one random image ``y``.

    The norm is the root mean square over layers, as in the authors' code. It is differentiable.

    Args:
        generator: a network with the method ``synthesis(ws)`` and the attribute ``layers``.
        styles: styles ``[B, style_dim]``.
        randn: function that draws standard normal numbers, ``randn(*shape)``.

    Examples:
        >>> import torch
        >>> from audiogan.losses.path_length import path_lengths
        >>> from audiogan.networks.stylegan import StyleGANGenerator
        >>> generator = StyleGANGenerator((1, 8, 8), latent_dim=4, style_dim=4, channel_base=32, mapping_layers=1)
        >>> path_lengths(generator, torch.zeros(3, 4), torch.randn).shape
        torch.Size([3])
    """
    with torch.enable_grad():
        ws = styles[:, None].expand(-1, generator.layers, -1)
        if not ws.requires_grad:
            ws = ws.detach().requires_grad_(True)
        x = generator.synthesis(ws)
        y = randn(*x.shape) / (x.shape[-1] * x.shape[-2]) ** 0.5
        (gradient,) = torch.autograd.grad((x.float() * y).sum(), ws, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()
