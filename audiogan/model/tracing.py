"""A generator as TorchScript: the same operations without Python between them."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import torch
from torch import Tensor, nn

SCALES = 1.0, -1.0, 2.0
"""Factors on the latents at which the traced network is compared with the network.

There are three calls because TorchScript optimises the graph again during the first two.
"""
LARGEST = 4_000_000
"""Number of parameters above which a network is not traced: it spends its time in few, large operations."""


def traced(net: nn.Module, inputs: dict[str, Tensor]) -> nn.Module | None:
    """Return a network as TorchScript, for inputs of these shapes. It gives the same bits.

    In a small network Python takes a third of the time of a call. PyTorch has deprecated TorchScript in favour of
    ``torch.export`` for files (see `audiogan.model.export`) and of ``torch.compile`` for speed. Compilation takes long
    and may change the bits.

    Args:
        net: a network in evaluation mode.
        inputs: its named inputs; each is called by keyword.

    Returns:
        A module that is called by the same keywords; fixed to the shapes of ``inputs``. ``None`` if the network takes
        no ``latent``, if its inputs or its output have an open length, if it is large, if it does not give the same
        bits, or if this version of PyTorch cannot trace it.
    """
    # Vectors have a fixed size. Signals may come in any length, and a traced network has one length.
    if "latent" not in inputs or any(x.dim() > 2 for name, x in inputs.items() if name != "latent"):
        return None
    if None in getattr(net, "shape", ()) or sum(weight.numel() for weight in net.parameters()) > LARGEST:
        return None
    # After any error the network runs as it is, and raises its own errors.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        script: nn.Module = torch.jit.trace(net, example_kwarg_inputs=inputs, check_trace=False)
        trials = [{**inputs, "latent": scale * inputs["latent"]} for scale in SCALES]
        if all(torch.equal(script(**trial), net(**trial)) for trial in trials):
            return script
    return None


class Direct:
    """A traced network in evaluation mode, called without the hooks of ``nn.Module``, which take 2 % of a call."""

    training = False

    def __init__(self, script: Any) -> None:
        self.forward = script._c._get_method("forward")

    def __call__(self, **inputs: Tensor) -> Tensor:
        return self.forward(**inputs)
