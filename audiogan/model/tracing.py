"""Tracing of networks with TorchScript, which removes the Python code between PyTorch operations."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import torch
from torch import Tensor, nn

TEST_FACTORS = 1.0, -1.0, 2.0
"""Factors of the example latent in the three calls that compare the traced network with the original network.

Three calls are needed because TorchScript optimises the graph again during the first two.
"""
MAX_PARAMETERS = 4_000_000
"""Maximum number of parameters of a network that is traced. Larger networks spend little of their time in Python."""


def trace_network(network: nn.Module, inputs: dict[str, Tensor]) -> nn.Module | None:
    """Trace a network with TorchScript, if the traced network gives bit-identical outputs.

    Tracing removes the Python code between operations, which takes a third of the time of a call in a small network.
    PyTorch has deprecated TorchScript in favour of ``torch.export`` for files (see `audiogan.model.export`) and of
    ``torch.compile`` for speed. TorchScript is used here, because ``torch.compile`` takes long and may change outputs
    slightly.

    Args:
        network: network in evaluation mode.
        inputs: example inputs by name.

    Returns:
        Traced module for inputs of the same shapes, called with the same keywords. None if the network takes no
        ``latent``, if an input or the output has a variable length, if the network has more than `MAX_PARAMETERS`
        parameters, if the outputs are not bit-identical, or if tracing fails.
    """
    # Networks with signal inputs are not traced, because a traced network supports only the signal length of its
    # example.
    if "latent" not in inputs or any(x.dim() > 2 for name, x in inputs.items() if name != "latent"):
        return None
    if None in getattr(network, "shape", ()) or sum(weight.numel() for weight in network.parameters()) > MAX_PARAMETERS:
        return None
    # Errors are ignored, because the caller then runs the original network, which raises the error again.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        script: nn.Module = torch.jit.trace(network, example_kwarg_inputs=inputs, check_trace=False)
        trials = [{**inputs, "latent": scale * inputs["latent"]} for scale in TEST_FACTORS]
        if all(torch.equal(script(**trial), network(**trial)) for trial in trials):
            return script
    return None


class TracedNetwork:
    """A traced network called without the hooks of ``nn.Module``, which take 2 % of the time of a call."""

    training = False

    def __init__(self, script_module: Any) -> None:
        self.forward = script_module._c._get_method("forward")

    def __call__(self, **inputs: Tensor) -> Tensor:
        return self.forward(**inputs)
