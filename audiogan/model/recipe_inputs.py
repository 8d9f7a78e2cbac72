"""Conversion between recipes and tensors of input values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiogan.errors import UserError
from audiogan.inputs import Input
from audiogan.model.recipe import Recipe
from audiogan.utils.text import printable

BATCH = 16
"""Number of samples in a batch on devices other than the CPU."""


def concatenate_signals(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return batches ``[n, ..., T]`` as one array. Sounds of several lengths are extended by silence.

    Examples:
        >>> import numpy as np
        >>> from audiogan.model.recipe_inputs import concatenate_signals
        >>> concatenate_signals([np.ones((1, 1, 3)), np.ones((2, 1, 5))]).shape
        (3, 1, 5)
    """
    longest = max(part.shape[-1] for part in parts)
    if any(part.shape[-1] != longest for part in parts):
        margins = [[(0, 0)] * (part.ndim - 1) + [(0, longest - part.shape[-1])] for part in parts]
        parts = [np.pad(part, margin) for part, margin in zip(parts, margins, strict=True)]
    return np.concatenate(parts)


def recipe_from_values(
    inputs: Mapping[str, Input],
    values: Mapping[str, Tensor],
    model: str,
    seed: int | None = None,
    truncation: float | None = None,
) -> Recipe:
    """Return the recipe of one sample.

    Args:
        inputs: inputs of the model by name.
        values: values ``[1, ...]`` of these inputs by name.
        model: name of the model.
        seed: seed from which the values were drawn, or None.
        truncation: truncation of the latent, see `Generator.sample`, or None.
    """
    latent: list[float] = []
    stored: dict[str, Any] = {}
    signals = {}
    for name, given in inputs.items():
        value = values[name][0]
        if name == "latent":
            latent = (value if value.dim() == 1 else value.flatten()).tolist()
            continue
        stored[name] = given.to_json(value)
        if not given.drawable:
            signals[name] = value
    classes, knobs = stored.pop("classes", {}), stored.pop("knobs", {})
    return Recipe(model, tuple(latent), classes, knobs, seed, truncation, stored, signals)


def parse_inputs(
    generator: Any, label: Any = None, knobs: Mapping[str, float] | None = None, inputs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Convert arguments of `Generator.sample` to tensors by input name. A list of signals becomes a list of tensors."""
    values = {"classes": label, "knobs": knobs or None, **(inputs or {})}
    requested: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        if name not in generator.inputs and name in ("classes", "knobs"):
            shown = f"class {value!r}" if isinstance(value, str) else f"{name} {', '.join(map(str, value))}"
            raise UserError(f"{shown}: {generator.name} was trained without {name}; leave it out")
        given = generator.game.get_input(name)
        several = isinstance(value, list | tuple) and not given.drawable
        try:
            requested[name] = [given.parse(each) for each in value] if several else given.parse(value)
        except (TypeError, ValueError) as error:  # Inputs from outside the package may raise these.
            raise error if isinstance(error, UserError) else UserError(f"{name}={value!r}: {error}") from error
    return requested


def input_values(inputs: Mapping[str, Input], recipes: Sequence[Recipe], model: str) -> dict[str, Tensor]:
    """Return a dict from input name to the values ``[B, ...]`` of recipes.

    Args:
        inputs: inputs of the model by name.
        recipes: recipes with values for all inputs.
        model: name of the model for error messages.

    Raises:
        UserError: a recipe does not fit the model, or a signal is missing.
    """
    names, size = set(inputs), 0
    if "latent" in inputs:
        size = math.prod(inputs["latent"].shape)  # type: ignore[arg-type]
    for recipe in recipes:
        if len(recipe.latent) != size:
            raise UserError(
                f"{model}: expected a latent of {size} values, but that of the recipe has {len(recipe.latent)}"
            )
        if recipe.input_names != names:
            raise UserError(f"{model}: the recipe belongs to another model, with {_describe_inputs(recipe)}")
    values: dict[str, Tensor] = {}
    for name, each in inputs.items():
        if name == "latent":
            latents = torch.from_numpy(np.array([recipe.latent for recipe in recipes], np.float32))
            values[name] = latents.reshape(-1, *each.shape)  # type: ignore[arg-type]
            continue
        parts = [r.signals[name] if name in r.signals else each.from_json(r.input_value(name)) for r in recipes]
        values[name] = torch.stack(parts) if len(parts) > 1 else parts[0][None]
    return values


def attach_signals(inputs: Mapping[str, Input], recipes: Sequence[Recipe], signals: Mapping[str, Any]) -> list[Recipe]:
    """Return copies of recipes with signals attached. A recipe read from a file contains only the SHA-256 of a signal.

    Args:
        inputs: inputs of the model by name.
        recipes: recipes of the model.
        signals: values accepted by `Input.parse`, by input name: one value, or a list with one for each recipe.

    Raises:
        UserError: a signal is not the one with which a recipe was made, or the input is not a signal.
    """
    made = list(recipes)
    for name, value in signals.items():
        each = inputs[name]
        if each.drawable:
            raise UserError(f"{name}: the recipe already contains its value; leave it out")
        several = isinstance(value, list | tuple)
        if several and len(value) != len(made):
            raise UserError(f"{name}: {len(value)} values for {len(made)} recipes; give one, or one for each")
        parsed = [each.parse(one) for one in (value if several else [value])]
        for i, recipe in enumerate(made):
            signal = parsed[i if several else 0]
            if name in recipe.inputs and recipe.inputs[name] != each.to_json(signal):
                stored = printable(json.dumps(recipe.inputs[name]))[:120]
                raise UserError(f"{name}: differs from the signal of the recipe; give the one with {stored}")
            made[i] = replace(recipe, signals={**recipe.signals, name: signal})
    return made


def _describe_inputs(recipe: Recipe) -> str:
    """Return a description of the inputs of a recipe for error messages."""
    parts = []
    for name in sorted(recipe.input_names):
        value = recipe.input_value(name)
        inside = f" ({', '.join(map(str, value))})" if isinstance(value, Mapping) else ""
        parts.append(printable(f"{name}{inside}")[:200])
    return ", ".join(parts) or "no inputs"


def batch_recipes(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """Return recipes in batches with equal truncation."""
    groups = [list(group) for _, group in groupby(recipes, key=lambda recipe: recipe.truncation)]
    return [group[i : i + BATCH] for group in groups for i in range(0, len(group), BATCH)]
