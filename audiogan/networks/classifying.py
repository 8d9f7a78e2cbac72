"""Critic for semi-supervised training: a classifier with K classes (Salimans et al., NeurIPS 2016, section 6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import register_parametrization

from audiogan.networks.checks import check_sizes, check_tensor


class DenseClassifier(nn.Module):
    """Classifier of samples ``[B, *shape]``: dense layers with weight norm and Gaussian noise. Returns class logits.

    Args:
        shape: shape of a sample, such as ``(C, H, W)``.
        outputs: number of classes K, 2 or more.
        widths: units of the hidden layers; 1000, 500, 250, 250, 250 in the paper.
        input_noise: standard deviation of the noise added to inputs in training. The default 0.6 corresponds to the
            paper's 0.3, because samples here are in -1 ... 1 instead of 0 ... 1.
        noise: standard deviation of the noise added to hidden layers in training.

    Source:
        Salimans et al., "Improved techniques for training GANs", NeurIPS 2016, section 6.1: the network for MNIST.

    Examples:
        >>> import torch
        >>> from audiogan.networks.classifying import DenseClassifier
        >>> DenseClassifier((1, 8, 8), outputs=10, widths=(32,))(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """

    classes = 0  # The attribute is 0, because the class is an output of this critic and not an input.
    takes: frozenset[str] = frozenset()

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        widths: Sequence[int] = (500, 250, 250),
        input_noise: float = 0.6,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        if outputs < 2 or not widths:
            raise ValueError(f"DenseClassifier needs outputs >= 2 and widths, got outputs={outputs}, widths={widths}")
        if input_noise < 0 or noise < 0:
            raise ValueError(f"input_noise={input_noise} and noise={noise} must be at least 0")
        check_sizes(self, **{f"widths[{i}]": width for i, width in enumerate(widths)})
        self.shape, self.outputs = tuple(shape), outputs
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (inputs, units) in enumerate(pairwise([prod(self.shape), *widths])):
            dense = nn.Linear(inputs, units)
            nn.init.zeros_(dense.bias)
            # The gain of He initialisation keeps the variance of activations constant across ReLU layers.
            register_parametrization(dense, "weight", FixedGainWeightNorm(2**0.5))
            layers += [Noise(noise if i else input_noise), dense, nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Noise(noise), weight_norm(nn.Linear(widths[-1], outputs)))

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer, ``[B, widths[-1]]``, of samples ``[B, *shape]``."""
        check_tensor(self, "x", x, self.shape)
        return cast(Tensor, self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits ``[B, outputs]`` of samples ``[B, *shape]``."""
        return cast(Tensor, self.head(self.features(x)))


class FixedGainWeightNorm(nn.Module):
    """Weight norm (Salimans & Kingma 2016) with a constant gain: each row of a weight has the norm ``gain``.

    Examples:
        >>> import torch
        >>> from audiogan.networks.classifying import FixedGainWeightNorm
        >>> FixedGainWeightNorm(gain=10.0)(torch.tensor([[3.0, 4.0]]))
        tensor([[6., 8.]])
    """

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return self.gain * F.normalize(weight, dim=1)


class Noise(nn.Module):
    """Layer that adds Gaussian noise with standard deviation ``std`` in training mode.

    Examples:
        >>> import torch
        >>> from audiogan.networks.classifying import Noise
        >>> Noise(std=0.5).eval()(torch.zeros(2))  # no noise in evaluation mode
        tensor([0., 0.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x
