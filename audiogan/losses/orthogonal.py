"""Orthogonal regularisation of BigGAN, a penalty on the weights of a generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from audiogan.losses.penalties import check_penalty


class OrthogonalRegularisation:
    """Orthogonal regularisation: ``weight`` times the sum over layers of ``|W W^T (1 - I)|_F^2``.

    The rows of W are the filters of a layer. The penalty makes filters orthogonal without changing their norms, which
    improves samples from truncated latents. Biases, gains and class embeddings are not penalised. For layers with
    spectral norm the penalty uses the weights before normalisation, as in the authors' code.

    Args:
        weight: factor of the penalty, 0 or more; beta in the paper.
        every: interval between evaluations, in steps. Each evaluation is multiplied by ``every``, so that the average
            over steps does not depend on the interval.
        excluded_parameters: substrings of parameter names. A parameter with one of them in its name is not penalised.

    Source:
        Brock et al., "Large scale GAN training for high fidelity natural image synthesis", ICLR 2019, equation 3.

    Examples:
        >>> import torch
        >>> from audiogan.losses import OrthogonalRegularisation
        >>> layer = torch.nn.Linear(2, 2)
        >>> _ = torch.nn.init.eye_(layer.weight)
        >>> OrthogonalRegularisation()(layer, {}, torch.randn).item()  # The filters are orthogonal.
        0.0
    """

    def __init__(self, weight: float = 1e-4, every: int = 1, excluded_parameters: Sequence[str] = ("embed",)) -> None:
        self.weight, self.every = check_penalty(weight, every)
        self.excluded_parameters = tuple(excluded_parameters)

    def __call__(self, generator: nn.Module, inputs: Mapping[str, Tensor], randn: Callable[..., Tensor]) -> Tensor:
        """Return the penalty, a scalar. ``inputs`` and ``randn`` are not used."""
        terms = [
            _off_diagonal_norm(weight.float().flatten(1))
            for name, weight in generator.named_parameters()
            if weight.dim() > 1 and not any(word in name for word in self.excluded_parameters)
        ]
        if not terms:
            raise ValueError(f"OrthogonalRegularisation: {type(generator).__name__} has no weight matrices")
        return self.every * self.weight * torch.stack(terms).sum()


def _off_diagonal_norm(w: Tensor) -> Tensor:
    """Return the squared Frobenius norm of `w w^T` without its diagonal, computed from the smaller Gram matrix."""
    rows, columns = w.shape
    if rows <= columns:
        gram = w @ w.T
        return (gram - torch.diag(gram.diagonal())).square().sum()
    return (w.T @ w).square().sum() - w.square().sum(1).square().sum()
