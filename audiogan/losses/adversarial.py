"""Adversarial losses on logits. `critic` and `generator` return what that player minimises, as a scalar.

With ``relativistic = False`` the generator's loss is ``generator(fake_logits)``, and real and fake logits may differ in
shape. With ``relativistic = True`` it is ``generator(fake_logits, real_logits)``; both have the same shape.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


class NonSaturating:
    """Goodfellow et al. 2014, section 3: cross-entropy, the generator maximising log D(G(z))."""

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return F.softplus(-fake_logits).mean()


class LeastSquares:
    """Mao et al. 2017 (LSGAN), equation 9: targets 1 for real, 0 for fake, 1 for the generator, halves in front."""

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return 0.5 * (fake_logits - 1).square().mean()


class Hinge:
    """Lim & Ye 2017 (Geometric GAN); Miyato et al. 2018 (SNGAN), equations 16 and 17.

    Examples:
        >>> Hinge().critic(torch.tensor([2.0]), torch.tensor([-2.0])).item()  # both beyond the margin
        0.0
    """

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class Wasserstein:
    """Arjovsky et al. 2017, algorithm 1. The critic must be kept Lipschitz: GradientPenalty or WeightClip."""

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()
