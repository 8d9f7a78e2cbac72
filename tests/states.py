"""States of training runs: comparison bit for bit, and changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from audiogan.core import load_newest_checkpoint, load_state


def final(run: Path) -> dict[str, Any]:
    """Return the newest trainer state of a run, without values that depend on the clock."""
    _, state, damaged = load_newest_checkpoint(run / "checkpoints")
    assert not damaged
    return comparable(state["trainer"])


def state_at(run: Path, step: int) -> dict[str, Any]:
    """Return the state of the trainer at a step, as `final` does."""
    return comparable(load_state(run / f"checkpoints/step-{step:08d}.ckpt")["trainer"])


def with_value(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a copy of a nested dictionary with another value at a dotted key."""
    made = node = copy.deepcopy(config)
    *path, last = key.split(".")
    for name in path:
        node = node[name]
    node[last] = value
    return made


def comparable(trainer: dict[str, Any]) -> dict[str, Any]:
    trainer["engine"]["rng"] = trainer["engine"]["rng"]["torch"]  # The other random number generators are not used.
    return {key: value for key, value in trainer.items() if key != "seconds"}


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Compare two states bit by bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}.{i}")
    else:
        assert a == b, where
