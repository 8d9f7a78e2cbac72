"""Checks of the sizes and inputs of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

SIZES = {"latent": "latent_dim"}
"""The attribute of a network that holds the size of an input, where it is not named as the input is."""


def named_inputs(**sizes: int) -> frozenset[str]:
    """Return the names of the inputs with a size other than 0: the attribute ``takes`` of a network."""
    return frozenset(name for name, size in sizes.items() if size)


def check_inputs(network: nn.Module, **inputs: Tensor | None) -> None:
    """Check the named inputs of a network against its attribute ``takes``.

    Sizes are the network's attributes ``latent_dim``, ``classes`` and ``knobs``. An input that has a size but is not in
    ``takes`` may be given too: an auxiliary critic guesses the class and does not need it.

    Args:
        network: the network.
        inputs: every input of its ``forward``, ``[B, size]``; ``None``: not given.

    Raises:
        ValueError: an input is missing, unknown to the network, or of another shape.
    """
    takes, name = cast("frozenset[str]", network.takes), type(network).__name__
    given = {key: value for key, value in inputs.items() if value is not None}
    sizes = {key: cast(int, getattr(network, SIZES.get(key, key), 0)) for key in given}
    if not takes <= given.keys() or not all(key in takes or sizes[key] for key in given):
        expected, got = (", ".join(sorted(keys)) or "none" for keys in (takes, given))
        raise ValueError(f"{name} takes the inputs: {expected}; got: {got}")
    for key, value in given.items():
        check_tensor(network, key, value, (sizes[key],))


def check_tensor(network: nn.Module, name: str, x: Tensor, shape: Sequence[int]) -> None:
    """Raise ``ValueError`` unless the tensor ``name`` has the shape ``[B, *shape]``."""
    if x.dim() != len(shape) + 1 or tuple(x.shape[1:]) != tuple(shape):
        expected = f"[B, {', '.join(map(str, shape))}]"
        raise ValueError(f"{type(network).__name__}: {name}: expected {expected}, got {list(x.shape)}")


def check_sizes(network: nn.Module, **sizes: int) -> None:
    """ValueError that names every size below 1."""
    wrong = [f"{name}={value}" for name, value in sizes.items() if value < 1]
    if wrong:
        raise ValueError(f"{type(network).__name__}: {', '.join(wrong)} must be at least 1")
