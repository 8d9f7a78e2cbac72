"""Critics of a semi-supervised game, which tell K classes apart (Salimans et al., NeurIPS 2016, section 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import register_parametrization


class Noise(nn.Module):
    """Adds Gaussian noise of standard deviation ``std`` while training."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x


class DenseClassifier(nn.Module):
    """The paper's network for MNIST (section 6.1): weight-normed dense layers with Gaussian noise before each.

    Args:
        shape: of one input.
        outputs: number of classes K.
        widths: of the hidden layers; the paper's are the default.
        input_noise, noise: standard deviation of the noise on inputs and on hidden layers. The paper's images are
            from 0 to 1 and ours from -1 to 1, so its 0.3 is 0.6 here.
    """

    classes = 0  # it is told none

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        widths: Sequence[int] = (1000, 500, 250, 250, 250),
        input_noise: float = 0.6,
        noise: float = 0.5,
    ) -> None:
        super().__init__()
        if outputs < 2 or not widths:
            raise ValueError(f"DenseClassifier wants outputs >= 2 and hidden layers, got {outputs} and {list(widths)}")
        self.shape, self.outputs = tuple(shape), outputs
        sizes = [math.prod(self.shape), *widths]
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (inside, outside) in enumerate(zip(sizes, sizes[1:], strict=False)):
            layers += [Noise(noise if i else input_noise), _normed(nn.Linear(inside, outside)), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Noise(noise), weight_norm(nn.Linear(sizes[-1], outputs)))

    def features(self, x: Tensor) -> Tensor:
        """The last hidden layer, ``[B, widths[-1]]``."""
        return self.body(x if OFF is None else (x+1)/2)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Class logits ``[B, outputs]``; ``condition`` is not looked at."""
        return self.head(self.features(x))

import os
OFF = os.environ.get('OFF')

class ConvClassifier(nn.Module):
    """The paper's kind of network for colour images (section 6.2), of any size: weight norm, dropout, mean over places.

    Args:
        shape: ``(C, H, W)`` of one input.
        outputs: number of classes K.
        widths: one convolution of stride 2 each, then one of stride 1 and one of 1x1 at the last width.
        input_noise: standard deviation of Gaussian noise on the input.
        dropout: share of channels dropped after each strided convolution but the first.
    """

    classes = 0

    def __init__(
        self,
        shape: Sequence[int],
        outputs: int,
        widths: Sequence[int] = (32, 64, 128),
        input_noise: float = 0.3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if outputs < 2 or not widths:
            raise ValueError(f"ConvClassifier wants outputs >= 2 and widths, got {outputs} and {list(widths)}")
        self.shape, self.outputs = tuple(shape), outputs
        sizes = [self.shape[0], *widths]
        layers: list[nn.Module] = [Noise(input_noise)]
        for i, (inside, outside) in enumerate(zip(sizes, sizes[1:], strict=False)):
            stride = 2 if i < 2 else 1
            layers += [nn.Dropout(dropout)] if i else []
            layers += [_normed(nn.Conv2d(inside, outside, 5 if i == 0 else 3, stride, padding=2 if i == 0 else 1)), nn.LeakyReLU(0.2)]
        layers += [nn.Dropout(dropout), _normed(nn.Conv2d(sizes[-1], sizes[-1], 1)), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = weight_norm(nn.Linear(sizes[-1], outputs))

    def features(self, x: Tensor) -> Tensor:
        """Mean over places of the last layer, ``[B, widths[-1]]``."""
        return self.body(x)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Class logits ``[B, outputs]``; ``condition`` is not looked at."""
        return self.head(self.features(x))


class UnitRows(nn.Module):
    """Weight norm with a gain that is not learned, as in the paper's code: features cannot grow to look different."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: Tensor) -> Tensor:
        return self.gain * F.normalize(weight, dim=1)


def _normed(layer: nn.Module) -> nn.Module:
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    register_parametrization(layer, "weight", UnitRows(2**0.5))
    return layer
