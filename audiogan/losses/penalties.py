"""Gradient penalties for critics, and weight clipping.

A penalty is a term of the critic's loss: ``penalty(critic, real, fake, rand)`` returns a scalar. ``critic`` maps a
batch ``[B, *shape]`` to logits ``[B]`` and needs no other inputs. ``rand(*shape)`` draws uniform numbers in [0, 1) on
the device of the batch. A penalty is evaluated only on steps that are multiples of ``every``, and multiplied by
``every``, so that its average over steps does not depend on ``every``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Critic = Callable[[Tensor], Tensor]
Rand = Callable[..., Tensor]


class GradientPenalty:
    """Gradient penalty of WGAN-GP: ``weight * E (|grad D(x)| - 1)^2`` between real and generated samples.

    Each ``x`` is drawn uniformly on the line between a real and a generated sample.

    Args:
        weight: factor of the penalty, 0 or more; 10 in the paper.
        every: interval between evaluations, in steps.

    Source:
        Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, equation 3.

    Examples:
        >>> import torch
        >>> from audiogan.losses import GradientPenalty
        >>> real, fake = torch.ones(4, 3), torch.zeros(4, 3)
        >>> float(GradientPenalty(weight=10.0)(lambda x: x[:, 0], real, fake, torch.rand))  # gradient norm 1
        0.0
    """

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = check_penalty(weight, every)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, rand: Rand) -> Tensor:
        if real.shape != fake.shape:
            shapes = f"{list(fake.shape)} and {list(real.shape)}"
            raise ValueError(f"GradientPenalty needs generated and real samples of one shape, got {shapes}")
        mix = rand(real.shape[0], *[1] * (real.dim() - 1))
        squares = _squared_gradient_norms(critic, torch.lerp(real.detach(), fake.detach(), mix.to(real.dtype)))
        # The lower bound keeps the derivative of the square root finite when the critic's gradient is zero.
        norms = squares.clamp_min(1e-12).sqrt()
        return self.every * self.weight * (norms - 1).square().mean()


class R1:
    """R1 penalty: ``weight / 2 * E |grad D(x)|^2`` on real samples.

    The default interval of 16 steps is the lazy regularisation of StyleGAN2 (Karras et al., CVPR 2020, section 3.2).

    Args:
        weight: factor of the penalty, 0 or more; gamma in the paper.
        every: interval between evaluations, in steps.

    Source:
        Mescheder et al., "Which training methods for GANs do actually converge?", ICML 2018, equation 9.

    Examples:
        >>> import torch
        >>> from audiogan.losses import R1
        >>> real = torch.zeros(4, 3)
        >>> loss = R1(weight=10.0, every=1)(lambda x: 2 * x.sum(1), real, real, torch.rand)
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self, weight: float = 10.0, every: int = 16) -> None:
        self.weight, self.every = check_penalty(weight, every)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, rand: Rand) -> Tensor:
        return self.every * 0.5 * self.weight * _squared_gradient_norms(critic, real.detach()).mean()


class R2(R1):
    """R2 penalty: ``weight / 2 * E |grad D(x)|^2`` on generated samples.

    Use it with `R1`: the critic's gradient then vanishes where both distributions agree, so training can converge.

    Args:
        weight: factor of the penalty, 0 or more; gamma in the paper.
        every: interval between evaluations, in steps.

    Source:
        Mescheder et al., "Which training methods for GANs do actually converge?", ICML 2018, section 4.1.

    Examples:
        >>> import torch
        >>> from audiogan.losses import R2
        >>> fake = torch.zeros(4, 3)
        >>> loss = R2(weight=10.0, every=1)(lambda x: 2 * x.sum(1), fake, fake, torch.rand)
        >>> loss.shape
        torch.Size([])
    """

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, rand: Rand) -> Tensor:
        return self.every * 0.5 * self.weight * _squared_gradient_norms(critic, fake.detach()).mean()


class WeightClip:
    """Weight clipping: clamp all parameters of a critic to [-limit, limit] after each of its optimizer steps.

    Args:
        limit: largest absolute value of a parameter, more than 0; 0.01 in the paper.

    Source:
        Arjovsky et al., "Wasserstein GAN", ICML 2017, algorithm 1.

    Examples:
        >>> import torch
        >>> from audiogan.losses import WeightClip
        >>> critic = torch.nn.Linear(4, 1)
        >>> WeightClip(limit=0.01)(critic)
        >>> critic.weight.abs().max().item() <= 0.01
        True
    """

    def __init__(self, limit: float = 0.01) -> None:
        if not limit > 0:
            raise ValueError(f"WeightClip limit={limit} must be positive")
        self.limit = limit

    @torch.no_grad()
    def __call__(self, module: nn.Module) -> None:
        for parameter in module.parameters():
            parameter.clamp_(-self.limit, self.limit)


def check_penalty(weight: float, every: int) -> tuple[float, int]:
    """Return the arguments unchanged. Raise ``ValueError`` if ``weight < 0`` or ``every < 1``."""
    if weight < 0 or every < 1:
        raise ValueError(f"a penalty needs weight >= 0 and every >= 1, got weight={weight}, every={every}")
    return float(weight), int(every)


def _squared_gradient_norms(critic: Critic, x: Tensor) -> Tensor:
    """Return the squared norm `[B]` of the critic's gradient at each sample, differentiable for the critic's loss."""
    x = x.requires_grad_(True)
    with torch.enable_grad():
        # One backward pass gives all gradients, because each logit depends on one sample only.
        (gradient,) = torch.autograd.grad(critic(x).float().sum(), x, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)
