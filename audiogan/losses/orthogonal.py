"""Orthogonal regularisation, a penalty on the weights of generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from audiogan.losses.penalties import checked_schedule


class OrthogonalRegularisation:
    """Brock et al. 2019 (BigGAN), equation 3: weight * sum over layers of |W W^T (1 - I)|_F^2; rows of W are filters.

    It penalises the angles between filters, not their lengths, and makes samples of truncated latents better (section
    3.1). Biases, gains and embeddings of classes are skipped. With spectral norm it takes the weights before the
    division by the norm, as in the authors' code.

    Args:
        weight: the paper's beta.
        every: steps from one evaluation to the next; the value is multiplied by it.
        skip: a parameter is skipped if its name contains one of these.
    """

    def __init__(self, weight: float = 1e-4, every: int = 1, skip: Sequence[str] = ("embed",)) -> None:
        self.weight, self.every = checked_schedule(weight, every)
        self.skip = tuple(skip)

    def __call__(self, generator: nn.Module, inputs: Mapping[str, Tensor], randn: Callable[..., Tensor]) -> Tensor:
        """Return the penalty, a scalar. It depends on the weights of the generator alone."""
        terms = [
            _off_diagonal(weight.float().flatten(1))
            for name, weight in generator.named_parameters()
            if weight.dim() > 1 and not any(word in name for word in self.skip)
        ]
        if not terms:
            raise ValueError(f"OrthogonalRegularisation: {type(generator).__name__} has no weight matrices")
        return self.every * self.weight * torch.stack(terms).sum()


def _off_diagonal(w: Tensor) -> Tensor:
    """Squared Frobenius norm of `w w^T` without its diagonal, through the smaller of the two Gram matrices."""
    rows, columns = w.shape
    if rows <= columns:
        gram = w @ w.T
        return (gram - torch.diag(gram.diagonal())).square().sum()
    return (w.T @ w).square().sum() - w.square().sum(1).square().sum()
