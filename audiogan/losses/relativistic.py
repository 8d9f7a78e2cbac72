"""The relativistic pairing loss: a critic compares a real sample with a generated one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


class RelativisticPairing:
    """Relativistic pairing GAN (RpGAN; Jolicoeur-Martineau 2018).

    Real and generated logits are subtracted in pairs: the critic minimises the mean of ``softplus(fake - real)``, the
    generator that of ``softplus(real - fake)``. Add both `R1` and `R2`; without them training need not converge (R3GAN:
    Huang et al., "The GAN is dead; long live the GAN!", NeurIPS 2024, section 2).
    """

    relativistic = True

    def critic(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return _preference(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor) -> Tensor:
        return _preference(fake_logits, real_logits)


def _preference(above: Tensor, below: Tensor) -> Tensor:
    if above.shape != below.shape:
        shapes = f"{list(above.shape)} and {list(below.shape)}"
        needs = "needs equally many real and generated samples"
        raise ValueError(f"RelativisticPairing {needs}, got logits of shape {shapes}")
    return F.softplus(below - above).mean()
