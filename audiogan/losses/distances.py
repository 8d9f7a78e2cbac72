"""Distances between generator outputs and their targets, for paired and cyclic translation."""

from __future__ import annotations

from torch import Tensor


class L1:
    """Weighted mean absolute difference between two tensors ``[B, *shape]``, a scalar.

    Args:
        weight: factor of the loss, 0 or more; 100 in pix2pix.

    Raises:
        ValueError: The weight is negative, or the two tensors of a call differ in shape.

    Examples:
        >>> L1(weight=100)(torch.zeros(1, 3), torch.ones(1, 3)).item()
        100.0

    Source:
        Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017, equation 3.
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
