"""What keeps a critic smooth: gradient penalties, which are terms of its loss, and weight clipping, which is not.

A penalty is due on steps where ``step % every == 0``. It is called as ``penalty(critic, real, fake, rand)``: ``critic``
maps a batch to one logit a sample (its other inputs are bound), ``rand(*shape)`` draws uniform [0, 1) numbers on the
right device. The value is multiplied by ``every``, so that its average over steps does not depend on ``every``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Critic = Callable[[Tensor], Tensor]
Rand = Callable[..., Tensor]


class GradientPenalty:
    """Gulrajani et al. 2017 (WGAN-GP), equation 3: weight * E (|grad D(x)| - 1)^2 on lines between real and fake."""

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        self.weight, self.every = checked_schedule(weight, every)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, rand: Rand) -> Tensor:
        if real.shape != fake.shape:
            shapes = f"{list(fake.shape)} and {list(real.shape)}"
            raise ValueError(f"GradientPenalty needs as many fakes as reals, got {shapes}")
        mix = rand(real.shape[0], *[1] * (real.dim() - 1))
        squares = _gradient_squares(critic, torch.lerp(real.detach(), fake.detach(), mix.to(real.dtype)))
        # The floor keeps the root's derivative finite where a gradient vanishes, as it does in a dead critic.
        norms = squares.clamp_min(1e-12).sqrt()
        return self.every * self.weight * (norms - 1).square().mean()


class R1:
    """Mescheder et al. 2018, equation 9: weight / 2 * E |grad D(x)|^2 on real samples.

    Lazy by default: Karras et al. 2020 (StyleGAN2), section 3.2 and appendix B.
    """

    def __init__(self, weight: float = 10.0, every: int = 16) -> None:
        self.weight, self.every = checked_schedule(weight, every)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, rand: Rand) -> Tensor:
        return self.every * 0.5 * self.weight * _gradient_squares(critic, real.detach()).mean()


class R2(R1):
    """R1's counterpart on fake samples (Mescheder et al. 2018, section 4.1): weight / 2 * E |grad D(x)|^2 there.

    With both, a critic goes flat where real and fake agree, so that no mode is left again.
    """

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, rand: Rand) -> Tensor:
        return self.every * 0.5 * self.weight * _gradient_squares(critic, fake.detach()).mean()


class WeightClip:
    """Arjovsky et al. 2017, algorithm 1: after each move of the critic, clamp its weights to [-limit, limit]."""

    def __init__(self, limit: float = 0.01) -> None:
        if not limit > 0:
            raise ValueError(f"WeightClip limit={limit} must be positive")
        self.limit = limit

    @torch.no_grad()
    def __call__(self, module: nn.Module) -> None:
        for parameter in module.parameters():
            parameter.clamp_(-self.limit, self.limit)


def checked_schedule(weight: float, every: int) -> tuple[float, int]:
    if weight < 0 or every < 1:
        raise ValueError(f"a penalty needs weight >= 0 and every >= 1, got weight={weight}, every={every}")
    return float(weight), int(every)


def _gradient_squares(critic: Critic, x: Tensor) -> Tensor:
    """Squared norm of each sample's gradient, `[B]`, itself differentiable with respect to the critic."""
    x = x.requires_grad_(True)
    with torch.enable_grad():
        # A sum, because logits of one sample do not depend on the others.
        (gradient,) = torch.autograd.grad(critic(x).float().sum(), x, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)
