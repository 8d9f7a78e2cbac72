"""The critic of a semi-supervised game, which tells K classes apart (Salimans et al., NeurIPS 2016, section 6.1)."""

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
    """Signals of any shape to K class logits: dense layers with weight norm and noise, as the paper has it for MNIST.

    Args:
        shape: of one input.
        outputs: number of classes K.
        widths: units of the hidden layers; the paper's are 1000, 500, 250, 250, 250.
        input_noise, noise: standard deviation of the noise on inputs and on hidden layers, while training. The
            paper's images are from 0 to 1 and ours from -1 to 1, so its 0.3 is 0.6 here.
    """

    classes = 0  # no input: the class is its output
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
            raise ValueError(f"DenseClassifier wants outputs >= 2 and widths, got outputs={outputs}, widths={widths}")
        if input_noise < 0 or noise < 0:
            raise ValueError(f"input_noise={input_noise} and noise={noise} must be at least 0")
        check_sizes(self, **{f"widths[{i}]": width for i, width in enumerate(widths)})
        self.shape, self.outputs = tuple(shape), outputs
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (inputs, units) in enumerate(pairwise([prod(self.shape), *widths])):
            dense = nn.Linear(inputs, units)
            nn.init.zeros_(dense.bias)
            # He's gain, which keeps the size of a signal through ReLU.
            register_parametrization(dense, "weight", Rows(2**0.5))
            layers += [Noise(noise if i else input_noise), dense, nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Noise(noise), weight_norm(nn.Linear(widths[-1], outputs)))

    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer, ``[B, widths[-1]]``."""
        check_tensor(self, "x", x, self.shape)
        return cast(Tensor, self.body(x))

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits ``[B, outputs]``."""
        return cast(Tensor, self.head(self.features(x)))


class Rows(nn.Module):
    """Weight norm (Salimans & Kingma 2016) with a gain that is not learned, as the paper's code has it."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return self.gain * F.normalize(weight, dim=1)


class Noise(nn.Module):
    """Adds Gaussian noise of standard deviation ``std`` while training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x
