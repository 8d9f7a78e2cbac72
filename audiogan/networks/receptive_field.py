"""Receptive field of a stack of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple


class Layer(NamedTuple):
    """Kernel size, stride and padding of a convolution along one dimension, in samples or pixels.

    A transposed convolution with kernel 2 and stride 2 represents nearest-neighbour upsampling.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    transposed: bool = False


def receptive_field(layers: Sequence[Layer]) -> int:
    """Return the largest distance between an output and an input that it depends on, in samples or pixels.

    Args:
        layers: layers of the network, in order. The output of the network must have the size of its input.
    """
    furthest = 0
    for place in range(prod(layer.stride for layer in layers if layer.transposed)):
        low = high = place
        for kernel, stride, padding, transposed in reversed(layers):
            if transposed:  # Input i affects `kernel` outputs. The first has the index stride * i - padding.
                low, high = -((kernel - 1 - padding - low) // stride), (high + padding) // stride
            else:
                low, high = low * stride - padding, high * stride - padding + kernel - 1
        furthest = max(furthest, place - low, high - place)
    return furthest
