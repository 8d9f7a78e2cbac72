"""Check that two models can be evaluated on the same data, for ``audiogan evaluate --baseline``."""

from __future__ import annotations

from typing import Any

from omegaconf import OmegaConf

from audiogan.errors import UserError
from audiogan.model.generator import Generator

TRAINING_ONLY = ("mirror",)
"""Settings of ``data`` that change training examples only. Two runs may differ in these settings."""


def check_comparable(generator: Generator, baseline: Generator, data: str | None) -> None:
    """Raise `UserError` if a baseline cannot be evaluated on the same examples as a model.

    The inputs and outputs of the two models must have the same kinds and shapes, and both models must have the same
    directions of translation. Without ``data``, both models must have the same training data and data settings, so that
    they have the same held-out examples.

    Args:
        generator: the model to evaluate.
        baseline: the model to compare with it.
        data: folder with other real data. With it, the two models may have different training data.
    """

    def refuse(what: str, ours: Any, theirs: Any, advice: str) -> None:
        if ours != theirs:
            raise UserError(f"--baseline {baseline.name}: {what} {theirs}, but {ours} in {generator.name}; {advice}")

    like = "give a run with outputs and inputs of the same kind"
    refuse(
        "the outputs are", _kind(generator.modality, generator.shape), _kind(baseline.modality, baseline.shape), like
    )
    refuse("the inputs are", _inputs(generator), _inputs(baseline), like)
    if generator.game.required_inputs:
        refuse("the generators are", ", ".join(generator.routes), ", ".join(baseline.routes), like)
    if data is not None:
        return
    ours, theirs = _data_settings(generator), _data_settings(baseline)
    for name in dict.fromkeys([*ours, *theirs]):
        advice = "give a run that was trained on the same data, or give other real data with --data FOLDER"
        refuse(f"data.{name} is", ours.get(name), theirs.get(name), advice)


def _kind(modality: Any, shape: Any) -> str:
    return f"{modality.noun}s {list(shape)}"


def _inputs(generator: Generator) -> str:
    """Return a description of the model's inputs that cannot be drawn at random."""
    inputs = generator.game.required_inputs
    return ", ".join(f"{name} {list(getattr(each, 'shape', ()))}" for name, each in inputs.items()) or "random"


def _data_settings(generator: Generator) -> dict[str, Any]:
    data: Any = OmegaConf.to_container(OmegaConf.create(generator.config).data, resolve=False)
    return {name: value for name, value in data.items() if name not in TRAINING_ONLY}
