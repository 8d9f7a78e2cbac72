"""Directions in latent space along which something changes that has a name."""

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
from audiogan.inputs import LIMIT, Knobs, Latent
from audiogan.latents.properties import measured, properties_of
from audiogan.model.recipe import Recipe

if TYPE_CHECKING:
    from audiogan.model.generator import Generator, Label

Array = NDArray[np.float64]
PAIRS, PROBES = 512, 48
"""Pairs of sounds of which "pca" learns what latents do; sounds on which each direction is tried."""
STEP = 1.5
"""How far up and down directions are tried; a random latent is 1 in any direction, on average."""
SURE, CLEAR = 3.0, 0.03
"""A change is named if it is so many standard errors from none, and such a part of what sounds differ by."""
WORDS = 2
FARTHEST = 20.0
BATCH = 16


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in what a model makes sounds of: latents, and knobs as normal scores.

    Attributes:
        model: the name of that model.
        vector: float32 `[latent_dim]`, what a step of 1 adds to a latent.
        knobs: what it adds to the normal score of each knob; empty for directions of latents only. The squares of both
            sum to 1.
        name: what it changes most, measured on the model's own sounds: "brighter, shorter"; "other timbre" where that
            is none of the properties (`latents.properties`).
        effects: for each property how much a step of 1 raises it, in standard deviations of the model's sounds.
        strength: how much a step of 1 changes what is heard: root mean square of features that lie in 0 ... 1
            (as `Neighbour.distance`).
    """

    model: str
    vector: NDArray[np.float32]
    knobs: Mapping[str, float]
    name: str
    effects: Mapping[str, float]
    strength: float


def directions(
    generator: Generator,
    n: int = 8,
    *,
    method: Literal["pca", "factorisation"] = "pca",
    label: Label = None,
    knobs: bool = True,
    seed: int = 0,
) -> list[Direction]:
    """Directions in which a model's sounds (or images) change most, named by what they change.

    * "pca" learns from 512 pairs of random sounds of one class what latents and knobs do to the features that are heard
      (`metrics.embedding`), by linear regression, and takes the principal components of that: as Härkönen et al.
      ("GANSpace", NeurIPS 2020, section 2.2), but of what comes out rather than of activations of the first layer,
      whose components would be those of its weights where latents are normal.
    * "factorisation" looks at no sound: right singular vectors of the weights of the first layer that sees the latent
      (Shen & Zhou, "Closed-form factorization of latent semantics in GANs" (SeFa), CVPR 2021).

    Each direction is then tried on 48 other sounds, 1.5 up and down. It points to where the property it is named after
    first increases. Directions are perpendicular, the strongest by the method's own measure first.

    Args:
        n: 1 ... latent_dim (and as many more as there are knobs).
        label: a class or a mixture (`Generator.sample`): what is learned, tried and named is what happens to its
            sounds. Without one, to those of all classes.
        knobs: whether knobs may change too. A model that was trained with knobs leaves little of what they say to its
            latents; without them, directions are those of what knobs cannot do.
        seed: of the sounds.

    Raises:
        UserError: a number out of range, another method, a model of points.

    Examples:
        >>> g = audiogan.load("drums")
        >>> [direction.vector.shape for direction in directions(g, 2, method="factorisation")]
        [(64,), (64,)]
    """
    generator.check_drawable("directions")
    places = _InputVectors(generator, label, knobs)
    if not 1 <= n <= places.size:
        raise UserError(f"n={n}: {generator.name} has 1 to {places.size} directions")
    properties_of(generator.modality, generator.shape)
    if method == "pca":
        vectors = _principal(places, seed)
    elif method == "factorisation":
        vectors = _factors(places)
    else:
        raise UserError(f"method={method!r}: choose pca or factorisation")
    return [_tried(places, vector, seed) for vector in vectors[:n]]


def edit(recipe: Recipe, direction: Direction, amount: float) -> Recipe:
    """The recipe ``amount`` steps along a direction, of the same class; negative: against it.

    1 is what latents and knobs differ by in any direction; up to 3 or so sounds stay as the model learned them. Steps
    add up: going back by as much gives the recipe again, up to rounding, unless a knob has come to its end on the way.

    Raises:
        UserError: a direction of another model, or an amount beyond -20 ... 20.

    Examples:
        >>> g = audiogan.load("drums")
        >>> direction = directions(g, 1, method="factorisation")[0]
        >>> kick = g.recipes(1, seed=3, label="kick")[0]
        >>> edit(kick, direction, 1.5).label
        'kick'
    """
    known = set(direction.knobs) <= set(recipe.knobs)
    if recipe.model != direction.model or len(recipe.latent) != len(direction.vector) or not known:
        raise UserError(f"a direction of {direction.model} does not lead from a sound of {recipe.model}")
    if not abs(amount) <= FARTHEST:
        raise UserError(f"amount={amount} must be from {-FARTHEST:g} to {FARTHEST:g}")
    if amount == 0:
        return recipe
    from scipy.special import ndtr, ndtri

    latent = np.asarray(recipe.latent) + amount * direction.vector.astype(np.float64)
    knobs = dict(recipe.knobs)
    for name, share in direction.knobs.items():
        score = float(ndtri(min(max(knobs[name], 1e-6), 1 - 1e-6))) + amount * share
        knobs[name] = float(ndtr(min(max(score, -LIMIT), LIMIT)))
    return replace(recipe, latent=tuple(latent.tolist()), knobs=knobs, seed=None)


class _InputVectors:
    """The free inputs of a model, as vectors ``[B, size]``: latents and, with ``knobs``, knobs as normal scores."""

    def __init__(self, generator: Generator, label: Label, knobs: bool) -> None:
        self.generator, self.requested = generator, generator.requested(label)
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
        """Draw vectors ``[count, size]``, and all inputs."""
        values = self.generator.game.draw(count, torch.Generator().manual_seed(seed), **self.requested)
        return torch.cat([values[name].flatten(1) for name in self.sizes], dim=1), values

    def inputs(self, places: Tensor, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs for vectors; the other inputs are those of ``values``."""
        changed = {}
        for name, part in zip(self.sizes, places.split(list(self.sizes.values()), dim=1), strict=True):
            given = self.generator.inputs[name]
            part = part.clamp(-LIMIT, LIMIT) if isinstance(given, Knobs) else part
            changed[name] = part.reshape(-1, *given.shape)
        return {**values, **changed}

    def signals(self, places: Tensor, values: dict[str, Tensor]) -> NDArray[np.float32]:
        """Return signals ``[B, *shape]``, made in batches: faster than `Generator.render`, but not bit-identical."""
        generator, values = self.generator, self.inputs(places, values)
        parts = []
        for i in range(0, len(places), BATCH):
            made = generator.game.generate({name: value[i : i + BATCH] for name, value in values.items()})
            parts.append(generator.modality.finish(made.cpu().numpy()))
        return np.concatenate(parts)


def _heard(generator: Generator, x: NDArray[np.float32]) -> Array:
    return embed(torch.from_numpy(x), generator.modality.embedding(generator.shape))


def _principal(places: _InputVectors, seed: int) -> Array:
    """Unit vectors `[size, size]` by how much they change what is heard, the strongest first."""
    count = max(PAIRS, 2 * places.size)
    a, values = places.draw(count, seed)
    rng = torch.Generator().manual_seed(seed + 1)
    # Two sounds of one class: what comes of the class alone, which is most, is not in their difference.
    b = a + torch.randn(a.shape, generator=rng)
    there, here = (_heard(places.generator, places.signals(each, values)) for each in (b, a))
    effect = np.linalg.lstsq((b - a).double().numpy(), there - here, rcond=None)[0]
    return np.linalg.svd(effect)[0].T


def _factors(places: _InputVectors) -> Array:
    """Unit vectors `[size, size]` by how much the first layer makes of them, the strongest first."""
    _, values = places.draw(1, seed=0)
    units = torch.cat([torch.zeros(1, places.size), torch.eye(places.size)])
    values = {name: value.expand(len(units), *value.shape[1:]) for name, value in values.items()}
    out = _first_layer(places.generator.game, places.inputs(units, values), len(units))
    if out is None:
        raise UserError(f"{places.generator.name}: no layer of its network sees the latent; use method='pca'")
    # A layer that is affine in the latent gives its weights away by what it makes of unit vectors.
    return np.linalg.svd((out[1:] - out[:1]).flatten(1).double().numpy())[0].T


def _first_layer(game: Any, values: dict[str, Tensor], n: int) -> Tensor | None:
    """What the first layer makes of latents whose output is not the same for all of them."""
    found: list[Tensor] = []
    here = threading.get_ident()  # others may be playing the same network

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if found or threading.get_ident() != here or not isinstance(output, Tensor) or len(output) != n:
            return
        if bool((output != output[:1]).any()):
            found.append(output.detach().cpu())

    layers = [m for m in game.nets[game.main].modules() if not list(m.children()) and list(m.parameters())]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        game.generate(values)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _tried(places: _InputVectors, vector: Array, seed: int) -> Direction:
    """The direction of a vector `[size]`, with what it does on sounds of which none was found."""
    generator = places.generator
    names = properties_of(generator.modality, generator.shape)
    there, values = places.draw(PROBES, seed + 2**32)
    spread = measured(generator.modality, places.signals(there, values)).std(0) + 1e-9
    step = STEP * torch.from_numpy(vector).float()
    up, down = (places.signals(there + sign * step, values) for sign in (1, -1))
    change = (measured(generator.modality, up) - measured(generator.modality, down)) / spread / (2 * STEP)
    effects, errors = change.mean(0), change.std(0, ddof=1) / math.sqrt(PROBES)
    sure = [k for k in np.argsort(-np.abs(effects)) if abs(effects[k]) > max(CLEAR, SURE * errors[k])]
    sign = float(np.sign(effects[sure[0]])) if sure else 1.0
    words = [list(names.values())[k] for k in sure[:WORDS]]
    said = [more if sign * effects[k] > 0 else less for k, (less, more) in zip(sure, words, strict=False)]
    strength = np.sqrt(np.square(_heard(generator, up) - _heard(generator, down)).mean()) / (2 * STEP)
    latent, knobs = np.split(sign * vector, [places.latent_dim])
    return Direction(
        model=generator.name,
        vector=latent.astype(np.float32),
        knobs=dict(zip(generator.knobs, knobs.tolist(), strict=False)),
        name=", ".join(said) or "other timbre",
        effects=dict(zip(names, (sign * effects).tolist(), strict=True)),
        strength=float(strength),
    )
