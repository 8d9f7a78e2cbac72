"""Path-length regularisation, a penalty on generators with styles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


class PathLength(nn.Module):
    """Karras et al. 2020 (StyleGAN2), section 3.2, equation 4: weight * E (|J_w^T y| - a)^2.

    It makes steps of one size in ``w`` change the image by one amount everywhere. ``y`` are random images of unit power
    a pixel. ``a`` is the running mean of the lengths, a buffer. The penalty is lazy: it is evaluated on steps where
    ``step % every == 0``, and multiplied by ``every``.

    Args:
        weight: 2 in the authors' code.
        every: steps from one evaluation to the next.
        shrink: the first 1 / ``shrink`` of the batch is used (appendix B).
        decay: decay of the running mean at each evaluation, 0 ... 1.
    """

    mean: Tensor

    def __init__(self, weight: float = 2.0, every: int = 8, shrink: int = 2, decay: float = 0.99) -> None:
        super().__init__()
        if weight < 0 or every < 1 or shrink < 1 or not 0 <= decay < 1:
            raise ValueError(
                "PathLength wants weight >= 0, every >= 1, shrink >= 1 and 0 <= decay < 1, "
                f"got weight={weight}, every={every}, shrink={shrink}, decay={decay}"
            )
        self.weight, self.every, self.shrink, self.decay = float(weight), int(every), int(shrink), float(decay)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, generator: Any, inputs: Mapping[str, Tensor], randn: Callable[..., Tensor]) -> Tensor:
        """Return the penalty, a scalar.

        Args:
            generator: has ``mapping(**inputs)``, ``synthesis(ws)`` and ``layers``.
            inputs: its named inputs, ``latent`` among them.
            randn: draws standard normal numbers, ``randn(*shape)``.
        """
        n = max(1, len(inputs["latent"]) // self.shrink)
        w = generator.mapping(**{name: value[:n] for name, value in inputs.items()})
        lengths = path_lengths(generator, w, randn)
        mean = torch.lerp(lengths.detach().mean(), self.mean, self.decay)
        self.mean.copy_(mean)
        return self.every * self.weight * (lengths - mean).square().mean()


def path_lengths(generator: Any, w: Tensor, randn: Callable[..., Tensor]) -> Tensor:
    """Return how much images change with the styles ``w [B, style_dim]``, in one random direction of images, ``[B]``.

    It is the root mean square over layers of the norm of the gradient, as in the authors' code; differentiable.
    """
    with torch.enable_grad():
        ws = w[:, None].expand(-1, generator.layers, -1)
        if not ws.requires_grad:
            ws = ws.detach().requires_grad_(True)
        x = generator.synthesis(ws)
        y = randn(*x.shape) / (x.shape[-1] * x.shape[-2]) ** 0.5
        (gradient,) = torch.autograd.grad((x.float() * y).sum(), ws, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()
