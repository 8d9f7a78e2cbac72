"""A network without Python between its operations."""

from __future__ import annotations

import contextlib
import warnings

import torch
from torch import Tensor, nn

SCALES = 1.0, -1.0, 2.0
"""By what latents are multiplied to see whether the two agree."""
LARGEST = 4_000_000
"""Parameters. Larger networks spend their time in few, large operations: nothing would be gained."""


def traced(net: nn.Module, z: Tensor, condition: Tensor) -> nn.Module | None:
    """``net`` for latents and conditions of these shapes as TorchScript: the same operations, hence the same bits.

    What Python does between small operations takes a third of a small network's time. TorchScript is deprecated in
    favour of `torch.compile`, which takes long to compile and need not keep the bits; so there may be none one day.

    Returns:
        ``None`` where the network is large, where there is no TorchScript, or where it does not agree to the bit (of
        networks that draw random numbers, say).
    """
    if sum(weight.numel() for weight in net.parameters()) > LARGEST:
        return None
    # Any error: the network then runs as it is, and fails there if the fault is its own.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        script: nn.Module = torch.jit.trace(net, (z, condition), check_trace=False)
        # Thrice, as it is made over while it is run for the first times.
        if all(torch.equal(script(scale * z, condition), net(scale * z, condition)) for scale in SCALES):
            return script
    return None
