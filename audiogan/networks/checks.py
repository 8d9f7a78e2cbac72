"""Checks of constructor arguments and inputs, for authors of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

SIZE_ATTRIBUTES = {"latent": "latent_dim"}
"""Mapping from an input's name to the network attribute that contains its size, if the two names differ."""


def input_names(**sizes: int) -> frozenset[str]:
    """Return the names of all inputs with a nonzero size. The result is the attribute ``takes`` of a network."""
    return frozenset(name for name, size in sizes.items() if size)


def check_inputs(network: nn.Module, **inputs: Tensor | None) -> None:
    """Check that the inputs of a network match its attributes ``takes``, ``latent_dim``, ``classes`` and ``knobs``.

    Inputs with a nonzero size that are not in ``takes`` are optional. For example, a critic with an auxiliary
    classifier accepts classes but does not need them.

    Args:
        network: the network.
        inputs: inputs of its ``forward``, each ``[B, size]``, or ``None`` for inputs that were not given.

    Raises:
        ValueError: An input is missing, is unknown to the network, or has the wrong shape.
    """
    takes, name = cast("frozenset[str]", network.takes), type(network).__name__
    given = {key: value for key, value in inputs.items() if value is not None}
    sizes = {key: cast(int, getattr(network, SIZE_ATTRIBUTES.get(key, key), 0)) for key in given}
    if not takes <= given.keys() or not all(key in takes or sizes[key] for key in given):
        expected, got = (", ".join(sorted(keys)) or "none" for keys in (takes, given))
        raise ValueError(f"{name} takes the inputs: {expected}; got: {got}")
    for key, value in given.items():
        check_tensor(network, key, value, (sizes[key],))


def check_tensor(network: nn.Module, name: str, x: Tensor, shape: Sequence[int]) -> None:
    """Raise ``ValueError`` unless the tensor ``x`` has the shape ``[B, *shape]``. ``name`` is its name in the
    message."""
    if x.dim() != len(shape) + 1 or tuple(x.shape[1:]) != tuple(shape):
        expected = f"[B, {', '.join(map(str, shape))}]"
        raise ValueError(f"{type(network).__name__}: {name}: expected {expected}, got {list(x.shape)}")


def check_sizes(network: nn.Module, **sizes: int) -> None:
    """Raise ``ValueError`` if an argument in ``sizes`` is below 1. The message lists all such arguments."""
    wrong = [f"{name}={value}" for name, value in sizes.items() if value < 1]
    if wrong:
        raise ValueError(f"{type(network).__name__}: {', '.join(wrong)} must be at least 1")
