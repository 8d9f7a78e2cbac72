"""Adversarial losses on logits.

Each loss has two methods, ``critic`` and ``generator``, that return the scalar loss of that player. A loss with
``relativistic = False`` computes the generator's loss from generated samples only: ``generator(fake_logits)``. A loss
with ``relativistic = True`` also needs real logits of the same shape: ``generator(fake_logits, real_logits)``.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


class NonSaturating:
    """Non-saturating loss: cross-entropy for the critic, ``-log D(G(z))`` for the generator.

    Source:
        Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, section 3.

    Examples:
        >>> import torch
        >>> from audiogan.losses import NonSaturating
        >>> round(NonSaturating().generator(torch.zeros(3)).item(), 3)  # The critic is undecided: log 2.
        0.693
    """

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return F.softplus(-fake_logits).mean()


class LeastSquares:
    """Least-squares loss (LSGAN): half the mean squared difference between logits and targets.

    The critic's targets are 1 for real and 0 for generated samples. The generator's target is 1.

    Source:
        Mao et al., "Least squares generative adversarial networks", ICCV 2017, equation 9.

    Examples:
        >>> import torch
        >>> from audiogan.losses import LeastSquares
        >>> LeastSquares().critic(torch.ones(3), torch.zeros(3)).item()  # Both logits equal their targets.
        0.0
    """

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return 0.5 * (real_logits - 1).square().mean() + 0.5 * fake_logits.square().mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return 0.5 * (fake_logits - 1).square().mean()


class Hinge:
    """Hinge loss: the critic is penalised for real logits below 1 and for generated logits above -1.

    Examples:
        >>> Hinge().critic(torch.tensor([2.0]), torch.tensor([-2.0])).item()  # Both logits are beyond the margin.
        0.0

    Source:
        Lim & Ye 2017 (Geometric GAN). Miyato et al., ICLR 2018 (SNGAN), equations 16 and 17.
    """

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()


class Wasserstein:
    """Wasserstein loss: the difference between the mean logits of generated and of real samples.

    The critic must be Lipschitz continuous: use it with `GradientPenalty` or `WeightClip`.

    Source:
        Arjovsky et al., "Wasserstein GAN", ICML 2017, algorithm 1.

    Examples:
        >>> import torch
        >>> from audiogan.losses import Wasserstein
        >>> Wasserstein().critic(torch.tensor([3.0]), torch.tensor([1.0])).item()
        -2.0
    """

    relativistic = False

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return fake_logits.mean() - real_logits.mean()

    def generator(self, fake_logits: Tensor) -> Tensor:
        return -fake_logits.mean()
