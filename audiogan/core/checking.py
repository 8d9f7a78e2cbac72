"""Checks of the values in a checkpoint before a training continues from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from audiogan.core.player import Player
from audiogan.utils.text import join_names, shorten_text

LARGEST = 10**12
"""Largest count that a checkpoint may hold. A training never gets this far."""


class CheckpointError(ValueError):
    """A checkpoint is damaged, foreign or does not fit."""


def is_count(value: Any, minimum: int = 0) -> TypeGuard[int]:
    """Return whether `value` is a whole number from `minimum` to 10**12."""
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= LARGEST


def check_count(value: Any, name: str, minimum: int = 0) -> int:
    """Return `value` if it is a whole number from `minimum` to 10**12. Raises `CheckpointError` otherwise."""
    if not is_count(value, minimum):
        raise CheckpointError(f"{name} is {_short(value)}, not a whole number from {minimum}")
    return value


def check_duration(value: Any, name: str) -> float:
    """Return `value` if it is a finite number that is not negative. Raises `CheckpointError` otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise CheckpointError(f"{name} is {_short(value)}, not a number from 0")
    return value


def check_sums(value: Any, name: str) -> dict[str, tuple[Tensor, int]]:
    """Return running sums: scalar tensors and how many values each adds up, by name.

    Raises:
        CheckpointError: `value` is anything else.
    """
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{name}: {_short(value)} is no mapping")
    for key, pair in value.items():
        pair_fits = isinstance(pair, tuple | list) and len(pair) == 2
        if not (isinstance(key, str) and pair_fits and isinstance(pair[0], Tensor) and pair[0].numel() == 1):
            raise CheckpointError(f"{name}: {_short(key)} is not the sum of a figure")
        check_count(pair[1], f"{name}: the number of values of {_short(key)}", 1)
    return {key: (total, number) for key, (total, number) in value.items()}


def check_weights(weights: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` if any weight is NaN or infinite."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise CheckpointError(f"the weights {name} are not finite")


def check_optimizer(player: Player, optimizer: Optimizer, step: int) -> str:
    """Check the state of an optimizer that was loaded from a checkpoint of `step`.

    A trial step on a small parameter shows which values this kind of optimizer keeps.

    Returns:
        A line for the user if values are missing, as the optimizer then starts anew; otherwise an empty string.

    Raises:
        CheckpointError: a value is missing for a parameter that has others, or has the wrong shape.
    """
    expected = _trial(player, optimizer)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    missing = 0
    for param in params:
        found = optimizer.state.get(param)
        missing += not found
        for name, example in expected.items():
            if found and not _alike(found.get(name), example, param):
                raise CheckpointError(f"the optimizer of player {player.name!r} has no valid {name!r} for a parameter")
    first = -(-player.active[0] // player.every) * player.every
    moved = first < step and player.is_due(first)
    if not expected or not moved or not missing:
        return ""
    part = "" if missing == len(params) else f" for {missing} of {len(params)} parameters"
    return f"the optimizer of player {player.name!r} has no state in the checkpoint{part} and starts anew there"


def _trial(player: Player, optimizer: Optimizer) -> Mapping[str, Any]:
    """What the optimizer of `player` keeps of a parameter of shape [2, 3]; empty if that is not known."""
    param = nn.Parameter(torch.zeros(2, 3, device=optimizer.param_groups[0]["params"][0].device))
    try:
        trial = player.optimizer([param])
        param.grad = torch.ones_like(param)
        trial.step()
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # such as LBFGS, which needs a closure
        return {}
    return dict(trial.state.get(param) or {})


def _alike(value: Any, example: Any, param: Tensor) -> bool:
    if not isinstance(example, Tensor):
        return isinstance(value, type(example))
    if not isinstance(value, Tensor):
        return False
    if example.shape == (2, 3):
        return value.shape == param.shape
    if example.numel() == 1:  # the number of steps, by which some optimizers divide
        return value.numel() == 1 and bool(torch.isfinite(value).all()) and float(value) >= 0
    return True


def _short(value: Any) -> str:
    return shorten_text(ascii(value), 60)


def describe_differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], max_lines: int = 3) -> str:
    """One line naming how two state dicts differ in names and shapes; empty if they don't."""
    lines = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            lines.append(f"{name} {list(expected[name].shape)} is new")
        elif name not in expected:
            lines.append(f"{name} {list(found[name].shape)} is only in the checkpoint")
        elif expected[name].shape != found[name].shape:
            lines.append(f"{name} is {list(expected[name].shape)} now, {list(found[name].shape)} in the checkpoint")
    return join_names(lines, max_lines, "; ")
