"""How far an output of convolutions can depend on their input."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple


class Layer(NamedTuple):
    """Sizes of a convolution along one dimension; transposed with kernel and stride 2 is nearest upsampling."""

    kernel: int
    stride: int = 1
    padding: int = 0
    transposed: bool = False


def receptive_field(layers: Sequence[Layer]) -> int:
    """Return how far to either side an output of successive layers can depend on the input, in samples or pixels.

    Input and output have the same size: strides up and down cancel.
    """
    furthest = 0
    for place in range(prod(layer.stride for layer in layers if layer.transposed)):
        low = high = place
        for kernel, stride, padding, transposed in reversed(layers):
            if transposed:  # output = stride * input - padding + 0 ... kernel - 1
                low, high = -((kernel - 1 - padding - low) // stride), (high + padding) // stride
            else:
                low, high = low * stride - padding, high * stride - padding + kernel - 1
        furthest = max(furthest, place - low, high - place)
    return furthest
