"""Interpretable directions in latent space, and edits of recipes along them."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiogan.errors import UserError
from audiogan.features.embedding import embed
from audiogan.inputs import MAX_NORMAL_SCORE, Knobs, Latent
from audiogan.latents.properties import IMAGE_PROPERTIES, SOUND_PROPERTIES, list_properties, measure_properties
from audiogan.model.recipe import Recipe
from audiogan.model.recipe_inputs import parse_inputs

if TYPE_CHECKING:
    from audiogan.model.generator import Generator, Label

Array = NDArray[np.float64]
MIN_PAIRS, PROBES = 512, 48
"""Numbers of sounds in `directions`: minimum number of pairs for the method "pca", and number of sounds on which
effects are measured."""
PROBE_DISTANCE = 1.5
"""Distance at which the effects of a direction are measured, in standard deviations of the latent."""
MIN_STANDARD_ERRORS, MIN_EFFECT = 3.0, 0.03
"""Smallest effect of a direction on a property that appears in the name of the direction: in standard errors of the
effect, and in standard deviations of the property over sounds. Both must be exceeded."""
MAX_WORDS = 2
"""Maximum number of properties in the name of a direction."""
MAX_AMOUNT = 20.0
"""Maximum absolute value of the amount of an edit, in standard deviations of the latent."""
BATCH = 16
"""Number of signals in a batch."""


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector in the space of latents and knobs, with its measured effects.

    A knob setting p in 0 ... 1 is converted to its normal score: the quantile of the standard normal distribution at p.

    Attributes:
        model: name of the model.
        vector: change of the latent for an amount of 1, float32 ``[latent_dim]``.
        knobs: change of the normal score of each knob for an amount of 1. Empty for directions of the latent only. The
            squares of ``vector`` and ``knobs`` sum to 1.
        name: the properties that change most, in words, such as "brighter, shorter". "other timbre" if no property
            in `latents.properties` changes clearly.
        effects: change of each property for an amount of 1, in standard deviations over the sounds of the model.
        strength: root mean square change of the features of the embedding for an amount of 1. The features are in 0 ...
            1.
    """

    model: str
    vector: NDArray[np.float32]
    knobs: Mapping[str, float]
    name: str
    effects: Mapping[str, float]
    strength: float

    @property
    def opposite_name(self) -> str:
        """Changes for a negative amount, in words, such as "darker, longer". "other timbre" if `name` is "other
        timbre"."""
        pairs = SOUND_PROPERTIES if set(self.effects) == set(SOUND_PROPERTIES) else IMAGE_PROPERTIES
        opposites = {more: less for less, more in pairs.values()} | dict(pairs.values())
        return ", ".join(opposites.get(word, word) for word in self.name.split(", "))


def directions(
    generator: Generator,
    n: int = 8,
    *,
    method: Literal["pca", "factorisation"] = "pca",
    label: Label = None,
    knobs: bool = True,
    seed: int = 0,
) -> list[Direction]:
    """Find the directions in which the sounds or images of a model change most, and name them by their effects.

    * "pca" fits a linear regression from latents and knobs to an embedding, on at least 512 pairs of random sounds. The
      directions are the principal components of this linear map. The original GANSpace instead applies PCA to the
      activations of the first layer.
    * "factorisation" computes the right singular vectors of the weights of the first layer that depends on the latent
      (SeFa). It needs no sounds.

    The effects are measured on 48 other sounds, moved by 1.5 standard deviations along and against each direction. The
    directions are perpendicular to each other, the strongest first. The sign of a direction is chosen so that the first
    property in its name increases.

    Args:
        generator: the model.
        n: number of directions, from 1 to ``latent_dim`` plus the number of knobs.
        method: "pca" or "factorisation".
        label: class name or weights of classes of the sounds, see `Generator.sample`. None uses all classes.
        knobs: whether directions may change knobs. False keeps knobs fixed, so directions mainly change properties that
            no knob controls.
        seed: random seed of the sounds.

    Raises:
        UserError: ``n`` or ``method`` is invalid, or the model generates neither sounds nor images.

    Source:
        Härkönen et al., "GANSpace", NeurIPS 2020, section 2.2. Shen & Zhou, "Closed-Form Factorization of Latent
        Semantics in GANs" (SeFa), CVPR 2021.

    Examples:
        >>> import audiogan
        >>> from audiogan.latents import directions
        >>> generator = audiogan.load("drums")
        >>> len(directions(generator, 1, method="factorisation"))
        1
    """
    generator.require_random_inputs("directions")
    space = _InputVectors(generator, label, knobs)
    if not 1 <= n <= space.size:
        raise UserError(f"n={n}: {generator.name} has 1 to {space.size} directions")
    list_properties(generator.modality, generator.shape)
    if method == "pca":
        vectors = _principal_directions(space, seed)
    elif method == "factorisation":
        vectors = _factorised_directions(space)
    else:
        raise UserError(f"method={method!r}: choose pca or factorisation")
    return [_measure_direction(space, vector, seed) for vector in vectors[:n]]


def edit(recipe: Recipe, direction: Direction, amount: float) -> Recipe:
    """Return a recipe moved along a direction. Its class does not change.

    Edits add up: an edit by ``-amount`` undoes an edit by ``amount``, except for rounding and for knobs that reached a
    limit.

    Args:
        recipe: the recipe.
        direction: a direction of the same model.
        amount: distance in standard deviations of the latent, -20 ... 20. Up to about 3, sounds resemble the training
            data.

    Raises:
        UserError: the direction belongs to another model, or ``amount`` is out of range.

    Examples:
        >>> import audiogan
        >>> from audiogan.latents import directions, edit
        >>> generator = audiogan.load("drums")
        >>> recipe = generator.recipes(1, seed=5)[0]
        >>> edited = edit(recipe, directions(generator, 1, method="factorisation")[0], 1.5)
        >>> edited.label == recipe.label
        True
    """
    known = set(direction.knobs) <= set(recipe.knobs)
    if recipe.model != direction.model or len(recipe.latent) != len(direction.vector) or not known:
        raise UserError(f"the direction belongs to the model {direction.model}, but the recipe to {recipe.model}")
    if not abs(amount) <= MAX_AMOUNT:
        raise UserError(f"amount={amount} must be from {-MAX_AMOUNT:g} to {MAX_AMOUNT:g}")
    if amount == 0:
        return recipe
    from scipy.special import ndtr, ndtri

    latent = np.asarray(recipe.latent) + amount * direction.vector.astype(np.float64)
    knobs = dict(recipe.knobs)
    for name, share in direction.knobs.items():
        score = float(ndtri(min(max(knobs[name], 1e-6), 1 - 1e-6))) + amount * share
        knobs[name] = float(ndtr(min(max(score, -MAX_NORMAL_SCORE), MAX_NORMAL_SCORE)))
    return replace(recipe, latent=tuple(latent.tolist()), knobs=knobs, seed=None)


class _InputVectors:
    """Latents and, if ``knobs`` is true, knobs of a model as vectors ``[B, size]``. Knobs are normal scores."""

    def __init__(self, generator: Generator, label: Label, knobs: bool) -> None:
        self.generator, self.requested = generator, parse_inputs(generator, label)
        kinds = (Latent, Knobs) if knobs else (Latent,)
        self.sizes = {
            name: math.prod(size or 1 for size in given.shape)
            for name, given in generator.inputs.items()
            if isinstance(given, kinds)
        }
        if not self.sizes:
            raise UserError(f"{generator.name}: it has no latent, so there are no directions")
        self.latent_dim = sum(size for name, size in self.sizes.items() if isinstance(generator.inputs[name], Latent))
        self.size = sum(self.sizes.values())

    def draw(self, count: int, seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Draw vectors ``[count, size]``, and the values of all inputs."""
        values = self.generator.game.draw(count, torch.Generator().manual_seed(seed), **self.requested)
        return torch.cat([values[name].flatten(1) for name in self.sizes], dim=1), values

    def inputs(self, vectors: Tensor, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the input values for vectors. The other inputs are taken from ``values``."""
        changed = {}
        for name, part in zip(self.sizes, vectors.split(list(self.sizes.values()), dim=1), strict=True):
            given = self.generator.inputs[name]
            part = part.clamp(-MAX_NORMAL_SCORE, MAX_NORMAL_SCORE) if isinstance(given, Knobs) else part
            changed[name] = part.reshape(-1, *given.shape)
        return {**values, **changed}

    def signals(self, vectors: Tensor, values: dict[str, Tensor]) -> NDArray[np.float32]:
        """Return signals ``[B, *shape]`` generated in batches. This is faster than `Generator.render`, but signals are
        not bit-identical."""
        generator, values = self.generator, self.inputs(vectors, values)
        parts = []
        for i in range(0, len(vectors), BATCH):
            made = generator.game.generate({name: value[i : i + BATCH] for name, value in values.items()})
            parts.append(generator.modality.postprocess(made.cpu().numpy()))
        return np.concatenate(parts)


def _embed_signals(generator: Generator, x: NDArray[np.float32]) -> Array:
    return embed(torch.from_numpy(x), generator.modality.embedding(generator.shape))


def _principal_directions(space: _InputVectors, seed: int) -> Array:
    """Return unit vectors ``[size, size]`` sorted by their effect on the embedding, the largest first."""
    count = max(MIN_PAIRS, 2 * space.size)
    a, values = space.draw(count, seed)
    rng = torch.Generator().manual_seed(seed + 1)
    # Two sounds of a pair have the same class. Otherwise, the class would dominate their difference.
    b = a + torch.randn(a.shape, generator=rng)
    there, here = (_embed_signals(space.generator, space.signals(each, values)) for each in (b, a))
    effect = np.linalg.lstsq((b - a).double().numpy(), there - here, rcond=None)[0]
    return np.linalg.svd(effect)[0].T


def _factorised_directions(space: _InputVectors) -> Array:
    """Return unit vectors ``[size, size]`` sorted by their effect on the first layer, the largest first."""
    _, values = space.draw(1, seed=0)
    units = torch.cat([torch.zeros(1, space.size), torch.eye(space.size)])
    values = {name: value.expand(len(units), *value.shape[1:]) for name, value in values.items()}
    out = _first_layer(space.generator.game, space.inputs(units, values), len(units))
    if out is None:
        raise UserError(f"{space.generator.name}: no layer of its network depends on the latent; use method='pca'")
    # The layer is affine in the latent. Its outputs for unit vectors minus its output for zero give its weights.
    return np.linalg.svd((out[1:] - out[:1]).flatten(1).double().numpy())[0].T


def _first_layer(game: Any, values: dict[str, Tensor], n: int) -> Tensor | None:
    """Return the output of the first layer that depends on the latent, or None."""
    found: list[Tensor] = []
    here = threading.get_ident()  # hooks also run for other threads that use the network

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if found or threading.get_ident() != here or not isinstance(output, Tensor) or len(output) != n:
            return
        if bool((output != output[:1]).any()):
            found.append(output.detach().cpu())

    layers = [m for m in game.nets[game.default_generator].modules() if not list(m.children()) and list(m.parameters())]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        game.generate(values)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _measure_direction(space: _InputVectors, vector: Array, seed: int) -> Direction:
    """Return the direction of a vector ``[size]``, with effects measured on sounds that were not used to find it."""
    generator = space.generator
    names = list_properties(generator.modality, generator.shape)
    there, values = space.draw(PROBES, seed + 2**32)
    spread = measure_properties(generator.modality, space.signals(there, values)).std(0) + 1e-9
    step = PROBE_DISTANCE * torch.from_numpy(vector).float()
    up, down = (space.signals(there + sign * step, values) for sign in (1, -1))
    change = (
        (measure_properties(generator.modality, up) - measure_properties(generator.modality, down))
        / spread
        / (2 * PROBE_DISTANCE)
    )
    effects, errors = change.mean(0), change.std(0, ddof=1) / math.sqrt(PROBES)
    sure = [
        k for k in np.argsort(-np.abs(effects)) if abs(effects[k]) > max(MIN_EFFECT, MIN_STANDARD_ERRORS * errors[k])
    ]
    sign = float(np.sign(effects[sure[0]])) if sure else 1.0
    words = [list(names.values())[k] for k in sure[:MAX_WORDS]]
    said = [more if sign * effects[k] > 0 else less for k, (less, more) in zip(sure, words, strict=False)]
    strength = np.sqrt(np.square(_embed_signals(generator, up) - _embed_signals(generator, down)).mean()) / (
        2 * PROBE_DISTANCE
    )
    latent, knobs = np.split(sign * vector, [space.latent_dim])
    return Direction(
        model=generator.name,
        vector=latent.astype(np.float32),
        knobs=dict(zip(generator.knobs, knobs.tolist(), strict=False)),
        name=", ".join(said) or "other timbre",
        effects=dict(zip(names, (sign * effects).tolist(), strict=True)),
        strength=float(strength),
    )
