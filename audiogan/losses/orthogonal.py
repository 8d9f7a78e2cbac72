"""A generator's penalty that keeps the filters of each layer apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from audiogan.losses.penalties import _checked


class OrthogonalRegularisation:
    """Brock et al. 2019 (BigGAN), equation 3: weight * sum over layers of |W W^T (1 - I)|_F^2, one row of W a filter.

    Only the angles between filters count, not their lengths. It makes a generator take truncated latents well
    (section 3.1). Biases, gains and the embeddings of classes are left out; under spectral norm it is the weights
    before they are divided by it, as in the authors' code.

    Args:
        weight: the paper's beta.
        every: steps from one to the next; the value is multiplied by it.
        skip: parameters whose names contain one of these are left out.
    """

    def __init__(self, weight: float = 1e-4, every: int = 1, skip: Sequence[str] = ("embed",)) -> None:
        self.weight, self.every = _checked(weight, every)
        self.skip = tuple(skip)

    def __call__(
        self, generator: nn.Module, z: Tensor, condition: Tensor | None, randn: Callable[..., Tensor]
    ) -> Tensor:
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
