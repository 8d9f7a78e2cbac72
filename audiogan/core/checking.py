"""Checks of the values in a checkpoint before a run continues from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from audiogan.core.player import Player
from audiogan.utils.text import join_names, shorten_text

MAX_COUNT = 10**12
"""Largest step or count that a checkpoint may hold. No run reaches it, so a larger number means that the file is
damaged."""


class CheckpointError(ValueError):
    """Error for a checkpoint that is damaged, is not from audiogan, or does not fit the networks or players of the
    run.

    Examples:
        >>> from audiogan.core import CheckpointError, load_state
        >>> try:
        ...     load_state("no-such-file.ckpt")
        ... except CheckpointError as error:
        ...     print("cannot be read" in str(error))
        True
    """


def is_count(value: Any, minimum: int = 0) -> TypeGuard[int]:
    """Return whether `value` is an integer from `minimum` to 10**12."""
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= MAX_COUNT


def check_count(value: Any, name: str, minimum: int = 0) -> int:
    """Return `value` if it is an integer from `minimum` to 10**12.

    Args:
        value: value from a checkpoint.
        name: name of the value for the error message.
        minimum: smallest valid integer.

    Raises:
        CheckpointError: `value` is not such an integer.
    """
    if not is_count(value, minimum):
        raise CheckpointError(f"{name} is {_shortened(value)}; it must be an integer of at least {minimum}")
    return value


def check_duration(value: Any, name: str) -> float:
    """Return `value` if it is a number from 0 to 10**12.

    Args:
        value: duration from a checkpoint, in seconds.
        name: name of the value for the error message.

    Raises:
        CheckpointError: `value` is not such a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        raise CheckpointError(f"{name} is {_shortened(value)}; it must be a number of at least 0")
    return value


def check_running_sums(value: Any, name: str) -> dict[str, tuple[Tensor, int]]:
    """Return ``value`` if it holds valid running sums, from which a callback computes averages.

    Args:
        value: mapping from a name to a pair: a tensor with one element (the sum), and the number of values in the sum.
        name: name of the mapping for the error message.

    Raises:
        CheckpointError: `value` is not such a mapping.
    """
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{name}: {_shortened(value)} is not a mapping")
    for key, pair in value.items():
        pair_fits = isinstance(pair, tuple | list) and len(pair) == 2
        if not (isinstance(key, str) and pair_fits and isinstance(pair[0], Tensor) and pair[0].numel() == 1):
            raise CheckpointError(f"{name}: {_shortened(key)} must be a sum and the number of its values")
        check_count(pair[1], f"{name}: the number of values of {_shortened(key)}", 1)
    return {key: (total, number) for key, (total, number) in value.items()}


def check_weights(weights: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` if any weight is NaN or infinite.

    Args:
        weights: state dict of networks.
    """
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise CheckpointError(f"the weights {name} are not finite")


def check_optimizer_state(player: Player, optimizer: Optimizer, step: int) -> str:
    """Check the state of a player's optimizer after it has been loaded from a checkpoint.

    The check takes one step with a new optimizer of the same class on a parameter of shape ``[2, 3]``. The state of
    the new optimizer shows which values the optimizer must store for each parameter, such as the two moments of Adam.

    Args:
        player: owner of the optimizer.
        optimizer: optimizer with the loaded state.
        step: training step at which the checkpoint was written.

    Returns:
        If the checkpoint lacks the optimizer state of some parameters, a warning that their state starts empty.
        Otherwise, an empty string.

    Raises:
        CheckpointError: the state of a parameter is incomplete or has the wrong shape.
    """
    expected = _example_optimizer_state(player, optimizer)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    missing = 0
    for param in params:
        found = optimizer.state.get(param)
        missing += not found
        for name, example in expected.items():
            if found and not _is_valid_state(found.get(name), example, param):
                raise CheckpointError(f"the optimizer of player {player.name!r} lacks a valid {name!r} of a parameter")
    first = -(-player.active[0] // player.every) * player.every
    moved = first < step and player.is_due(first)
    if not expected or not moved or not missing:
        return ""
    part = "" if missing == len(params) else f" for {missing} of {len(params)} parameters"
    return f"the optimizer of player {player.name!r} has no state in the checkpoint{part}; it starts empty"


def _example_optimizer_state(player: Player, optimizer: Optimizer) -> Mapping[str, Any]:
    """Return the state that the player's kind of optimizer keeps for a parameter of shape ``[2, 3]``. The
    result is empty if a step of the optimizer fails."""
    param = nn.Parameter(torch.zeros(2, 3, device=optimizer.param_groups[0]["params"][0].device))
    try:
        trial = player.optimizer([param])
        param.grad = torch.ones_like(param)
        trial.step()
    except (TypeError, ValueError, RuntimeError):  # Optimizers such as LBFGS need a closure.
        return {}
    return dict(trial.state.get(param) or {})


def _is_valid_state(value: Any, example: Any, param: Tensor) -> bool:
    if not isinstance(example, Tensor):
        return isinstance(value, type(example))
    if not isinstance(value, Tensor):
        return False
    if example.shape == (2, 3):
        return value.shape == param.shape
    # Optimizers store the number of steps as a tensor with one element, which must not be negative.
    if example.numel() == 1:
        return value.numel() == 1 and bool(torch.isfinite(value).all()) and float(value) >= 0
    return True


def _shortened(value: Any) -> str:
    return shorten_text(ascii(value), 60)


def describe_differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], max_differences: int = 3) -> str:
    """Return one line that lists how two state dicts differ in names and shapes.

    Args:
        expected: state dict of the current networks.
        found: state dict from a checkpoint.
        max_differences: largest number of differences in the line.

    Returns:
        The differences, separated by semicolons. An empty string if both state dicts have the same names and shapes.
    """
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name} {list(expected[name].shape)} is not in the checkpoint")
        elif name not in expected:
            lines.append(f"{name} {list(found[name].shape)} is only in the checkpoint")
        elif expected[name].shape != found[name].shape:
            lines.append(f"{name} is {list(expected[name].shape)} now, {list(found[name].shape)} in the checkpoint")
    return join_names(lines, max_differences, "; ")
