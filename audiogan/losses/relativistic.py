"""Relativistic pairing loss: the critic compares each real sample with a generated one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


class RelativisticPairing:
    """Relativistic pairing loss (RpGAN) on differences between real and generated logits.

    The critic minimises the mean of ``softplus(fake - real)``, the generator the mean of ``softplus(real - fake)``. Use
    it with both `R1` and `R2`: without them training may not converge.

    Source:
        Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019. Huang et al., "The GAN is dead; long live the
        GAN!" (R3GAN), NeurIPS 2024, section 2.

    Examples:
        >>> import torch
        >>> from audiogan.losses import RelativisticPairing
        >>> loss = RelativisticPairing()
        >>> round(loss.critic(torch.tensor([5.0]), torch.tensor([0.0])).item(), 3)  # The real logit is larger.
        0.007
    """

    relativistic = True

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _pairing_loss(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return _pairing_loss(fake_logits, real_logits)


def _pairing_loss(preferred: Tensor, other: Tensor) -> Tensor:
    if preferred.shape != other.shape:
        shapes = f"{list(preferred.shape)} and {list(other.shape)}"
        needs = "needs equally many real and generated samples"
        raise ValueError(f"RelativisticPairing {needs}, got logits of shape {shapes}")
    return F.softplus(other - preferred).mean()
