"""Functions that call networks with named inputs, and check that a network and the inputs of a game match."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from audiogan.inputs import Classes, Input, Knobs, Latent, Scale
from audiogan.inputs.scale import QUANTILES
from audiogan.representations import Representation


def input_names(network: Any) -> frozenset[str]:
    """Return the names of the inputs that a network takes, from its attribute ``takes``.

    Raises:
        ValueError: the network has no attribute ``takes``.

    Examples:
        >>> from audiogan.games.calling import input_names
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> sorted(input_names(MLPGenerator((2,), classes=3)))
        ['classes', 'latent']
    """
    names = getattr(network, "takes", None)
    if names is None or isinstance(names, str):
        name = type(network).__name__
        raise ValueError(f"{name} has no attribute `takes`: the names of its inputs, such as frozenset({{'latent'}})")
    return frozenset(names)


def check_input_names(network: Any, inputs: Iterable[str]) -> None:
    """Raise ``ValueError`` if a network takes an input that is not among the inputs of the game.

    Examples:
        >>> from audiogan.games.calling import check_input_names
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> check_input_names(MLPGenerator((2,)), ["latent", "classes"])  # no error: the network takes only the latent
    """
    wanted, inputs = input_names(network), list(inputs)
    if missing := sorted(wanted - set(inputs)):
        name = type(network).__name__
        raise ValueError(
            f"{name} takes {', '.join(sorted(wanted))}, but {', '.join(missing)} is not among the inputs of this game: "
            f"{', '.join(inputs) or 'none'}{missing_input_hint(missing[0])}"
        )


def missing_input_hint(name: str) -> str:
    """Return a hint for an error message that explains how to add the missing input ``name``.

    Examples:
        >>> from audiogan.games.calling import missing_input_hint
        >>> missing_input_hint("classes")
        '; the data has no labels, or the setting is classes=0'
    """
    hints = {
        "classes": "; the data has no labels, or the setting is classes=0",
        "knobs": "; the data has no knobs",
        "latent": "; give the generator an attribute latent_dim, or add inputs.latent to the configuration",
    }
    return hints.get(name, f"; add it to the configuration: inputs.{name}")


def call_network(
    network: nn.Module, inputs: Mapping[str, Tensor], *x: Tensor, names: frozenset[str] | None = None
) -> Any:
    """Call a network with the inputs that it takes, and return its output.

    Args:
        network: network with an attribute ``takes``.
        inputs: tensors by name. Only those that the network takes are passed, as keyword arguments.
        x: positional arguments, such as the signals for a critic.
        names: names of the inputs to pass. By default, the names in the attribute ``takes``.

    Examples:
        >>> import torch
        >>> from audiogan.games import call_network
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> inputs = {"latent": torch.zeros(4, 8), "classes": torch.eye(4)}
        >>> call_network(MLPGenerator((2,), latent_dim=8), inputs).shape  # the network takes no classes
        torch.Size([4, 2])
    """
    return network(*x, **{name: inputs[name] for name in (input_names(network) if names is None else names)})


def inputs_from_attributes(generator: Any) -> dict[str, Input]:
    """Return the inputs that a generator needs, derived from its attributes.

    ``latent_dim`` and ``latent`` (the distribution) define a `Latent`. The numbers ``classes`` and ``knobs`` define
    `Classes` and `Knobs` with placeholder names.

    Examples:
        >>> from audiogan.games.calling import inputs_from_attributes
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> inputs = inputs_from_attributes(MLPGenerator((2,), latent_dim=8, classes=3))
        >>> {name: each.shape for name, each in inputs.items()}
        {'latent': (8,), 'classes': (3,)}
    """
    found: dict[str, Input] = {}
    names = input_names(generator)
    if "latent" in names and hasattr(generator, "latent_dim"):
        found["latent"] = Latent(shape=generator.latent_dim, distribution=getattr(generator, "latent", "normal"))
    if "classes" in names and getattr(generator, "classes", None):
        found["classes"] = Classes(labels=[str(i) for i in range(generator.classes)])
    if "knobs" in names and getattr(generator, "knobs", None):
        line = torch.linspace(0, 1, QUANTILES, dtype=torch.float64).numpy()
        scale = Scale(tuple(f"knob {i + 1}" for i in range(generator.knobs)), line[None].repeat(generator.knobs, 0))
        found["knobs"] = Knobs(scale=scale)
    return found


def check_input_sizes(network: Any, inputs: Mapping[str, Input]) -> None:
    """Raise ``ValueError`` if a network was built for a different number of classes or knobs than the inputs have.

    Examples:
        >>> from audiogan.games.calling import check_input_sizes
        >>> from audiogan.inputs import Classes
        >>> from audiogan.networks.mlp import MLPGenerator
        >>> check_input_sizes(MLPGenerator((2,), classes=2), {"classes": Classes(labels=["kick", "snare"])})  # no error
    """
    for name, given in inputs.items():
        built = getattr(network, name, None)
        if name in input_names(network) and isinstance(built, int) and given.shape[0] != built:
            raise ValueError(f"{type(network).__name__} has {built} {name}, but the data has {given.shape[0]}")


def check_shape(network: nn.Module, representation: Representation) -> None:
    """Raise ``ValueError`` if a network has an attribute ``shape`` that differs from the representation's shape.

    Examples:
        >>> from audiogan.games.calling import check_shape
        >>> from audiogan.networks.mlp import MLPCritic
        >>> from audiogan.representations import Identity
        >>> check_shape(MLPCritic((1, 8, 8)), Identity((1, 8, 8)))  # no error: the shapes are equal
    """
    shape = getattr(network, "shape", None)
    if shape is not None and tuple(shape) != tuple(representation.shape):
        given = f"signals of shape {list(representation.signal_shape)} become {list(representation.shape)}"
        name = type(network).__name__
        raise ValueError(f"{name} needs tensors of shape {list(shape)}, but {given}; change the data or the network")


@contextlib.contextmanager
def eval_mode(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode while the block runs.

    If it is already in evaluation mode, nothing is done, because switching the mode of a large network takes about a
    millisecond.

    Examples:
        >>> import torch
        >>> from audiogan.games.calling import eval_mode
        >>> net = torch.nn.Dropout()
        >>> with eval_mode(net):
        ...     print(net.training)
        False
        >>> net.training
        True
    """
    if not net.training:
        yield
        return
    net.eval()
    try:
        yield
    finally:
        net.train()
