"""Measurement of the receptive field of a network by perturbing its input."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def reach(network: Any, height: int, width: int) -> int:
    """Return the largest distance in pixels between a changed column of the source and a changed column of the output.

    Weights are drawn so that signals neither fade nor saturate.
    """
    network = network.double().eval()
    furthest = 0
    for seed in range(3):
        torch.manual_seed(seed)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=1.5 * (module.in_channels * module.weight[0, 0].numel()) ** -0.5)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=0.1)
        source = torch.randn(1, network.source_channels, height, width, dtype=torch.float64)
        changed = source.repeat(width, 1, 1, 1)
        for column in range(width):
            changed[column, :, :, column] += 1.0
        with torch.no_grad():
            out = network(source=torch.cat([source, changed]))
        touched = (out[1:] != out[:1]).flatten(1, 2).any(1)  # [changed column, column of the output]
        columns = torch.arange(width)
        furthest = max(furthest, int((columns[:, None] - columns)[touched].abs().max()))
    return furthest
