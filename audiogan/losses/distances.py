"""Distances between an output of a generator and its target, as weighted terms of the generator's loss."""

from __future__ import annotations

import torch
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
        self.weight = _checked_weight(self, weight)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return self.weight * _difference(self, output, target).abs().mean()


class L2:
    """The mean squared difference. Arguments and errors as in `L1`."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = _checked_weight(self, weight)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        return self.weight * _difference(self, output, target).square().mean()


class Charbonnier:
    """The mean of ``sqrt(difference ** 2 + epsilon ** 2)``: L1 with a smooth minimum.

    Charbonnier et al., ICIP 1994; for super-resolution in LapSRN (Lai et al., CVPR 2017).

    Args:
        weight: factor of the term, not negative.
        epsilon: difference below which the loss is about quadratic, in units of the signal; above 0.

    Raises:
        ValueError: an argument is out of range, or (when called) output and target differ in shape.
    """

    def __init__(self, weight: float = 1.0, epsilon: float = 1e-3) -> None:
        self.weight = _checked_weight(self, weight)
        if not epsilon > 0:
            raise ValueError(f"Charbonnier: epsilon={epsilon} must be above 0")
        self.epsilon = epsilon

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        difference = _difference(self, output, target)
        return self.weight * torch.sqrt(difference.square() + self.epsilon**2).mean()


def _checked_weight(distance: object, weight: float) -> float:
    if not weight >= 0:
        raise ValueError(f"{type(distance).__name__}: weight={weight} must not be negative")
    return float(weight)


def _difference(distance: object, output: Tensor, target: Tensor) -> Tensor:
    if output.shape != target.shape:
        shapes = f"the output is {list(output.shape)}, the target {list(target.shape)}"
        raise ValueError(f"{type(distance).__name__}: {shapes}; they must be equal")
    return output.float() - target.float()
