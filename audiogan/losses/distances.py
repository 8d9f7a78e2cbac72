"""Distances between an output of a generator and its target, as weighted terms of the generator's loss."""

from __future__ import annotations

from torch import Tensor


class L1:
    """The mean absolute difference, as in pix2pix (Isola et al., CVPR 2017, equation 3; its weight there is 100).

    ``distance(output, target)`` takes tensors ``[B, *shape]`` and returns a scalar, multiplied by the weight.

    Args:
        weight: factor of the term, not negative.

    Raises:
        ValueError: the weight is negative, or (when called) output and target differ in shape.

    Examples:
        >>> L1(weight=100)(torch.zeros(1, 3), torch.ones(1, 3)).item()
        100.0
    """

    def __init__(self, weight: float = 1.0) -> None:
        if not weight >= 0:
            raise ValueError(f"L1: weight={weight} must not be negative")
        self.weight = float(weight)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        if output.shape != target.shape:
            shapes = f"the output is {list(output.shape)}, the target {list(target.shape)}"
            raise ValueError(f"L1: {shapes}; they must be equal")
        return self.weight * (output.float() - target.float()).abs().mean()
