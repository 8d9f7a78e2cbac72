"""The `Recipe` class: the input values of one sample, stored as plain values in files and links."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from audiogan.errors import UserError
from audiogan.inputs.latent import slerp
from audiogan.utils.text import printable

MAX_LATENT_VALUES = 4096
"""Maximum number of latent values in a recipe."""
MAX_CHARACTERS, MAX_ENTRIES, MAX_NAME_LENGTH = 1 << 20, 10_000, 1_000
"""Limits of an untrusted recipe. ``MAX_CHARACTERS``: characters of its JSON text. ``MAX_ENTRIES``: entries of
``classes``, and of ``knobs``. ``MAX_NAME_LENGTH``: characters of a name."""
MAX_NUMBER = 1e6
"""Maximum absolute value of a number in an untrusted recipe."""
MAX_DEPTH, MAX_VALUES = 8, 100_000
"""Limits of ``inputs`` in an untrusted recipe: nesting depth (``MAX_DEPTH``) and number of values (``MAX_VALUES``)."""


@dataclass(frozen=True)
class Recipe:
    """The input values of one sample. Rendering a recipe always gives the same sample.

    Attributes:
        model: name of the model, see `audiogan.load`.
        latent: values of the latent, rounded to single precision. Empty for a model without a latent.
        classes: weights of classes by name. They sum to 1. Empty for a model without classes.
        knobs: settings of all knobs of the model by name, in 0 ... 1.
        seed: seed from which the recipe was drawn. None for a recipe that was varied or interpolated.
        truncation: truncation of the latent, see `Generator.sample`.
        inputs: values of all other inputs by name, as JSON values, see `Input.to_json`. A signal is stored as SHA-256
            and shape.
        signals: float32 arrays of the signals in ``inputs``. They are not stored in the JSON text.

    Examples:
        >>> import audiogan
        >>> recipe = audiogan.Recipe("drums", latent=(0.5, -1.0), classes={"kick": 0.7, "tom": 0.3})
        >>> recipe.label
        'kick'
        >>> audiogan.Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    model: str
    latent: tuple[float, ...] = ()
    classes: Mapping[str, float] = field(default_factory=dict)
    knobs: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    truncation: float | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    signals: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "latent", tuple(np.asarray(self.latent, np.float32).tolist()))

    @property
    def label(self) -> str:
        """Name of the class with the largest weight. Empty for a model without classes."""
        return max(self.classes, key=lambda name: self.classes[name]) if self.classes else ""

    def input_value(self, name: str) -> Any:
        """Return the stored value of the input called `name`, or None if the recipe has no such value."""
        if name in ("classes", "knobs", "latent"):
            return getattr(self, name) or None
        return self.inputs.get(name)

    @property
    def input_names(self) -> set[str]:
        """Names of the inputs for which the recipe stores a value."""
        return {name for name in ("latent", "classes", "knobs") if getattr(self, name)} | set(self.inputs)

    def to_json(self) -> str:
        """Return the recipe as one line of JSON. The latent is encoded as Base64 of little-endian float32 values."""
        latent = base64.b64encode(np.asarray(self.latent, "<f4").tobytes()).decode()
        content = {"model": self.model, "seed": self.seed, "truncation": self.truncation, "classes": dict(self.classes)}
        content |= {"knobs": dict(self.knobs), "latent": latent}
        return json.dumps(content | ({"inputs": dict(self.inputs)} if self.inputs else {}))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Return the recipe that `to_json` wrote. The text may come from an untrusted file or link.

        Raises:
            UserError: the text is not a recipe, or a number or size is out of range.
        """
        try:
            if len(text) > MAX_CHARACTERS:
                raise ValueError(f"it has more than {MAX_CHARACTERS:,} characters")
            content: dict[str, Any] = json.loads(text)
            raw = base64.b64decode(_check_text(content["latent"], MAX_CHARACTERS), validate=True)
            if len(raw) > 4 * MAX_LATENT_VALUES:
                raise ValueError(f"its latent has more than {MAX_LATENT_VALUES} numbers")
            truncation = content.get("truncation")
            if truncation is not None and not _check_number(truncation) > 0:
                raise ValueError(f"its truncation {truncation} is not more than 0")
            return cls(
                model=_check_text(content["model"], 4 * MAX_NAME_LENGTH),
                latent=tuple(_check_number(x) for x in np.frombuffer(raw, "<f4").tolist()),
                classes=_check_weights(content.get("classes", {})),
                knobs=_check_weights(content.get("knobs", {})),
                seed=_check_seed(content.get("seed")),
                truncation=None if truncation is None else float(truncation),
                inputs=_check_inputs(content.get("inputs", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
            raise UserError(f"not a recipe: {printable(str(error)[:120])}") from error

    def vary(self, amount: float, rng: np.random.Generator) -> Recipe:
        """Return a recipe with a latent near the latent of this recipe. All other inputs stay the same.

        The latent and standard normal noise are mixed with the weights ``cos(a)`` and ``sin(a)``, where ``a`` is
        ``amount`` times 90 degrees. If the latent is standard normal, so is the result.

        Args:
            amount: distance in 0 ... 1. 0 returns the same recipe, 1 an independent latent.
            rng: source of the noise.

        Raises:
            UserError: ``amount`` is out of range.
        """
        if not 0 <= amount <= 1:
            raise UserError(f"amount={amount} must be from 0 to 1")
        scale, noise_scale = math.cos(amount * math.pi / 2), math.sin(amount * math.pi / 2)
        noise = rng.standard_normal(len(self.latent))
        latent = scale * np.array(self.latent) + noise_scale * noise
        return replace(self, latent=tuple(latent), seed=self.seed if amount == 0 else None)

    def interpolate(self, other: Recipe, fraction: float) -> Recipe:
        """Return a recipe between this one and another one.

        The directions of the latents are interpolated on a great circle. The lengths of the latents, the class weights
        and the knobs are interpolated linearly. All other inputs of the two recipes must be equal.

        Args:
            other: recipe of the same model.
            fraction: position in 0 ... 1. 0 returns this recipe, 1 returns ``other``.

        Raises:
            UserError: the recipes belong to different models, or differ in an input other than latent, classes and
                knobs.

        Source:
            White, "Sampling Generative Networks", 2016, section 2.1.
        """
        if self.model != other.model or len(self.latent) != len(other.latent):
            mine, theirs = printable(self.model)[:200], printable(other.model)[:200]
            raise UserError(f"recipes of different models, {mine} and {theirs}, cannot be interpolated")
        if fraction in (0, 1):
            return other if fraction else self
        if different := [name for name in self.inputs if self.inputs[name] != other.inputs.get(name)]:
            raise UserError(f"recipes with different values of {', '.join(different)} cannot be interpolated")

        def mixed(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
            return {
                k: (1 - fraction) * a.get(k, 0.0) + fraction * b.get(k, 0.0)
                for k in [*a, *(k for k in b if k not in a)]
            }

        z = slerp(np.array(self.latent), np.array(other.latent), fraction)
        return replace(
            self,
            latent=tuple(z),
            classes={name: weight for name, weight in mixed(self.classes, other.classes).items() if weight > 0},
            knobs=mixed(self.knobs, other.knobs),
            seed=None,
        )


def _check_text(value: Any, longest: int = MAX_NAME_LENGTH) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise TypeError(f"{str(value)[:40]!r} is not a text of at most {longest:,} characters")
    return value


def _check_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise TypeError(f"{str(value)[:40]} is not a finite number from {-MAX_NUMBER:g} to {MAX_NUMBER:g}")
    return float(value)


def _check_weights(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        raise TypeError(f"classes and knobs are mappings of at most {MAX_ENTRIES:,} names to numbers")
    return {_check_text(name): _check_number(x) for name, x in value.items()}


def _check_inputs(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES:
        raise TypeError("inputs are a mapping of names to values")
    left = [MAX_VALUES]

    def check(node: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth > MAX_DEPTH:
            raise ValueError("its inputs are too large")
        if isinstance(node, dict):
            return {_check_text(name): check(x, depth + 1) for name, x in node.items()}
        if isinstance(node, list):
            return [check(x, depth + 1) for x in node]
        if isinstance(node, str):
            return _check_text(node, MAX_CHARACTERS)
        if node is not None and not isinstance(node, bool):
            _check_number(node)
        return node

    return {_check_text(name): check(x, 0) for name, x in value.items()}


def _check_seed(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63):
        raise TypeError(f"{str(value)[:40]} is not a seed, a whole number from 0 to 2**63 - 1")
    return value
