"""Recipes: all that is needed to make a sound again, or one near it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from audiogan.errors import UserError
from audiogan.text import printable

LONGEST = 4096
"""Numbers of a latent that are accepted."""
LARGEST, NAMES, NAME = 1 << 20, 10_000, 1_000
"""Characters of a recipe as JSON, entries of its classes and of its knobs, and characters of a name."""
HIGHEST = 1e6
"""Numbers of a recipe are at most this large."""


@dataclass(frozen=True)
class Recipe:
    """What a sound was made of. Two equal recipes make the same sound.

    Attributes:
        model: name of the model, see `audiogan.load`.
        latent: where in the model's space of sounds it lies; rounded to single precision.
        classes: weights of the classes it was asked to be; they sum to 1. Empty for a model that knows none.
        knobs: 0 ... 1 for each of the model's knobs.
        seed: it was drawn from; none for one that was varied or mixed.
        truncation: see `Generator.sample`.
    """

    model: str
    latent: tuple[float, ...]
    classes: Mapping[str, float] = field(default_factory=dict)
    knobs: Mapping[str, float] = field(default_factory=dict)
    seed: int | None = None
    truncation: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "latent", tuple(np.asarray(self.latent, np.float32).tolist()))

    @property
    def label(self) -> str:
        """The class with most weight; empty without."""
        return max(self.classes, key=lambda name: self.classes[name]) if self.classes else ""

    def to_json(self) -> str:
        """One line of JSON; `from_json` makes an equal recipe of it. The latent is Base64 of little-endian float32."""
        latent = base64.b64encode(np.asarray(self.latent, "<f4").tobytes()).decode()
        content = {"model": self.model, "seed": self.seed, "truncation": self.truncation, "classes": dict(self.classes)}
        return json.dumps({**content, "knobs": dict(self.knobs), "latent": latent})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`. The text may come from a stranger's file or link.

        Raises:
            UserError: not a recipe, or a number or size that none has.
        """
        try:
            if len(text) > LARGEST:
                raise ValueError(f"it has more than {LARGEST:,} characters")
            content: dict[str, Any] = json.loads(text)
            raw = base64.b64decode(_text(content["latent"], LARGEST), validate=True)
            if len(raw) > 4 * LONGEST:
                raise ValueError(f"its latent has more than {LONGEST} numbers")
            truncation = content.get("truncation")
            if truncation is not None and not _number(truncation) > 0:
                raise ValueError(f"its truncation {truncation} is not more than 0")
            return cls(
                model=_text(content["model"], 4 * NAME),
                latent=tuple(_number(x) for x in np.frombuffer(raw, "<f4").tolist()),
                classes=_table(content.get("classes", {})),
                knobs=_table(content.get("knobs", {})),
                seed=_seed(content.get("seed")),
                truncation=None if truncation is None else float(truncation),
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
            raise UserError(f"not a recipe of a sound: {printable(str(error)[:120])}") from error

    def varied(self, amount: float, rng: np.random.Generator) -> Recipe:
        """A recipe near this one, of the same class and knobs: 0 is the same, 1 has nothing in common but those.

        Latent and noise are mixed by cosine and sine, so that the outcome is as likely a latent as any.
        """
        if not 0 <= amount <= 1:
            raise UserError(f"amount={amount} must be from 0 to 1")
        here, there = math.cos(amount * math.pi / 2), math.sin(amount * math.pi / 2)
        noise = rng.standard_normal(len(self.latent))
        latent = here * np.array(self.latent) + there * noise
        return replace(self, latent=tuple(latent), seed=self.seed if amount == 0 else None)

    def towards(self, other: Recipe, share: float) -> Recipe:
        """The recipe that lies ``share`` of the way to another: latents on a great circle (White 2016, "Sampling
        Generative Networks", section 2.1), lengths, classes and knobs in a straight line.
        """
        if self.model != other.model or len(self.latent) != len(other.latent):
            mine, theirs = printable(self.model)[:200], printable(other.model)[:200]
            raise UserError(f"a sound of {mine} cannot become one of {theirs}: they are of different models")
        if share in (0, 1):
            return other if share else self

        def mixed(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
            return {k: (1 - share) * a.get(k, 0.0) + share * b.get(k, 0.0) for k in [*a, *(k for k in b if k not in a)]}

        z = _slerp(np.array(self.latent), np.array(other.latent), share)
        return Recipe(
            self.model,
            tuple(z),
            {name: weight for name, weight in mixed(self.classes, other.classes).items() if weight > 0},
            mixed(self.knobs, other.knobs),
            None,
            self.truncation,
        )


def _slerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    la, lb = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not la or not lb:
        return (1 - share) * a + share * b
    angle = math.acos(float(np.clip(a @ b / (la * lb), -1, 1)))
    if math.sin(angle) < 1e-6:
        return (1 - share) * a + share * b
    direction = (math.sin((1 - share) * angle) * a / la + math.sin(share * angle) * b / lb) / math.sin(angle)
    return ((1 - share) * la + share * lb) * direction


def _text(value: Any, longest: int = NAME) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise TypeError(f"{str(value)[:40]!r} is not a text of at most {longest:,} characters")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -HIGHEST <= value <= HIGHEST:
        raise TypeError(f"{str(value)[:40]} is not a finite number from {-HIGHEST:g} to {HIGHEST:g}")
    return float(value)


def _table(value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or len(value) > NAMES:
        raise TypeError(f"classes and knobs are mappings of at most {NAMES:,} names to numbers")
    return {_text(name): _number(x) for name, x in value.items()}


def _seed(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63):
        raise TypeError(f"{str(value)[:40]} is not a seed, a whole number from 0 to 2**63 - 1")
    return value
