"""The last hidden layer of a critic, as features of real examples."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from torch import Tensor, nn

from audiogan.games.calling import call_network, input_names


def last_hidden_layer(critic: nn.Module, x: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the critic's last hidden layer ``[B, D]``.

    This is the result of the critic's method ``features``. Without this method, it is the input of the linear layer
    with one output.

    Args:
        critic: network from ``x`` and its named inputs to logits.
        x: batch in the form that the critic receives, ``[B, ...]``.
        inputs: inputs of the critic by name.

    Raises:
        ValueError: the critic has neither a method ``features`` nor a linear layer with one output.
    """
    if hasattr(critic, "features"):
        known = inspect.signature(critic.features).parameters  # type: ignore[arg-type]
        names = (input_names(critic) & set(known)) - {"classes"}
        return critic.features(x, **{name: inputs[name] for name in names}).flatten(1)  # type: ignore[operator]
    caught: list[Tensor] = []
    scores = [layer for layer in critic.modules() if isinstance(layer, nn.Linear) and layer.out_features == 1]
    hooks = [layer.register_forward_pre_hook(lambda layer, args: caught.append(args[0])) for layer in scores]
    try:
        call_network(critic, inputs, x)
    finally:
        for hook in hooks:
            hook.remove()
    if not caught:
        raise ValueError(f"{type(critic).__name__} has neither features(x) nor a linear layer with one output")
    return caught[-1].flatten(1)
